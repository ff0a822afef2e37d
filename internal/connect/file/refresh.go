package file

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"time"

	"weir/internal/connect"
	"weir/internal/disk"
	"weir/internal/vec"
)

// changing is reference data in files that are written anew from time to time: what they hold
// each time is a version, in force from when the change was seen.
type changing struct {
	d     disk.Viewer
	s     settings
	env   connect.SourceEnv
	every time.Duration
	last  connect.Version // "" as its name: none yet
}

func newChanging(d disk.Viewer, s settings, every time.Duration, env connect.SourceEnv) *changing {
	c := &changing{d: d, s: s, env: env, every: every}
	if n := len(env.Known); n > 0 {
		c.last = env.Known[n-1]
	}
	return c
}

// Versions implements connect.Versions. The name of a version is a digest of what a directory
// says of the files: their names, sizes and times.
func (c *changing) Versions(context.Context, vec.Time) ([]connect.Version, error) {
	print, err := c.print()
	if err != nil {
		return nil, err
	}
	switch c.last.Name {
	case print:
	case "":
		c.last = connect.Version{Name: print, Effective: vec.MinTime}
	default:
		c.last = connect.Version{Name: print, Effective: ticks(c.env.Now())}
	}
	return []connect.Version{c.last}, nil
}

// ticks is a time as rows have it.
func ticks(t time.Time) vec.Time {
	return vec.FromCivil(1970, 1, 1) + vec.Time(t.UnixNano()/100)
}

// print is the digest of the files as they are now.
func (c *changing) print() (string, error) {
	list, err := c.s.pattern.list(c.d)
	if err == nil && len(list) == 0 {
		err = fs.ErrNotExist
	}
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("no file matches %s", c.d.Path(c.s.pattern.text()))
	}
	if err != nil {
		return "", err
	}
	h := fnv.New128a()
	for _, f := range list {
		fmt.Fprintf(h, "%q %d %d %d\n", f.name, f.info.Size, f.info.Modified.UnixNano(), f.info.ID)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Every implements connect.Versions.
func (c *changing) Every() time.Duration { return c.every }

// Partitions implements connect.Source: the version of now.
func (c *changing) Partitions(ctx context.Context) ([]string, error) {
	list, err := c.Versions(ctx, 0)
	if err != nil {
		return nil, err
	}
	return []string{list[0].Name}, nil
}

// Seek implements connect.Source.
func (c *changing) Seek(context.Context, string, vec.Time) (connect.Position, error) { return "", nil }

// Done implements connect.Source.
func (c *changing) Done(context.Context, string, connect.Position) error { return nil }

// Close implements connect.Source.
func (c *changing) Close() error { return nil }

// Open implements connect.Source: it reads the files as they are now. A version that they have
// no more cannot be read.
func (c *changing) Open(ctx context.Context, version string, after connect.Position) (connect.Reader, error) {
	if err := c.still(version); err != nil {
		return nil, err
	}
	// What a source remembers of files is of no use here, as they are read from their starts.
	if err := c.env.State.Remove(registryName); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	src, err := openSource(c.d, c.s, c.env)
	if err != nil {
		return nil, err
	}
	r, err := src.Open(ctx, partition, after)
	if err != nil {
		return nil, errors.Join(err, src.Close())
	}
	return &versionReader{r, c, src, version}, nil
}

// still is the error of files that have changed since a version.
func (c *changing) still(version string) error {
	print, err := c.print()
	if err == nil && print != version {
		err = fmt.Errorf("%s has changed while it was read: %w", c.d.Path(c.s.pattern.text()), errChanged)
	}
	return err
}

// errChanged is the error of a version that is no more.
var errChanged = errors.New("there is a newer version")

// versionReader reads a version to its end, if it stays.
type versionReader struct {
	connect.Reader
	of      *changing
	src     connect.Source
	version string
}

// Read implements connect.Reader.
func (r *versionReader) Read(ctx context.Context, max int, until connect.Position) (connect.Chunk, error) {
	c, err := r.Reader.Read(ctx, max, until)
	if err == nil && c.End {
		err = r.of.still(r.version)
	}
	return c, err
}

// Close implements connect.Reader.
func (r *versionReader) Close() error { return errors.Join(r.Reader.Close(), r.src.Close()) }
