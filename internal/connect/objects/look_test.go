package objects

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"weir/internal/connect"
	"weir/internal/disk"
	"weir/internal/vec"
)

// TestMany lists many objects: all of them once, and then only the dates of today, or the
// names behind the last one.
func TestMany(t *testing.T) {
	f := func(count int, path string, name func(n int) string, fresh string, most int) {
		t.Helper()
		i := newInput(t, func(s *Settings) { s.Path = path })
		day := i.s.now.UTC()
		text := content(1)
		for n := range count {
			i.s.put(name(n), text)
		}
		p := i.src.(*source).parts[0]
		look := func() int {
			t.Helper()
			before := i.s.listed
			_, err := p.look(context.Background(), vec.MinTime)
			ok(t, err)
			return i.s.listed - before
		}
		if n := look(); n != count || p.files.size() != count {
			t.Errorf("the first look lists %d, and %d are known", n, p.files.size())
		}
		if n := look(); n > most {
			t.Errorf("%s: a look lists %d", path, n)
		}
		i.s.put(day.Format(fresh), text)
		if n := look(); n > most+1 || p.files.size() != count+1 {
			t.Errorf("%s: a look with a new one lists %d, and %d are known", path, n, p.files.size())
		}
		i.s.put(name(3)+"-late", text) // an old date, or a name before others
		i.ahead.Store(int64(11 * time.Minute))
		if n := look(); n != count+2 || p.files.size() != count+2 {
			t.Errorf("%s: a whole look lists %d, and %d are known", path, n, p.files.size())
		}
	}
	today := time.Now().UTC()
	f(20_000, "in/{date}/x", func(n int) string {
		return today.AddDate(0, 0, -n/20-5).Format("in/2006/01/02/x") + fmt.Sprintf("%06d", n)
	}, "in/2006/01/02/x", 1)
	f(10_000, "in/", func(n int) string { return fmt.Sprintf("in/%06d", n) }, "in/z2006", 1)
}

// TestLookBroken: what a look has found before it broke off is found by the next one.
func TestLookBroken(t *testing.T) {
	i := newInput(t, func(s *Settings) { s.Path = "in/" })
	for n := range fewObjects + 1 {
		i.s.put(fmt.Sprintf("in/%06d", n), content(1))
	}
	p := i.src.(*source).parts[0]
	_, err := p.look(context.Background(), vec.MinTime)
	ok(t, err)
	for n := range 3 {
		i.s.put(fmt.Sprintf("in/z%d", n), content(2))
	}
	ctx, cancel := context.WithCancel(context.Background())
	i.s.set(func(s *shelf) {
		s.gives = func(name string) {
			if name == "in/z2" {
				cancel()
			}
		}
	})
	if _, err := p.look(ctx, vec.MinTime); err == nil {
		t.Fatal("the look does not break off")
	}
	news, err := p.look(context.Background(), vec.MinTime)
	if ok(t, err); news != 3 {
		t.Errorf("the next look finds %d", news)
	}
}

// TestLookWaits: the pause between looks doubles while nothing comes, and listing takes its
// share of the time at most.
func TestLookWaits(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	s := &source{Settings: settings(func(s *Settings) { s.Poll, s.MaxPoll = time.Second, 90*time.Second }), env: connect.SourceEnv{Now: func() time.Time { return now }}}
	p := &part{s: s}
	if p.wait() != 0 {
		t.Error("the first look waits")
	}
	got := ""
	for range 9 {
		p.rest(false, 0)
		got += fmt.Sprint(p.wait(), " ")
	}
	p.rest(true, 0)
	got += fmt.Sprint(p.wait(), " ")
	p.rest(true, time.Minute)
	if got += fmt.Sprint(p.wait()); got != "1s 2s 4s 8s 16s 32s 1m4s 1m30s 1m30s 1s 9m0s" {
		t.Error(got)
	}
}

