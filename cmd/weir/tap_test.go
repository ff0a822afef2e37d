package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestTap: rows of every part of a job, with and without a filter.
func TestTap(t *testing.T) {
	o := operate(t)
	f := func(line string, args ...string) {
		t.Helper()
		v := o.start(false, append([]string{"tap", "flow"}, args...)...)
		v.until("rows come", func() bool { return len(v.done) > 0 })
		if code := v.end(); code != 0 {
			t.Fatalf("%v ends with %d: %s", args, code, v.err)
		}
		rows := strings.Split(strings.TrimSuffix(v.out.String(), "\n"), "\n")
		if len(rows) != 3 {
			t.Errorf("%v gives %d rows:\n%s", args, len(rows), v.out)
		}
		for _, row := range rows {
			if !regexp.MustCompile("^" + line + "$").MatchString(row) {
				t.Errorf("%v gives %s", args, row)
			}
		}
	}
	f(`\{"n":\d+,"name":"東京"\}`, "events", "-n", "3")
	f(`\{"n":\d*[02468],"name":"東京"\}`, "EVENS", "-n", "3")
	f(`\{"n":\d*[02468],"name":"東京"\}`, "rows", "-n", "3", "--rate", "0")
	f(`\{"n":\d*[05]\}`, "events", "-n", "3", "--where", "n % 5 = 0", "--select", "n")
	f(`\{"n":\d+,"l":2\}`, "evens", "-n", "3", "--select", "n, LEN(name) AS l")
}

// TestTapTellsWhatIsLeftOut: rows beyond the rate are counted.
func TestTapTellsWhatIsLeftOut(t *testing.T) {
	o := operate(t)
	count := regexp.MustCompile(`(\d+) rows left out: they came faster than --rate 1,`)
	for _, filter := range [][]string{nil, {"--where", "n >= 0"}} {
		v := o.start(false, append([]string{"tap", "flow", "events", "--rate", "1"}, filter...)...)
		v.until("rows are left out", func() bool { return count.MatchString(v.err.String()) })
		v.cancel()
		if code := v.end(); code != 0 {
			t.Errorf("an interrupted tap ends with %d: %s", code, v.err)
		}
	}
	v := o.start(false, "tap", "flow", "events", "--select", "CAST(name AS bigint) AS x")
	v.until("the filter fails", func() bool {
		return strings.Contains(v.err.String(), "left out: the filter failed: cannot cast value '東京'")
	})
}

// TestTapGoesOn: a tap outlives the run of the job.
func TestTapGoesOn(t *testing.T) {
	o := operate(t)
	v := o.start(false, "tap", "flow", "rows")
	v.until("rows come", func() bool { return v.out.String() != "" })
	if _, err := o.svc.Stop(o.ctx, "flow"); err != nil {
		t.Fatal(err)
	}
	o.until("it waits", func() bool { return strings.Contains(v.err.String(), "flow is stopped; waiting until it runs again") })
	before := v.out.String()
	if _, err := o.svc.Start(o.ctx, "flow", serviceStart); err != nil {
		t.Fatal(err)
	}
	v.until("rows come again", func() bool { return len(v.out.String()) > len(before) })
	if !strings.Contains(v.err.String(), "flow runs again") {
		t.Errorf("it says %s", v.err)
	}
	if err := o.svc.Delete(o.ctx, "flow"); err != nil {
		t.Fatal(err)
	}
	if code := v.end(); code != exitUsage || !strings.Contains(v.err.String(), `there is no such job as "flow"`) {
		t.Errorf("the tap of a job that is gone ends with %d: %s", code, v.err)
	}
}

// TestTapDeadLetters: they come as rows.
func TestTapDeadLetters(t *testing.T) {
	o := operate(t)
	v := o.start(false, "tap", "flow", "$deadletter", "-n", "2", "--where", "name LIKE '%InvalidData'", "--select", "payload")
	o.until("dead letters come", func() bool {
		o.write("in.jsonl", "nonsense\n")
		return len(v.done) > 0
	})
	if code := v.end(); code != 0 || v.out.String() != "{\"payload\":\"nonsense\"}\n{\"payload\":\"nonsense\"}\n" {
		t.Errorf("%d\n%s%s", code, v.out, v.err)
	}
}

