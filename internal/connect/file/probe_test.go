package file

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir/internal/connect"
)

func TestProbe(t *testing.T) {
	dir := t.TempDir()
	ok(t, os.WriteFile(filepath.Join(dir, "a.jsonl"), nil, 0o600))
	f := func(path string, env connect.ProbeEnv, want string) {
		t.Helper()
		c := connect.Config{Values: map[string]any{"path": filepath.Join(dir, path), "follow": true, "date_format": "yyyy", "time_format": "HH"}}
		got := ""
		for _, p := range Spec.Probe(context.Background(), c, env) {
			got += p.Field + ": " + p.Text + " | " + p.Hint
		}
		if !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("%s %+v finds %q, want %q", path, env, got, want)
		}
	}
	in := connect.ProbeEnv{Input: true}
	f("*.jsonl", in, "")
	f("*.csv", in, "path: no file matches "+filepath.Join(dir, "*.csv")+" yet | the job waits for one")
	f("none/b", connect.ProbeEnv{Input: true, Reference: true}, "path: no file matches "+filepath.Join(dir, "none/b")+" yet | it has to be there when the job starts")
	f("{date}/x", connect.ProbeEnv{Input: true, Reference: true}, "")
	f("none/{date}/x", connect.ProbeEnv{Input: true, Reference: true}, "path: open ")
	f("a.jsonl", connect.ProbeEnv{}, "")
	f("new/dir/out.jsonl", connect.ProbeEnv{}, "")
	f("a.jsonl/out", connect.ProbeEnv{}, "path: ")
	f(".", connect.ProbeEnv{}, "path: "+dir+" is a directory")
	list, err := os.ReadDir(dir)
	ok(t, err)
	if len(list) != 1 {
		t.Errorf("it leaves %v", list)
	}
}
