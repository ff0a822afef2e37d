package main

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"
)

// TestPublicTests runs the tests of Fleid/asa.unittest as they are, below the folder of the
// flag projects: two cases pass and the third, by its README, fails in just two outputs.
func TestPublicTests(t *testing.T) {
	if *projectsDir == "" {
		return // testdata of internal/suite has tests of the same shape
	}
	for _, path := range []string{"ASAHelloWorld", "ASAHelloWorld.Tests", "ASAHelloWorld.Tests/1_arrange"} {
		full, err := filepath.Abs(filepath.Join(*projectsDir, "asa.unittest/examples", path))
		if err != nil {
			t.Fatal(err)
		}
		var out, said bytes.Buffer
		code := run(context.Background(), []string{"test", full}, &console{in: strings.NewReader(""), out: &out, err: &said, width: 80})
		var outputs []string
		for line := range strings.Lines(out.String()) {
			if _, name, ok := strings.Cut(line, "  output \""); ok {
				outputs = append(outputs, name[:strings.IndexByte(name, '"')])
			}
		}
		if code != exitFindings || !strings.HasSuffix(out.String(), "2 passed, 1 failed\n") || !strings.Contains(out.String(), "--- FAIL: 003 ") ||
			strings.Join(outputs, " ") != "OutputAll OutputOther" {
			t.Errorf("%s: status %d\n%s%s", path, code, out.String(), said.String())
		}
	}
}
