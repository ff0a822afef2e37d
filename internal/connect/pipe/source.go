package pipe

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"weir/internal/connect"
	"weir/internal/connect/intake"
)

// longestRestart is the longest wait before a program is started again.
const longestRestart = 30 * time.Second

// lively is how long a program must have run for its end not to count as one at once.
const lively = 10 * time.Second

// maxTogether is how many bytes of lines are appended to the log at once.
const maxTogether = 256 << 10

// source is an input. Its log is the Source; a goroutine runs the program and fills it.
type source struct {
	*intake.Log
	c    connect.Config
	log  *slog.Logger
	stop context.CancelFunc
	done chan struct{}

	mu    sync.Mutex
	fault error // why nothing can come now
}

func openSource(ctx context.Context, c connect.Config, env connect.SourceEnv) (connect.Source, error) {
	fail := func(err error) (connect.Source, error) { return nil, fmt.Errorf("input %s: %w", env.Input, err) }
	if problems := check(c, true); len(problems) > 0 {
		return fail(connect.Permanent(fmt.Errorf("%s; %s", problems[0].Text, problems[0].Hint)))
	}
	switch {
	case !allowed(ctx):
		return fail(connect.Permanent(errNotAllowed))
	case env.Reference:
		return fail(connect.Permanent(errors.New("a program that runs on has no end, so it cannot be reference data")))
	case env.Format.Type != "" && env.Format.Type != "json":
		return fail(connect.Permanent(fmt.Errorf("a pipe has lines of JSON; remove the format %q", env.Format.Type)))
	}
	if _, err := lookPath(c); err != nil {
		return fail(connect.Permanent(err))
	}
	if env.Log == nil {
		env.Log = slog.New(slog.DiscardHandler)
	}
	s := &source{c: c, log: env.Log, done: make(chan struct{})}
	o := intake.FromConfig(c)
	o.Trouble = s.trouble
	var err error
	if s.Log, err = intake.Open(env, o); err != nil {
		return fail(err)
	}
	var work context.Context
	work, s.stop = context.WithCancel(context.Background())
	go s.run(work)
	return s, nil
}

// Close ends the program and closes the log.
func (s *source) Close() error {
	s.stop()
	<-s.done
	return s.Log.Close()
}

func (s *source) trouble() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fault
}

func (s *source) setTrouble(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = err
}

// run keeps the program running.
func (s *source) run(ctx context.Context) {
	defer close(s.done)
	pause := s.c.Duration("restart")
	for ctx.Err() == nil {
		began := time.Now()
		err := s.once(ctx)
		if ctx.Err() != nil {
			return
		}
		s.setTrouble(err)
		s.log.Warn("the program of the input is started again", "error", err, "wait", pause)
		if time.Since(began) > lively {
			pause = s.c.Duration("restart")
		}
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-t.C:
		}
		t.Stop()
		pause = min(2*pause, max(longestRestart, s.c.Duration("restart")))
	}
}

// once runs the program to its end.
func (s *source) once(ctx context.Context) error {
	p, err := start(s.c, true, s.log)
	if err != nil {
		return err
	}
	s.setTrouble(nil)
	// What it prints when it is asked to end is kept too.
	keep, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stopped := context.AfterFunc(ctx, func() {
		p.end()
		time.AfterFunc(lastWords, cancel)
	})
	err = s.read(keep, p.out)
	if stopped() {
		p.end()
	}
	<-p.exited
	p.out.Close()
	if errors.Is(err, io.EOF) || errors.Is(err, os.ErrDeadlineExceeded) {
		err = p.why()
	}
	return err
}

// read brings what a program prints into the log, until it prints no more.
func (s *source) read(ctx context.Context, from io.Reader) error {
	lines := newLines(from, int(s.c.Int("max_line")))
	var records []intake.Record
	for {
		var size int
		var err error
		if records, size, err = lines.take(records[:0]); size > 0 {
			if _, err := s.Keep(ctx, records); err != nil {
				return fmt.Errorf("keep what the program prints: %w", err)
			}
		}
		if err != nil {
			return err
		}
	}
}

// lines cuts a stream into records.
type lines struct {
	r    *bufio.Reader
	most int
	buf  []byte
}

func newLines(r io.Reader, most int) *lines {
	return &lines{r: bufio.NewReaderSize(r, 64<<10), most: most}
}

// take waits for a line and takes what has come with it. Lines lie in a buffer of their own,
// until the next call; size is their bytes. Behind the end of the stream is io.EOF, also beside
// records: a last line needs no end.
func (l *lines) take(records []intake.Record) (_ []intake.Record, size int, err error) {
	l.buf = l.buf[:0]
	var ends []int
	for len(l.buf) < maxTogether {
		start := len(l.buf)
		err = l.line()
		if len(bytes.TrimSpace(l.buf[start:])) > 0 {
			ends = append(ends, start, len(l.buf))
		} else {
			l.buf = l.buf[:start]
		}
		if err != nil || !l.ready() {
			break
		}
	}
	for i := 0; i < len(ends); i += 2 {
		records = append(records, intake.Record{Value: l.buf[ends[i]:ends[i+1]:ends[i+1]]})
	}
	return records, len(l.buf), err
}

// ready tells whether another line is there without waiting.
func (l *lines) ready() bool {
	b, _ := l.r.Peek(l.r.Buffered())
	return bytes.IndexByte(b, '\n') >= 0
}

// line adds a line to the buffer, without its end, and of one that is too long so much that it
// can be told to be no event.
func (l *lines) line() error {
	start := len(l.buf)
	for {
		part, err := l.r.ReadSlice('\n')
		if room := l.most + 1 - (len(l.buf) - start); room > 0 {
			l.buf = append(l.buf, part[:min(len(part), room)]...)
		}
		if err == bufio.ErrBufferFull {
			continue
		}
		long := len(bytes.TrimRight(l.buf[start:], "\r\n")) > l.most
		l.buf = l.buf[:start+len(bytes.TrimRight(l.buf[start:], "\r\n"))]
		if long { // cut within, so that no decoder takes it for an event
			l.buf = append(l.buf[:start], append([]byte("the line is longer than max_line: "), l.buf[start:min(start+1000, len(l.buf))]...)...)
		}
		return err
	}
}
