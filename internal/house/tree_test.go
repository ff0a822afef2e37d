package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// root is the top of the checkout, as the tests of this package see it.
const root = "../.."

// skipped are directories that are no part of what is committed.
var skipped = map[string]bool{".git": true, "node_modules": true, "bin": true, ".tools": true}

// walk calls f for every file of the tree, with its path from the top.
func walk(t *testing.T, f func(path string)) {
	t.Helper()
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if skipped[d.Name()] {
				return filepath.SkipDir
			}
			return nil
		}
		rel, err := filepath.Rel(root, p)
		f(filepath.ToSlash(rel))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// pkg is what the tests look at in a package: its files without the tests.
type pkg struct {
	dir   string
	files map[string]*ast.File
}

// packages parses all packages of this module.
func packages(t *testing.T) (map[string]*pkg, *token.FileSet) {
	t.Helper()
	set := token.NewFileSet()
	all := map[string]*pkg{}
	walk(t, func(path string) {
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.Contains(path, "testdata/") {
			return
		}
		file, err := parser.ParseFile(set, filepath.Join(root, path), nil, parser.ParseComments)
		if err != nil {
			t.Error(err)
			return
		}
		dir := filepath.ToSlash(filepath.Dir(path))
		if all[dir] == nil {
			all[dir] = &pkg{dir: dir, files: map[string]*ast.File{}}
		}
		all[dir].files[path] = file
	})
	return all, set
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
