// Package connect is the contract between the runner and the outside: sources that can be
// read again from a position, sinks that take rows epoch by epoch, and the declarations by
// which a job file is checked, documented and turned into them. Each connector is a folder
// below with one Spec.
//
// Exactly-once rests on two promises. A source gives the same events for the same positions
// again. A sink makes an epoch visible once: it remembers, together with the rows, which
// epoch it has, and does nothing for that one and older ones.
package connect

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"weir/internal/disk"
	"weir/internal/vec"
)

// Position is a place between two events of a partition, in a form of the connector's own.
// "" is the start. Equal positions are the same place; nothing else can be told from them.
type Position string

// Source is an input. One goroutine uses it.
type Source interface {
	// Partitions names the partitions, in an order that stays. It is asked again now and
	// then: new ones come at the end.
	Partitions(ctx context.Context) ([]string, error)
	// Seek finds the position before the first event that arrived at or after a time;
	// vec.MinTime is before all events that are kept, vec.MaxTime behind all.
	Seek(ctx context.Context, partition string, arrived vec.Time) (Position, error)
	// Open reads a partition from a position on. ErrGone says that events behind the
	// position are no longer kept.
	Open(ctx context.Context, partition string, after Position) (Reader, error)
	// Done says that nothing before the position will be asked for again: the source may
	// forget it.
	Done(ctx context.Context, partition string, upTo Position) error
	Close() error
}

// Backlog is a Source that knows how many events it has behind a position, about: for people,
// who want to know how far a job is behind. It answers at once; false says that it does not know.
type Backlog interface {
	Waiting(partition string, after Position) (events int64, ok bool)
}

// Reader reads one partition.
type Reader interface {
	// Read gives what is there now behind what it gave last, in one Chunk of about max bytes
	// at most (a single event may be larger); an empty chunk with Next where it stands if
	// there is nothing. It does not wait for events to come.
	//
	// With until set it gives all from where it stands up to that position, whatever max is:
	// the same events, in one chunk that equals the one that once ended there.
	Read(ctx context.Context, max int, until Position) (Chunk, error)
	// Ready is signalled (at least once, buffered) when there may be something to read. nil
	// means that Read has to be tried now and then.
	Ready() <-chan struct{}
	Close() error
}

// Chunk is a run of whole events of a partition. It is valid until the next Read.
type Chunk struct {
	Data []byte
	// Next is the position behind it.
	Next Position
	// Fresh starts a new text: a file with its own header row and line numbers. Head is what
	// a decoder must have seen before Data, if the text is entered in its midst: the header
	// row of CSV.
	Fresh bool
	Head  []byte
	// Last says that the text ends with Data (a fragment without line end is an event).
	Last bool
	// Object names the text for people: a file. Offset and Line are those of the first byte
	// of Data in it; Line counts from 1.
	Object string
	Offset int64
	Line   int64
	// Arrival is when the events arrived; 0 means now, as the runner's clock has it, which it
	// records. Marks, if set, say so message by message; every message is whole lines.
	Arrival vec.Time
	Marks   []Mark
	// Properties are metadata of all events of the chunk (saql.md 7.9): BlobName,
	// BlobLastModifiedUtcTime, PartitionId ... It must not be changed afterwards.
	Properties map[string]vec.Value
	// Clock, if not 0: everything that arrived before it has been read. Idle inputs move
	// time on by it (saql.md 4.4).
	Clock vec.Time
	// End says that nothing will ever follow.
	End bool
}

// Mark is a message of a chunk.
type Mark struct {
	End     int   // offset in Data behind its text
	Offset  int64 // sequence number or offset in the partition, for people and event ids
	Arrival vec.Time
	// Properties are those of the message; nil if it has none.
	Properties map[string]vec.Value
}

// ErrGone is the error of a position whose events are no longer kept.
var ErrGone = errors.New("events behind this position are no longer kept")

// Sink is an output. The runner calls, for each epoch that has rows or moves time: Write any
// number of times, Prepare, Commit; and Sync now and then. One goroutine at a time uses it.
//
// An error of a method leaves the sink as if the method had not been called, and the runner
// calls it again after a pause, for as long as it takes: networks come back, disks get
// space. An error that no retry can heal is wrapped by Permanent. Rows that the target does
// not take are no error of a method: see SinkEnv.Reject.
type Sink interface {
	// Committed is the last epoch that is durable in the target, 0 if there is none. A sink
	// that cannot know gives -1; the runner then relies on its own manifest and says "at
	// least once".
	Committed(ctx context.Context) (int64, error)
	// Write takes rows of an epoch; they stay unseen until Commit. The batch is valid until
	// Write returns. Epochs that Committed covers are not written again by the runner.
	Write(ctx context.Context, epoch int64, b *vec.Batch) error
	// Prepare does all of an epoch's work that can fail because of its rows, and tells
	// SinkEnv.Reject of those that do. watermark: no later epoch brings a row of that time or
	// older; a file for a time before it is complete.
	Prepare(ctx context.Context, epoch int64, watermark vec.Time) error
	// Commit makes the epoch visible, all of it, once: committing an epoch again, or an older
	// one, does nothing.
	Commit(ctx context.Context, epoch int64) error
	// Sync makes all that was committed survive a loss of power. The runner calls it before a
	// checkpoint, and forgets how to make older epochs again after it.
	Sync(ctx context.Context) error
	// Close frees what the sink holds. What was not committed is dropped.
	Close() error
}

