package files

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"time"

	"weir/internal/connect"
	"weir/internal/disk"
)

// Line is a line of the manifest: a finished file.
type Line struct {
	Name     string `json:"name"`
	Rows     int64  `json:"rows"`
	Bytes    int64  `json:"bytes"`
	SHA256   string `json:"sha256"`
	First    string `json:"first"` // time of the first row
	Last     string `json:"last"`
	Epoch    int64  `json:"epoch"` // the last one with rows of it
	Finished string `json:"finished"`
}

// finishHere gives files their final names in the directory, after what was begun before. Each
// step can be done again: the record Finish is durable before the first, Finished comes after
// the last.
func (s *sink) finishHere(ids []int64) error {
	if len(s.ledger.Finish) == 0 {
		if len(ids) == 0 {
			return nil
		}
		if err := s.begun(&record{Finish: ids, Manifest: s.ledger.Manifest}, ids); err != nil {
			return err
		}
		ids = nil
	}
	var lines [][]byte
	dirs := map[string]bool{}
	for _, id := range s.ledger.Finish {
		line, err := s.finishFile(s.ledger.files[id])
		if err != nil {
			return err
		}
		b, err := json.Marshal(line)
		if err != nil {
			return err
		}
		lines = append(lines, append(b, '\n'))
		dirs[path.Dir(line.Name)] = true
	}
	for dir := range dirs {
		if err := s.d.SyncDir(dir); err != nil {
			return err
		}
	}
	if err := s.own.SyncDir("."); err != nil {
		return err
	}
	size, err := s.writeManifest(lines)
	if err != nil {
		return err
	}
	r := &record{Finished: true, Manifest: size}
	if err := s.put(r, false); err != nil {
		return err
	}
	done := s.ledger.Finish
	s.ledger.apply(r)
	for _, id := range done {
		delete(s.files, id)
	}
	ids = slices.DeleteFunc(ids, func(id int64) bool { return s.ledger.files[id] == nil })
	return s.finishHere(ids)
}

// finishFile closes a file, packs it and gives it its name. What was done before is not
// done again: of the file in progress, the packed one and the final one, one is there.
func (s *sink) finishFile(f *fileState) (Line, error) {
	from, err := s.closed(f)
	if err != nil {
		return Line{}, err
	}
	line := Line{Name: f.Name, Rows: f.Rows, First: f.From.String(), Last: f.To.String(), Epoch: f.Epoch,
		Finished: s.env.Now().UTC().Format(time.RFC3339Nano)}
	if from != "" {
		if err := s.d.MkdirAll(path.Dir(f.Name)); err != nil {
			return line, err
		}
		if err := s.rename(path.Join(ownName(s.env.Job, s.env.Output), from), f.Name); err != nil {
			return line, err
		}
	}
	line.Bytes, line.SHA256, err = digest(s.d, f.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return line, connect.Permanent(fmt.Errorf("%s is gone, and so are the rows that were to be in it: "+
			"put back %s, or begin anew with --discard-state", s.d.Path(f.Name), s.own.Path(partName(f.ID))))
	}
	return line, err
}

// rename gives a file its final name. Between two directories a loss of power may leave both
// names: a final file with the same bytes is the one that we were finishing.
func (s *sink) rename(from, to string) error {
	_, there, err := digest(s.d, to)
	switch {
	case errors.Is(err, fs.ErrNotExist) || err == nil && s.s.replace:
		return s.d.Rename(from, to)
	case err != nil:
		return err
	}
	_, ours, err := digest(s.d, from)
	if err != nil {
		return err
	}
	if there != ours {
		return connect.Permanent(fmt.Errorf("%s has come while its rows were collected, and finished files are not overwritten: move it away, or set exists: replace", s.d.Path(to)))
	}
	return s.d.Remove(from)
}

// manifestSize is the length of the manifest, 0 if there is none.
func (s *sink) manifestSize() (int64, error) {
	if s.s.manifest == "" {
		return 0, nil
	}
	info, err := s.d.Stat(s.s.manifest)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	return info.Size, err
}

// writeManifest puts lines behind what the manifest has, once: what a try before this one
// has written there is cut off.
func (s *sink) writeManifest(lines [][]byte) (int64, error) {
	if s.s.manifest == "" {
		return 0, nil
	}
	if err := s.d.MkdirAll(path.Dir(s.s.manifest)); err != nil {
		return 0, err
	}
	f, err := s.d.Edit(s.s.manifest)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	if err := s.mine(f); err != nil {
		return 0, err
	}
	t, err := disk.NewTail(f, s.ledger.Manifest)
	if errors.Is(err, disk.ErrChanged) {
		return 0, s.foreign()
	}
	if err == nil {
		err = t.Append(bytes.Join(lines, nil))
	}
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = s.d.SyncDir(path.Dir(s.s.manifest))
	}
	if err != nil {
		return 0, fmt.Errorf("%s: %w", s.d.Path(s.s.manifest), err)
	}
	return t.Size(), nil
}

func (s *sink) foreign() error {
	return connect.Permanent(fmt.Errorf("%s was changed by somebody else: every output needs a manifest of its own (manifest: another-name.jsonl), or none (manifest: none)",
		s.d.Path(s.s.manifest)))
}

// mine makes sure that no line of somebody else stands where ours are to go.
func (s *sink) mine(f disk.File) error {
	info, err := f.Stat()
	if err != nil || info.Size <= s.ledger.Manifest {
		return err
	}
	b := make([]byte, info.Size-s.ledger.Manifest)
	if _, err := f.ReadAt(b, s.ledger.Manifest); err != nil && err != io.EOF {
		return err
	}
	for text := range bytes.Lines(b) {
		var line Line
		if json.Unmarshal(text, &line) != nil {
			continue // half of one of ours
		}
		if !slices.ContainsFunc(s.ledger.Finish, func(id int64) bool { return s.ledger.files[id].Name == line.Name }) {
			return s.foreign()
		}
	}
	return nil
}
