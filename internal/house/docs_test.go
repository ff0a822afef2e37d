package house

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestPackagesHaveAComment(t *testing.T) {
	all, _ := packages(t)
	for dir, p := range all {
		var doc string
		for _, file := range p.files {
			if text := file.Doc.Text(); text != "" {
				doc += text
			}
		}
		want := "Package " + filepath.Base(dir) + " "
		if strings.HasPrefix(dir, "cmd/") || strings.HasPrefix(dir, "bench/") {
			want = "Command " + filepath.Base(dir) + " "
		}
		if !strings.HasPrefix(doc, want) {
			t.Errorf("%s: its comment must begin with %q", dir, want)
		}
	}
}

func TestArchitectureHasEveryPackage(t *testing.T) {
	text := read(t, "ARCHITECTURE.md")
	all, _ := packages(t)
	for dir := range all {
		if !strings.Contains(text, "`"+dir+"`") {
			t.Errorf("ARCHITECTURE.md has no line about `%s`", dir)
		}
	}
}

// requirement is a line of go.mod that requires a module.
var requirement = regexp.MustCompile(`(?m)^(?:require )?\t?([a-z0-9.-]+\.[a-z]+/\S+) v\S+(.*)$`)

func TestDirectDependenciesHaveAReason(t *testing.T) {
	text := read(t, "docs/dependencies.md")
	listed := map[string]bool{}
	for line := range strings.Lines(text) {
		rest, ok := strings.CutPrefix(line, "- ")
		if !ok {
			continue
		}
		module, reason, ok := strings.Cut(rest, " — ")
		if !ok || len(strings.TrimSpace(reason)) < 20 {
			t.Errorf("docs/dependencies.md: %q is not \"- module — reason\"", strings.TrimSpace(line))
		}
		listed[strings.Trim(module, "`")] = true
	}
	found := requirement.FindAllStringSubmatch(read(t, "go.mod"), -1)
	if len(found) == 0 {
		t.Fatal("go.mod requires nothing; the pattern is wrong")
	}
	for _, m := range found {
		if indirect := strings.Contains(m[2], "// indirect"); !indirect && !listed[m[1]] {
			t.Errorf("docs/dependencies.md has no line \"- %s — reason\"", m[1])
		}
	}
}

// unsaid are texts that mean something on one machine only, or name a registry; they are
// put together here so that this file does not hold them.
var unsaid = map[string]string{
	"/" + "work/":             "a path of one machine",
	"/" + "tmp/":              "a path of one machine",
	"proxy.golang" + ".org":   "the host of a registry",
	"sum.golang" + ".org":     "the host of a registry",
	"registry.npmjs" + ".org": "the host of a registry",
	"pypi" + ".org":           "the host of a registry",
	"t." + "Skip(":            "a test that does not run",
	"t." + "SkipNow(":         "a test that does not run",
	"TO" + "DO":               "work left lying: do it, or say in the documents what is missing",
	"FIX" + "ME":              "work left lying: do it, or say in the documents what is missing",
	"not " + "implemented":    "say what is not supported yet, and how to do without",
}

func TestCommittedTextSaysNothingItShouldNot(t *testing.T) {
	walk(t, func(path string) {
		b, err := os.ReadFile(filepath.Join(root, path))
		if err != nil || !utf8.Valid(b) || strings.HasPrefix(path, "testdata/saql/conformance/") {
			return // the cases are given data
		}
		for text, why := range unsaid {
			if at := strings.Index(string(b), text); at >= 0 {
				line := 1 + strings.Count(string(b[:at]), "\n")
				t.Errorf("%s:%d: %q is %s", path, line, text, why)
			}
		}
	})
}

// TestFirstCommands: a newcomer types these two, and the automation runs the second.
func TestFirstCommands(t *testing.T) {
	readme := read(t, "README.md")
	for _, want := range []string{"go run ./cmd/weir demo", "make test"} {
		if !strings.Contains(readme, want) {
			t.Errorf("README.md does not say %q", want)
		}
	}
	if !strings.Contains(read(t, ".ci/run"), "make test") {
		t.Error(".ci/run does not call make test")
	}
}

// maxLines is where a file is too long to find one's way in it.
const maxLines = 900

func TestFilesAreNotTooLong(t *testing.T) {
	walk(t, func(path string) {
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return
		}
		if n := strings.Count(read(t, path), "\n"); n > maxLines {
			t.Errorf("%s has %d lines; %d is the most", path, n, maxLines)
		}
	})
}
