package azureblob

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"weir/internal/connect"
	"weir/internal/connect/connecttest"
	"weir/internal/connect/objects"
	"weir/internal/disk"
)

// TestMain: no goroutine is left.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// answer is a fault that answers with a status and a code.
func answer(status int, code string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		refuse(w, status, code)
		return true
	}
}

// TestProbe has what can be wrong, each with a sentence and what to do, and what ends a job at
// its start.
func TestProbe(t *testing.T) {
	s := newService(t)
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	defer secure.Close()
	secure.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	dead := httptest.NewServer(nil)
	dead.Close()
	f := func(change map[string]any, fault func(http.ResponseWriter, *http.Request) bool, permanent bool, want ...string) {
		t.Helper()
		s.breakBy(fault)
		c := config(t, true, s.settings(change))
		got := ""
		for _, p := range probe(context.Background(), c, connect.ProbeEnv{Input: true}) {
			got += p.Text + " -> " + p.Hint
		}
		if len(want) == 0 && got != "" || strings.Contains(got, "\n") {
			t.Errorf("%v: %q", change, got)
		}
		for _, w := range want {
			if !strings.Contains(got, w) {
				t.Errorf("%v: %q lacks %q", change, got, w)
			}
		}
		_, err := newSource(context.Background(), c, connect.SourceEnv{State: disk.NewMem(1), Now: time.Now})
		if (err != nil) != (len(want) > 0) || connect.IsPermanent(err) != permanent {
			t.Errorf("%v: at the start: %v, permanent %v", change, err, connect.IsPermanent(err))
		}
		if text := got + fmt.Sprint(err); strings.Contains(text, fakeKey) || strings.Contains(text, "canary") {
			t.Errorf("a secret is in %q", text)
		}
	}
	f(nil, nil, false)
	f(map[string]any{"container": "nothing"}, nil, true, s.URL, "there is no such container", "az storage container create --account-name shop --name nothing")
	f(nil, answer(403, "AuthenticationFailed"), true, "the key or signature is wrong", "copy the key")
	f(nil, answer(403, "AuthorizationPermissionMismatch"), true, "does not permit it", "needs read and list")
	f(nil, answer(503, "ServerBusy"), false, "the service is busy")
	f(nil, answer(500, "Canary canary"), false, "Internal Server Error (HTTP 500)")
	f(map[string]any{"endpoint": "https://no-such-account.invalid"}, nil, true, "there is no host no-such-account.invalid", "look at the name of the account")
	f(map[string]any{"endpoint": secure.URL}, nil, true, "its certificate is not trusted", "tls_ca")
	f(map[string]any{"endpoint": dead.URL}, nil, false, dead.URL, "connection refused", "look at the name of the account or the endpoint")
	f(map[string]any{"account_key": connect.Hidden{}, "sas_token": connect.NewHidden("sv=1&sig=canarysignature")}, answer(403, "AuthenticationFailed"), true, "the key or signature is wrong")
	f(map[string]any{"account_key": connect.Hidden{}, "sas_token": connect.NewHidden("sv=1&sig=canarysignature"), "endpoint": dead.URL}, nil, false, "connection refused")
	f(map[string]any{"tls_ca": "/no/such/file"}, nil, true, "tls_ca")
}

