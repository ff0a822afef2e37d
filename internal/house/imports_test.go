package house

import (
	"go/ast"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestImports(t *testing.T) {
	all, _ := packages(t)
	for dir, p := range all {
		layer, ok := Layers[dir]
		if !ok {
			t.Errorf("%s is not in house.Layers: say there what it may import, and why", dir)
			continue
		}
		for path, file := range p.files {
			for _, spec := range file.Imports {
				name, err := strconv.Unquote(spec.Path.Value)
				if err != nil {
					t.Fatal(err)
				}
				if problem := forbidden(dir, layer, name); problem != "" {
					t.Errorf("%s must not import %s: %s", path, name, problem)
				}
			}
		}
	}
}

// forbidden says why a package must not import name; "" if it may.
func forbidden(dir string, layer Layer, name string) string {
	if ours, ok := strings.CutPrefix(name, "weir/internal/"); ok {
		if !slices.Contains(layer.May, ours) {
			return layer.Why
		}
		return ""
	}
	if !layer.Pure || Excepted[[2]string{dir, name}] != "" {
		return ""
	}
	return Banned[name]
}

func TestForbidden(t *testing.T) {
	f := func(dir, name string, want bool) {
		t.Helper()
		if got := forbidden(dir, Layers[dir], name); (got != "") != want {
			t.Errorf("%s importing %s: %q; forbidden must be %v", dir, name, got, want)
		}
	}
	f("internal/vec", "weir/internal/state", true)
	f("internal/exec", "weir/internal/job", true)
	f("internal/exec", "weir/internal/plan", false)
	f("internal/exec", "time", true)
	f("internal/plan", "time", false)
	f("internal/plan", "os", true)
	f("internal/job", "os", false)
	f("internal/vec", "strings", false)
}

// TestLayersExist keeps the table free of packages that are gone.
func TestLayersExist(t *testing.T) {
	all, _ := packages(t)
	for dir := range Layers {
		if all[dir] == nil {
			t.Errorf("house.Layers has %s, and there is no such package", dir)
		}
	}
}

// TestPurePackagesStartNothing: a stage has one goroutine, and it is not its own.
func TestPurePackagesStartNothing(t *testing.T) {
	all, set := packages(t)
	for dir, p := range all {
		if !Layers[dir].Pure {
			continue
		}
		for _, file := range p.files {
			ast.Inspect(file, func(n ast.Node) bool {
				switch n.(type) {
				case *ast.GoStmt, *ast.SelectStmt, *ast.ChanType:
					t.Errorf("%s: %s is pure: no goroutine, no channel", set.Position(n.Pos()), dir)
				}
				return true
			})
		}
	}
}
