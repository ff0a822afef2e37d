package web

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"weir/internal/connect"
)

// The limits of requests.
const (
	maxRequestBytes = 12 << 20         // of a body
	maxHeaderBytes  = 64 << 10         // of the head of a request
	headTimeout     = 5 * time.Second  // to send the head
	bodyTimeout     = 10 * time.Second // to send the body
	idleTimeout     = 2 * time.Minute  // between two requests of a connection
)

// CheckListen refuses to listen where others can reach us without a token.
func CheckListen(addr string, token connect.Hidden) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("%q is no address to listen on; write HOST:PORT, such as 127.0.0.1:8484", addr)
	}
	if token.Expose() != "" && len(token.Expose()) < minToken {
		return fmt.Errorf("the token is shorter than %d characters: anyone could guess it", minToken)
	}
	if IsLoopback(host) || token.Expose() != "" {
		return nil
	}
	return fmt.Errorf("listening on %s lets others in, and they need a token: put one into a file that only you can read and give --token-file FILE, "+
		"set WEIR_TOKEN, or listen on 127.0.0.1", addr)
}

// minToken is how long a token must be.
const minToken = 16

// IsLoopback reports whether a host is this machine and can be reached from nowhere else.
func IsLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// guard is what every request passes, in this order: a host that we are (a page of another
// site that has its name point at us is not one), no form of another site, a token, a body
// within limits.
func (s *Server) guard(next http.Handler) http.Handler {
	cross := http.NewCrossOriginProtection()
	cross.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		refuse(w, http.StatusForbidden, "this request comes from another site")
	}))
	inner := cross.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.authorized(r) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="weir"`)
			refuse(w, http.StatusUnauthorized, "this needs the token of the service: Authorization: Bearer TOKEN")
			return
		}
		held, ok := s.readBody(w, r)
		defer func() { s.bodies.Add(-held) }()
		if ok {
			next.ServeHTTP(w, r)
		}
	}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if !s.knownHost(r.Host) {
			refuse(w, http.StatusMisdirectedRequest, "this service does not go by the name that was asked for; name it with --host")
			return
		}
		began := time.Now()
		inner.ServeHTTP(w, r)
		s.log.LogAttrs(r.Context(), slog.LevelDebug, "request", slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.Duration("took", time.Since(began)))
	})
}

// knownHost reports whether a Host header names us: an address, a name of this machine's
// loopback, or a name that we were given. A site that rebinds its name cannot have it be an
// address.
func (s *Server) knownHost(header string) bool {
	host := header
	if h, _, err := net.SplitHostPort(header); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSuffix(host, "]"), "["), ".")
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return strings.EqualFold(host, "localhost") || slices.ContainsFunc(s.o.Hosts, func(h string) bool { return strings.EqualFold(h, host) })
}

// open are the routes that need no token: probes, which say nothing of jobs.
var open = []string{"/livez", "/readyz"}

// authorized compares the token, in a time that tells nothing of it.
func (s *Server) authorized(r *http.Request) bool {
	want := s.o.Token.Expose()
	if want == "" || slices.Contains(open, r.URL.Path) && r.URL.RawQuery == "" {
		return true
	}
	scheme, got, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	a, b := sha256.Sum256([]byte(want)), sha256.Sum256([]byte(strings.TrimSpace(got)))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1 && strings.EqualFold(scheme, "Bearer")
}

// readBody takes the whole body within its time and size, so that no handler waits for a
// sender. held is the room for bodies that it has taken. It reports false if it has answered.
func (s *Server) readBody(w http.ResponseWriter, r *http.Request) (held int64, ok bool) {
	if r.Body == nil || r.Body == http.NoBody {
		return 0, true
	}
	c := http.NewResponseController(w)
	_ = c.SetReadDeadline(time.Now().Add(bodyTimeout)) // a recorder in a test has none
	b, held, err := s.readAll(http.MaxBytesReader(w, r.Body, maxRequestBytes))
	_ = c.SetReadDeadline(time.Time{})
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		refuse(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("a request has at most %d MiB", maxRequestBytes>>20))
		return held, false
	case errors.Is(err, errBusy):
		w.Header().Set("Connection", "close")
		w.Header().Set("Retry-After", retrySeconds)
		refuse(w, http.StatusServiceUnavailable, err.Error()+"; try again")
		return held, false
	case err != nil:
		w.Header().Set("Connection", "close")
		refuse(w, http.StatusRequestTimeout, "the body of the request did not come in time")
		return held, false
	case isInterface(r) && tooMany(b):
		refuse(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("a request has at most %d values; texts count once", maxValues))
		return held, false
	}
	r.Body = io.NopCloser(bytes.NewReader(b))
	r.ContentLength = int64(len(b))
	return held, true
}

// refuse answers with a problem.
func refuse(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(&Problem{Title: http.StatusText(status), Status: status, Detail: detail})
}
