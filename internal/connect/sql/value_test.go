package sql

import (
	"math"
	"strings"
	"testing"
	"time"

	"weir/internal/vec"
)

func TestFit(t *testing.T) {
	f := func(c *column, v any, want any) {
		t.Helper()
		c.typ = or(c.typ, "a type")
		got, why := fit(c, val(v))
		if reason, refused := want.(error); refused {
			if why == nil || !strings.Contains(why.reason, reason.Error()) {
				t.Errorf("%v into %v gives %v, %v; want it refused", v, c.class, got, why)
			}
			return
		}
		if why != nil || got != want {
			t.Errorf("%v into %v gives %v (%T), %v; want %v (%T)", v, c.class, got, got, why, want, want)
		}
	}
	no := errText("does not fit into a column of type")
	at := vec.FromCivil(2026, 3, 5) + 23*vec.Hour + 59*vec.Minute + 59*vec.Second + 9999999
	goAt := time.Date(2026, 3, 5, 23, 59, 59, 999999900, time.UTC)

	small := &column{class: integer, lo: -32768, hi: 32767}
	f(small, 32767, int64(32767))
	f(small, 32768, no)
	f(small, -32769.0, no)
	f(small, 5.0, int64(5))
	f(small, 5.5, no)
	f(small, " 12 ", int64(12))
	f(small, "12.0", no)
	f(small, true, int64(1))
	f(small, at, no)
	f(small, rec("a", 1), no)
	f(small, nil, nil)
	big := &column{class: integer, lo: math.MinInt64, hi: math.MaxInt64}
	f(big, float64(1<<63), no)
	f(big, -float64(1<<63), int64(math.MinInt64))
	f(&column{class: integer, truth: true, hi: 127}, "TRUE", int64(1))

	double := &column{class: float}
	f(double, 1.5, 1.5)
	f(double, 1<<53, float64(1<<53))
	f(double, 1<<53+1, no)
	f(double, int64(math.MaxInt64), no)
	f(double, "1e3", 1000.0)
	f(double, "NaN", no)
	single := &column{class: float, single: true}
	f(single, 0.1, 0.1) // rounded, as the original does
	f(single, 1e300, no)
	f(single, 1<<24+1, no)

	dec := &column{class: decimal}
	f(dec, 1.25, "1.25")
	f(dec, 1e21, "1000000000000000000000")
	f(dec, "12345678901234567890.123", "12345678901234567890.123")
	f(dec, "x", no)

	yes := &column{class: boolean}
	f(yes, 1, true)
	f(yes, 2, no)
	f(yes, 0.0, false)
	f(yes, "False", false)
	f(yes, "no", no)

	f(&column{class: moment, digits: 7}, at, goAt)
	f(&column{class: moment, digits: 6}, at, goAt.Truncate(time.Microsecond))
	f(&column{class: moment, digits: 0}, at, goAt.Truncate(time.Second))
	f(&column{class: moment, digits: 9}, at, goAt)
	f(&column{class: moment, digits: 3, iso: true}, at, "2026-03-05T23:59:59.9990000Z")
	f(&column{class: moment, digits: 7}, "2026-03-06T00:59:59.9999999+01:00", goAt)
	f(&column{class: moment, digits: 7}, "soon", no)
	f(&column{class: moment, digits: 7}, 5, no)
	f(&column{class: moment, digits: 7, lo: int64(vec.FromCivil(1970, 1, 1)), hi: int64(vec.FromCivil(2020, 1, 1))}, at, no)
	f(&column{class: moment, digits: 7}, vec.Time(0), time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC))
	f(&column{class: date}, vec.FromCivil(2026, 3, 5), "2026-03-05")
	f(&column{class: date}, at, no)

	text := &column{class: textual, chars: 4}
	f(text, "äöü🚀", "äöü🚀")
	f(text, "abcde", errText("the text has 5 characters"))
	f(&column{class: textual, chars: 4, utf16: true}, "äöü🚀", errText("the text has 5 characters"))
	f(text, 1234, "1234")
	f(text, false, errText("the text has 5 characters"))
	f(&column{class: textual}, 2.0, "2")
	f(&column{class: textual}, arr(1, "a", nil), `[1,"a",null]`)
	f(&column{class: textual, noNUL: true}, "a\x00b", errText("NUL"))

	doc := &column{class: document}
	f(doc, rec("a", 2.0), `{"a":2.0}`)
	f(doc, `{"a": 1}`, `{"a": 1}`)
	f(doc, "a", `"a"`)
	f(doc, at, `"2026-03-05T23:59:59.9999999Z"`)
	f(doc, 1, "1")

	free := &column{class: anything}
	f(free, "007", "007")
	f(free, true, int64(1))
	f(free, at, "2026-03-05T23:59:59.9999999Z")
	f(&column{class: other}, 1.5, "1.5")

	f(&column{class: textual, needed: true}, nil, errText("takes no NULL"))
	f(&column{class: textual, needed: true, filled: true}, nil, nil)
}

type errText string

func (e errText) Error() string { return string(e) }
