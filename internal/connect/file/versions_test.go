package file

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/internal/connect"
	"weir/internal/vec"
)

// TestVersions has reference data with times in the names of directories or files.
func TestVersions(t *testing.T) {
	f := func(path, dateFormat, from, want string, names ...string) {
		t.Helper()
		dir := t.TempDir()
		for _, n := range names {
			ok(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, n)), 0o700))
			ok(t, os.WriteFile(filepath.Join(dir, n), []byte(n+"\n"), 0o600))
		}
		c := connect.Config{Values: map[string]any{"path": filepath.Join(dir, path), "date_format": dateFormat, "time_format": "HH", "refresh": time.Minute}}
		if p := check(c, true); len(p) > 0 {
			t.Fatal(p)
		}
		src, err := newSource(context.Background(), c, connect.SourceEnv{Reference: true, Log: slog.New(slog.DiscardHandler), Now: time.Now})
		ok(t, err)
		defer src.Close()
		at, _ := vec.ParseTime(from)
		v := src.(connect.Versions)
		if v.Every() != time.Minute {
			t.Error(v.Every())
		}
		list, err := v.Versions(context.Background(), at)
		ok(t, err)
		got := ""
		for _, x := range list {
			r, err := src.Open(context.Background(), x.Name, "")
			ok(t, err)
			got += x.Effective.String()[:13] + ":"
			for {
				chunk, err := r.Read(context.Background(), 1<<20, "")
				ok(t, err)
				got += strings.ReplaceAll(string(chunk.Data), "\n", " ")
				if chunk.End {
					break
				}
			}
			ok(t, r.Close())
		}
		if got != want {
			t.Errorf("%s from %s: %s, want %s", path, from, got, want)
		}
	}
	days := []string{"ref/2024/05/01/07/p.json", "ref/2024/05/01/09/p.json", "ref/2024/05/02/00/p.json", "ref/2024/05/02/00/other.json", "ref/.hidden/p.json", "x/2024/05/01/07/p.json"}
	f("ref/{date}/{time}/p.json", "yyyy/MM/dd", "2024-05-01T09:30:00Z", "2024-05-01T09:ref/2024/05/01/09/p.json 2024-05-02T00:ref/2024/05/02/00/p.json ", days...)
	f("ref/{date}/{time}/p.json", "yyyy/MM/dd", "2024-05-02T00:00:00Z", "2024-05-02T00:ref/2024/05/02/00/p.json ", days...)
	f("ref/{date}/{time}/p.json", "yyyy/MM/dd", "2024-04-01T00:00:00Z",
		"2024-05-01T07:ref/2024/05/01/07/p.json 2024-05-01T09:ref/2024/05/01/09/p.json 2024-05-02T00:ref/2024/05/02/00/p.json ", days...)
	f("ref/{date}/{time}", "yyyy/MM/dd", "2024-05-03T00:00:00Z", "2024-05-02T00:ref/2024/05/02/00/other.json ref/2024/05/02/00/p.json ", days...)
	f("p-{date}.json", "yyyyMMdd", "2024-05-03T00:00:00Z", "2024-05-02T00:p-20240502.json ", "p-20240501.json", "p-20240502.json", "p-20240502.json.new", "q-20240503.json")
	f("none/{date}/p.json", "yyyy", "2024-05-03T00:00:00Z", "")
}

// TestVersionsOfStreams are refused: a stream is read whole.
func TestVersionsOfStreams(t *testing.T) {
	c := connect.Config{Values: map[string]any{"path": "/x/{date}/p.json", "date_format": "yyyy", "time_format": "HH"}}
	_, err := newSource(context.Background(), c, connect.SourceEnv{})
	if !connect.IsPermanent(err) || !strings.Contains(fmt.Sprint(err), "write * in their place") {
		t.Error(err)
	}
	c.Values["date_format"] = "x"
	if p := check(c, true); len(p) != 1 || p[0].Field != "path" {
		t.Error(p)
	}
}
