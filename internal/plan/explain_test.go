package plan

import (
	"os"
	"strings"
	"testing"

	"weir/internal/vec"
)

// TestExplain compares plans in words with testdata/explain.txt.
func TestExplain(t *testing.T) {
	const file = "testdata/explain.txt"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "> ") {
			if strings.HasPrefix(line, "# ") {
				b.WriteString(line + "\n")
			}
			continue
		}
		b.WriteString(line)
		p, list := compileText(strings.TrimSpace(line[2:]), testEnv())
		if p == nil {
			t.Fatalf("%s%v", line, list)
		}
		var out strings.Builder
		p.Explain(&out)
		tree, _, _ := strings.Cut(out.String(), "guarantees:") // the same for all
		b.WriteString(tree + "\n")
	}
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	diffLines(t, string(text), b.String())
}

func TestGuarantees(t *testing.T) {
	p, _ := compileText("SELECT a FROM input", testEnv())
	var out strings.Builder
	p.Explain(&out)
	if !strings.Contains(out.String(), "\nguarantees: the same events give the same rows with the same times,") {
		t.Errorf("no guarantees in:\n%s", out.String())
	}
}

func TestDuration(t *testing.T) {
	f := func(d vec.Time, want string) {
		t.Helper()
		if got := duration(d); got != want {
			t.Errorf("duration(%d) = %q, want %q", int64(d), got, want)
		}
	}
	f(0, "0 s")
	f(vec.Day, "1 d")
	f(36*vec.Hour, "36 h")
	f(90*vec.Second, "90 s")
	f(1500*vec.Millisecond, "1500 ms")
	f(7, "700 ns")
}

func TestWindowEnds(t *testing.T) {
	f := func(hop, offset vec.Time, want string) {
		t.Helper()
		if got := endsText(hop, offset); got != want {
			t.Errorf("endsText(%v, %v) = %q, want %q", int64(hop), int64(offset), got, want)
		}
	}
	f(vec.Second, 0, "whole seconds")
	f(vec.Day, 0, "midnights UTC")
	f(5*vec.Minute, 0, "multiples of 5 min")
	f(10*vec.Minute, 3*vec.Minute, "multiples of 10 min plus 3 min")
	f(vec.Hour, vec.Hour-vec.Millisecond, "whole hours minus 1 ms")
}

// TestExplainIsShort: what columns are computed from is told, but not all the way down.
func TestExplainIsShort(t *testing.T) {
	f := func(query, step string) {
		t.Helper()
		for range 40 {
			query = strings.ReplaceAll(step, "?", query)
		}
		p := mustCompile(t, query)
		var text strings.Builder
		p.Explain(&text)
		if text.Len() > 200_000 {
			t.Errorf("%s: %d bytes", step, text.Len())
		}
		seen := map[string]bool{}
		for _, n := range p.Nodes {
			if _, ok := n.Op.(*Project); ok {
				continue // has the name of its input
			}
			if id := p.NodeID(n); seen[id] {
				t.Errorf("%s: two nodes have the name %s", step, id)
			} else {
				seen[id] = true
			}
		}
	}
	f("SELECT a.v FROM input AS a TIMESTAMP BY time", "SELECT LAG(v) OVER (LIMIT DURATION(second, 5) WHEN v + v > 1) + v AS v FROM (?) AS x WHERE v > 0")
	f("SELECT TopOne() OVER (ORDER BY v) AS v FROM input TIMESTAMP BY time GROUP BY TumblingWindow(second, 1)",
		"SELECT LAST(v) OVER (LIMIT DURATION(second, 5)) AS v FROM (?) AS x WHERE v = v")
}
