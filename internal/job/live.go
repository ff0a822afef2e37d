package job

import (
	"log/slog"
	"time"

	"weir/internal/connect"
	"weir/internal/plan"
	"weir/internal/vec"
)

// LiveSpec is a job that runs until it is told to stop.
type LiveSpec struct {
	Name    string
	Version int // of the job, counted by who deploys it
	Plan    *plan.Plan
	Inputs  []LiveInput
	Outputs []LiveOutput // one for each output of the plan, in its order

	Late       time.Duration // negative: no limit (saql.md 4.3)
	OutOfOrder time.Duration
	Drop       bool
	DropErrors bool // drop rows of query errors and keep them as dead letters; else the job fails

	Shards     int
	MaxHeld    int64
	MaxDead    int64         // bytes of dead letters that are kept; 0 is DefaultDeadBytes
	Checkpoint time.Duration // between checkpoints; 0 is DefaultCheckpoint
	// Start says where a job without state begins. A job with state goes on where it was.
	Start StartMode
	// StartAt is the time of StartTime: results of that time and later are wanted.
	StartAt time.Time
	// DiscardState begins anew although there is state.
	DiscardState bool

	Log *slog.Logger
	Now func() time.Time
}

// StartMode is the output start mode (saql.md 4.9, jobmodel.md 9).
type StartMode string

// The modes.
const (
	StartNow       StartMode = "now"       // JobStartTime: results from now on
	StartTime      StartMode = "time"      // CustomTime: results from StartAt on
	StartLast      StartMode = "last"      // LastOutputEventTime: where the job was; the state is kept
	StartBeginning StartMode = "beginning" // all events that are kept
)

// LiveInput is an input of a live job. Reference data is read whole, a version at a time.
type LiveInput struct {
	Name   string
	Open   func(env connect.SourceEnv) (connect.Source, error)
	Format connect.Format
	// ID is an identity of the configuration: a reload leaves an input of the same ID open.
	ID string
	// EventArrival takes the event's own time as its arrival: nothing is late or early.
	EventArrival bool
	// MaxVersions is how many versions of reference data are known at a time; 0 is
	// DefaultMaxVersions. Rows of the time of older ones are joined with the oldest.
	MaxVersions int
	// MetaColumns: SELECT * shows the columns that an input adds to its events, such as
	// PartitionId (saql.md 7.9). Queries can name them in any case.
	MetaColumns bool
}

// LiveOutput is an output of a live job.
type LiveOutput struct {
	Name   string
	Open   func(env connect.SinkEnv) (connect.Sink, error)
	Format connect.Format
	// ID is an identity of the configuration: a reload leaves an output of the same ID open.
	ID string
	// Guarantee is what the connector promises, for people.
	Guarantee string
	// OnError is what becomes of rows that the sink rejects: stop, retry, drop, deadletter.
	OnError string
}

// State is what a live job is doing.
type State string

// The states, with the words of the original where it has them.
const (
	Starting  State = "starting"  // restoring, replaying
	Running   State = "running"   //
	Degraded  State = "degraded"  // an output or the disk does not answer: waiting, losing nothing
	Stopping  State = "stopping"  //
	Stopped   State = "stopped"   //
	Failed    State = "failed"    //
	Completed State = "completed" // all inputs have ended
)

// Stats are what a live job has done since it was created, and what it is doing now. They
// survive restarts where they say so (counts do).
type Stats struct {
	State      State
	Since      time.Time // of State
	Reason     string    // why it failed or is degraded
	Version    int
	Epoch      int64
	Replaying  bool
	Checkpoint CheckpointStats
	Inputs     []InputStats
	Steps      []StepStats
	Outputs    []OutputStats
	Dead       map[string]int64 // dead letters by name of the error
	Notes      []string         // what whoever looks after the job should know: a damaged checkpoint
}

// CheckpointStats are about checkpoints.
type CheckpointStats struct {
	Count    int64
	Failures int64
	Last     time.Time
	Bytes    int64
	Pause    time.Duration // how long the job stood still for the last one
	Elapsed  time.Duration // until the last one was durable
}

// InputStats are about an input.
type InputStats struct {
	Name       string
	Partitions []PartitionStats
	Events     int64 // decoded
	Bytes      int64
	Errors     map[string]int64 // that did not become events, by name
	Late       Moved
	OutOfOrder Moved
	Early      int64           // dropped
	Reference  *ReferenceStats // nil: it is a stream
}

// ReferenceStats are about reference data.
type ReferenceStats struct {
	Version   string   // in force now: its name, "" if the source has no versions
	Effective vec.Time // from when on it is in force; vec.MinTime is always
	Rows      int64    // -1: it has not been read yet
	Versions  int      // that rows may still need, or that are to come
	// Age is how long ago the source last said what it has.
	Age     time.Duration
	Failure string // of the last look for versions; "" if it went well
}

// Moved counts events beyond a policy's limit.
type Moved struct{ Dropped, Adjusted int64 }

// PartitionStats are about a partition of an input.
type PartitionStats struct {
	Name      string
	Events    int64
	Position  connect.Position
	Waiting   int64 // events that the source has behind the position; -1 if it does not know
	Watermark vec.Time
	Idle      time.Duration // since the last event
	Ended     bool
}

// StepStats are about a node of the plan, in its order: what came, what went, and where time
// went.
type StepStats struct {
	Node      int
	Step      string // WITH step or output that it belongs to
	Kind      string // "source", "filter", "group" ...
	Detail    string // its condition, window ..., as the query has it
	Line      int    // of the query
	In, Out   int64  // rows
	Dropped   map[string]int64
	Busy      time.Duration
	Held      int64 // rows and groups that wait
	Watermark vec.Time
	HeldBy    string // which input and partition holds the watermark: "downtime/2"
}

// OutputStats are about an output.
type OutputStats struct {
	Name      string
	Guarantee string
	Rows      int64 // committed
	// BeforeStart is how many rows were left out because their time is before the start of the
	// job (saql.md 4.9).
	BeforeStart int64
	Epoch       int64 // last committed
	Rejected    map[string]int64
	Retries     int64
	Blocked     time.Duration // waiting for it
	LastError   string
	LastTime    vec.Time // T of the last row committed
	// Latency is a histogram of arrival of the newest event of an epoch to its commit.
	Latency Histogram
}

// Histogram counts durations; bucket i is up to LatencyBounds[i], the last one beyond.
type Histogram struct {
	Counts []int64
	Sum    time.Duration
}

// LatencyBounds are the upper bounds of the buckets of Histogram.
var LatencyBounds = []time.Duration{time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond,
	20 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute}

// DefaultCheckpoint is LiveSpec.Checkpoint unless it is set.
const DefaultCheckpoint = 5 * time.Second

// DeadLetter is an event or row that did not go where it should have.
type DeadLetter struct {
	ID        int64     `json:"id"`   // counts from 1 for the life of the state
	Time      time.Time `json:"time"` // when it was given up
	Name      string    `json:"name"` // the original's error name (saql.md 13.4)
	Reason    string    `json:"reason"`
	Input     string    `json:"input,omitempty"` // of an event
	Output    string    `json:"output,omitempty"`
	Partition string    `json:"partition,omitempty"`
	Object    string    `json:"object,omitempty"` // file
	Offset    int64     `json:"offset,omitempty"`
	Line      int64     `json:"line,omitempty"`
	Arrival   string    `json:"arrival,omitempty"`
	Payload   string    `json:"payload"` // the event or row, cut at 64 KiB
	Cut       bool      `json:"cut,omitempty"`
	Redriven  bool      `json:"redriven,omitempty"` // it was tried again
}
