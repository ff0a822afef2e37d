package eventhubs

import (
	"errors"
	"sync/atomic"

	"weir/internal/hub/amqp"
)

// Stats are the figures of a server.
type Stats struct {
	// AMQP are those of the protocol: connections, sessions, links, frames.
	AMQP amqp.Stats
	// Readers and Producers are receivers and links of idempotent producers that are open.
	Readers, Producers int
	// Reading counts the receivers that hold memory of what they read.
	Reading int64
	// Missed counts the times that retention has passed a receiver that was too slow.
	Missed int64
	// Refused counts links that were not opened, links that were ended, and requests and
	// messages that were not taken, by the condition that the client was told: one of
	// Conditions.
	Refused map[string]int64
}

// Conditions are the conditions that clients are told.
var Conditions = []string{condNotFound, condNotAllowed, condNotImplemented, condUnauthorized, condInternal, condDecode, condLimit, condStolen, condForced,
	condTooLarge, condBusy, condArgument, condOutOfRange, condProducerStolen, condOutOfOrder}

type counters struct {
	missed  atomic.Int64
	reading atomic.Int64
	refused map[string]*atomic.Int64 // by condition; made once
}

func (c *counters) init() {
	c.refused = map[string]*atomic.Int64{}
	for _, condition := range Conditions {
		c.refused[condition] = new(atomic.Int64)
	}
}

// refuse counts an error that a client is told, if there is one.
func (c *counters) refuse(err error) {
	var e *amqp.Error
	if !errors.As(err, &e) {
		return
	}
	if n := c.refused[e.Condition]; n != nil {
		n.Add(1)
	}
}

// Stats returns the figures.
func (s *Server) Stats() Stats {
	st := Stats{AMQP: s.engine.Stats(), Missed: s.counts.missed.Load(), Reading: s.counts.reading.Load(), Refused: map[string]int64{}}
	for condition, n := range s.counts.refused {
		st.Refused[condition] = n.Load()
	}
	s.readers.mu.Lock()
	for _, list := range s.readers.open {
		st.Readers += len(list)
	}
	s.readers.mu.Unlock()
	s.producers.mu.Lock()
	for _, list := range s.producers.open {
		st.Producers += len(list)
	}
	s.producers.mu.Unlock()
	return st
}
