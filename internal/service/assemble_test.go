package service_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir/internal/project"
	"weir/internal/service"
)

// TestOneTargetEach: two outputs of a job must not write the same thing.
func TestOneTargetEach(t *testing.T) {
	f := func(a, b, want string) {
		t.Helper()
		dir := t.TempDir()
		text := "version: 1\njob: {name: j, query: \"SELECT n INTO a FROM e; SELECT n INTO b FROM e\"}\n" +
			"inputs: {e: {type: file, path: in.jsonl}}\noutputs:\n  a: {" + a + "}\n  b: {" + b + "}\n"
		if err := os.WriteFile(filepath.Join(dir, "weir.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		j, err := project.Load(dir, project.Options{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = service.Assemble(context.Background(), j, service.AssembleOptions{})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s and %s: error %v, want one with %q", a, b, err, want)
		}
	}
	const minutes = `path: "{date}/{time}.jsonl", `
	f("type: file, path: x.jsonl", "type: file, path: y.jsonl", "")
	f("type: file, path: x.jsonl", "type: file, path: ./z/../x.jsonl", `outputs "a" and "b" both write the file `)
	f("type: blob, directory: x, "+minutes+"exists: replace", "type: blob, directory: y, "+minutes+"exists: replace", "")
	f("type: blob, directory: x, "+minutes+"exists: replace", "type: blob, directory: ./x, manifest: none, "+minutes+"exists: replace", "files named {date}/{time}.jsonl in ")
	f("type: blob, directory: x, max_rows: 5", "type: blob, directory: x, max_rows: 5", "both write the manifest ")
	f("type: blob, directory: x, max_rows: 5", "type: blob, directory: x, max_rows: 5, manifest: _b.jsonl", "")
}
