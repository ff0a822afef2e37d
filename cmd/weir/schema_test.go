package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"weir/internal/connect"
	"weir/internal/project"
)

// validate checks a YAML text against a schema.
func validate(t *testing.T, schema []byte, text string) error {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(schema)))
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
	b, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		return err
	}
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(string(b)))
	if err != nil {
		return err
	}
	return s.Validate(v)
}

// loadText loads a job file beside an empty query. References need no values.
func loadText(t *testing.T, text string) error {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"weir.yaml": text, "q.saql": "SELECT 1 AS a"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, err := project.Load(dir, project.Options{KeepReferences: true})
	return err
}

// indent sets the lines of a text in, after taking off what they have in common.
func indent(text string, by int) string {
	lines := strings.Split(strings.Trim(text, "\n"), "\n")
	least := -1
	for _, l := range lines {
		if n := len(l) - len(strings.TrimLeft(l, " ")); strings.TrimSpace(l) != "" && (least < 0 || n < least) {
			least = n
		}
	}
	for i, l := range lines {
		lines[i] = strings.Repeat(" ", by) + l[min(max(least, 0), len(l)):]
	}
	return strings.Join(lines, "\n") + "\n"
}

// TestConnectorExamples loads the example of every connector, which may be an entry with its
// name or its settings alone, and validates it.
func TestConnectorExamples(t *testing.T) {
	named := regexp.MustCompile(`(?m)^ *type:`)
	for _, s := range connect.All() {
		example := indent(s.Example, 0)
		body := indent(example, 2)
		if loc := named.FindStringIndex(example); loc != nil && example[loc[0]] == 't' {
			body = "  one:\n" + indent(example, 4)
		}
		const head = "version: 1\njob: {query: q.saql}\n"
		var errs []string
		for section, can := range map[string]bool{"inputs": s.Source != nil, "outputs": s.Sink != nil} {
			if !can {
				continue
			}
			text := head + section + ":\n" + body
			err := loadText(t, text)
			if err == nil {
				if err = validate(t, project.Schema(), text); err == nil {
					errs = nil
					break
				}
			}
			errs = append(errs, section+": "+err.Error())
		}
		if len(errs) > 0 {
			t.Errorf("the example of %s:\n%s\n%s", s.Name, s.Example, strings.Join(errs, "\n"))
		}
		for _, f := range s.Fields {
			switch f.Name {
			case "type", "format", "sample", "reference", "arrival", "on_error":
				t.Errorf("%s: the setting %q is one that all have", s.Name, f.Name)
			}
		}
	}
}

// yamlBlock is a block of YAML in a document.
var yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// TestDocumentedJobs validates the job files and overlays of the documents.
func TestDocumentedJobs(t *testing.T) {
	files, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob("../../docs/connectors/*.md")
	if err != nil {
		t.Fatal(err)
	}
	files = append(files, more...)
	found := 0
	for _, file := range append(files, "../../README.md") {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range yamlBlock.FindAllStringSubmatch(string(b), -1) {
			schema := project.Schema()
			switch {
			case strings.Contains(m[1], "version: 1\n"):
			case strings.HasPrefix(m[1], "# weir.overlay.yaml"):
				schema = project.OverlaySchema()
			default:
				continue
			}
			found++
			if err := validate(t, schema, m[1]); err != nil {
				t.Errorf("%s: %v in\n%s", file, err, m[1])
			}
		}
	}
	if found == 0 {
		t.Error("no job file in the documents")
	}
	if err := validate(t, project.Schema(), initYAML); err != nil {
		t.Errorf("weir init: %v", err)
	}
}
