package plan

import (
	"hash/fnv"
	"io"
	"os"
	"strings"
	"testing"

	"weir/internal/saql"
)

// seeds are the queries of the golden files.
func seeds(t testing.TB) []string {
	t.Helper()
	var out []string
	for _, file := range []string{"testdata/diagnostics.txt", "testdata/explain.txt"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "> ") {
				query, _ := options(strings.TrimSpace(line[2:]))
				out = append(out, query)
			}
		}
	}
	return out
}

// tryCompile compiles any text; what compiles must be a sound plan.
func tryCompile(t *testing.T, query string) {
	t.Helper()
	defer func() {
		if r := recover(); r != nil {
			t.Fatalf("%s\npanic: %v", query, r)
		}
	}()
	script, list := saql.Parse(query)
	if list.HasErrors() {
		// An editor checks what could be read of a broken text.
		Compile(script, testEnv())
		return
	}
	p, list := Compile(script, testEnv())
	if (p == nil) != list.HasErrors() {
		t.Fatalf("%s\nplan %v with findings %v", query, p != nil, list)
	}
	for _, d := range list {
		if d.Span.Start < 0 || d.Span.End < d.Span.Start || d.Span.End > len(query) {
			t.Fatalf("%s\n%v is at %v", query, d, d.Span)
		}
	}
	if p != nil {
		checkPlan(t, p)
		p.Explain(io.Discard)
		p.StageID(0)
	}
}

// TestMixedQueries compiles queries that are put together from pieces of others.
func TestMixedQueries(t *testing.T) {
	all := seeds(t)
	var words []string
	for _, q := range all {
		words = append(words, tokens(q)...)
	}
	state := uint64(1)
	next := func(n int) int {
		h := fnv.New64a()
		h.Write([]byte{byte(state), byte(state >> 8), byte(state >> 16), byte(state >> 24)})
		state++
		return int(h.Sum64() >> 33 % uint64(n))
	}
	for range 5000 {
		w := append([]string(nil), tokens(all[next(len(all))])...)
		for range 1 + next(3) {
			i := next(len(w))
			switch next(4) {
			case 0:
				w[i] = words[next(len(words))]
			case 1:
				w = append(w[:i], w[min(i+1+next(3), len(w)):]...)
			case 2:
				w[i] += " " + words[next(len(words))]
			default:
				w[i], w[next(len(w))] = w[next(len(w))], w[i]
			}
			if len(w) == 0 {
				break
			}
		}
		tryCompile(t, strings.Join(w, " "))
	}
}

// tokens cuts a query at blanks and around punctuation.
func tokens(q string) []string {
	for _, p := range []string{"(", ")", ",", "."} {
		q = strings.ReplaceAll(q, p, " "+p+" ")
	}
	return strings.Fields(q)
}

func FuzzCompile(f *testing.F) {
	for _, q := range seeds(f) {
		f.Add(q)
	}
	f.Fuzz(func(t *testing.T, query string) {
		if len(query) < 4096 {
			tryCompile(t, query)
		}
	})
}
