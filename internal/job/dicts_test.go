package job

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// growing makes n events whose dictionaries grow to the end: every name comes four times,
// far apart, and some rows have no name or a number.
func growing(n int) string {
	var b strings.Builder
	x := uint32(7)
	for i := range n {
		x = x*1664525 + 1013904223
		name := fmt.Sprintf(`"name %d"`, uint32(i)*2654435761>>8%uint32(n/4+1))
		switch {
		case i%997 == 0:
			name = "null"
		case i%1009 == 0:
			name = "17"
		}
		at := time.Date(2020, 1, 1, 0, 0, 10, 0, time.UTC).Add(time.Duration(i*20-int(x>>8%1500)) * time.Millisecond)
		fmt.Fprintf(&b, `{"k":%s,"g":"g%d","id":"%x","at":"%s","n":%d,"pad":%q}`+"\n", name, x>>16%5, x, at.Format("2006-01-02T15:04:05.000Z"), i, strings.Repeat("y", 90))
	}
	return b.String()
}

// TestRunDictionaries: rows that operators keep from one batch to the next carry codes of
// a dictionary that its decoder may be filling at that time.
func TestRunDictionaries(t *testing.T) {
	events := growing(12_000)
	f := func(query string) {
		t.Helper()
		for _, sample := range []bool{false, true} {
			o := Options{OutOfOrder: 3 * time.Second, Late: -1, Sample: sample, Workers: 1}
			want, _, _ := rowsOf(t, query, o, text(events))
			if strings.Count(want, "\n") < 10 {
				t.Fatalf("%s: few rows\n%s", query, want)
			}
			o.Workers = 4
			if got, _, _ := rowsOf(t, query, o, text(events)); got != want {
				t.Errorf("%s\nsample %v: other rows", query, sample)
			}
		}
	}
	const from = ` FROM e TIMESTAMP BY at `
	f(`SELECT k, n, System.Timestamp() AS t` + from)
	f(`SELECT k, g` + from + `WHERE k LIKE '%7%' AND k <> 'name 70'`)
	f(`SELECT UPPER(k) AS u, LEN(k) AS l, CONCAT(k, g) AS kg` + from)
	f(`SELECT k, COUNT(*) AS c` + from + `GROUP BY k, TumblingWindow(second, 20)`)
	f(`SELECT g, COUNT(DISTINCT k) AS d` + from + `GROUP BY g, SlidingWindow(second, 1)`)
	f(`SELECT g, COUNT(DISTINCT k) AS d` + from + `GROUP BY g, SessionWindow(second, 1, 10)`)
	f(`SELECT g, COUNT(DISTINCT k) AS d` + from + `GROUP BY g, HoppingWindow(second, 20, 5)`)
	f(`SELECT id, k` + from + `WHERE id <> k`)
	f(`SELECT g, COUNT(DISTINCT id) AS d` + from + `GROUP BY g, SlidingWindow(second, 1)`)
	f(`WITH w AS (SELECT k, g, n` + from + `) SELECT g, k, MAX(n) AS n FROM w GROUP BY g, k, SlidingWindow(second, 2)`)
	f(`SELECT k, g` + from + `WHERE k LIKE 'name 1%' UNION SELECT k, g` + from + `WHERE n % 3 = 0`)
}
