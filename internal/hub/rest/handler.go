package rest

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"weir/internal/hub"
	"weir/internal/hub/log"
)

// DefaultMaxBodies bounds the bytes of all bodies that are held at a time.
const DefaultMaxBodies = 64 << 20

// bodyTime is how long a client may take to send a body, lingerTime how long what is left of
// one is read that was refused, so that the client sees why.
const (
	bodyTime   = 10 * time.Second
	lingerTime = time.Second
)

// retrySeconds is what clients are told to wait when there is no room.
const retrySeconds = "2"

// Options of a handler. Zero values are the defaults.
type Options struct {
	Broker    *hub.Broker
	MaxBodies int64 // DefaultMaxBodies
	Log       *slog.Logger
	Now       func() time.Time
}

// Handler takes events over HTTP. Any number of goroutines may use it.
type Handler struct {
	o      Options
	log    *slog.Logger
	bodies atomic.Int64 // bytes that are held
	pool   sync.Pool    // of *room
	// decoding holds one for each request whose events are being decoded: an array of JSON
	// takes many times its text, for as long as that.
	decoding chan struct{}

	mu       sync.Mutex
	answered map[int]int64 // by status
}

// New makes a handler.
func New(o Options) *Handler {
	if o.MaxBodies <= 0 {
		o.MaxBodies = DefaultMaxBodies
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	h := &Handler{o: o, log: o.Log, answered: map[int]int64{}, decoding: make(chan struct{}, 2*runtime.GOMAXPROCS(0))}
	h.pool.New = func() any { return new(room) }
	return h
}

// Answered is how many requests were answered, by status.
func (h *Handler) Answered() map[string]int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make(map[string]int64, len(h.answered))
	for status, n := range h.answered {
		out[strconv.Itoa(status)] = n
	}
	return out
}

// refusal is why a request is not taken, for its client. The text holds nothing secret.
type refusal struct {
	status int
	text   string
}

func (r *refusal) Error() string { return r.text }

func refusef(status int, format string, args ...any) error {
	return &refusal{status, fmt.Sprintf(format, args...)}
}

// ServeHTTP answers a request: 201 and no body if its events are as durable as the broker
// makes them, else an error that says why.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	err := h.post(w, r)
	status := http.StatusCreated
	if err != nil {
		status = h.refuse(w, r, err)
	} else {
		w.Header().Set("Content-Length", "0")
		w.WriteHeader(status)
	}
	h.mu.Lock()
	h.answered[status]++ // the statuses are ours: a handful
	h.mu.Unlock()
}

// refuse answers with an error in the form of the service.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, err error) int {
	said, ok := errors.AsType[*refusal](err)
	if !ok {
		said = &refusal{statusOf(err), err.Error()}
		if errors.Is(err, hub.ErrFull) { // where the files lie is nothing for clients
			h.log.Warn("events that were posted could not be taken", "path", r.URL.Path, "error", err)
			said.text = hub.ErrFull.Error() + "; nothing of the request was taken; try again later"
		}
		if said.status == http.StatusInternalServerError {
			h.log.Error("events that were posted could not be taken", "path", r.URL.Path, "error", err)
			said.text = "the events could not be kept; the log of the hub says why"
		}
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(lingerTime)) // a recorder in a test has none
	switch said.status {
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", retrySeconds)
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", "SharedAccessSignature")
	}
	w.Header().Set("Content-Type", "application/xml; charset=utf-8")
	w.WriteHeader(said.status)
	_ = xml.NewEncoder(w).Encode(struct { // a client that has left needs no answer
		XMLName xml.Name `xml:"Error"`
		Code    int
		Detail  string
	}{Code: said.status, Detail: said.text})
	return said.status
}

