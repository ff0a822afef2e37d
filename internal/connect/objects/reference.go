package objects

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"weir/internal/connect"
	"weir/internal/vec"
)

// reference is reference data that never changes: all objects of the pattern, read once.
type reference struct {
	s       *source
	pattern *Pattern
}

// versions is reference data with a time in its names, which says from when on it holds. All
// objects of a time are a version.
type versions struct{ reference }

func newReference(s *source, p *Pattern) (connect.Source, error) {
	if p.Partitioned() {
		return nil, connect.Permanent(errors.New("{partition} is of streams: reference data is read whole"))
	}
	s.Append = false
	r := reference{s, p}
	if p.Timed() {
		return &versions{r}, nil
	}
	return &r, nil
}

// Partitions implements connect.Source.
func (r *reference) Partitions(context.Context) ([]string, error) { return []string{"0"}, nil }

// Seek implements connect.Source.
func (r *reference) Seek(context.Context, string, vec.Time) (connect.Position, error) { return "", nil }

// Done implements connect.Source.
func (r *reference) Done(context.Context, string, connect.Position) error { return nil }

// Close implements connect.Source.
func (r *reference) Close() error { return r.s.Close() }

// Open implements connect.Source.
func (r *reference) Open(ctx context.Context, _ string, after connect.Position) (connect.Reader, error) {
	list, err := r.list(ctx, "")
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s has no object %s", r.s.store.Where(), r.pattern.text)
	}
	return r.read(list, after)
}

// list lists the objects of the pattern behind a name.
func (r *reference) list(ctx context.Context, after string) ([]candidate, error) {
	var list []candidate
	for o, err := range r.s.store.List(ctx, r.pattern.Prefix(), after) {
		if err != nil {
			return nil, listError(r.s.store, err)
		}
		if at, ok := r.pattern.Match(o.Name); ok && o.Size > 0 {
			list = append(list, candidate{o, at})
		}
		if len(list) > maxKnown {
			return nil, connect.Permanent(fmt.Errorf("more than %d objects match %s", maxKnown, r.pattern.text))
		}
	}
	return list, nil
}

// read reads objects in the order of their names, each as it was listed.
func (r *reference) read(list []candidate, after connect.Position) (connect.Reader, error) {
	at, err := parsePlace(after)
	if err != nil {
		return nil, connect.Permanent(err)
	}
	files, err := openRegistry(nil, "")
	if err != nil {
		return nil, err
	}
	slices.SortFunc(list, func(a, b candidate) int { return strings.Compare(a.Name, b.Name) })
	var all []Object
	for _, c := range list {
		all = append(all, c.Object)
	}
	if err := files.add(all); err != nil {
		return nil, err
	}
	w := newWalk(&part{s: r.s, name: "0", pattern: r.pattern, files: files}, at)
	w.strict = true
	return &snapshot{w}, nil
}

// snapshot reads objects to their end. It waits for the service: nothing else goes on when
// reference data is read.
type snapshot struct{ w *walk }

// Ready implements connect.Reader.
func (s *snapshot) Ready() <-chan struct{} { return nil }

// Close implements connect.Reader.
func (s *snapshot) Close() error {
	if s.w != nil {
		s.w.close()
	}
	s.w = nil
	return nil
}

// Read implements connect.Reader.
func (s *snapshot) Read(ctx context.Context, max int, until connect.Position) (connect.Chunk, error) {
	if s.w == nil {
		return connect.Chunk{}, errClosed
	}
	if s.w.ctx != ctx {
		s.w.use(ctx)
	}
	if err := ctx.Err(); err != nil {
		return connect.Chunk{}, err
	}
	if until != "" {
		return s.w.again(until)
	}
	c, ok, err := s.w.known(max)
	if err != nil || ok {
		return c, err
	}
	return connect.Chunk{Next: s.w.at.text(), End: true}, nil
}

// versionName is the name of a version, a partition.
func versionName(at vec.Time) string { return at.String() }

// Versions implements connect.Versions.
func (v *versions) Versions(ctx context.Context, from vec.Time) ([]connect.Version, error) {
	times, err := v.times(ctx)
	if err != nil {
		return nil, err
	}
	// The one in force is the last that is not after from.
	i, ok := slices.BinarySearch(times, from)
	if !ok && i > 0 {
		i--
	}
	var list []connect.Version
	for _, at := range times[i:] {
		list = append(list, connect.Version{Name: versionName(at), Effective: at})
	}
	return list, nil
}

// times are the times of all versions.
func (v *versions) times(ctx context.Context) ([]vec.Time, error) {
	list, err := v.list(ctx, "")
	if err != nil {
		return nil, err
	}
	var times []vec.Time
	for _, c := range list {
		times = append(times, c.at)
	}
	slices.Sort(times)
	return slices.Compact(times), nil
}

// Every implements connect.Versions.
func (v *versions) Every() time.Duration { return v.s.Refresh }

// Partitions implements connect.Source: it is the version that is in force now.
func (v *versions) Partitions(ctx context.Context) ([]string, error) {
	now := ticks(v.s.env.Now())
	list, err := v.Versions(ctx, now)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 || list[0].Effective > now {
		return nil, fmt.Errorf("%s has no object %s of a time up to now", v.s.store.Where(), v.pattern.text)
	}
	return []string{list[0].Name}, nil
}

// Open implements connect.Source.
func (v *versions) Open(ctx context.Context, name string, after connect.Position) (connect.Reader, error) {
	at, ok := vec.ParseTime(name)
	if !ok {
		return nil, connect.Permanent(fmt.Errorf("%q is no version of reference data", name))
	}
	list, err := v.list(ctx, "")
	if err != nil {
		return nil, err
	}
	list = slices.DeleteFunc(list, func(c candidate) bool { return c.at != at })
	if len(list) == 0 {
		return nil, fmt.Errorf("the version of %s of %s is gone: %w", name, v.s.store.Where(), connect.ErrGone)
	}
	return v.read(list, after)
}
