package cosmos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"weir/internal/connect"
	"weir/internal/connect/intake"
	"weir/internal/connect/message"
	"weir/internal/disk"
	"weir/internal/vec"
)

const (
	// feedName is the file that says which ranges the input has, and where their reading began.
	feedName = "feed.json"
	// maxRanges is how many ranges an input reads.
	maxRanges = 1024
	// maxReads is how many of its requests are under way at a time.
	maxReads = 16
	// seekPatience is how long Seek waits for what is in the feed now to be in the log.
	seekPatience = 10 * time.Second
)

// source is the change feed of a container. Its partitions are the ranges that the container had
// when the input began; positions are numbers in their logs.
type source struct {
	env    connect.SourceEnv
	target *container
	poll   time.Duration
	system bool
	log    intake.Options
	slots  chan struct{}

	mu    sync.Mutex // guards parts
	parts []*part
	file  sync.Mutex // one writes the file at a time
}

// feedNote is the file of an input.
type feedNote struct {
	Container string // its id of the service's own
	Ranges    []rangeNote
}

// rangeNote is a range. Next and Token go together: what comes behind Token has not been read when
// Next is the number of the next record. Later tokens lie in the log.
type rangeNote struct {
	Min, Max string
	Begun    bool
	Since    int64 // what the reading began with, in Unix seconds; 0 is all
	Base     int64 // number of the first record since
	Next     int64
	Token    string
	Last     int64 // arrival of the last document, in Unix seconds
}

func openSource(ctx context.Context, c connect.Config, env connect.SourceEnv) (connect.Source, error) {
	fail := func(err error) (connect.Source, error) { return nil, fmt.Errorf("input %s: %w", env.Input, err) }
	switch {
	case env.Format.Type != "" && env.Format.Type != "json":
		return fail(connect.Permanent(fmt.Errorf("documents are JSON; remove the format %q", env.Format.Type)))
	case env.Reference:
		return fail(connect.Permanent(errors.New("a change feed is no reference data")))
	}
	if problems := check(c, true); len(problems) > 0 {
		return fail(connect.Permanent(fmt.Errorf("%s; %s", problems[0].Text, problems[0].Hint)))
	}
	if env.Log == nil {
		env.Log = slog.New(slog.DiscardHandler)
	}
	if env.Now == nil {
		env.Now = time.Now
	}
	target, err := dial(ctx, c, maxReads)
	if err != nil {
		return fail(err)
	}
	s := &source{env: env, target: target, poll: c.Duration("poll"), system: c.Bool("system_fields"), slots: make(chan struct{}, maxReads), log: intake.FromConfig(c)}
	s.log.Arrival = arrivalOf
	if slices.ContainsFunc(env.Metadata, func(name string) bool { return strings.EqualFold(name, enqueuedName) }) {
		s.log.Meta = func(r *intake.Record) map[string]vec.Value {
			return map[string]vec.Value{enqueuedName: vec.TimeValue(arrivalOf(r))}
		}
	}
	n, err := s.readNote()
	if err == nil && n != nil {
		if n.Container != target.rid {
			err = connect.Permanent(fmt.Errorf("%s was made anew since the input began; start the job without its state", target.where))
		} else {
			err = s.open(n.Ranges)
		}
	}
	if err != nil {
		return fail(errors.Join(err, s.Close()))
	}
	return s, nil
}

// enqueuedName is the metadata that has the time of the service.
const enqueuedName = "EventEnqueuedUtcTime"

// readNote reads the file of the input; nil if it has not begun.
func (s *source) readNote() (*feedNote, error) {
	f, err := s.env.State.Open(feedName)
	if errors.Is(err, iofs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	n := &feedNote{}
	b, err := io.ReadAll(io.LimitReader(f, 16<<20))
	if err == nil {
		err = json.Unmarshal(b, n)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", s.env.State.Path(feedName), err)
	}
	return n, nil
}

// save writes the file. s.parts does not change meanwhile.
func (s *source) save() error {
	s.file.Lock()
	defer s.file.Unlock()
	n := feedNote{Container: s.target.rid}
	for _, p := range s.parts {
		n.Ranges = append(n.Ranges, p.note())
	}
	b, err := json.Marshal(n)
	if err == nil {
		err = disk.WriteWhole(s.env.State, feedName, b)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", s.env.State.Path(feedName), err)
	}
	return nil
}

// open opens the logs of ranges, and goes on with those that had begun.
func (s *source) open(ranges []rangeNote) error {
	for i, r := range ranges {
		p, err := openPart(s, i, r)
		if err != nil {
			return fmt.Errorf("range %d: %w", i, err)
		}
		s.parts = append(s.parts, p)
	}
	for _, p := range s.parts {
		if p.n.Begun {
			p.start()
		}
	}
	return nil
}

// ready makes the partitions, if they are not there: the ranges of the container as it is now.
func (s *source) ready(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.parts) > 0 {
		return nil
	}
	found, err := s.target.ReadFeedRanges(ctx, nil)
	if err != nil {
		return s.target.failed(err)
	}
	var ranges []rangeNote
	for _, r := range found {
		ranges = append(ranges, rangeNote{Min: r.MinInclusive, Max: r.MaxExclusive})
	}
	slices.SortFunc(ranges, func(a, b rangeNote) int { return strings.Compare(a.Min, b.Min) })
	if len(ranges) == 0 || len(ranges) > maxRanges {
		return connect.Permanent(fmt.Errorf("%s has %d ranges; at most %d are read", s.target.where, len(ranges), maxRanges))
	}
	if err := s.open(ranges); err != nil {
		return errors.Join(err, s.closeParts())
	}
	if err := s.save(); err != nil {
		return errors.Join(err, s.closeParts())
	}
	return nil
}