// statusOf is the status of an error of the broker.
func statusOf(err error) int {
	switch {
	case errors.Is(err, hub.ErrUnauthorized), errors.Is(err, hub.ErrForbidden):
		// The service has one status for both (eventhubs.md 1.3).
		return http.StatusUnauthorized
	case errors.Is(err, hub.ErrNoHub), errors.Is(err, hub.ErrNoPartition):
		return http.StatusNotFound
	case errors.Is(err, hub.ErrTooLarge):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, log.ErrBusy), errors.Is(err, log.ErrLogFull), errors.Is(err, hub.ErrFull), errors.Is(err, hub.ErrClosed):
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// target is where the path of a request leads.
type target struct {
	hub       string
	partition string // "" is any
	publisher string
	path      string // within the hub
}

// targetOf reads a path: /{hub}/messages, /{hub}/partitions/{p}/messages or
// /{hub}/publishers/{p}/messages.
func targetOf(path string) (target, bool) {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	last := len(parts) - 1
	if parts[0] == "" || last < 1 || !strings.EqualFold(parts[last], "messages") {
		return target{}, false
	}
	t := target{hub: parts[0], path: strings.Join(parts[1:], "/")}
	switch {
	case last == 1:
	case last == 3 && strings.EqualFold(parts[1], "partitions") && parts[2] != "":
		t.partition = parts[2]
	case last == 3 && strings.EqualFold(parts[1], "publishers") && parts[2] != "":
		t.publisher = parts[2]
	default:
		return target{}, false
	}
	return t, true
}

// post takes the events of a request.
func (h *Handler) post(w http.ResponseWriter, r *http.Request) error {
	to, ok := targetOf(r.URL.Path)
	if !ok {
		return refusef(http.StatusNotFound, "there is nothing here; events are posted to /HUB/messages, /HUB/partitions/N/messages or /HUB/publishers/NAME/messages")
	}
	if err := h.allow(r, to); err != nil {
		return err
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return refusef(http.StatusMethodNotAllowed, "events are posted")
	}
	own, err := h.o.Broker.Hub(to.hub)
	if err != nil {
		return err
	}
	var part *hub.Partition
	if to.partition != "" {
		n, err := strconv.ParseUint(to.partition, 10, 31)
		if err != nil {
			return refusef(http.StatusNotFound, "%.40q is no partition; they are numbers from 0 on", to.partition)
		}
		if part, err = own.Partition(int(n)); err != nil {
			return err
		}
	}
	space := h.pool.Get().(*room)
	defer func() {
		h.bodies.Add(-space.held)
		space.held = 0
		if cap(space.body)+cap(space.encoded) <= 4*keptRoom && cap(space.events) <= keptEvents {
			clear(space.events[:cap(space.events)])
			h.pool.Put(space)
		}
	}()
	if err := h.readBody(w, r, space); err != nil {
		return err
	}
	h.decoding <- struct{}{}
	err = space.decode(r, to.publisher)
	<-h.decoding
	if err != nil {
		return err
	}
	if part == nil {
		part = own.Route(space.key)
	}
	_, err = part.Append(space.events, nil)
	return err
}

// allow says why a request may not come in: its token must be for the hub, or a place within
// it that the path has, and its key must have the right to send.
func (h *Handler) allow(r *http.Request, to target) error {
	header := r.Header.Get("Authorization")
	if header == "" {
		return refusef(http.StatusUnauthorized, "the request needs the header Authorization: SharedAccessSignature with a token")
	}
	if scheme, _, _ := strings.Cut(header, " "); strings.EqualFold(scheme, "Bearer") {
		return refusef(http.StatusUnauthorized, "tokens of Entra ID are not taken; sign in with a shared access signature")
	}
	grant, err := h.o.Broker.Token(header)
	if err != nil {
		return err
	}
	return grant.MayAt(hub.Send, to.hub, to.path, h.o.Now())
}

// room is what a request needs of memory; it is used again.
type room struct {
	body    []byte
	encoded []byte
	events  []hub.Event
	key     []byte
	held    int64 // of Handler.bodies
}

// How large a body may be, in bytes, and how many events it may have, for its room to be used
// again.
const (
	keptRoom   = 64 << 10
	keptEvents = 256
)

// readBody reads the body within its size and time.
func (h *Handler) readBody(w http.ResponseWriter, r *http.Request, space *room) error {
	_, limit := h.o.Broker.Limits()
	tooLarge := refusef(http.StatusRequestEntityTooLarge, "a request has at most %d bytes; post fewer events at a time", limit)
	if e := r.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return refusef(http.StatusUnsupportedMediaType, "the Content-Encoding %.40q is not taken: an event is kept as it comes", e)
	}
	if r.ContentLength > int64(limit) {
		w.Header().Set("Connection", "close")
		return tooLarge
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTime)) // a recorder in a test has none
	from := http.MaxBytesReader(w, r.Body, int64(limit))
	buf := space.body[:0]
	for {
		if len(buf) == cap(buf) {
			// What a client says of its length is believed for small bodies only.
			more := max(4<<10, 2*cap(buf), int(min(r.ContentLength+1, keptRoom)))
			buf = append(make([]byte, 0, min(more, limit+1)), buf...)
		}
		if grown := int64(cap(buf)) - space.held; grown > 0 {
			if h.bodies.Add(grown) > h.o.MaxBodies {
				h.bodies.Add(-grown)
				w.Header().Set("Connection", "close")
				return refusef(http.StatusServiceUnavailable, "too many requests are under way; try again")
			}
			space.held += grown
		}
		n, err := from.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		space.body = buf
		switch _, large := errors.AsType[*http.MaxBytesError](err); {
		case large:
			return tooLarge
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, context.Canceled), err != nil:
			w.Header().Set("Connection", "close")
			return refusef(http.StatusBadRequest, "the body did not arrive whole")
		}
	}
}
