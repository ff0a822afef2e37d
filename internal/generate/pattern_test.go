package generate

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"
)

const allKinds = `
start: 2020-02-28T23:59:59Z
rate: 2
seed: 7
jitter: 0s
fields:
  Device: {choice: [a, "b\"q", 3, 2.5, true, null], weights: [1, 1, 1, 1, 1, 0]}
  N: {sequence: {from: 10, step: -2}}
  Load: {uniform: {min: -1, max: 1, decimals: 2}}
  Temp:
    normal:
      mean: 20
      sd: 2
      decimals: 3
  At: {time: iso}
  Ms: {time: epoch_ms}
  S: {time: epoch_s}
  Note: {text: "{Device} \"{N}\" at {At}"}
`

func TestPattern(t *testing.T) {
	p, err := ParsePattern("p.yaml", []byte(allKinds))
	if err != nil {
		t.Fatal(err)
	}
	start := time.Date(2020, 2, 28, 23, 59, 59, 0, time.UTC)
	var sum float64
	devices := map[string]int{}
	const n = 5000
	for i, line := range lines(t, p.Stream(), n) {
		var e struct {
			Device     json.RawMessage
			N          int64
			Load, Temp float64
			At         time.Time
			Ms, S      int64
			Note       string
		}
		dec := json.NewDecoder(strings.NewReader(line))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&e); err != nil {
			t.Fatalf("event %d: %v: %s", i, err, line)
		}
		at := start.Add(time.Duration(i) * 500 * time.Millisecond)
		if !e.At.Equal(at) || e.Ms != at.UnixMilli() || e.S != at.Unix() {
			t.Fatalf("event %d has the times %v, %d and %d; want %v", i, e.At, e.Ms, e.S, at)
		}
		if e.N != int64(10-2*i) {
			t.Fatalf("event %d has N %d", i, e.N)
		}
		if e.Load < -1 || e.Load > 1 {
			t.Fatalf("event %d has the load %v", i, e.Load)
		}
		sum += e.Temp
		devices[string(e.Device)]++
		if !strings.Contains(e.Note, `" at 2020-0`) {
			t.Fatalf("event %d has the note %q", i, e.Note)
		}
	}
	if mean := sum / n; math.Abs(mean-20) > 0.2 {
		t.Errorf("the mean of Temp is %v; want about 20", mean)
	}
	if len(devices) != 5 || devices["null"] != 0 || devices[`"b\"q"`] < n/10 {
		t.Errorf("devices are %v; want five kinds and no null", devices)
	}
}

func TestUniformReachesItsEnds(t *testing.T) {
	u := Uniform{Min: 1, Max: 6}
	r := rng(1)
	seen := map[string]int{}
	for range 6000 {
		seen[string(u.append(nil, &r))]++
	}
	if len(seen) != 6 || seen["1"] < 800 || seen["6"] < 800 {
		t.Errorf("a die gave %v", seen)
	}
}

func TestNoNegativeZero(t *testing.T) {
	f := func(x float64, decimals int, want string) {
		t.Helper()
		if got := string(appendNumber([]byte("x"), x, decimals)); got != "x"+want {
			t.Errorf("%v with %d decimals is %s; want %s", x, decimals, got, want)
		}
	}
	f(-0.001, 2, "0.00")
	f(-0.4, 0, "0")
	f(-1.25, 1, "-1.2")
	f(3, 0, "3")
}

func TestPatternErrors(t *testing.T) {
	f := func(src, want string) {
		t.Helper()
		_, err := ParsePattern("p.yaml", []byte(src))
		if err == nil {
			t.Errorf("no error for\n%s\nwant %s", src, want)
			return
		}
		if got := err.Error(); got != want {
			t.Errorf("error is\n%s\nwant\n%s", got, want)
		}
	}
	f("", `p.yaml: a pattern is one YAML document with the key fields`)
	f("seed: 1\n", "p.yaml:1:5: a pattern needs fields, such as\n  fields:\n    Date: {time: iso}")
	f("fields: {A: {time: iso}}\nspeed: 3\n", `p.yaml:2:1: unknown key "speed"; known are start, rate, seed, jitter, late_fraction, fields`)
	f("rate: fast\nfields: {A: {time: iso}}\n", `p.yaml:1:7: here stands "fast"; a whole number belongs here`)
	f("rate: 0\nfields: {A: {time: iso}}\n", `p.yaml:1:7: the rate of event time is 0 events a second; it must be 1 to 1000000000`)
	f("jitter: 2\nfields: {A: {time: iso}}\n", `p.yaml:1:9: "2" is no duration; write it as 2s, 150ms or 1m30s`)
	f("start: today\nfields: {A: {time: iso}}\n", `p.yaml:1:8: start "today" is no time; write it as 2018-01-10T10:10:10Z`)
	f("fields:\n  A: {time: unix}\n", `p.yaml:2:13: time is "unix"; it must be iso, epoch_ms or epoch_s`)
	f("fields:\n  A: {random: 3}\n", `p.yaml:2:7: unknown key "random"; known are choice, weights, sequence, uniform, normal, time, text`)
	f("fields:\n  A: {time: iso, text: x}\n", `p.yaml:2:3: field "A" has 2 kinds of value; give one of choice, sequence, uniform, normal, time, text`)
	f("fields:\n  A: 3\n", `p.yaml:2:6: here stands "3"; a mapping (key: value) belongs here`)
	f("fields:\n  A: {choice: []}\n", `p.yaml:2:15: choice takes a list of values, such as [a, b, c]`)
	f("fields:\n  A: {choice: [a], weights: [1, 2]}\n", `p.yaml:2:29: weights takes a list with a number for each value of choice`)
	f("fields:\n  A: {choice: [a, b], weights: [0, 0]}\n", `p.yaml:2:32: the weights must have a sum above 0`)
	f("fields:\n  A: {uniform: {min: 3, max: 1}}\n", `p.yaml:2:16: min 3 is greater than max 1`)
	f("fields:\n  A: {uniform: {decimals: 99}}\n", `p.yaml:2:27: decimals must be 0 to 15`)
	f("fields:\n  A: {text: \"{B}\"}\n  B: {time: iso}\n", `p.yaml:2:13: there is no field "B" before this one; there are: none`)
	f("fields:\n  A: {text: \"{B\"}\n", `p.yaml:2:13: "{B" is not closed; write {Field}`)
	f("fields:\n  A: {time: iso}\n  A: {time: iso}\n", `p.yaml:3:3: mapping key "A" already defined at [2:3]`)
}

func FuzzParsePattern(f *testing.F) {
	f.Add(allKinds)
	f.Add("fields: {A: {choice: [1]}}")
	f.Fuzz(func(t *testing.T, src string) {
		p, err := ParsePattern("p.yaml", []byte(src))
		if err != nil {
			return
		}
		var v map[string]any
		if line := p.Stream().Append(nil); json.Unmarshal(line, &v) != nil {
			t.Errorf("the event %q is no JSON", line)
		}
	})
}
