package project

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

var update = flag.Bool("update", false, "write the golden files anew")

// badYAML reads testdata/bad.txt: job files that are wrong, each below a line "== name", and
// what is said of them below "--". A name with "schema" says that the schema refuses it too.
func badYAML(t *testing.T) (names []string, texts, wants map[string]string) {
	t.Helper()
	b, err := os.ReadFile("testdata/bad.txt")
	if err != nil {
		t.Fatal(err)
	}
	texts, wants = map[string]string{}, map[string]string{}
	for _, part := range strings.Split("\n"+string(b), "\n== ")[1:] {
		name, rest, _ := strings.Cut(part, "\n")
		text, want, _ := strings.Cut("\n"+rest+"\n", "\n--\n")
		if _, twice := texts[name]; twice {
			t.Fatalf("%s: there are two of the name", name)
		}
		names = append(names, name)
		texts[name], wants[name] = strings.NewReplacer("→", "\t", "␍", "\r").Replace(strings.TrimPrefix(text, "\n"))+"\n", strings.TrimSpace(want)
	}
	return names, texts, wants
}

// TestBadYAML compares all that is said of wrong job files, with lines and carets.
func TestBadYAML(t *testing.T) {
	names, texts, wants := badYAML(t)
	var out strings.Builder
	raw, _ := os.ReadFile("testdata/bad.txt")
	for _, name := range names {
		dir := write(t, "weir.yaml", texts[name], "q.saql", "SELECT 1 AS a INTO o FROM i", "mask.js", "function main() {}")
		t.Chdir(dir)
		_, err := Load("weir.yaml", env("SET", "set-value", "WORD", "a-secret-word"))
		var p *Problem
		got := "no error"
		if errors.As(err, &p) {
			var b strings.Builder
			p.Render(&b, false)
			got = strings.TrimSpace(b.String())
		}
		if got != wants[name] && !*update {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, wants[name])
		}
		if strings.Contains(got, "a-secret-word") {
			t.Errorf("%s: the value of a variable shows:\n%s", name, got)
		}
		start := strings.Index("\n"+string(raw), "\n== "+name+"\n")
		text, _, _ := strings.Cut(string(raw)[start:]+"\n", "\n--\n")
		out.WriteString(strings.TrimRight(text, "\n") + "\n--\n" + got + "\n\n")
	}
	if *update {
		if err := os.WriteFile(filepath.Join(origin, "testdata", "bad.txt"), []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// origin is the folder of the tests, for those that change to another.
var origin, _ = os.Getwd()

// compiled is the schema, compiled.
func compiled(t *testing.T, text []byte) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("mem:///job.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("mem:///job.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// validate checks a YAML text against a schema.
func validate(s *jsonschema.Schema, text string) error {
	var v any
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		return err
	}
	return s.Validate(plain(v))
}

// plain turns what the YAML reader gives into what the validator takes.
func plain(v any) any {
	switch v := v.(type) {
	case uint64:
		return float64(v)
	case int64:
		return float64(v)
	case map[string]any:
		for k, x := range v {
			v[k] = plain(x)
		}
	case []any:
		for i, x := range v {
			v[i] = plain(x)
		}
	}
	return v
}

func TestSchemaGolden(t *testing.T) {
	f := func(file string, got []byte) {
		t.Helper()
		if *update {
			if err := os.WriteFile(file, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Errorf("%s is not what the tables give; go test ./internal/project -update writes it anew:\n%s", file, got)
		}
	}
	f("testdata/schema.json", Schema())
	f("testdata/overlay.schema.json", OverlaySchema())
}

// TestSchemaAgrees: what the reader refuses for its form the schema refuses, and what it takes
// the schema takes.
func TestSchemaAgrees(t *testing.T) {
	s := compiled(t, Schema())
	names, texts, _ := badYAML(t)
	structural := 0
	for _, name := range names {
		if !strings.HasSuffix(name, "(schema)") {
			continue
		}
		structural++
		if err := validate(s, texts[name]); err == nil {
			t.Errorf("%s: the schema takes it", name)
		}
	}
	if structural < 20 {
		t.Errorf("only %d wrong files are for the schema", structural)
	}
	if err := validate(s, fullYAML); err != nil {
		t.Errorf("the schema refuses what the reader takes: %v", err)
	}
	o := compiled(t, OverlaySchema())
	if err := validate(o, "inputs: {a: {address: x}}\njob: {time: {late_arrival: 0}}\nparameters: {p: 1}\n"); err != nil {
		t.Error(err)
	}
	if err := validate(o, "job: {nmae: x}"); err == nil {
		t.Error("the schema of overlays takes job.nmae")
	}
}
