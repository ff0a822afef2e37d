package suite

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"weir/internal/testkit"
	"weir/internal/vec"
)

// defaultDay is the day of times that are written without one: the day on which runs on
// samples start.
var defaultDay = vec.FromCivil(2020, 1, 1)

// timeOfDay is a time without a day.
var timeOfDay = regexp.MustCompile(`^([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d)(?:\.(\d{1,7}))?)?$`)

// parseTimeOfDay reads 12:00, 12:00:11 or 12:00:11.25.
func parseTimeOfDay(s string) (vec.Time, bool) {
	m := timeOfDay.FindStringSubmatch(s)
	if m == nil {
		return 0, false
	}
	hour, _ := strconv.Atoi(m[1])
	minute, _ := strconv.Atoi(m[2])
	second, _ := strconv.Atoi(m[3]) // 0 if it is left out
	ticks, _ := strconv.Atoi((m[4] + "0000000")[:7])
	return vec.Time(hour)*vec.Hour + vec.Time(minute)*vec.Minute + vec.Time(second)*vec.Second + vec.Time(ticks), true
}

// parseTime reads a time of a test: a time of day, which is on the test's day, or a full time.
func parseTime(s string, day vec.Time) (vec.Time, bool) {
	if t, ok := parseTimeOfDay(s); ok {
		return day + t, true
	}
	return vec.ParseTime(s)
}

// shortTime is a time as people like to read it: without the day if that is the test's, and
// without zeros behind the second.
func shortTime(t, day vec.Time) string {
	if t == vec.MinTime || t == vec.MaxTime {
		return t.String()
	}
	s := strings.TrimSuffix(t.String(), "Z")
	if i := strings.IndexByte(s, '.'); i >= 0 {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	if t >= day && t < day+vec.Day {
		_, s, _ = strings.Cut(s, "T")
		return s
	}
	return s + "Z"
}

// shortSpan is a duration in words such as 1m30s.
func shortSpan(t vec.Time) string {
	const most = vec.Time(1<<63-1) / 100
	return (time.Duration(min(t, most)) * 100).String()
}

// ticks is a duration in ticks; negative stays "no limit".
func ticks(d time.Duration) vec.Time {
	if d < 0 {
		return -1
	}
	return vec.Time(d / 100)
}

// value is what a node of a test file stands for in an event or row. A time of day without
// quotes is a time on the day of the test.
func (n *node) value(day vec.Time) testkit.Value {
	v := testkit.Value{}
	switch n.kind {
	case nullNode:
		v.Raw = "null"
	case textNode:
		v.Kind, v.Text = testkit.String, n.text
		if n.plain {
			if t, ok := parseTimeOfDay(n.text); ok {
				v.Text = (day + t).String()
			}
		}
		v.Raw = string(vec.AppendJSONString(nil, v.Text))
	case numberNode:
		v.Kind, v.Raw = testkit.Number, n.text
	case boolNode:
		v.Kind, v.Raw = testkit.Bool, n.text
	case listNode:
		v.Kind = testkit.Array
		for _, item := range n.items {
			v.Items = append(v.Items, item.value(day))
		}
		v.Raw = rawOf(v)
	case objectNode:
		v.Kind = testkit.Object
		for _, k := range n.keys {
			v.Names, v.Items = append(v.Names, k.name), append(v.Items, k.value.value(day))
		}
		v.Raw = rawOf(v)
	}
	return v
}

// rawOf is the JSON text of a list or object from those of its parts.
func rawOf(v testkit.Value) string {
	var b []byte
	if v.Kind == testkit.Array {
		b = append(b, '[')
		for i := range v.Items {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, v.Items[i].Raw...)
		}
		return string(append(b, ']'))
	}
	b = append(b, '{')
	for i := range v.Items {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(vec.AppendJSONString(b, v.Names[i]), ':')
		b = append(b, v.Items[i].Raw...)
	}
	return string(append(b, '}'))
}

// textValue is a text as a value.
func textValue(s string) testkit.Value {
	return testkit.Value{Kind: testkit.String, Text: s, Raw: string(vec.AppendJSONString(nil, s))}
}

// with is an object with one more key.
func with(v testkit.Value, name string, item testkit.Value) testkit.Value {
	v.Names = append(v.Names[:len(v.Names):len(v.Names)], name)
	v.Items = append(v.Items[:len(v.Items):len(v.Items)], item)
	v.Raw = rawOf(v)
	return v
}

// without is an object without some keys.
func without(v testkit.Value, leave func(name string) bool) testkit.Value {
	out := testkit.Value{Kind: v.Kind}
	for i, n := range v.Names {
		if !leave(n) {
			out.Names, out.Items = append(out.Names, n), append(out.Items, v.Items[i])
		}
	}
	out.Raw = rawOf(out)
	return out
}

// equal reports whether two values are the same: as testkit says, and texts that are ISO
// 8601 times are the same if they are the same moment.
func equal(a, b testkit.Value) bool {
	if testkit.Equal(a, b) {
		return true
	}
	if a.Kind != b.Kind {
		return false
	}
	switch a.Kind {
	case testkit.String:
		x, ok := momentOf(a.Text)
		y, ok2 := momentOf(b.Text)
		return ok && ok2 && x == y
	case testkit.Array:
		if len(a.Items) != len(b.Items) {
			return false
		}
		for i := range a.Items {
			if !equal(a.Items[i], b.Items[i]) {
				return false
			}
		}
		return true
	case testkit.Object:
		if len(a.Names) != len(b.Names) {
			return false
		}
		for i, name := range a.Names {
			if other, ok := b.Get(name); !ok || !equal(a.Items[i], other) {
				return false
			}
		}
		return true
	}
	return false
}

// momentOf reads a full time: a day, and a time of day.
func momentOf(s string) (vec.Time, bool) {
	if len(s) < len("2006-01-02T15:04") || s[4] != '-' || s[7] != '-' || s[10] != 'T' && s[10] != ' ' {
		return 0, false
	}
	return vec.ParseTime(s)
}
