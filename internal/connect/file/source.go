package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"weir/internal/connect"
	"weir/internal/connect/text"
	"weir/internal/disk"
	"weir/internal/vec"
)

// partition is the name of the only partition.
const partition = "0"

// settings are those of an input.
type settings struct {
	pattern  pattern
	follow   bool
	modified bool          // files in the order of their times, not of their names
	scan     time.Duration // between looks for new files
	wait     time.Duration // how long a file that was moved away may still grow
	open     int           // files that are watched for growth
}

// source reads files as one partition.
type source struct {
	d     disk.Viewer
	s     settings
	env   connect.SourceEnv
	files *registry

	looked time.Time // when the directory was listed last; zero is never
	moved  map[int64]time.Time
	warned map[int64]bool
}

func openSource(d disk.Viewer, s settings, env connect.SourceEnv) (connect.Source, error) {
	files, err := openRegistry(env.State)
	if err != nil {
		return nil, err
	}
	return &source{d: d, s: s, env: env, files: files, moved: map[int64]time.Time{}, warned: map[int64]bool{}}, nil
}

// Partitions implements connect.Source.
func (s *source) Partitions(context.Context) ([]string, error) { return []string{partition}, nil }

// Close implements connect.Source.
func (s *source) Close() error { return s.files.log.Close() }

// Done implements connect.Source.
func (s *source) Done(_ context.Context, _ string, upTo connect.Position) error {
	p, err := text.ParsePosition(upTo)
	if err != nil {
		return err
	}
	return s.files.forget(p.Started, func(n int64) bool {
		return slices.ContainsFunc(p.Open, func(o text.Spot) bool { return o.N == n })
	})
}

// opened is a file that is being read.
type opened struct {
	*text.Text
	k *known
	f disk.File
}

// text opens a file at a spot.
func (s *source) text(k *known, name string, at text.Spot) (*opened, error) {
	f, err := s.d.Open(name)
	if err != nil {
		return nil, err
	}
	t, err := text.Open(f, k.Name, s.env.Format, s.isCSV(k.Name), at)
	if err != nil {
		return nil, err
	}
	return &opened{t, k, f}, nil
}

// isCSV tells by the format, else by the name of the file.
func (s *source) isCSV(name string) bool {
	if s.env.Format.Type != "" {
		return strings.EqualFold(s.env.Format.Type, "csv")
	}
	name = strings.ToLower(name)
	for _, packed := range []string{".gz", ".zst", ".deflate", ".sz", ".snappy"} {
		name = strings.TrimSuffix(name, packed)
	}
	e := path.Ext(name)
	return e == ".csv" || e == ".tsv" || e == ".psv"
}