// TestTapMistakes: what cannot be tapped, and what can.
func TestTapMistakes(t *testing.T) {
	o := operate(t)
	f := func(want string, args ...string) {
		t.Helper()
		if _, said := o.run(exitUsage, append([]string{"tap"}, args...)...); !strings.Contains(said, want) {
			t.Errorf("%v says\n%s\nand not\n%s", args, said, want)
		}
	}
	f("say what to tap: weir tap flow STEP\n  inputs   events\n  steps    evens\n  outputs  rows\n  letters  '$deadletter'", "flow")
	f(`the job "flow" has no step, input or output "evns"; did you mean "evens"?`, "flow", "evns")
	f(`there is no such job as "flw"`, "flw", "evens")
	f("--> filter:3:10\n", "flow", "evens", "--where", "n >")
	f("--> filter:1:8\n", "flow", "evens", "--select", "LENN(n)")
	f("no windows, joins", "flow", "evens", "--select", "LAG(n) OVER (LIMIT DURATION(second, 1)) AS p")
	f("one SELECT", "flow", "evens", "--where", "n > 0 SELECT n INTO other FROM more")
	f("--rate is from 0", "flow", "evens", "--rate=-1")
	if _, err := o.svc.Stop(o.ctx, "flow"); err != nil {
		t.Fatal(err)
	}
	f(`so no dead letters come; "weir job deadletters flow"`, "flow", "$deadletter")
	if _, said := o.run(exitUsage, "tap", "flow", "evens"); !strings.Contains(said, `start it with "weir job start flow"`) {
		t.Errorf("of a job that does not run it says %s", said)
	}
}

// TestTapTable: on a terminal rows are a table, which begins anew when columns come.
func TestTapTable(t *testing.T) {
	f := func(want string, width int, rows ...string) {
		t.Helper()
		out := &textOf{}
		p := newTapPrinter(&console{out: out, outTTY: true, width: width})
		var list []json.RawMessage
		for _, r := range rows {
			list = append(list, json.RawMessage(r))
		}
		if err := p.rows(list); err != nil {
			t.Fatal(err)
		}
		if err := p.close(); err != nil {
			t.Fatal(err)
		}
		if got := out.String(); got != want {
			t.Errorf("%v is drawn as\n%s", rows, got)
		}
	}
	f("┌───┬──────┐\n│ n │ name │\n├───┼──────┤\n│ 1 │ 東京 │\n│ 2 │      │\n└───┴──────┘\n", 80, `{"n":1,"name":"東京"}`, `{"n":2,"name":null}`)
	f("┌───┐\n│ a │\n├───┤\n│ 1 │\n└───┘\n┌───┬─────────┐\n│ a │ b       │\n├───┼─────────┤\n│   │ {\"c\":2} │\n│ 3 │         │\n└───┴─────────┘\n", 80,
		`{"a":1}`, `{"b":{"c":2}}`, `{"a":3}`)
	f("┌─────┐\n│ row │\n├─────┤\n│ [1] │\n└─────┘\n", 80, `[1]`)
	f("", 80)
	var wide strings.Builder
	for i := range maxTapColumns + 5 {
		fmt.Fprintf(&wide, `,"c%d":%d`, i, i)
	}
	out := &textOf{}
	p := newTapPrinter(&console{out: out, outTTY: true, width: 0})
	if err := p.rows([]json.RawMessage{json.RawMessage("{" + wide.String()[1:] + "}")}); err != nil {
		t.Fatal(err)
	}
	if len(p.names) != maxTapColumns || slices.Contains(p.names, "c40") {
		t.Errorf("the table has the columns %v", p.names)
	}
}