// TestForget: objects that were read are forgotten when they are many, and are not taken for new
// ones then; those that were not read stay.
func TestForget(t *testing.T) {
	m := disk.NewMem(1)
	files, err := openRegistry(m, "objects")
	ok(t, err)
	const many = 600
	files.next = many
	base := time.Date(2024, 5, 1, 0, 0, 0, 0, time.UTC)
	object := func(n int) Object {
		return Object{Name: fmt.Sprint("o", n), Size: 1, ETag: "e", Modified: base.Add(time.Duration(n) * time.Second)}
	}
	var list []Object
	for n := range many + 10 {
		list = append(list, object(n))
	}
	ok(t, files.add(list))
	done := func(n int64) bool { return n <= 400 && n != 301 }
	ok(t, files.forget(ticks(base.Add(350*time.Second)), done))
	check := func() {
		t.Helper()
		// Up to the one that was not read, whose time is the floor.
		if n := files.size(); n != many+10-300 {
			t.Fatalf("%d are known", n)
		}
		for n, want := range map[int][2]bool{0: {false, true}, 299: {false, true}, 300: {true, false}, 505: {true, false}, 700: {false, false}} {
			o := object(n)
			if k, old := files.named(&o); (k != nil) != want[0] || old != want[1] {
				t.Errorf("%s: %v %v", o.Name, k, old)
			}
		}
		if files.last != many+10 {
			t.Error(files.last)
		}
	}
	check()
	ok(t, files.close())
	files, err = openRegistry(m, "objects")
	ok(t, err)
	check()
	ok(t, files.close())
}

// TestTooMany: more than an input can know is an error that says what to do.
func TestTooMany(t *testing.T) {
	i := newInput(t, nil)
	p := i.src.(*source).parts[0]
	p.files.list = make([]*known, maxKnown)
	i.s.put("one", content(1))
	_, err := p.look(context.Background(), vec.MinTime)
	p.files.list = nil
	if !connect.IsPermanent(err) || !strings.Contains(fmt.Sprint(err), "use a narrower path") {
		t.Error(err)
	}
}

// TestPlaces: positions come out as they went in, and others are refused.
func TestPlaces(t *testing.T) {
	for _, s := range []string{"", "|1 1:0:1:s", "638500000000000000|", "638500000000000000|3 3:120:7:l 1:88:2:l"} {
		if p, err := parsePlace(connect.Position(s)); err != nil || string(p.text()) != s {
			t.Errorf("%q: %q, %v", s, p.text(), err)
		}
	}
	for _, s := range []string{"|", "x", "1", "x|", "-1|", "+5|", "1|1 2:0:1:l", "01|1", "99999999999999999999|1"} {
		if p, err := parsePlace(connect.Position(s)); err == nil {
			t.Errorf("%q is %+v", s, p)
		}
	}
}

// hanging is a store whose answers never end.
type hanging struct{ shelf }

func (h *hanging) Open(ctx context.Context, name string, offset int64, _ string) (io.ReadCloser, error) {
	if name == "late" {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return io.NopCloser(until{ctx}), nil
}

type until struct{ ctx context.Context }

func (u until) Read([]byte) (int, error) { <-u.ctx.Done(); return 0, u.ctx.Err() }

// TestStalled: a service that gives nothing any more is left after a minute; whether we read
// slowly is no matter.
func TestStalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, name := range []string{"late", "stuck"} {
			r := &ranged{ctx: context.Background(), store: &hanging{}, obj: Object{Name: name, Size: 1 << 20}}
			began := time.Now()
			_, err := r.ReadAt(make([]byte, 10), headBytes)
			if !errors.Is(err, errStalled) || time.Since(began) > 3*stallAfter {
				t.Errorf("%s: %v after %s", name, err, time.Since(began))
			}
			ok(t, r.Close())
		}
		s := newShelf()
		s.put("slow", bytes.Repeat([]byte("x"), 1<<20))
		o, _, err := s.Stat(context.Background(), "slow")
		ok(t, err)
		r := &ranged{ctx: context.Background(), store: s, obj: o}
		for off := int64(headBytes); off < o.Size; off += 256 << 10 {
			if _, err := r.ReadAt(make([]byte, 1000), off); err != nil && err != io.EOF {
				t.Error(err)
			}
			time.Sleep(10 * stallAfter)
		}
		ok(t, r.Close())
		synctest.Wait()
	})
}

// TestListError: where a listing failed is said once, by the store or by us.
func TestListError(t *testing.T) {
	f := func(said, want string) {
		t.Helper()
		if got := listError(&shelf{}, errors.New(said)).Error(); got != want {
			t.Errorf("%q, and must be %q", got, want)
		}
	}
	f("refused", "list mem://shelf: refused")
	f("list mem://shelf/a: refused", "list mem://shelf/a: refused")
}