// Ailing is a Sink that works in the background on what was committed. Ailing is the error of
// what does not work there now and is tried again, nil if there is none; it answers at once.
// The job shows it, and goes on.
type Ailing interface {
	Ailing() error
}

// RowError is a row that a target does not take.
type RowError struct {
	Row    []byte // as a JSON object
	Time   vec.Time
	Name   string // OutputDataConversionError.TypeConversionError ... (saql.md 13.4)
	Column string // "" if it is not about one
	Reason string
}

// Columns describe the rows of an output.
type Columns struct {
	Names []string
	Types []vec.Kinds
	// Row: the only column is a record that is the row itself (SELECT * over unknown fields).
	Row bool
}

// SinkEnv is what a sink is opened with. All of it stays the same for the life of the sink.
type SinkEnv struct {
	Job    string // name of the job when its state was begun
	Output string // name of the output
	// Instance is the identity of the job's state: epochs count anew with each. A sink
	// remembers the last epoch per job, output and instance.
	Instance string
	Columns  Columns
	Format   Format
	// State is a durable directory of this output's own.
	State disk.FS
	// Reject is told of a row that the target does not take. nil from it drops the row (it
	// has been kept as a dead letter); an error ends the epoch, and the sink returns it.
	Reject func(RowError) error
	Log    *slog.Logger
	Now    func() time.Time
}

// SourceEnv is what a source is opened with.
type SourceEnv struct {
	Job    string
	Input  string
	Format Format
	// State is a durable directory of this input's own: logs of what was pushed at it.
	State disk.FS
	Log   *slog.Logger
	Now   func() time.Time
	// Partition reading for reference data: the source is read to its End, once a version.
	Reference bool
	// Aside: it is read by someone beside the job, who wants to see some events. The source takes
	// nothing from the job and leaves nothing behind: another client id, no commits, no session.
	Aside bool
	// Known are the versions of reference data that the job has, oldest first: it will not ask for
	// their rows again. There are none when the job begins.
	Known []Version
	// Metadata are the names of what the query reads of events beside their text, as
	// vec.Field.Meta and the columns that inputs add have them (saql.md 7.9): "User.tenant",
	// "PartitionId". A source need not give others. nil: it is not known, so all.
	Metadata []string
}

// Versions is a Source of reference data that changes: each partition is a version of it, read
// to its End. A source of reference data without it has one version, for ever.
type Versions interface {
	// Versions are the versions from the one in force at a time on, by the time from which they
	// hold, the latest last; none if there is none yet. vec.MinTime as Effective is always. The
	// names are partitions that Open takes. It asks the service, and is called again every so
	// often as Every says; what it gave once, it gives again as long as it is there.
	Versions(ctx context.Context, from vec.Time) ([]Version, error)
	// Every is how often to look for a new version; 0 is never.
	Every() time.Duration
}

// Version is a version of reference data.
type Version struct {
	Name      string // the partition
	Effective vec.Time
}

// Format is how events or rows lie in bytes. Connectors of messages may ignore what does not
// concern them.
type Format struct {
	// Type is "json", "csv", "avro", "parquet" or "protobuf"; "" lets the source find out, and
	// is "json" for sinks.
	Type        string
	Array       bool // outputs: one JSON array per file, else an object a line
	Delimiter   byte // of CSV; 0 is a comma, or found out
	NoHeader    bool
	Compression string // "", "none", "gzip", "deflate", "zstd", "snappy"; "" finds out, or goes by the name
	// Schema is the path of a schema file: an Avro schema, or a .proto file or descriptor set of
	// Protobuf, whose message Message names.
	Schema  string
	Message string
	// Registry is the URL of a schema registry, for messages that carry the number of their
	// schema. It may have a user and a password.
	Registry Hidden
}

// Permanent wraps an error that no retry can heal: the job fails with it.
func Permanent(err error) error { return &permanent{err} }

type permanent struct{ error }

func (p *permanent) Unwrap() error { return p.error }

// IsPermanent reports whether an error was wrapped by Permanent.
func IsPermanent(err error) bool {
	var p *permanent
	return errors.As(err, &p)
}
