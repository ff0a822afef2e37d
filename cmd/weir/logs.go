package main

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// logFlags say what of the log is written.
type logFlags struct {
	LogLevel  string `enum:"debug,info,warn,error" default:"info" placeholder:"LEVEL" help:"What the log has at least: ${enum}. Default ${default}."`
	LogFormat string `enum:"auto,text,json" default:"auto" placeholder:"FORM" help:"Form of the log: ${enum}. auto is text on a terminal, else JSON."`
}

// logger gives the log of a verb that runs for long, on standard error.
func (f *logFlags) logger(con *console) (*slog.Logger, *repeats) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(f.LogLevel)); err != nil {
		panic("weir: " + err.Error())
	}
	o := &slog.HandlerOptions{Level: level}
	var h slog.Handler = slog.NewJSONHandler(con.err, o)
	if f.LogFormat == "text" || f.LogFormat == "auto" && con.errTTY {
		o.ReplaceAttr = shortTime
		h = slog.NewTextHandler(con.err, o)
	}
	r := newRepeats(h, time.Now)
	return slog.New(r), r
}

// shortTime leaves the day out: a person looks at the log as it comes.
func shortTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		return slog.String(slog.TimeKey, a.Value.Time().Format("15:04:05.000"))
	}
	return a
}

// repeatWindow is how long lines that say the same are held back after the first.
const repeatWindow = 10 * time.Second

// maxRepeats is how many different lines are remembered.
const maxRepeats = 1000

// repeats is a log handler that writes warnings and errors that are said again and again once
// in a while, with how often they were. Lines are the same if their level, message and job are.
type repeats struct {
	next   slog.Handler
	job    string
	shared *repeatState
}

type repeatState struct {
	now func() time.Time

	mu     sync.Mutex
	said   map[string]*repeated
	counts map[string]int64 // lines by level, those left out too
}

// repeated is a line that was written, and how often it was left out since.
type repeated struct {
	until time.Time
	more  int64
	last  slog.Record
	next  slog.Handler
}

func newRepeats(next slog.Handler, now func() time.Time) *repeats {
	return &repeats{next: next, shared: &repeatState{now: now, said: map[string]*repeated{}, counts: map[string]int64{}}}
}

// Counts are the lines of the log by level, those too that were left out.
func (r *repeats) Counts() map[string]int64 {
	s := r.shared
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]int64{}
	for level, n := range s.counts {
		out[level] = n
	}
	return out
}

// Enabled is that of the handler within.
func (r *repeats) Enabled(ctx context.Context, level slog.Level) bool {
	return r.next.Enabled(ctx, level)
}

// Handle writes a line unless it says what was said a moment ago.
func (r *repeats) Handle(ctx context.Context, line slog.Record) error {
	s := r.shared
	s.mu.Lock()
	s.counts[strings.ToLower(line.Level.String())]++
	now := s.now()
	for key, old := range s.said { // what was left out and is not said any more
		if now.After(old.until) {
			delete(s.said, key)
			if old.more > 0 {
				old.last.AddAttrs(slog.Int64("repeated", old.more))
				if err := old.next.Handle(ctx, old.last); err != nil {
					s.mu.Unlock()
					return err
				}
			}
		}
	}
	key := line.Level.String() + " " + r.job + " " + line.Message
	line.Attrs(func(a slog.Attr) bool {
		if a.Key == "job" {
			key += " " + a.Value.String()
		}
		return true
	})
	if old := s.said[key]; old != nil {
		old.more++
		old.last, old.next = line.Clone(), r.next
		s.mu.Unlock()
		return nil
	}
	if line.Level >= slog.LevelWarn && len(s.said) < maxRepeats {
		s.said[key] = &repeated{until: now.Add(repeatWindow)}
	}
	s.mu.Unlock()
	return r.next.Handle(ctx, line)
}

// WithAttrs remembers the job: the same line of two jobs is two.
func (r *repeats) WithAttrs(attrs []slog.Attr) slog.Handler {
	c := *r
	c.next = r.next.WithAttrs(attrs)
	for _, a := range attrs {
		if a.Key == "job" {
			c.job = a.Value.String()
		}
	}
	return &c
}

// WithGroup opens a group.
func (r *repeats) WithGroup(name string) slog.Handler {
	c := *r
	c.next = r.next.WithGroup(name)
	return &c
}
