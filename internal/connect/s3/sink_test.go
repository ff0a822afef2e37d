package s3

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"weir/internal/connect"
	"weir/internal/connect/connecttest"
)

// TestMain finds goroutines that tests leave.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestSuite runs the conformance suite over a fake.
func TestSuite(t *testing.T) {
	t.Run("minutes", func(t *testing.T) {
		suite(t, fake(t, nil), 61, map[string]any{"path": "{date}/{datetime:HHmm}.json"})
	})
	t.Run("rows", func(t *testing.T) {
		suite(t, fake(t, nil), 101, map[string]any{"path": "{date}/{n}{ext}", "max_rows": int64(7)})
	})
}

// TestSources runs the conformance suite of sources over a fake.
func TestSources(t *testing.T) { sources(t, fake(t, nil), false) }

// weather is what a server does to requests.
type weather struct {
	mu sync.Mutex
	do func(w http.ResponseWriter, r *http.Request) bool
}

func (h *weather) set(do func(w http.ResponseWriter, r *http.Request) bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.do = do
}

func (h *weather) before(w http.ResponseWriter, r *http.Request) bool {
	h.mu.Lock()
	do := h.do
	h.mu.Unlock()
	return do != nil && do(w, r)
}

func slowDown(w http.ResponseWriter, _ *http.Request) bool {
	w.WriteHeader(http.StatusServiceUnavailable)
	io.WriteString(w, "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>")
	return true
}

// TestFaults has servers that fail in several ways while rows come, and work again: every row is
// there once.
func TestFaults(t *testing.T) {
	f := func(name string, do func(w http.ResponseWriter, r *http.Request) bool, say string) {
		t.Run(name, func(t *testing.T) {
			var h weather
			p := fake(t, h.before)
			bucket := p.bucket(t)
			o := newOutput(t, p.config(bucket, map[string]any{"path": "{n}{ext}", "max_rows": int64(3)}))
			ok(t, o.open())
			rows := connecttest.Rows(1, 60)
			for i := 0; i < 60; i += 5 {
				switch i {
				case 10:
					h.set(do)
				case 40:
					await(t, "the sink says what ails it", func() bool {
						err := o.sink.(connect.Ailing).Ailing()
						return err != nil && strings.Contains(err.Error(), say)
					})
					h.set(nil)
				}
				ok(t, o.epoch(false, rows[i:i+5]...))
			}
			last := connecttest.Rows(100, 1)
			err := o.epoch(true, last...)
			for until := time.Now().Add(20 * time.Second); err != nil && time.Now().Before(until); {
				err = o.sink.Commit(context.Background(), o.n)
			}
			ok(t, err)
			seen := map[int64]int{}
			got, err := rowsIn(p.open(t, bucket))
			ok(t, err)
			for _, r := range got {
				seen[r.ID]++
			}
			for _, r := range append(rows, last...) {
				if seen[r.ID] != 1 {
					t.Errorf("row %d is there %d times", r.ID, seen[r.ID])
				}
			}
			if text := o.log.String(); strings.Contains(text, secretKey) || !strings.Contains(text, "takes files again") {
				t.Error(text)
			}
		})
	}
	f("slow down", slowDown, "too much to do")
	f("broken", func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }, "closed the connection")
	f("in the midst", func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut {
			io.CopyN(io.Discard, r.Body, 100)
			panic(http.ErrAbortHandler)
		}
		return false
	}, "write ")
	f("not allowed", func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut {
			return false
		}
		w.WriteHeader(http.StatusForbidden)
		io.WriteString(w, "<Error><Code>AccessDenied</Code><Message>Access Denied.</Message></Error>")
		return true
	}, "s3:PutObject")
}

// TestSlow has a server that takes its time: rows go on meanwhile, and are all there at the end.
func TestSlow(t *testing.T) {
	var h weather
	p := fake(t, h.before)
	bucket := p.bucket(t)
	o := newOutput(t, p.config(bucket, map[string]any{"path": "{text}/{n}{ext}", "max_rows": int64(1)}))
	ok(t, o.open())
	hold := make(chan struct{})
	var held atomic.Int64
	h.set(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut {
			held.Add(1)
			<-hold
		}
		return false
	})
	for i := range 50 {
		ok(t, o.epoch(false, connecttest.Row{ID: int64(i), Text: string(rune('a' + i%20))}))
	}
	await(t, "four are on their way", func() bool { return held.Load() == 4 })
	close(hold)
	ok(t, o.epoch(true, connecttest.Row{ID: 50, Text: "z"}))
	if got, err := rowsIn(p.open(t, bucket)); err != nil || len(got) != 51 {
		t.Error(len(got), err)
	}
}

// TestStall has a server that takes connections and says nothing.
func TestStall(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ok(t, err)
	defer l.Close()
	p := &peer{endpoint: "http://" + l.Addr().String(), access: "a", secret: secretKey}
	s, err := open(p.config("bucket", nil))
	ok(t, err)
	defer s.Close()
	quick, err := transportOf(false, "", 50*time.Millisecond)
	ok(t, err)
	defer quick.CloseIdleConnections()
	s.transport.DialContext = quick.DialContext
	big := strings.Repeat("x", 32<<20) // no buffer of a connection takes it
	if err := put(s, "x", big, false); err == nil || !strings.Contains(err.Error(), "timeout") {
		t.Error(err)
	}
}

// TestStarts has services that refuse at the start of a job, and others that are only away.
func TestStarts(t *testing.T) {
	f := func(c connect.Config, permanent bool, say string) {
		t.Helper()
		o := newOutput(t, c)
		err := o.open()
		if !permanent {
			ok(t, err)
			return
		}
		if !connect.IsPermanent(err) || !strings.Contains(err.Error(), say) {
			t.Error(err)
		}
	}
	var h weather
	p := fake(t, h.before)
	bucket := p.bucket(t)
	f(p.config("not-there", nil), true, `there is no bucket "not-there"`)
	refuse := func(status int, code string) {
		h.set(func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(status)
			io.WriteString(w, "<Error><Code>"+code+"</Code><Message>No.</Message><Region>eu-west-1</Region></Error>")
			return true
		})
	}
	refuse(403, "SignatureDoesNotMatch")
	f(p.config(bucket, nil), true, "secret_key does not belong")
	refuse(400, "AuthorizationHeaderMalformed")
	f(p.config(bucket, nil), true, "set region: eu-west-1")
	refuse(403, "AccessDenied")
	f(p.config(bucket, nil), false, "")
	h.set(slowDown)
	f(p.config(bucket, nil), false, "")
	f(p.config(bucket, map[string]any{"endpoint": "http://127.0.0.1:1"}), false, "")
}
