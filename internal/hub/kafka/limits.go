package kafka

import (
	"sync/atomic"
	"time"
)

// Limits bound what clients can make a server hold and wait for. Zero values are the
// defaults.
type Limits struct {
	// Connections is how many there are at once. Serve refuses more.
	Connections int
	// Request bounds the bytes of a request other than Produce, Produce those of a Produce
	// request, Greeting those of a request before the client has authenticated.
	Request  int
	Produce  int
	Greeting int
	// Entries bounds the topics, partitions, members and so on that a request names.
	Entries int
	// Pipeline is how many requests of a connection are in work; no more are read.
	Pipeline int
	// Inflated bounds the bytes of a batch of records when it is decompressed.
	Inflated int
	// Fetch bounds the bytes of an answer to Fetch. A first batch that is larger comes as far
	// as its first record.
	Fetch int
	// Readers is how many places in partitions a connection keeps open between fetches,
	// AllReaders how many all connections do.
	Readers    int
	AllReaders int
	// InMemory bounds the bytes of requests in work, OutMemory those of answers to Fetch that
	// are not yet written, over all connections. Who needs more waits. A connection has a
	// quarter at most.
	InMemory int64
	// When clients that take nothing have all of OutMemory, the others have half of it again,
	// for small answers.
	OutMemory int64
	// Idle ends a connection on which nothing comes; Login one that does not authenticate;
	// Frame is how long a request may take to come once it has begun, and Write how long a
	// client may take to take an answer.
	Idle  time.Duration
	Login time.Duration
	Frame time.Duration
	Write time.Duration
	// Wait bounds how long a Fetch waits for records.
	Wait time.Duration
	// Groups bounds the groups with members, Members the members of each, GroupBytes what the
	// members of a group tell each other.
	Groups     int
	Members    int
	GroupBytes int
	// SessionMin and SessionMax bound the session timeouts of members. Rebalance bounds how
	// long a group waits for its members.
	SessionMin time.Duration
	SessionMax time.Duration
	Rebalance  time.Duration
	// Gather is how long the first member of a group waits for others, so that a group that
	// starts is not dealt out anew with each of them.
	Gather time.Duration
}

// The defaults of Limits.
const (
	DefaultConnections = 10_000
	DefaultRequest     = 1 << 20
	DefaultProduce     = 32 << 20
	DefaultGreeting    = 16 << 10
	DefaultEntries     = 50_000
	DefaultPipeline    = 32
	DefaultInflated    = 16 << 20
	DefaultFetch       = 8 << 20
	DefaultReaders     = 32
	DefaultAllReaders  = 1024
	DefaultInMemory    = 384 << 20
	DefaultOutMemory   = 128 << 20
	DefaultIdle        = 10 * time.Minute
	DefaultLogin       = 10 * time.Second
	DefaultFrame       = 30 * time.Second
	DefaultWrite       = 30 * time.Second
	DefaultWait        = time.Minute
	DefaultGroups      = 1000
	DefaultMembers     = 1000
	DefaultGroupBytes  = 8 << 20
	DefaultSessionMin  = time.Second
	DefaultSessionMax  = 30 * time.Minute
	DefaultRebalance   = 10 * time.Minute
	DefaultGather      = 100 * time.Millisecond
)

func (l Limits) withDefaults() Limits {
	for _, d := range []struct {
		v   *int
		def int
	}{
		{&l.Connections, DefaultConnections}, {&l.Request, DefaultRequest}, {&l.Produce, DefaultProduce},
		{&l.Greeting, DefaultGreeting}, {&l.Entries, DefaultEntries}, {&l.Pipeline, DefaultPipeline},
		{&l.Inflated, DefaultInflated}, {&l.Fetch, DefaultFetch}, {&l.Readers, DefaultReaders}, {&l.AllReaders, DefaultAllReaders},
		{&l.Groups, DefaultGroups}, {&l.Members, DefaultMembers}, {&l.GroupBytes, DefaultGroupBytes},
	} {
		if *d.v <= 0 {
			*d.v = d.def
		}
	}
	for _, d := range []struct {
		v   *time.Duration
		def time.Duration
	}{
		{&l.Idle, DefaultIdle}, {&l.Login, DefaultLogin}, {&l.Frame, DefaultFrame}, {&l.Write, DefaultWrite},
		{&l.Wait, DefaultWait}, {&l.SessionMin, DefaultSessionMin}, {&l.SessionMax, DefaultSessionMax},
		{&l.Rebalance, DefaultRebalance}, {&l.Gather, DefaultGather},
	} {
		if *d.v <= 0 {
			*d.v = d.def
		}
	}
	if l.InMemory <= 0 {
		l.InMemory = DefaultInMemory
	}
	if l.OutMemory <= 0 {
		l.OutMemory = DefaultOutMemory
	}
	// One request must always fit, or it would wait for ever.
	l.InMemory = max(l.InMemory, share*requestCost(l.Produce), share*int64(l.Request+l.Entries*entryCost))
	return l
}

// share is the part of the memory that a connection may have: one of so many.
const share = 4

// Stats are counts since the server was made, and what there is now.
type Stats struct {
	Connections int64 // now
	Opened      int64
	// Refused are connections that were too many, Failed logins with a wrong password,
	// Malformed connections that were ended for what they sent, Stalled those that were ended
	// because they took too long to send or to take.
	Refused   int64
	Failed    int64
	Malformed int64
	Stalled   int64
	Requests  int64
	// Records and their bytes as stored, in and out; Rejected are batches that were not taken,
	// Duplicates those that were there already.
	RecordsIn  int64
	BytesIn    int64
	RecordsOut int64
	BytesOut   int64
	Rejected   int64
	Duplicates int64
	// Groups with members and their members now; Rebalances are generations that were made.
	Groups     int64
	Members    int64
	Rebalances int64
	// InMemory and OutMemory are bytes in use of the limits of those names.
	InMemory  int64
	OutMemory int64
}

// counters are the parts of Stats that are counted as they happen.
type counters struct {
	connections, opened, refused, failed, malformed, stalled, requests atomic.Int64
	recordsIn, bytesIn, recordsOut, bytesOut, rejected, duplicates     atomic.Int64
	rebalances                                                         atomic.Int64
}
