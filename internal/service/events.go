package service

import (
	"sync"
	"time"
)

// Event is something that was done to a job, or that happened to it.
type Event struct {
	ID      int64     `json:"id" doc:"Counts from 1 for the life of the service's process."`
	Time    time.Time `json:"time"`
	Job     string    `json:"job,omitempty"`
	Version int       `json:"version,omitempty"`
	Kind    string    `json:"kind" doc:"deployed, refused, started, stopped, failed, restarting, completed, reloaded, rolled back, deleted, redriven, checkpoint"`
	Text    string    `json:"text"`
}

// maxEvents is how many events are kept in memory; older ones go.
const maxEvents = 1000

// eventLog is the audit log.
type eventLog struct {
	mu     sync.Mutex
	list   []Event // the last ones
	last   int64   // id
	signal chan struct{}
}

func newEventLog() *eventLog { return &eventLog{signal: make(chan struct{})} }

// add keeps an event and wakes those who wait.
func (l *eventLog) add(e Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last++
	e.ID = l.last
	if len(l.list) == maxEvents {
		l.list = append(l.list[:0], l.list[1:]...)
	}
	l.list = append(l.list, e)
	close(l.signal)
	l.signal = make(chan struct{})
}

// after gives the events behind an id, and a channel that is closed when more come.
func (l *eventLog) after(id int64) ([]Event, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	first := l.last - int64(len(l.list)) // id before the first one kept
	at := min(max(id-first, 0), int64(len(l.list)))
	return append([]Event(nil), l.list[at:]...), l.signal
}

// Events gives the events behind an id, oldest first, and a channel that is closed when more
// come.
func (s *Service) Events(after int64) ([]Event, <-chan struct{}) { return s.events.after(after) }
