package exec_test

import (
	"slices"
	"testing"

	"weir/internal/exec"
)

// typedEvents: the second and the fourth do not fit.
var typedEvents = []string{
	`{"at":"12:00:00","name":"a","n":1,"x":1.5}`,
	`{"at":"12:00:01","name":"b","n":"two","x":2}`,
	`{"at":"12:00:02","name":"c","n":3,"x":3}`,
	`{"at":"soon","name":"d","n":4,"x":4}`,
	`{"at":"12:00:04","name":"e","n":true,"x":null}`,
	`{"at":"12:00:05","name":"f"}`,
}

const typedTable = "CREATE TABLE a (at datetime, name nvarchar(max), n bigint, x float); "

func TestTypedInput(t *testing.T) {
	p := &play{query: typedTable + "SELECT name, n, x FROM a TIMESTAMP BY at", events: map[string][]string{"a": typedEvents}}
	p.everyWay(t, "12:00:00 'a' 1 1.5", "12:00:02 'c' 3 3.0", "12:00:04 'e' 1 null", "12:00:05 'f' null null")
	if want := []string{"a 1: InputDeserializerError.TypeConversionError", "a 3: InputDeserializerError.TypeConversionError"}; !slices.Equal(p.drops, want) {
		t.Errorf("drops %q, want %q", p.drops, want)
	}
	if n := p.counts.Dropped[exec.TypeConversion]; n != 2 {
		t.Errorf("%d events counted, want 2", n)
	}
}

// TestTypedNames: a column is checked however the query writes its name.
func TestTypedNames(t *testing.T) {
	p := &play{query: typedTable + "SELECT MAX(NAME) AS m FROM A TIMESTAMP BY AT GROUP BY TumblingWindow(minute, 1)",
		events: map[string][]string{"a": {`{"at":"12:00:01","name":"x"}`, `{"at":"12:00:02","name":7}`, `{"at":"12:00:03","name":"y"}`}}}
	p.everyWay(t, "12:01:00 'y'")
}

// TestDropAfterTyped: a policy that drops an event names it by its place in the batch that
// was pushed, although events before it did not fit the table.
func TestDropAfterTyped(t *testing.T) {
	p := &play{query: typedTable + "SELECT name FROM a TIMESTAMP BY at", opts: exec.Options{Drop: true},
		events: map[string][]string{"a": {typedEvents[1], typedEvents[5], typedEvents[3], typedEvents[0], typedEvents[4]}}}
	for _, w := range ways {
		p.way = w
		p.gives(t, "12:00:05 'f'")
		want := []string{"a 0: InputDeserializerError.TypeConversionError", "a 2: InputDeserializerError.TypeConversionError",
			"a 3: OutOfOrderEvent", "a 4: OutOfOrderEvent"}
		slices.Sort(p.drops)
		if !slices.Equal(p.drops, want) {
			t.Errorf("%v: drops %q, want %q", w, p.drops, want)
		}
	}
}

// TestTypedKeepsTheBatch: the decoder reuses its columns; what the engine does with one
// batch must not clear the next one.
func TestTypedKeepsTheBatch(t *testing.T) {
	query := "CREATE TABLE a (name nvarchar(max)); SELECT name FROM a"
	pl := compile(t, query)
	var got []string
	g, err := exec.Build(pl, exec.Options{Sample: true, Start: base, OnRows: onTexts(&got)})
	if err != nil {
		t.Fatal(err)
	}
	b := textBatch("x", "y")
	for range 2 {
		b.Cols[0].Str[0], b.Cols[0].Str[1] = "x", "y"
		if err := g.Push(0, b); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.Close(0); err != nil {
		t.Fatal(err)
	}
	if want := []string{"12:00:00 'x'", "12:00:00 'y'", "12:00:00 'x'", "12:00:00 'y'"}; !slices.Equal(got, want) {
		t.Errorf("rows %q, want %q", got, want)
	}
	if b.Cols[0].Str[0] != "x" {
		t.Errorf("the batch that was pushed has been changed: %q", b.Cols[0].Str)
	}
}