// loud is a log that is kept.
type loud struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *loud) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// TestSecrets has a service that fails in every way, for all operations: no error and no log
// has a secret.
func TestSecrets(t *testing.T) {
	canary, log := secret(), &loud{}
	sig := "canary%2Fsig%3D"
	for _, given := range []map[string]any{
		{"account_key": connect.NewHidden(canary)},
		{"account_key": connect.Hidden{}, "sas_token": connect.NewHidden("sv=2024&sp=rl&sig=" + sig)},
	} {
		s := newService(t)
		faults := []func(http.ResponseWriter, *http.Request) bool{
			answer(403, "AuthenticationFailed"), answer(500, "InternalError"), answer(409, "canary"), answer(404, ""),
			func(w http.ResponseWriter, r *http.Request) bool { panic(http.ErrAbortHandler) },
			func(w http.ResponseWriter, r *http.Request) bool {
				fmt.Fprintf(w, "no XML %s %s %s", canary, sig, r.URL)
				return true
			},
			func(w http.ResponseWriter, r *http.Request) bool {
				w.Header().Set("Content-Length", "1000")
				w.Header().Set("ETag", `"x"`)
				io.WriteString(w, "cut off")
				panic(http.ErrAbortHandler)
			},
		}
		a, bad := readAccount(config(t, true, s.settings(given)))
		if len(bad) > 0 {
			t.Fatal(bad)
		}
		st, err := a.open()
		ok(t, err)
		for i, fault := range faults {
			s.breakBy(fault)
			ctx := context.Background()
			var all []error
			for _, err := range st.List(ctx, "", "a") {
				all = append(all, err)
			}
			_, _, err := st.Stat(ctx, "a")
			all = append(all, err)
			body, err := st.Open(ctx, "a", 5, "")
			if err == nil {
				_, err = io.ReadAll(body)
				body.Close()
			}
			all = append(all, err, st.Put(ctx, "a", strings.NewReader("x"), 1, objects.PutOptions{}), st.Delete(ctx, "a"))
			if i == 0 {
				all = append(all, st.Put(ctx, "b", bytes.NewReader(make([]byte, 2*blockBytes)), 2*blockBytes, objects.PutOptions{}))
			}
			src, err := newSource(ctx, config(t, true, s.settings(given)), connect.SourceEnv{State: disk.NewMem(1), Now: time.Now, Log: slog.New(slog.NewTextHandler(log, nil))})
			all = append(all, err)
			if err == nil {
				src.Close()
			}
			text := fmt.Sprintf("%v %+v %#v", errors.Join(all...), all, all) + log.b.String()
			for _, secret := range []string{canary, sig, "canary/sig", strings.TrimRight(canary, "=")} {
				if strings.Contains(text, secret) {
					t.Errorf("fault %d: %q is in\n%s", i, secret, text)
				}
			}
		}
		st.close()
	}
}

// TestFaults has a service that fails now and then: every event comes once, in order.
func TestFaults(t *testing.T) {
	s := newService(t)
	var want []byte
	for i := range 20 {
		text := lines(connecttest.Rows(1+100*i, 100))
		want = append(want, text...)
		s.set(fmt.Sprintf("%02d", i), text)
	}
	src, err := newSource(context.Background(), config(t, true, s.settings(map[string]any{"order": "name"})),
		connect.SourceEnv{State: disk.NewMem(1), Log: slog.New(slog.DiscardHandler), Now: time.Now})
	ok(t, err)
	defer src.Close()
	rnd := rand.New(rand.NewPCG(3, 4))
	var mu sync.Mutex
	s.breakBy(func(w http.ResponseWriter, r *http.Request) bool {
		mu.Lock()
		n := rnd.IntN(12)
		mu.Unlock()
		switch n {
		case 0:
			refuse(w, http.StatusServiceUnavailable, "ServerBusy")
			return true
		case 1:
			panic(http.ErrAbortHandler)
		case 2: // the answer breaks off
			s.mu.Lock()
			defer s.mu.Unlock()
			b := s.blobs[strings.TrimPrefix(r.URL.Path, "/"+fakeAccount+"/"+fakeContainer+"/")]
			if b == nil || r.Header.Get("x-ms-range") != "" {
				return false
			}
			w.Header().Set("ETag", b.etag)
			w.Header().Set("Content-Length", fmt.Sprint(len(b.text)))
			w.Write(b.text[:len(b.text)/2])
			panic(http.ErrAbortHandler)
		}
		return false
	})
	var got []byte
	at, failures := connect.Position(""), 0
	r, err := src.Open(context.Background(), "0", "")
	ok(t, err)
	for end := time.Now().Add(20 * time.Second); len(got) < len(want) && time.Now().Before(end); {
		c, err := r.Read(context.Background(), 4000, "")
		if err != nil {
			failures++
			r.Close()
			r, err = src.Open(context.Background(), "0", at)
			ok(t, err)
			continue
		}
		if at = c.Next; len(c.Data) == 0 {
			<-r.Ready()
		}
		got = append(got, c.Data...)
	}
	ok(t, r.Close())
	if !bytes.Equal(got, want) || failures == 0 {
		t.Errorf("%d bytes of %d, after %d failures", len(got), len(want), failures)
	}
}
