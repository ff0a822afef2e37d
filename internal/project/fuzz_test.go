package project

import (
	"io"
	"os"
	"path/filepath"
	"testing"
)

// FuzzLoad: no text of any form panics or runs away, and a job that loads has a query.
func FuzzLoad(f *testing.F) {
	f.Add(uint8(0), fullYAML)
	f.Add(uint8(0), "a: [[[{b: {c: &x 1}}]]]\n? k\n: *x\n- - - -\n")
	f.Add(uint8(0), "version: 1\njob:\n  query: |\n    SELECT 1\n  time: {late_arrival: PT1H}\n")
	f.Add(uint8(1), `{"name":"a","startFile":"q.saql","configurations":[{"filePath":"x.json","subType":"Input"},]}`)
	f.Add(uint8(2), `<Project><Script Include="q.saql"/><Configure Include="x.json"><SubType>JobConfig</SubType></Configure></Project>`)
	f.Add(uint8(3), template)
	f.Add(uint8(4), `{"Name":"i","EventHubProperties":{"EventHubName":"h"},"Serialization":{"Type":"CustomClr"}}`)
	f.Fuzz(func(t *testing.T, form uint8, text string) {
		if len(text) > 1<<16 {
			return
		}
		dir := t.TempDir()
		put := func(name, text string) {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		put("q.saql", "SELECT a INTO o FROM i")
		file := []string{"weir.yaml", "asaproj.json", "p.asaproj", "t.json", "asaproj.json"}[form%5]
		put(file, text)
		if form%5 == 4 {
			put("x.json", text)
			put("asaproj.json", `{"startFile":"q.saql","configurations":[{"filePath":"x.json","subType":"Input"},{"filePath":"x.json","subType":"InputMock"},{"filePath":"x.json","subType":"CSharpFunction"},{"filePath":"x.json","subType":"JobConfig"}]}`)
		}
		j, err := Load(filepath.Join(dir, file), env("SET", "x"))
		if err != nil {
			if err.Error() == "" {
				t.Error("an error without a word")
			}
			return
		}
		for _, in := range j.Inputs {
			if in.Connector == nil && in.Sample == "" && in.Missing == "" && in.Refused == "" {
				t.Errorf("nothing is said of input %q", in.Name)
			}
		}
		j.Text()
		j.Refusals(true)
	})
}

// FuzzParse: the parsers take any text, and say a place that is in it.
func FuzzParse(f *testing.F) {
	f.Add(fullYAML)
	f.Add(template)
	f.Add("a:\n- b: |\n    c\n  d: >-\n   e\n? [x]\n: 'y\n")
	f.Add(`<P><Script Include="q"/><Configure Include="a&amp;b"><SubType>X</SubType></Configure></P>`)
	f.Add("{\"a\\u00e9\\ud83d\\ude00\": [1e5, -0.5, \"[concat('a', 'b')]\", // c\n null,]}")
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 1<<14 {
			return
		}
		r := &reader{}
		for _, parse := range []func(*source) *node{r.yaml, r.json} {
			if n := parse(r.source("f", "f", text)); n == nil && len(r.notes) == 0 {
				t.Error("a text was refused without a word")
			} else if n != nil {
				steps := 1000
				(&armScope{parameters: map[string]*node{}, variables: map[string]*node{}}).evaluate(n, &steps)
				r.resolve(n)
				r.hideSecrets(n, false)
			}
		}
		p := &azureProject{src: &source{text: text}}
		_ = p.readXML() // an error or not: no panic
		for _, n := range r.sorted() {
			if n.Line < 0 || n.Col < 0 || n.Width < 0 {
				t.Errorf("%+v", n)
			}
		}
		RenderNotes(io.Discard, r.sorted(), r.texts(), false)
	})
}