// Partitions implements connect.Source: "0", "1" and so on. Ranges that split stay in theirs.
func (s *source) Partitions(ctx context.Context) ([]string, error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	var names []string
	for i := range s.parts {
		names = append(names, strconv.Itoa(i))
	}
	return names, nil
}

// part is the partition of a name.
func (s *source) part(ctx context.Context, name string) (*part, error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	i, err := strconv.Atoi(name)
	if err != nil || i < 0 || i >= len(s.parts) {
		return nil, fmt.Errorf("%s has no range %q", s.target.where, name)
	}
	return s.parts[i], nil
}

// Seek implements connect.Source. A feed that has not begun begins there. In one that has, the
// place is looked for in the log; if the log begins later, the feed begins anew.
func (s *source) Seek(ctx context.Context, partition string, arrived vec.Time) (connect.Position, error) {
	p, err := s.part(ctx, partition)
	if err != nil {
		return "", err
	}
	n := p.note()
	first, next, _ := p.log.Range()
	switch {
	case arrived > vec.MaxDatetime:
		if n.Begun && p.catchUp(ctx) {
			_, next, _ = p.log.Range()
			return message.Position(next), nil
		}
		return p.beginAt(ctx, s.env.Now().Unix(), p.fromNow())
	case !n.Begun || first > n.Base || arrived <= 0 && n.Since > 0 || arrived > 0 && unix(arrived) < n.Since:
		return p.beginAt(ctx, max(unix(arrived), 0), "")
	case arrived <= 0:
		return message.Position(n.Base), nil
	}
	at := next
	err = p.log.Each(time.Time{}, func(first int64, _ time.Time, records []intake.Record) error {
		for i := range records {
			if seq := first + int64(i); seq >= n.Base && arrivalOf(&records[i]) >= arrived {
				at = seq
				return errFound
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, errFound) {
		return "", err
	}
	return message.Position(at), nil
}

var errFound = errors.New("found")

// Open implements connect.Source.
func (s *source) Open(ctx context.Context, partition string, after connect.Position) (connect.Reader, error) {
	p, err := s.part(ctx, partition)
	if err != nil {
		return nil, err
	}
	if !p.note().Begun {
		if _, err := p.beginAt(ctx, 0, ""); err != nil {
			return nil, err
		}
	}
	r, err := p.log.Open(ctx, "0", after)
	if err != nil {
		return nil, err
	}
	return newReader(p, r), nil
}

// Done implements connect.Source. The last record stays: it has the place in the feed.
func (s *source) Done(ctx context.Context, partition string, upTo connect.Position) error {
	p, err := s.part(ctx, partition)
	if err != nil || upTo == "" {
		return err
	}
	n, err := message.Number(upTo)
	if err != nil {
		return err
	}
	_, next, _ := p.log.Range()
	return p.log.Done(ctx, "0", message.Position(max(min(n, next-1), 0)))
}

// Waiting implements connect.Backlog: what is in the log.
func (s *source) Waiting(partition string, after connect.Position) (int64, bool) {
	i, err := strconv.Atoi(partition)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil || i < 0 || i >= len(s.parts) {
		return 0, false
	}
	return s.parts[i].log.Waiting("0", after)
}

// Close implements connect.Source.
func (s *source) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	for _, p := range s.parts {
		p.halt()
	}
	if len(s.parts) > 0 {
		err = s.save() // it spares the next process to look for the places
	}
	return errors.Join(err, s.closeParts(), s.target.Close())
}

func (s *source) closeParts() (err error) {
	for _, p := range s.parts {
		p.halt()
		err = errors.Join(err, p.log.Close())
	}
	s.parts = nil
	return err
}
