package http

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"weir/internal/connect"
	"weir/internal/connect/intake"
)

// inletOptions are the settings of an input that its requests need.
type inletOptions struct {
	address     string
	token       connect.Hidden
	maxBody     int64
	readTimeout time.Duration
	lenient     bool
}

// inlet takes the requests of one input.
type inlet struct {
	o        inletOptions
	kept     *intake.Log
	keys     keys
	budget   budget
	log      *slog.Logger
	now      func() time.Time
	requests sync.WaitGroup
	cross    *http.CrossOriginProtection

	accepted atomic.Int64 // events since the start
	refused  atomic.Int64 // requests since the start
	repeated atomic.Int64 // requests that had been taken before
}

// errBusy: the memory for requests is used up.
var errBusy = refusef(http.StatusServiceUnavailable, "too many requests are under way; try again")

// retrySeconds is what clients are told to wait when there is no room.
const retrySeconds = 2

// reply writes JSON.
func reply(w http.ResponseWriter, status int, v any) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	// An answer that does not arrive is the client's to ask for again.
	_ = json.NewEncoder(w).Encode(v)
}

// refuse answers with an error.
func refuse(w http.ResponseWriter, status int, text string) {
	reply(w, status, struct {
		Status int    `json:"status"`
		Title  string `json:"title"`
		Detail string `json:"detail"`
	}{status, http.StatusText(status), text})
}

// ServeHTTP takes events by POST and tells what it has by GET.
func (in *inlet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := in.allow(r); err != nil {
		if err.status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", "Bearer")
		}
		in.refused.Add(1)
		refuse(w, err.status, err.text)
		return
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		reply(w, http.StatusOK, in.status())
	case http.MethodPost:
		in.post(w, r)
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		refuse(w, http.StatusMethodNotAllowed, "events are posted")
	}
}

// allow says why a request may not come in. With a token that is all that counts; without
// one, requests that a page in a browser could have been made to send are refused.
func (in *inlet) allow(r *http.Request) *refusal {
	if token := in.o.token.Expose(); token != "" {
		scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		a, b := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(token))
		if subtle.ConstantTimeCompare(a[:], b[:]) != 1 || !strings.EqualFold(scheme, "Bearer") {
			return &refusal{http.StatusUnauthorized, "the request needs the header Authorization: Bearer with the token of the input"}
		}
		return nil
	}
	if err := in.cross.Check(r); err != nil {
		return &refusal{http.StatusForbidden, "the request comes from a page of another origin"}
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if in.o.address != NoListener && !isLoopback(strings.Trim(host, "[]")) {
		return &refusal{http.StatusForbidden, fmt.Sprintf("the request is for the host %.80q; an input without a token takes requests for this machine only", r.Host)}
	}
	return nil
}

func (in *inlet) status() any {
	first, next, bytes := in.kept.Range()
	return struct {
		Accepted int64 `json:"accepted"` // events, since the start
		Refused  int64 `json:"refused"`  // requests, since the start
		Repeated int64 `json:"repeated"`
		First    int64 `json:"first"` // event that is kept
		Next     int64 `json:"next"`
		Bytes    int64 `json:"bytes"`
	}{in.accepted.Load(), in.refused.Load(), in.repeated.Load(), first, next, bytes}
}

func (in *inlet) post(w http.ResponseWriter, r *http.Request) {
	t, repeated, err := in.take(w, r)
	if err != nil {
		in.refused.Add(1)
		in.fail(w, err)
		return
	}
	if repeated {
		in.repeated.Add(1)
		w.Header().Set("Idempotency-Replayed", "true")
	} else {
		in.accepted.Add(int64(t.Accepted))
	}
	reply(w, http.StatusAccepted, t)
}

// fail answers a request that was not taken.
func (in *inlet) fail(w http.ResponseWriter, err error) {
	var why *refusal
	if !errors.As(err, &why) {
		// Full or broken disks and full logs: the client keeps its events and comes again.
		in.log.Warn("events could not be taken", "error", err)
		why = &refusal{http.StatusServiceUnavailable, "the events cannot be stored now; nothing of the request was taken; try again"}
		if errors.Is(err, intake.ErrFull) {
			why.text = "the job is behind and its log is full; nothing of the request was taken; try again"
		}
	}
	if why.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", strconv.Itoa(retrySeconds))
	}
	refuse(w, why.status, why.text)
}

// take reads a request and puts its events into the log, all or none. repeated says that
// they were there already.
func (in *inlet) take(w http.ResponseWriter, r *http.Request) (t taken, repeated bool, err error) {
	key := r.Header.Get("Idempotency-Key")
	if len(key) > MaxKeyBytes {
		return t, false, refusef(http.StatusBadRequest, "the Idempotency-Key has %d bytes; %d is the most", len(key), MaxKeyBytes)
	}
	// A server without deadlines of its own ignores this.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(in.o.readTimeout))
	body, held, err := readBody(w, r, in.o.maxBody, &in.budget)
	defer func() { in.budget.used.Add(-held) }()
	if err != nil {
		return t, false, err
	}
	print := ""
	if key != "" {
		print = fingerprint(body)
	}
	events, err := cutEvents(body, r.Header.Get("Content-Type"))
	if err != nil && in.o.lenient {
		var why *refusal
		if errors.As(err, &why) && why.status == http.StatusBadRequest {
			events, err = cutLines(body)
		}
	}
	if err != nil || len(events) == 0 {
		return t, false, err
	}
	if key == "" {
		t, _, err = in.append(events, nil)
		return t, false, err
	}
	return in.once(r, events, key, print)
}

// once appends the events of a request with a key, unless that has been done.
func (in *inlet) once(r *http.Request, events [][]byte, key, print string) (t taken, repeated bool, err error) {
	for {
		q, mine := in.keys.begin(key, print)
		if mine {
			t, at, err := in.append(events, &intake.Record{Key: []byte(key), Properties: []intake.Property{{Name: printName, Value: print}}})
			in.keys.end(q, t, at, err == nil)
			return t, false, err
		}
		select {
		case <-q.done:
		case <-r.Context().Done():
			return t, false, r.Context().Err()
		}
		switch {
		case !q.ok:
			continue // it was not taken: now it is ours
		case q.print != print:
			return t, false, refusef(http.StatusUnprocessableEntity, "the Idempotency-Key %.80q was used for another body", key)
		}
		return q.taken, true, nil
	}
}

// append puts events into the log. first, if set, has key and properties of the first one.
func (in *inlet) append(events [][]byte, first *intake.Record) (taken, time.Time, error) {
	records := make([]intake.Record, len(events))
	for i, e := range events {
		records[i].Value = e
	}
	if first != nil {
		records[0].Key, records[0].Properties = first.Key, first.Properties
	}
	seq, at, err := in.kept.Append(records)
	if errors.Is(err, intake.ErrTooLarge) {
		return taken{}, time.Time{}, refusef(http.StatusRequestEntityTooLarge, "the request is too large; post fewer events at a time")
	}
	if err != nil {
		return taken{}, time.Time{}, err
	}
	return taken{len(events), seq}, at, nil
}
