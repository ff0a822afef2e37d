package file

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"weir/internal/connect"
	"weir/internal/disk"
	"weir/internal/vec"
)

// TestRefresh: files of reference data have a version as often as they change.
func TestRefresh(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "names.jsonl")
	ctx := context.Background()
	now := time.Date(2026, 3, 5, 12, 0, 0, 0, time.UTC)
	modified := now
	write := func(text string) {
		t.Helper()
		ok(t, os.WriteFile(path, []byte(text), 0o600))
		modified = modified.Add(time.Second)
		ok(t, os.Chtimes(path, modified, modified))
	}
	state := disk.NewMem(1).Boot()
	var known []connect.Version
	open := func() connect.Source {
		t.Helper()
		s, err := newSource(ctx, connect.Config{Values: map[string]any{"path": path, "refresh": time.Minute}},
			connect.SourceEnv{Reference: true, State: state, Known: known, Now: func() time.Time { return now }})
		ok(t, err)
		return s
	}
	src := open()
	latest := func() connect.Version {
		t.Helper()
		now = now.Add(time.Minute)
		list, err := src.(connect.Versions).Versions(ctx, 0)
		ok(t, err)
		if len(list) != 1 {
			t.Fatalf("versions %v", list)
		}
		return list[0]
	}
	read := func(v connect.Version) (string, error) {
		r, err := src.Open(ctx, v.Name, "")
		if err != nil {
			return "", err
		}
		text := ""
		for {
			c, err := r.Read(ctx, 10, "")
			if err != nil {
				return text, errors.Join(err, r.Close())
			}
			text += string(c.Data)
			if c.End {
				return text, r.Close()
			}
		}
	}
	if _, err := src.(connect.Versions).Versions(ctx, 0); err == nil || connect.IsPermanent(err) {
		t.Errorf("without a file: %v", err)
	}
	write("one\n")
	first := latest()
	if text, err := read(first); text != "one\n" || err != nil || first.Effective != vec.MinTime {
		t.Errorf("%v: %q, error %v", first, text, err)
	}
	if again := latest(); again != first {
		t.Errorf("%v, and then %v", first, again)
	}
	known = append(known, first)
	ok(t, src.Close())
	src = open()
	if again := latest(); again != first {
		t.Errorf("%v, and then %v", first, again)
	}
	write("two and three\n")
	second := latest()
	if text, err := read(second); text != "two and three\n" || err != nil || second.Effective != ticks(now) {
		t.Errorf("%v: %q, error %v", second, text, err)
	}
	if text, err := read(second); text != "two and three\n" || err != nil {
		t.Errorf("a second time: %q, error %v", text, err)
	}
	// What changes while it is read is no version.
	if _, err := read(first); !errors.Is(err, errChanged) {
		t.Errorf("an old version: %v", err)
	}
	r, err := src.Open(ctx, second.Name, "")
	ok(t, err)
	write("four\n")
	for err == nil {
		var c connect.Chunk
		if c, err = r.Read(ctx, 100, ""); err == nil && c.End {
			t.Fatal("it has been read to its end")
		}
	}
	if !errors.Is(err, errChanged) {
		t.Errorf("a change: %v", err)
	}
	ok(t, r.Close())
	ok(t, os.Remove(path))
	if _, err := src.(connect.Versions).Versions(ctx, 0); err == nil {
		t.Error("no error without the file")
	}
	ok(t, src.Close())
}
