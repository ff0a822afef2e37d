package generate

import (
	"bytes"
	"encoding/json"
	"hash/fnv"
	"io"
	"strings"
	"testing"
	"time"
)

// lines are the first n events of s.
func lines(t *testing.T, s Stream, n int64) []string {
	t.Helper()
	b, err := io.ReadAll(NewReader(s, n))
	if err != nil {
		t.Fatal(err)
	}
	l := strings.SplitAfter(string(b), "\n")
	if l[len(l)-1] != "" {
		t.Fatalf("the last event has no line end: %q", l[len(l)-1])
	}
	return l[:len(l)-1]
}

func settings(seed uint64) Settings {
	return Settings{Seed: seed, Start: DefaultStart, Rate: DefaultRate}
}

func TestDowntimeEvents(t *testing.T) {
	d := Downtime{Settings: settings(1), Teams: 100}
	d.Jitter = 2 * time.Second
	got := lines(t, d.Stream(), 100_000)
	if len(got) != 100_000 {
		t.Fatalf("%d events; want 100000", len(got))
	}
	type event struct {
		TeamId, ServiceId string
		Date              time.Time
		StatusCode        int
		Status            bool
	}
	teams, codes, serverErrors, size := map[string]int{}, map[int]int{}, 0, 0
	for i, line := range got {
		size += len(line)
		var e event
		dec := json.NewDecoder(strings.NewReader(line))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&e); err != nil {
			t.Fatalf("event %d: %v: %s", i, err, line)
		}
		teams[e.TeamId]++
		codes[e.StatusCode]++
		if e.StatusCode >= 500 {
			serverErrors++
		}
		if !strings.HasPrefix(e.ServiceId, e.TeamId) {
			t.Fatalf("service %q is not of team %q", e.ServiceId, e.TeamId)
		}
		if e.Status != (e.StatusCode < 400) {
			t.Fatalf("status %v with code %d", e.Status, e.StatusCode)
		}
		at := DefaultStart.Add(time.Duration(i) * time.Second / 10_000).Truncate(time.Millisecond)
		if back := at.Sub(e.Date); back < 0 || back > 2*time.Second {
			t.Fatalf("event %d is %v before its place", i, back)
		}
	}
	if len(teams) != 100 || teams["Team01"] == 0 || teams["Team100"] == 0 {
		t.Errorf("%d teams; want Team01 to Team100", len(teams))
	}
	if len(codes) != 10 {
		t.Errorf("%d status codes; want 10", len(codes))
	}
	if serverErrors < 29_000 || serverErrors > 31_000 {
		t.Errorf("%d of 100000 events are server errors; want about 30000", serverErrors)
	}
	if mean := size / len(got); mean < 105 || mean > 115 {
		t.Errorf("an event has %d bytes; want about 110", mean)
	}
}

func TestSameSeedSameBytes(t *testing.T) {
	f := func(s Stream, want uint64) {
		t.Helper()
		h := fnv.New64a()
		if _, err := io.Copy(h, NewReader(s, 10_000)); err != nil {
			t.Fatal(err)
		}
		if got := h.Sum64(); got != want {
			t.Errorf("hash of the events is %#x; want %#x: the stream of a seed has changed", got, want)
		}
	}
	f(Downtime{Settings: settings(1), Teams: 100}.Stream(), 0x48cb67843c39189d)
	f(Downtime{Settings: settings(2), Teams: 100}.Stream(), 0xfdd02723f5d78482)
	f(Downtime{Settings: settings(1), Teams: 12, Outages: true}.Stream(), 0xfd1043f64b849838)
	f(AccessLog{settings(1)}.Stream(), 0xd4909abc67c8561c)
}

func TestManyTeamsHaveTheirNames(t *testing.T) {
	d := Downtime{Settings: settings(3), Teams: 200_000}
	beyond := 0
	for _, line := range lines(t, d.Stream(), 2000) {
		var e struct{ TeamId, ServiceId string }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if len(e.TeamId) > len("Team50000") || e.TeamId > "Team50000" && len(e.TeamId) == 9 {
			beyond++
		}
	}
	if beyond < 1000 {
		t.Errorf("%d of 2000 events are of the teams above 50000; want most", beyond)
	}
}

func TestLateFraction(t *testing.T) {
	d := Downtime{Settings: settings(1), Teams: 10}
	d.LateFraction = 0.1
	late := 0
	for i, line := range lines(t, d.Stream(), 20_000) {
		var e struct{ Date time.Time }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		at := DefaultStart.Add(time.Duration(i) * time.Second / 10_000).Truncate(time.Millisecond)
		if back := at.Sub(e.Date); back >= LateBy {
			late++
		} else if back != 0 {
			t.Fatalf("event %d is %v back: neither in its place nor late", i, back)
		}
	}
	if late < 1800 || late > 2200 {
		t.Errorf("%d of 20000 events are late; want about 2000", late)
	}
}

