package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestReadme types what the README says.
func TestReadme(t *testing.T) { typePage(t, "../../README.md", 6) }

// TestJavaScriptPage types what the page about functions in JavaScript says.
func TestJavaScriptPage(t *testing.T) { typePage(t, "../../docs/functions-javascript.md", 4) }

// TestRunningPage types what the page about weir run says.
func TestRunningPage(t *testing.T) { typePage(t, "../../docs/running.md", 5) }

// TestJobsPage types what the page about jobs says.
func TestJobsPage(t *testing.T) { typePage(t, "../../docs/jobs.md", 8) }

// TestTestingPage types what the page about tests says, beside the job of its example.
func TestTestingPage(t *testing.T) {
	typePage(t, "../../docs/testing.md", 6, "../../testdata/jobs/downtime")
}

// typePage types what the console blocks of a page say and compares what comes out. A block
// of SQL that starts with "-- NAME", of JavaScript or JSON with "// NAME", or of YAML with
// "# NAME" is a file of that name; the directories with lie beside them. With WEIR_UPDATE set
// the outputs in the page are replaced by what comes out.
func typePage(t *testing.T, page string, least int, with ...string) {
	readme, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, w := range with {
		if err := os.CopyFS(filepath.Join(dir, filepath.Base(w)), os.DirFS(w)); err != nil {
			t.Fatal(err)
		}
	}
	var out strings.Builder
	commands := 0
	block, lang := []string(nil), ""
	for line := range strings.Lines(string(readme)) {
		fence, isFence := strings.CutPrefix(line, "```")
		switch {
		case isFence && block == nil:
			block, lang = []string{}, strings.TrimSpace(fence)
			out.WriteString(line)
		case isFence:
			switch lang {
			case "sql":
				writeReadmeFile(t, dir, block, "-- ")
			case "js", "json":
				writeReadmeFile(t, dir, block, "// ")
			case "yaml":
				writeReadmeFile(t, dir, block, "# ")
			case "console":
				n := 0
				block, n = runReadme(t, dir, block)
				commands += n
			}
			out.WriteString(strings.Join(block, "") + line)
			block = nil
		case block != nil:
			block = append(block, line)
		default:
			out.WriteString(line)
		}
	}
	if commands < least {
		t.Errorf("%s has %d commands; are they still found?", page, commands)
	}
	if out.String() == string(readme) {
		return
	}
	if os.Getenv("WEIR_UPDATE") == "" {
		t.Errorf("%s does not say what its commands print; read above, or run with WEIR_UPDATE=1", page)
		return
	}
	if err := os.WriteFile(page, []byte(out.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

func writeReadmeFile(t *testing.T, dir string, block []string, mark string) {
	t.Helper()
	name, ok := strings.CutPrefix(strings.TrimSpace(block[0]), mark)
	if !ok {
		return
	}
	if strings.Contains(name, " ") {
		return // a comment, and no name
	}
	if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.Join(block[1:], "")), 0o644); err != nil {
		t.Fatal(err)
	}
}

// runReadme runs the commands of a block. It gives the block with what they print: their
// standard output or, if there is none, what they say on standard error.
func runReadme(t *testing.T, dir string, block []string) (lines []string, commands int) {
	t.Helper()
	for i := 0; i < len(block); {
		command, ok := strings.CutPrefix(block[i], "$ ")
		if !ok {
			t.Fatalf("a console block must start with a command: %q", block[i])
		}
		lines = append(lines, block[i])
		var want strings.Builder
		for i++; i < len(block) && !strings.HasPrefix(block[i], "$ "); i++ {
			want.WriteString(block[i])
		}
		commands++
		got := shell(t, dir, command)
		if got != want.String() {
			t.Logf("%sprints\n%sand the README says\n%s", command, got, want.String())
		}
		lines = append(lines, got)
	}
	return lines, commands
}

func shell(t *testing.T, dir, command string) string {
	t.Helper()
	cmd := exec.Command("sh", "-c", command) // testscript.Main has put weir in PATH
	cmd.Dir = dir
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if _, failed := err.(*exec.ExitError); err != nil && !failed {
		t.Fatalf("%s: %v", command, err)
	}
	if stdout.Len() == 0 {
		return withoutClosingLine(stderr.String())
	}
	return stdout.String()
}

// withoutClosingLine leaves out a line of figures that differ from run to run.
func withoutClosingLine(s string) string {
	var b strings.Builder
	for line := range strings.Lines(s) {
		if !strings.Contains(line, " events · ") {
			b.WriteString(line)
		}
	}
	return b.String()
}
