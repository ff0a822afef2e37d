package objects

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"weir/internal/connect"
	"weir/internal/connect/text"
	"weir/internal/vec"
)

// source reads objects of a store, in the order in which they are found.
type source struct {
	Settings
	store Viewer
	env   connect.SourceEnv
	parts []*part
}

// NewSource opens an input that reads a store, which is the source's from now on: a store that is
// an io.Closer is closed with it. Reference data with a time in its path is a
// connect.Versions.
func NewSource(store Viewer, s Settings, env connect.SourceEnv) (connect.Source, error) {
	p, err := ParsePattern(s.Path, s.DateFormat, s.TimeFormat, env.Reference)
	if err != nil {
		return nil, connect.Permanent(err)
	}
	src := &source{Settings: s, store: store, env: env}
	if env.Reference {
		return newReference(src, p)
	}
	count := 1
	if p.Partitioned() {
		count = s.Partitions
	}
	for i := range count {
		x := &part{s: src, name: strconv.Itoa(i), number: int64(i), pattern: p}
		if x.pattern, err = p.Partition(x.name); err == nil {
			x.files, err = openRegistry(env.State, "objects-"+x.name)
		}
		if err != nil {
			src.Close()
			return nil, err
		}
		src.parts = append(src.parts, x)
	}
	return src, nil
}

// Partitions implements connect.Source.
func (s *source) Partitions(context.Context) ([]string, error) {
	var names []string
	for _, p := range s.parts {
		names = append(names, p.name)
	}
	return names, nil
}

// Close implements connect.Source.
func (s *source) Close() error {
	var all error
	for _, p := range s.parts {
		all = errors.Join(all, p.files.close())
	}
	if c, ok := s.store.(io.Closer); ok {
		all = errors.Join(all, c.Close())
	}
	return all
}

func (s *source) part(name string) (*part, error) {
	i := slices.IndexFunc(s.parts, func(p *part) bool { return p.name == name })
	if i < 0 {
		return nil, connect.Permanent(fmt.Errorf("the input has no partition %q", name))
	}
	return s.parts[i], nil
}

// Seek implements connect.Source. Objects arrived when they were last changed.
func (s *source) Seek(ctx context.Context, name string, arrived vec.Time) (connect.Position, error) {
	p, err := s.part(name)
	if err != nil || arrived == vec.MinTime {
		return "", err
	}
	switch {
	case s.Append:
		return p.ends(ctx, arrived)
	case arrived == vec.MaxTime:
		return p.latest(ctx)
	}
	at := start
	at.from = min(max(arrived, 0), vec.MaxDatetime)
	return at.text(), nil
}

// latest is the position behind all objects that there are. The service's clock may stand for
// long: one that is changed at the time of the newest one now is still read if it comes later.
func (p *part) latest(ctx context.Context) (connect.Position, error) {
	newest, count := vec.MinTime, 0
	for o, err := range p.s.store.List(ctx, p.pattern.Prefix(), "") {
		if err != nil {
			return "", listError(p.s.store, err)
		}
		if _, ok := p.pattern.Match(o.Name); ok {
			newest, count = max(newest, ticks(o.Modified)), count+1
		}
	}
	if newest == vec.MinTime {
		return "", nil
	}
	from := vec.MinTime
	if count > fewObjects {
		from = newest // the others need no number
	}
	if _, err := p.look(ctx, from); err != nil {
		return "", err
	}
	at := place{from: newest}
	at.Started = p.files.last
	return at.text(), nil
}

// maxSpots bounds a position that ends finds.
const maxSpots = 4096

// ends is the position behind the events that arrived before a time, of objects that are
// appended to: those that were last changed before it are read on behind what they have now.
func (p *part) ends(ctx context.Context, arrived vec.Time) (connect.Position, error) {
	if _, err := p.look(ctx, vec.MinTime); err != nil {
		return "", err
	}
	at := start
	for k := p.files.after(0); k != nil; k = p.files.after(k.N) {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		spot := text.StartOf(k.N)
		if ticks(k.latest.Modified) < arrived {
			w := newWalk(p, start)
			w.ctx = ctx
			if w.over(k) {
				continue
			}
			var err error
			if spot, err = w.behind(k); err != nil {
				return "", err
			}
		}
		at.Open = append(at.Open, spot)
	}
	if len(at.Open) > maxSpots {
		return "", connect.Permanent(fmt.Errorf("%d objects are to be read from here on, and a position holds %d: start at the beginning", len(at.Open), maxSpots))
	}
	at.Started = p.files.last
	return at.text(), nil
}

// behind is the spot behind all whole events of an object as it is now.
func (w *walk) behind(k *known) (text.Spot, error) {
	defer w.close()
	t, err := w.open(k, text.StartOf(k.N))
	for err == nil {
		var more bool
		if _, more, err = t.Chunk(1<<20, false); t.f.failed != nil {
			err = t.f.failed
		} else if !more && err == nil {
			return t.Spot, nil
		}
	}
	return text.Spot{}, fmt.Errorf("%s: %w", w.p.s.store.Where(), err)
}

// Open implements connect.Source.
func (s *source) Open(_ context.Context, name string, after connect.Position) (connect.Reader, error) {
	p, err := s.part(name)
	if err != nil {
		return nil, err
	}
	at, err := parsePlace(after)
	if err != nil {
		return nil, connect.Permanent(err)
	}
	if at.Started > p.files.last {
		return nil, fmt.Errorf("position %q is of another state: %w", string(after), connect.ErrGone)
	}
	return newReader(newWalk(p, at)), nil
}

// Done implements connect.Source.
func (s *source) Done(_ context.Context, name string, upTo connect.Position) error {
	p, err := s.part(name)
	if err != nil {
		return err
	}
	at, err := parsePlace(upTo)
	if err != nil {
		return err
	}
	before := vec.MinTime
	if p.mu.TryLock() { // else it looks just now: next time
		if !p.whole.IsZero() {
			before = ticks(p.whole.Add(-s.LookBack))
		}
		p.mu.Unlock()
	}
	return p.files.forget(before, func(n int64) bool {
		return n <= at.Started && !slices.ContainsFunc(at.Open, func(o text.Spot) bool { return o.N == n })
	})
}

// listError is an error of a listing with where that was, which some stores have said already.
func listError(store Viewer, err error) error {
	if strings.Contains(err.Error(), store.Where()) {
		return err
	}
	return fmt.Errorf("list %s: %w", store.Where(), err)
}
