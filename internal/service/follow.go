package service

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"weir/internal/job"
	"weir/internal/project"
)

// Follower keeps the jobs of a directory in force: each file or folder in it that describes a
// job is one. One goroutine uses it.
type Follower struct {
	s     *Service
	dir   string
	start StartOptions
	seen  map[string]uint64 // what each place looked like when it was deployed last
}

// Follow gives a follower of a directory, absolute. Jobs that are new start as start says.
func (s *Service) Follow(dir string, start StartOptions) *Follower {
	return &Follower{s: s, dir: dir, start: start, seen: map[string]uint64{}}
}

// Sync deploys the jobs of the directory that are new or have changed. A job that is wrong
// leaves the version that runs as it is; the problems are joined in the error, which the
// events and the views of the jobs have too.
func (f *Follower) Sync(ctx context.Context) error {
	places, err := f.places()
	if err != nil {
		return err
	}
	var all []error
	for _, place := range places {
		look := lookOf(place)
		if was, ok := f.seen[place]; ok && was == look {
			continue
		}
		f.seen[place] = look
		if err := f.deploy(ctx, place); err != nil {
			if errors.Is(err, job.ErrBusy) {
				delete(f.seen, place) // it is tried again
			}
			all = append(all, err)
		}
	}
	return errors.Join(all...)
}

// Again forgets what was seen, so that the next Sync looks at every job: variables and files
// of secrets may have changed.
func (f *Follower) Again() { clear(f.seen) }

// places are the files and folders that may be jobs, in the order of their names.
func (f *Follower) places() ([]string, error) {
	list, err := os.ReadDir(f.dir)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range list {
		name := e.Name()
		place := filepath.Join(f.dir, name)
		info, err := os.Stat(place) // a link to a job is one
		if err != nil || strings.HasPrefix(name, ".") {
			continue
		}
		switch ext := strings.ToLower(filepath.Ext(name)); {
		case info.IsDir() && project.Holds(place):
			out = append(out, place)
		case !info.IsDir() && (ext == ".yaml" || ext == ".yml") && !strings.HasPrefix(name, "weir.overlay.") && !strings.HasSuffix(name, "_test"+ext),
			!info.IsDir() && strings.HasSuffix(strings.ToLower(name), ".jobtemplate.json"):
			out = append(out, place)
		}
	}
	return out, nil
}

// maxLooked bounds the files of a job that are looked at for changes.
const maxLooked = 2000

// lookOf is a digest of the names, sizes and times of the files that can describe a job.
func lookOf(place string) uint64 {
	h := fnv.New64a()
	looked := 0
	_ = filepath.WalkDir(place, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // what cannot be read is reported by who loads it
		}
		if looked++; looked > maxLooked {
			return fs.SkipAll
		}
		if d.IsDir() {
			if path != place && strings.HasPrefix(d.Name(), ".") {
				return fs.SkipDir
			}
			return nil
		}
		switch strings.ToLower(filepath.Ext(path)) {
		case ".yaml", ".yml", ".json", ".saql", ".asaql", ".js", ".asaproj":
			if info, err := d.Info(); err == nil {
				fmt.Fprintf(h, "%s %d %d\n", path, info.Size(), info.ModTime().UnixNano())
			}
		}
		return nil
	})
	return h.Sum64()
}

// deploy puts one job of the directory into force.
func (f *Follower) deploy(ctx context.Context, place string) error {
	s := f.s
	name, err := f.nameOf(place)
	told := err == nil // by Deploy
	if err == nil {
		var known bool
		if m, e := s.find(name); e == nil {
			known = true
			m.mu.Lock()
			other := m.rec.Path
			m.mu.Unlock()
			if other != place {
				err = fmt.Errorf("%s: there is a job %q already, from %s; give one of them another name", place, name, orSent(other))
			}
		}
		if err == nil {
			_, err = s.Deploy(ctx, name, Deployment{Path: place, By: "directory", Start: !known, StartOptions: f.start, unlessSeen: true})
		}
	}
	if err == nil || ctx.Err() != nil {
		return err
	}
	if m, e := s.find(name); e == nil {
		m.mu.Lock()
		m.refused = loadFindings(err)
		m.mu.Unlock()
	} else if !told {
		s.note(Event{Job: name, Kind: "refused", Text: place + ": " + loadFindings(err).brief()}, slog.LevelWarn)
	}
	return err
}

func orSent(path string) string {
	if path == "" {
		return "the REST interface"
	}
	return path
}

// nameOf is the name of the job of a place: what its file says, or else the file's.
func (f *Follower) nameOf(place string) (string, error) {
	fallback := NameOf(strings.TrimSuffix(filepath.Base(place), filepath.Ext(place)))
	j, err := f.s.loadFrom(place, "", "")
	if err != nil {
		for _, m := range f.s.all() { // it had a name before it was wrong
			m.mu.Lock()
			path := m.rec.Path
			m.mu.Unlock()
			if path == place {
				return m.name, &InvalidError{m.name, loadFindings(err)}
			}
		}
		return fallback, &InvalidError{fallback, loadFindings(err)}
	}
	name := NameOf(j.Name)
	if name == "" {
		name = fallback
	}
	if !ValidName(name) {
		return name, fmt.Errorf("%s: the job %q has no name that can be used; give it one in its file", place, j.Name)
	}
	return name, nil
}

// StartAt reads a place to start from: now, last, beginning, a time in RFC 3339, or a span
// before now such as -10m. "" is the zero value.
func StartAt(text string, now time.Time) (StartOptions, error) {
	switch text {
	case "":
		return StartOptions{}, nil
	case string(job.StartNow), string(job.StartLast), string(job.StartBeginning):
		return StartOptions{From: job.StartMode(text)}, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d < 0 {
		return StartOptions{From: job.StartTime, At: now.Add(d).UTC()}, nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02"} {
		if t, err := time.Parse(layout, text); err == nil {
			return StartOptions{From: job.StartTime, At: t.UTC()}, nil
		}
	}
	return StartOptions{}, fmt.Errorf("%q is no place to start from; write now, last, beginning, a time such as 2026-01-31T12:00:00Z, or -10m", text)
}
