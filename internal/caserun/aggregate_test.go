package caserun

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"weir/internal/testkit"
)

// collectors are aggregates that do what Collect does, in the ways that an aggregate may be
// written. Those that take rows back check that these are the oldest.
var collectors = map[string]string{
	"only": `function main() {
		this.init = function () { this.list = [] };
		this.accumulate = function (x, t) { if (!(t instanceof Date)) throw new Error('no time'); this.list.push(x) };
		this.computeResult = function () { return this.list };
	}`,
	"closure": `function main() {
		var list;
		this.init = function () { list = [] };
		this.accumulate = function (x) { list.push(x) };
		this.computeResult = function () { return list };
	}`,
	"rows": `class main {
		init() { this.list = [] }
		accumulate(x) { this.list.push(x) }
		deaccumulate(x) { if (this.list.shift() !== x) throw new Error('not the oldest') }
		computeResult() { return this.list }
	}`,
	"panes": `function main() { }
		main.prototype = {
		init: function () { this.list = [] },
		accumulate: function (x) { this.list.push(x) },
		deaccumulateState: function (other) {
			other.list.forEach(function (x) { if (this.list.shift() !== x) throw new Error('not the oldest') }, this) },
		computeResult: function () { return this.list }
	}`,
	"both": `class main {
		init() { this.map = new Map(); this.from = this.to = 0; this.unused = Infinity }
		accumulate(x) { this.map.set(this.to++, x) }
		deaccumulate(x) { if (this.map.get(this.from) !== x) throw new Error('not the oldest'); this.map.delete(this.from++) }
		deaccumulateState(other) { for (const x of other.map.values()) this.deaccumulate(x) }
		computeResult() { if (this.unused !== Infinity) throw new Error('the state was damaged'); return [...this.map.values()] }
	}`,
}

// TestAggregatesCollect holds user aggregates against Collect, in every window and way.
func TestAggregatesCollect(t *testing.T) {
	f := func(window string, n int, second float64) {
		t.Helper()
		c := &testkit.Case{Name: window}
		selected := "SELECT Collect(v) AS want"
		names := []string{"only", "rows", "panes", "both"}
		if n < 1000 { // a snapshot of a long window holds the properties of a state only
			names = append(names, "closure")
		}
		for _, name := range names {
			selected += ", UDA." + name + "(v) AS [" + name + "]"
			c.Functions = append(c.Functions, testkit.Function{Name: "UDA." + name, Source: collectors[name]})
		}
		c.Query = selected + " FROM input TIMESTAMP BY t GROUP BY k, " + window
		r := rand.New(rand.NewPCG(1, 2))
		var events []byte
		values := []string{"1", "2.5", `"text"`, "null", "true", "9007199254740993", `"é\ud83d\ude00"`}
		at := 0.0
		for range n {
			at += float64(r.IntN(4)) * second / 4
			v := values[r.IntN(len(values))]
			events = fmt.Appendf(events, `{"t":"2024-01-01T00:%02d:%06.3fZ","k":%d,"v":%s}`+"\n", int(at)/60%60, at-float64(int(at)/60*60), r.IntN(3), v)
		}
		c.Inputs = []testkit.Input{{Name: "input", Events: strings.Split(strings.TrimSpace(string(events)), "\n")}}
		for _, w := range testkit.Ways(1) {
			if n > 1000 && (w.Batch == 1 || w.Snapshot) {
				w.Batch = 100 // each batch costs a snapshot of all rows
			}
			rows, err := Engine(c, w)
			if err != nil {
				t.Errorf("%s, %s: %v", window, w.Name, err)
				return
			}
			if len(rows["output"]) == 0 {
				t.Errorf("%s, %s: no rows", window, w.Name)
			}
			for _, row := range rows["output"] {
				for _, name := range names {
					want := strings.ReplaceAll(raw(row, "want"), "9007199254740993", "9007199254740992")
					if got := raw(row, name); got != want {
						t.Errorf("%s, %s: %s gives %s, want %s", window, w.Name, name, got, want)
						return
					}
				}
			}
		}
	}
	f("TumblingWindow(second, 10)", 30, 1)
	f("HoppingWindow(second, 10, 2)", 30, 1)
	f("HoppingWindow(second, 4, 6)", 30, 1)
	f("HoppingWindow(second, 10, 4)", 30, 1)
	f("SlidingWindow(second, 7)", 30, 1)
	f("SessionWindow(second, 2, 20)", 30, 1)
	f("System.Timestamp()", 30, 1)
	f("Windows(TumblingWindow(second, 10), HoppingWindow(second, 10, 5), SlidingWindow(second, 3))", 20, 1)
	f("TumblingWindow(hour, 1)", 1600, 0.1)
	f("SessionWindow(hour, 1, 2)", 1600, 0.1)
}

// raw is the JSON text of a column.
func raw(row testkit.Row, name string) string {
	v, _ := row.Get(name)
	return v.Raw
}