// scan looks for files: new ones get numbers, known ones are found where they are now.
func (s *source) scan() error {
	first := s.looked.IsZero()
	s.looked = s.env.Now()
	list, err := s.s.pattern.list(s.d)
	if errors.Is(err, fs.ErrNotExist) && s.s.follow {
		list, err = nil, nil // it may come
	}
	if errors.Is(err, fs.ErrNotExist) {
		return connect.Permanent(fmt.Errorf("there is no file %s", s.d.Path(strings.Join(s.s.pattern.parts, "/"))))
	}
	if err != nil {
		return err
	}
	if first && len(list) == 0 && len(s.files.files) == 0 {
		s.env.Log.Warn("no file matches yet; the input waits for one", "path", s.d.Path(strings.Join(s.s.pattern.parts, "/")))
	}
	if s.s.modified {
		slices.SortStableFunc(list, func(a, b found) int { return a.info.Modified.Compare(b.info.Modified) })
	}
	now := map[int64]found{}
	var fresh, changed []*known
	for _, f := range list {
		k, change, err := s.files.identify(s.d, f)
		if err == nil && k == nil {
			if k, err = s.files.add(s.d, f); err == nil {
				fresh = append(fresh, k)
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			continue // gone again
		}
		if err != nil {
			return err
		}
		if change {
			changed = append(changed, k)
		}
		now[k.N] = f
	}
	if len(s.files.files)+len(fresh) > maxFiles {
		return connect.Permanent(fmt.Errorf("%w: %s matches more than %d; move old ones away", errTooMany, s.d.Path("."), maxFiles))
	}
	if err := s.files.write(changed, false); err != nil {
		return err
	}
	if err := s.files.write(fresh, true); err != nil {
		return err
	}
	for _, k := range s.files.files {
		f, ok := now[k.N]
		if !ok {
			if k.name != "" {
				s.moved[k.N] = s.looked
			}
			k.name = ""
			continue
		}
		k.name, k.seen = f.name, f.info
		delete(s.moved, k.N)
	}
	return nil
}

// due reports whether it is time to look for files.
func (s *source) due() bool {
	return s.looked.IsZero() || s.s.follow && s.env.Now().Sub(s.looked) >= s.s.scan
}

// locate finds a file under another name in its directory: it was renamed to one that the
// pattern does not match.
func (s *source) locate(k *known) (string, error) {
	if k.name != "" {
		return k.name, nil
	}
	gone := fmt.Errorf("%s is gone: %w", k.Name, connect.ErrGone)
	if k.ID == 0 {
		return "", gone
	}
	list, err := s.d.ReadDir(path.Dir(k.Name))
	if err != nil {
		return "", errors.Join(gone, err)
	}
	for _, i := range list {
		if i.ID != k.ID || i.Dir {
			continue
		}
		name := path.Join(path.Dir(k.Name), i.Name)
		f, err := s.d.Open(name)
		if err != nil {
			return "", err
		}
		same, err := k.same(f)
		f.Close()
		if err != nil {
			return "", err
		}
		if same && s.files.byID[k.ID] == k {
			return name, nil
		}
	}
	return "", gone
}

// Seek implements connect.Source. Files arrived when they were modified last.
func (s *source) Seek(ctx context.Context, _ string, arrived vec.Time) (connect.Position, error) {
	if arrived == vec.MinTime {
		return "", nil
	}
	if err := s.scan(); err != nil {
		return "", err
	}
	p := text.Position{Started: s.files.last}
	for _, k := range s.files.files {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		if k.name == "" {
			continue
		}
		at := text.StartOf(k.N)
		if timeOf(k.seen.Modified) < arrived {
			end, err := s.end(ctx, k)
			if err != nil {
				return "", err
			}
			at = end
		}
		if !at.Ended {
			p.Open = append(p.Open, at)
		}
	}
	if len(p.Open) > maxSpots {
		return "", connect.Permanent(fmt.Errorf("%d files are to be read from here on, and a position holds %d: start at the beginning", len(p.Open), maxSpots))
	}
	return p.Text(), nil
}

// maxSpots bounds a position that Seek finds.
const maxSpots = 4096

// end is the spot behind all whole events of a file as it is now.
func (s *source) end(ctx context.Context, k *known) (text.Spot, error) {
	at := text.StartOf(k.N)
	if !s.s.follow {
		at.Ended = true
		return at, nil
	}
	t, err := s.text(k, k.name, at)
	if err != nil {
		return at, err
	}
	defer t.Close()
	for {
		if err := ctx.Err(); err != nil {
			return at, err
		}
		_, ok, err := t.Chunk(1<<20, false)
		if err != nil || !ok {
			return t.Spot, err
		}
	}
}

// timeOf is a time of the machine as one of rows.
func timeOf(t time.Time) vec.Time {
	t = t.UTC()
	y, m, d := t.Date()
	if y < 1 || y > 9999 {
		return 0
	}
	day := t.Sub(time.Date(y, m, d, 0, 0, 0, 0, time.UTC))
	return vec.FromCivil(y, int(m), d) + vec.Time(day/100)
}

// Open implements connect.Source.
func (s *source) Open(_ context.Context, name string, after connect.Position) (connect.Reader, error) {
	p, err := text.ParsePosition(after)
	if err != nil {
		return nil, connect.Permanent(err)
	}
	if name != partition {
		return nil, fmt.Errorf("a file input has no partition %q", name)
	}
	if p.Started > s.files.last {
		return nil, fmt.Errorf("position %q is of another state: %w", string(after), connect.ErrGone)
	}
	if err := s.scan(); err != nil {
		return nil, err
	}
	r := &reader{s: s, pos: p, texts: map[int64]*opened{}, grown: map[int64]time.Time{}, began: s.env.Now()}
	if s.s.follow {
		r.watch()
	}
	return r, nil
}

// object is the path of a file for people.
func (s *source) object(k *known) string { return filepath.ToSlash(s.d.Path(k.Name)) }
