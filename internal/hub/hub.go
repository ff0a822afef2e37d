package hub

import (
	"errors"
	"log/slog"
	"time"

	"weir/internal/disk"
	"weir/internal/hub/log"
)

// Options of a broker. Zero values are the defaults.
type Options struct {
	// FS is the directory that the broker owns: hubs, keys, offsets.
	FS disk.FS
	// Namespace is the name that clients see; DefaultNamespace.
	Namespace string
	// Fsync, for all hubs, says what an acknowledgement promises; log.Always.
	Fsync log.Fsync
	// MaxHubs bounds the hubs, MaxGroups the consumer groups of each.
	MaxHubs   int // DefaultMaxHubs
	MaxGroups int // DefaultMaxGroups
	// MaxProducers bounds the producers that a partition remembers: the idlest goes. MaxRules
	// bounds the keys of the namespace and of each hub.
	MaxProducers int // DefaultMaxProducers
	MaxRules     int // DefaultMaxRules
	// MaxMessage bounds an event, MaxBatch what is appended at once, in bytes.
	MaxMessage int // DefaultMaxMessage
	MaxBatch   int // DefaultMaxBatch
	// DevelopmentKey also takes the key of Azure's emulator, SAS_KEY_VALUE, for
	// RootManageSharedAccessKey. Listeners that other machines reach must not have it.
	DevelopmentKey bool

	Log *slog.Logger
	Now func() time.Time
}

// The defaults and limits of Options and Config.
const (
	DefaultNamespace    = "weir"
	DefaultMaxHubs      = 1000
	DefaultMaxGroups    = 1000
	DefaultMaxMessage   = 1 << 20
	DefaultMaxBatch     = 1 << 20
	DefaultMaxProducers = 10_000
	DefaultMaxRules     = 100
	DefaultPartitions   = 4
	DefaultRetention    = 24 * time.Hour
	MaxPartitions       = log.MaxPartitions
	// MaxKey bounds a partition key, MaxProducerID the name of a producer, MaxMetadata the text
	// of a commit, in bytes.
	MaxKey        = 32 << 10
	MaxProducerID = 256
	MaxMetadata   = 4096
	// DefaultGroup is the consumer group that every hub has.
	DefaultGroup = "$Default"
)

// Config is what a hub is made with.
type Config struct {
	Name       string
	Partitions int // DefaultPartitions
	// Retention is how long events stay, read or not. RetentionBytes, if set, bounds each
	// partition: the oldest events go first.
	Retention      time.Duration // DefaultRetention
	RetentionBytes int64
	Groups         []string // consumer groups besides DefaultGroup
}

// The errors of a broker, apart from those of the log and the disk. They are wrapped with
// what they are about.
var (
	ErrNoHub       = errors.New("there is no such event hub")
	ErrNoPartition = errors.New("there is no such partition")
	ErrNoGroup     = errors.New("there is no such consumer group")
	ErrNoRule      = errors.New("there is no such key")
	ErrExists      = errors.New("the event hub exists already")
	ErrGroupExists = errors.New("the consumer group exists already")
	ErrRuleExists  = errors.New("the key exists already")
	// ErrBadConfig: a number of the configuration is out of its bounds.
	ErrBadConfig = errors.New("the configuration is wrong")
	ErrBadName   = errors.New("not a name")
	ErrTooMany   = errors.New("too many")
	ErrTooLarge  = errors.New("the event is too large")
	// ErrUnauthorized: the token or key is missing, wrong or expired. ErrForbidden: it is
	// right and does not give the right that is needed.
	ErrUnauthorized = errors.New("unauthorized")
	ErrForbidden    = errors.New("forbidden")
	// ErrFenced: a producer with a newer epoch has taken over. ErrGap: numbers of a strict
	// producer are missing before those given. ErrDuplicate is told by Appended.Duplicate
	// and is no error.
	ErrFenced = errors.New("a newer instance of the producer has taken over")
	ErrGap    = errors.New("events of the producer are missing before these")
	ErrClosed = log.ErrClosed
	// ErrFull: no space is left on the disk; nothing was taken, and trying again later helps.
	ErrFull = disk.ErrFull
)

// Event is what a hub keeps of a message.
type Event struct {
	Key     []byte // partition key; nil if it has none
	Message []byte // encoded AMQP sections: annotations of the sender, properties, application properties, body, footer
}

// Producer says who appends, so that what is sent twice is kept once. Its state lies with
// the events and survives crashes with them; it is also written down apart, and so outlives
// them. A strict producer is forgotten when it has not been seen for the hub's retention.
// Others are not, so that a job finds what it has appended however long it stood still. A
// partition remembers Options.MaxProducers: beyond that the idlest goes, strict ones first.
type Producer struct {
	ID    string // MaxProducerID bytes at most
	Epoch int32  // a lower one than was seen is refused with ErrFenced; a higher one starts anew
	First int64  // number of the first event or, for epochs of a job, of the append
	Last  int64  // number of the last; First for a single one
	// Strict refuses numbers that do not follow the last seen with ErrGap.
	//
	// Several appends of a producer may be under way (Start). When one fails, those behind it
	// fail too; and a strict producer must repeat it before anything else is taken from it.
	Strict bool
}

// Appended says where events went.
type Appended struct {
	Seq       int64 // sequence number of the first
	Offset    int64
	Enqueued  time.Time
	Duplicate bool // they were there already; the places are those of then, as far as known (else -1)
}

// Where is a kind of place in a partition.
type Where uint8

// The places that clients ask for.
const (
	Earliest   Where = iota // before the first event that is kept
	Latest                  // behind the last
	AtSequence              // at Position.Value, a sequence number
	AtOffset                // at Position.Value, a byte offset
	AtTime                  // at the first event enqueued at Position.Time or later
)

// Position is a place in a partition to read from.
type Position struct {
	Where Where
	Value int64
	Time  time.Time
	// After leaves out the event that is exactly at the place (a filter with > and not >=).
	After bool
}

// Right is what a key allows.
type Right uint8

// The rights of shared access policies. Manage has the others within it.
const (
	Send Right = 1 << iota
	Listen
	Manage
)

// Grant is what a caller may do, as its key or token says.
type Grant struct {
	Rule   string // name of the key
	Hub    string // lower case; "" is the whole namespace
	Path   string // what in the hub a token was for, lower case, such as partitions/1; "" is all of it
	Rights Right
	// Expires is when the token ends; zero is never.
	Expires time.Time
	signer  *signer // what has to stay for the grant to stay; nil: nothing
}