func TestOutages(t *testing.T) {
	// Ten minutes of one service: every event within an outage fails, none outside.
	d := Downtime{Settings: settings(5), Teams: 4, Outages: true}
	d.Rate = 120
	type key struct {
		service string
		second  int64
	}
	state := map[key]bool{}
	up, down := 0, 0
	for _, line := range lines(t, d.Stream(), 120*3600) {
		var e struct {
			ServiceId string
			Date      time.Time
			Status    bool
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		k := key{e.ServiceId, e.Date.Unix()}
		if old, ok := state[k]; ok && old != e.Status {
			t.Fatalf("%v is up and down in one second", k)
		}
		state[k] = e.Status
		if e.Status {
			up++
		} else {
			down++
		}
	}
	if share := float64(down) / float64(up+down); share < 0.01 || share > 0.2 {
		t.Errorf("%.3f of the time is downtime; want some, not most", share)
	}
}

func TestAccessLogEvents(t *testing.T) {
	size := 0
	statuses := map[int]int{}
	for i, line := range lines(t, AccessLog{settings(1)}.Stream(), 20_000) {
		var e struct {
			Time                              time.Time
			Host, Remote, Method, Path, Agent string
			Status, Bytes                     int
		}
		dec := json.NewDecoder(strings.NewReader(line))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&e); err != nil {
			t.Fatalf("event %d: %v: %s", i, err, line)
		}
		if e.Host == "" || e.Remote == "" || e.Method == "" || !strings.HasPrefix(e.Path, "/") || e.Agent == "" || e.Bytes < 120 {
			t.Fatalf("event %d lacks something: %s", i, line)
		}
		statuses[e.Status]++
		size += len(line)
	}
	if statuses[200] < 15_000 || statuses[500] == 0 || statuses[404] == 0 {
		t.Errorf("status codes are %v; want mostly 200, some 404 and 500", statuses)
	}
}

func TestWeightsAddUp(t *testing.T) {
	for i, list := range [][]weighted{hosts, methods, paths, statuses, agents} {
		sum := uint64(0)
		for _, w := range list {
			sum += w.weight
		}
		if sum != 256 {
			t.Errorf("the weights of list %d add up to %d; want 256", i, sum)
		}
	}
}

func TestStamps(t *testing.T) {
	var s stamper
	f := func(ms int64, want string) {
		t.Helper()
		if got := string(s.append(nil, ms)); got != want {
			t.Errorf("time of %d is %s; want %s", ms, got, want)
		}
	}
	f(0, "1970-01-01T00:00:00.000Z")
	f(-1, "1969-12-31T23:59:59.999Z")
	f(dayMillis-1, "1970-01-01T23:59:59.999Z")
	f(dayMillis, "1970-01-02T00:00:00.000Z")
	f(1515579010123, "2018-01-10T10:10:10.123Z")
	f(951782399999, "2000-02-28T23:59:59.999Z")
	f(951782400000, "2000-02-29T00:00:00.000Z")
}

func TestCheckSettings(t *testing.T) {
	f := func(err error, want string) {
		t.Helper()
		if want == "" {
			if err != nil {
				t.Errorf("error %v; want none", err)
			}
			return
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v; want one with %q", err, want)
		}
	}
	ok := settings(1)
	f(ok.Check(), "")
	bad := ok
	bad.Rate = 0
	f(bad.Check(), "rate of event time is 0")
	bad = ok
	bad.Jitter = -1
	f(bad.Check(), "jitter")
	bad = ok
	bad.LateFraction = 1.5
	f(bad.Check(), "late fraction is 1.5")
	bad = ok
	bad.Start = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	f(bad.Check(), "start")
	f(Downtime{Settings: ok}.Check(), "0 teams")
	f(Downtime{Settings: ok, Teams: 1}.Check(), "")
}

func TestReaderWithoutEnd(t *testing.T) {
	r := NewReader(AccessLog{settings(1)}.Stream(), -1)
	b := make([]byte, 1<<20)
	if _, err := io.ReadFull(r, b); err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(b, []byte("\n")); n < 4000 {
		t.Errorf("%d events in a MiB", n)
	}
}

func TestReaderSmallPieces(t *testing.T) {
	whole, _ := io.ReadAll(NewReader(AccessLog{settings(9)}.Stream(), 700))
	r := NewReader(AccessLog{settings(9)}.Stream(), 700)
	var pieces []byte
	p := make([]byte, 7)
	for {
		n, err := r.Read(p)
		pieces = append(pieces, p[:n]...)
		if err == io.EOF {
			break
		}
	}
	if !bytes.Equal(whole, pieces) {
		t.Error("the bytes depend on the size of the reads")
	}
}

func BenchmarkDowntime(b *testing.B) {
	d := Downtime{Settings: settings(1), Teams: 100}
	d.Jitter = 2 * time.Second
	bench(b, d.Stream())
}

func BenchmarkAccessLog(b *testing.B) { bench(b, AccessLog{settings(1)}.Stream()) }

func bench(b *testing.B, s Stream) {
	buf := make([]byte, 0, 1<<16)
	b.ReportAllocs()
	for b.Loop() {
		buf = s.Append(buf[:0])
	}
}
