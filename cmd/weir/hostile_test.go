//go:build linux && !race

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestHostileParquet: a file of 1 KB that takes 800 MB to read is one dead letter of a job that runs
// live, and the files behind it are read. No process takes more than a child may.
func TestHostileParquet(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(path), 0o700)
		if err == nil {
			err = os.WriteFile(path, []byte(text), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	bomb, err := os.ReadFile("../../internal/codec/testdata/bomb.parquet.gz")
	if err != nil {
		t.Fatal(err)
	}
	write("in/1.parquet.gz", string(bomb))
	write("in/2.jsonl", "{\"a\":1,\"t\":\"2024-01-01\"}\n{\"a\":2,\"t\":\"2024-01-02\"}\n{\"a\":3,\"t\":\"2024-01-03\"}\n")
	write("weir.yaml", `version: 1
job: {name: hostile, query: "SELECT a INTO o FROM i TIMESTAMP BY t"}
inputs:
  i: {type: file, path: ./in/*, follow: false, arrival: event}
outputs:
  o: {type: file, path: ./out.jsonl}
`)
	cmd := exec.Command("weir", "run", dir, "--live", "--from", "beginning", "--state", filepath.Join(dir, "state")) // testscript.Main has put weir in PATH
	said, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(said), "1 dead letter") {
		t.Errorf("%v: %s", err, said)
	}
	rows, err := os.ReadFile(filepath.Join(dir, "out.jsonl"))
	if err != nil || !strings.HasPrefix(string(rows), "{\"a\":1}\n{\"a\":2}\n") {
		t.Errorf("%q, %v", rows, err)
	}
	dead, _ := filepath.Glob(filepath.Join(dir, "state/dead/*.jsonl"))
	reason := ""
	for _, name := range dead {
		b, _ := os.ReadFile(name)
		reason += string(b)
	}
	if !strings.Contains(reason, "the Parquet file cannot be read: its decoder takes more than 512 MiB of memory") {
		t.Errorf("the dead letters are %s", reason)
	}
	// The figure is that of the largest process: it and its children.
	if used, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok && used.Maxrss > 700<<10 {
		t.Errorf("a process took %d MiB", used.Maxrss>>10)
	}
}
