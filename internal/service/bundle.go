package service

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"weir/internal/project"
)

// Bundle is the files of a job by their names: slash-separated paths below its directory.
type Bundle map[string]string

// The limits of a bundle.
const (
	maxFiles       = 200
	maxFileBytes   = 1 << 20
	maxBundleBytes = 8 << 20
)

// names are the names in order.
func (b Bundle) names() []string { return slices.Sorted(maps.Keys(b)) }

// hash is a digest of the names and texts.
func (b Bundle) hash() string {
	h := sha256.New()
	for _, name := range b.names() {
		fmt.Fprintf(h, "%d %s %d ", len(name), name, len(b[name]))
		h.Write([]byte(b[name]))
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// check finds what is wrong with a bundle that somebody sent.
func (b Bundle) check() error {
	var l Findings
	if len(b) == 0 {
		l.refuse(project.Place{}, `send {"files": {"weir.yaml": "...", "query.saql": "..."}}`, "a job needs at least one file")
	}
	if len(b) > maxFiles {
		l.refuse(project.Place{}, "", "a job has at most %d files; these are %d", maxFiles, len(b))
	}
	total := 0
	for _, name := range b.names() {
		total += len(b[name])
		if !cleanName(name) {
			l.refuse(project.Place{}, "names are paths below the job's directory, with slashes", "%q cannot be the name of a file", name)
		} else if len(b[name]) > maxFileBytes {
			l.refuse(project.Place{File: name}, "", "a file of a job has at most 1 MiB")
		} else if dir := b.fileAbove(name); dir != "" {
			l.refuse(project.Place{File: name}, "", "%q is a file, and so no directory", dir)
		}
	}
	if total > maxBundleBytes {
		l.refuse(project.Place{}, "", "the files of a job have at most 8 MiB together")
	}
	return l.Err()
}

// fileAbove is the file of the bundle that a name has as a directory, "" if there is none.
func (b Bundle) fileAbove(name string) string {
	for dir := path.Dir(name); dir != "." && dir != "/"; dir = path.Dir(dir) {
		if _, ok := b[dir]; ok {
			return dir
		}
	}
	return ""
}

// cleanName reports whether a name of a bundle is a plain path below a directory, of parts that
// every file system takes.
func cleanName(name string) bool {
	return name != "." && len(name) <= 512 && fs.ValidPath(name) && !strings.ContainsAny(name, `\:`) &&
		!strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }) &&
		!slices.ContainsFunc(strings.Split(name, "/"), func(part string) bool { return len(part) > 200 })
}

// main is the file or directory that the bundle's job is loaded from: "." if a form of job is
// found by looking into a directory, else its only file.
func (b Bundle) main() string {
	for _, name := range b.names() {
		base := strings.ToLower(path.Base(name))
		if path.Dir(name) == "." && (base == "weir.yaml" || base == "weir.yml" || base == "asaproj.json" || strings.HasSuffix(base, ".asaproj")) {
			return "."
		}
	}
	if len(b) == 1 {
		return b.names()[0]
	}
	return "."
}

// snapshot takes the files of a job that lies in a directory: those that say what the job is,
// not its data. main is what the job is loaded by from a copy of them.
func snapshot(j *project.Job, place string) (b Bundle, main string, err error) {
	dir := homeOf(place)
	b, main = Bundle{}, "."
	if dir != place {
		main = filepath.Base(place)
	}
	for _, file := range j.Files {
		rel, err := filepath.Rel(dir, file)
		if err != nil || !filepath.IsLocal(rel) {
			return nil, "", fmt.Errorf("%s does not lie in the directory of the job, %s", file, dir)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, "", err
		}
		b[filepath.ToSlash(rel)] = string(text)
	}
	return b, main, b.check()
}

// homeOf is the directory of a job that lies at a path: the path itself, or that of the file.
func homeOf(place string) string {
	if info, err := os.Stat(place); err == nil && info.IsDir() {
		return place
	}
	return filepath.Dir(place)
}
