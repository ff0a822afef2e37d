package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"weir/internal/connect/objects"
)

// contract holds a store over a peer to objects.Store.
func contract(t *testing.T, p *peer) {
	s := p.open(t, p.bucket(t))
	s.part = 5 << 20 // the least that servers take
	ctx := context.Background()
	if _, err := get(s, "nix", 0, ""); !errors.Is(err, objects.ErrNotExist) {
		t.Error(err)
	}
	if _, _, err := s.Stat(ctx, "nix"); !errors.Is(err, objects.ErrNotExist) {
		t.Error(err)
	}
	ok(t, put(s, "a/b c+ü%.json", "0123456789", true))
	if err := put(s, "a/b c+ü%.json", "x", true); !errors.Is(err, objects.ErrExists) {
		t.Error(err)
	}
	o, meta, err := s.Stat(ctx, "a/b c+ü%.json")
	if err != nil || o.Size != 10 || o.ETag == "" || o.Modified.IsZero() || meta["job"] != "j" || o.Name != "a/b c+ü%.json" {
		t.Error(o, meta, err)
	}
	read := func(offset int64, etag, want string) {
		t.Helper()
		if got, err := get(s, "a/b c+ü%.json", offset, etag); got != want || err != nil {
			t.Errorf("%q %v, and must be %q", got, err, want)
		}
	}
	read(0, "", "0123456789")
	read(0, o.ETag, "0123456789")
	read(4, o.ETag, "456789")
	read(9, "", "9")
	read(10, o.ETag, "")
	ok(t, put(s, "a/b c+ü%.json", "other", false))
	for _, offset := range []int64{0, 4, 10} {
		if _, err := get(s, "a/b c+ü%.json", offset, o.ETag); !errors.Is(err, objects.ErrChanged) {
			t.Error(offset, err)
		}
	}
	ok(t, s.Delete(ctx, "a/b c+ü%.json"))
	ok(t, s.Delete(ctx, "a/b c+ü%.json"))

	for _, n := range []string{"p/2", "p/1", "p/10", "q", "p/sub/x"} {
		ok(t, put(s, n, n, false))
	}
	list := func(prefix, after, want string) {
		t.Helper()
		var names []string
		for o, err := range s.list(ctx, prefix, after, 2) {
			ok(t, err)
			names = append(names, o.Name)
			if o.Size != int64(len(o.Name)) || o.ETag == "" || o.Modified.IsZero() {
				t.Error(o)
			}
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%q behind %q lists %s, and must list %s", prefix, after, got, want)
		}
	}
	list("", "", "p/1 p/10 p/2 p/sub/x q")
	list("p/", "", "p/1 p/10 p/2 p/sub/x")
	list("p/", "p/10", "p/2 p/sub/x")
	list("p/", "p/2x", "p/sub/x")
	list("z", "", "")
	for range s.list(ctx, "", "", 1) {
		break
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	for _, err := range s.List(ended, "", "") {
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}

	big := bytes.Repeat([]byte("0123456789abcdef"), 12<<20/16)
	for _, absent := range []bool{true, false} {
		ok(t, s.Put(ctx, "big", bytes.NewReader(big), int64(len(big)), objects.PutOptions{IfAbsent: absent, Metadata: map[string]string{"job": "k"}}))
	}
	if err := s.Put(ctx, "big", bytes.NewReader(big), int64(len(big)), objects.PutOptions{IfAbsent: true}); !errors.Is(err, objects.ErrExists) {
		t.Error(err)
	}
	if got, err := get(s, "big", 0, ""); got != string(big) || err != nil {
		t.Error(len(got), err)
	}
	if _, meta, err := s.Stat(ctx, "big"); err != nil || meta["job"] != "k" {
		t.Error(meta, err)
	}
}

// TestContract holds the store to its contract, over a fake.
func TestContract(t *testing.T) { contract(t, fake(t, nil)) }

// TestAborted has a part that fails, and one whose body cannot be read: nothing appears, and the
// parts are taken back.
func TestAborted(t *testing.T) {
	var aborted, broken atomic.Int64
	p := fake(t, func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodDelete && r.URL.Query().Has("uploadId") {
			aborted.Add(1)
		}
		if r.URL.Query().Get("partNumber") == "2" && broken.Add(1) == 1 {
			panic(http.ErrAbortHandler)
		}
		return false
	})
	s := p.open(t, p.bucket(t))
	s.part = 100
	text := strings.Repeat("x", 250)
	if err := put(s, "a", text, true); err == nil {
		t.Error("no error of a connection that broke")
	}
	for _, size := range []int64{250, 170} {
		if err := s.Put(context.Background(), "a", short{}, size, objects.PutOptions{}); !errors.Is(err, errBroken) {
			t.Error(err)
		}
	}
	all, err := content(s)
	if err != nil || len(all) != 0 || aborted.Load() != 3 {
		t.Error(all, err, aborted.Load())
	}
	ok(t, put(s, "a", text, true))
	if got, err := get(s, "a", 0, ""); got != text || err != nil {
		t.Error(got, err)
	}
}

// short is a body of 150 bytes.
type short struct{}

var errBroken = errors.New("the disk is broken")

func (short) ReadAt(p []byte, off int64) (int, error) {
	if off >= 150 {
		return 0, errBroken
	}
	n := copy(p, make([]byte, 150-off))
	if n < len(p) {
		return n, errBroken
	}
	return n, nil
}

// TestOtherServers has servers that know less than Amazon's.
func TestOtherServers(t *testing.T) {
	var mode atomic.Value
	mode.Store("")
	p := fake(t, func(w http.ResponseWriter, r *http.Request) bool {
		switch mode.Load() {
		case "conditions are refused":
			if r.Method == http.MethodPut && r.Header.Get("If-None-Match") != "" {
				w.WriteHeader(http.StatusNotImplemented)
				io.WriteString(w, "<Error><Code>NotImplemented</Code><Message>A header you provided implies functionality that is missing.</Message></Error>")
				return true
			}
		case "conditions are ignored":
			r.Header.Del("If-None-Match")
			r.Header.Del("If-Match")
		case "looking is not allowed":
			if r.Method == http.MethodHead {
				w.WriteHeader(http.StatusForbidden)
				return true
			}
		case "start-after is ignored":
			q := r.URL.Query()
			q.Del("start-after")
			r.URL.RawQuery = q.Encode()
		}
		return false
	})
	s := p.open(t, p.bucket(t))
	for i, m := range []string{"conditions are refused", "conditions are ignored", "looking is not allowed"} {
		mode.Store(m)
		name := fmt.Sprint("x", i)
		if err := put(s, name, "1", true); err != nil {
			t.Error(m, err)
		}
		if err := put(s, name, "2", true); !errors.Is(err, objects.ErrExists) {
			t.Error(m, err)
		}
		if got, err := get(s, name, 0, ""); got != "1" || err != nil {
			t.Error(m, got, err)
		}
	}
	mode.Store("conditions are ignored")
	if _, err := get(s, "x0", 0, "other"); !errors.Is(err, objects.ErrChanged) {
		t.Error(err)
	}
	mode.Store("start-after is ignored")
	n := 0
	for o, err := range s.List(context.Background(), "", "x0") {
		ok(t, err)
		if n++; o.Name <= "x0" {
			t.Error(o.Name)
		}
	}
	if n != 2 {
		t.Error(n)
	}
}
