package web

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"weir/internal/hub"
	"weir/internal/hub/amqp"
)

// The limits of what is shown of events.
const (
	maxBrowse      = 1000      // events of an answer
	maxBrowseBytes = 4 << 20   // bytes of bodies and properties of an answer
	maxBrowseBody  = 256 << 10 // bytes of one body
	maxBrowseScan  = 64 << 20  // bytes of events that are read for an answer
)

// HubEventView is an event as it is kept.
type HubEventView struct {
	Partition      int            `json:"partition"`
	SequenceNumber int64          `json:"sequence_number"`
	Offset         string         `json:"offset"`
	Enqueued       time.Time      `json:"enqueued"`
	PartitionKey   string         `json:"partition_key,omitempty"`
	Body           *string        `json:"body,omitempty" doc:"The body, if it is a text."`
	BodyBase64     string         `json:"body_base64,omitempty" doc:"The body, if it is none."`
	BodyBytes      int            `json:"body_bytes" doc:"How long the whole body is."`
	Truncated      bool           `json:"truncated,omitempty" doc:"The body is longer than what is shown."`
	Properties     map[string]any `json:"properties,omitempty" doc:"What AMQP has a place for, such as message_id and content_type."`
	Application    map[string]any `json:"application,omitempty" doc:"The properties of the application."`
	Annotations    map[string]any `json:"annotations,omitempty" doc:"What the sender has annotated."`
	Error          string         `json:"error,omitempty" doc:"Why the event cannot be read, if it cannot."`
}

// HubSend is an event to send.
type HubSend struct {
	Body         string            `json:"body,omitempty" doc:"The body, as a text."`
	BodyBase64   string            `json:"body_base64,omitempty" contentEncoding:"base64" doc:"The body, if it is none."`
	PartitionKey string            `json:"partition_key,omitempty" maxLength:"128"`
	ContentType  string            `json:"content_type,omitempty" maxLength:"200"`
	MessageID    string            `json:"message_id,omitempty" maxLength:"200"`
	Application  map[string]string `json:"application,omitempty" doc:"The properties of the application."`
}

// HubSent is where an event went.
type HubSent struct {
	Partition      int    `json:"partition"`
	SequenceNumber int64  `json:"sequence_number"`
	Offset         string `json:"offset"`
}

type browseInput struct {
	HubName
	Partition int    `path:"partition" minimum:"0"`
	From      string `query:"from" default:"first" maxLength:"40" doc:"Where to begin: first, last (the newest max events), a sequence number, @OFFSET, or a time such as 2026-01-31T12:00:00Z."`
	Max       int    `query:"max" minimum:"1" maximum:"1000" default:"100"`
}

type browseAnswer struct {
	Body struct {
		Events []HubEventView `json:"events"`
		Next   int64          `json:"next" doc:"The sequence number to go on from."`
	}
}

// hubEventRoutes are the routes about the events of hubs.
func (s *Server) hubEventRoutes(tag string) {
	huma.Register(s.api, op("GET", "/hubs/{hub}/partitions/{partition}/events", "browse-hub-events", tag, "Events of a partition, from a place on", 404), s.browse)
	send := op("POST", "/hubs/{hub}/events", "send-hub-events", tag, "Send events: those with the same partition key, or without, together", 404, 413)
	send.DefaultStatus = http.StatusCreated
	huma.Register(s.api, send, s.send)
}

// browse reads events without anybody's place in the partition.
func (s *Server) browse(_ context.Context, in *browseInput) (*browseAnswer, error) {
	h, err := s.hub(in.Hub)
	if err != nil {
		return nil, err
	}
	p, err := h.Partition(in.Partition)
	if err != nil {
		return nil, s.hubProblem(err)
	}
	at, err := placeOf(in.From, p, in.Max)
	if err != nil {
		return nil, err
	}
	seq, err := p.Seek(at)
	if err != nil {
		return nil, s.hubProblem(err)
	}
	r, err := p.Read(seq)
	if err != nil {
		return nil, s.hubProblem(err)
	}
	defer r.Close()
	out := &browseAnswer{}
	out.Body.Events, out.Body.Next = []HubEventView{}, seq
	shown, scanned := 0, 0
	for len(out.Body.Events) < in.Max && shown < maxBrowseBytes && scanned < maxBrowseScan {
		b, err := r.Next()
		if err != nil {
			return nil, s.hubProblem(err)
		}
		if b == nil {
			break
		}
		for i, x := range b.Records {
			if len(out.Body.Events) == in.Max || shown >= maxBrowseBytes {
				break
			}
			v := eventView(x.Value)
			v.Partition, v.SequenceNumber, v.Offset, v.Enqueued = in.Partition, b.Seq+int64(i), strconv.FormatInt(x.Offset, 10), b.Enqueued.UTC()
			v.PartitionKey = string(x.Key)
			out.Body.Events = append(out.Body.Events, v)
			out.Body.Next = v.SequenceNumber + 1
			shown += min(v.BodyBytes, maxBrowseBody) + len(x.Value) - v.BodyBytes
			scanned += len(x.Value)
		}
	}
	return out, nil
}

// placeOf reads where to begin.
func placeOf(from string, p *hub.Partition, most int) (hub.Position, error) {
	switch from {
	case "", "first":
		return hub.Position{Where: hub.Earliest}, nil
	case "last":
		return hub.Position{Where: hub.AtSequence, Value: p.Range().Next - int64(most)}, nil
	}
	if n, err := strconv.ParseInt(from, 10, 64); err == nil && n >= 0 {
		return hub.Position{Where: hub.AtSequence, Value: n}, nil
	}
	if text, ok := strings.CutPrefix(from, "@"); ok {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil && n >= 0 {
			return hub.Position{Where: hub.AtOffset, Value: n}, nil
		}
	}
	if t, err := time.Parse(time.RFC3339Nano, from); err == nil {
		return hub.Position{Where: hub.AtTime, Time: t}, nil
	}
	return hub.Position{}, newProblem(http.StatusUnprocessableEntity, strconv.Quote(from)+" is no place to begin: first, last, a sequence number, @OFFSET, or a time such as 2026-01-31T12:00:00Z")
}

// eventView is what can be said of a message.
func eventView(message []byte) HubEventView {
	m, err := amqp.Decode(message)
	if err != nil {
		return HubEventView{Error: short(err.Error()), BodyBytes: len(message)}
	}
	v := HubEventView{BodyBytes: len(m.Body), Application: mapOf(m.Application), Annotations: mapOf(m.Annotations), Properties: propertiesOf(&m.Properties)}
	body := m.Body
	if len(body) > maxBrowseBody {
		v.Truncated, body = true, body[:maxBrowseBody]
		for cut := 0; cut < utf8.UTFMax && !utf8.Valid(body) && utf8.Valid(m.Body[:len(body)-1]); cut++ {
			body = body[:len(body)-1]
		}
	}
	if utf8.Valid(body) {
		text := string(body)
		v.Body = &text
	} else {
		v.BodyBase64 = base64.StdEncoding.EncodeToString(body)
	}
	return v
}

func propertiesOf(p *amqp.Properties) map[string]any {
	m := map[string]any{}
	for _, x := range []struct {
		name string
		v    any
	}{{"message_id", p.MessageID}, {"correlation_id", p.CorrelationID}, {"user_id", p.UserID}, {"to", p.To}, {"subject", p.Subject}, {"reply_to", p.ReplyTo},
		{"content_type", p.ContentType}, {"content_encoding", p.ContentEncoding}, {"group_id", p.GroupID}, {"reply_to_group_id", p.ReplyToGroupID},
		{"expires", p.Expires}, {"created", p.Created}, {"group_sequence", p.GroupSequence}} {
		switch v := x.v.(type) {
		case nil:
			continue
		case string:
			if v == "" {
				continue
			}
		case []byte:
			if len(v) == 0 {
				continue
			}
		case uint32:
			if v == 0 {
				continue
			}
		case time.Time:
			if v.IsZero() {
				continue
			}
		}
		m[x.name] = jsonValue(x.v, 0)
	}
	return m
}

func mapOf(list []amqp.Pair) map[string]any {
	m := make(map[string]any, len(list))
	for _, p := range list {
		m[p.Key] = jsonValue(p.Value, 0)
	}
	return m
}

// maxShown is how deep values of AMQP are shown.
const maxShown = 8

// jsonValue is a value of AMQP as JSON has it; what JSON has not is its text.
func jsonValue(v any, depth int) any {
	if depth > maxShown {
		return "…"
	}
	switch v := v.(type) {
	case nil, bool, int8, int16, int32, int64, uint8, uint16, uint32, uint64, string:
		return v
	case amqp.Symbol:
		return string(v)
	case []byte:
		return base64.StdEncoding.EncodeToString(v)
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano)
	case amqp.UUID:
		return fmt.Sprintf("%x-%x-%x-%x-%x", v[:4], v[4:6], v[6:8], v[8:10], v[10:])
	case []any:
		list := make([]any, len(v))
		for i, x := range v {
			list[i] = jsonValue(x, depth+1)
		}
		return list
	case []amqp.Pair:
		m := make(map[string]any, len(v))
		for _, p := range v {
			m[p.Key] = jsonValue(p.Value, depth+1)
		}
		return m
	}
	return fmt.Sprint(v) // floats too, as JSON has no NaN
}

type sendInput struct {
	HubName
	Partition int `query:"partition" default:"-1" minimum:"-1" doc:"Default: the one of the partition key, or any."`
	Body      struct {
		Events []HubSend `json:"events" minItems:"1" maxItems:"1000"`
	}
}

type sentAnswer struct {
	Body struct {
		Sent []HubSent `json:"sent" doc:"Where each event went, in their order."`
	}
}

// send appends events. Those of one partition go together; if that fails for one partition,
// others may have taken theirs.
func (s *Server) send(_ context.Context, in *sendInput) (*sentAnswer, error) {
	h, err := s.hub(in.Hub)
	if err != nil {
		return nil, err
	}
	var fixed *hub.Partition
	if in.Partition >= 0 {
		if fixed, err = h.Partition(in.Partition); err != nil {
			return nil, s.hubProblem(err)
		}
	}
	type part struct {
		events []hub.Event
		from   []int // their places in the request
	}
	parts := map[*hub.Partition]*part{}
	keyless := fixed
	for i, e := range in.Body.Events {
		ev, err := eventOf(&e, i)
		if err != nil {
			return nil, err
		}
		to := fixed
		switch {
		case to != nil:
		case ev.Key != nil:
			to = h.Route(ev.Key)
		default:
			if keyless == nil {
				keyless = h.Route(nil)
			}
			to = keyless
		}
		if parts[to] == nil {
			parts[to] = &part{}
		}
		parts[to].events, parts[to].from = append(parts[to].events, ev), append(parts[to].from, i)
	}
	out := &sentAnswer{}
	out.Body.Sent = make([]HubSent, len(in.Body.Events))
	for _, p := range h.Partitions() {
		mine := parts[p]
		if mine == nil {
			continue
		}
		a, err := p.Append(mine.events, nil)
		if err != nil {
			return nil, s.hubProblem(err)
		}
		for n, i := range mine.from {
			out.Body.Sent[i] = HubSent{p.ID(), a.Seq + int64(n), ""}
			if n == 0 {
				out.Body.Sent[i].Offset = strconv.FormatInt(a.Offset, 10)
			}
		}
	}
	return out, nil
}

func eventOf(e *HubSend, i int) (hub.Event, error) {
	m := amqp.Message{Body: []byte(e.Body)}
	if e.BodyBase64 != "" {
		b, err := base64.StdEncoding.DecodeString(e.BodyBase64)
		if err != nil || e.Body != "" {
			return hub.Event{}, newProblem(http.StatusUnprocessableEntity, fmt.Sprintf("event %d: body_base64 is not base64, or there is a body beside it", i+1))
		}
		m.Body = b
	}
	m.Properties.ContentType = e.ContentType
	if e.MessageID != "" {
		m.Properties.MessageID = e.MessageID
	}
	for name, v := range e.Application {
		m.Application = append(m.Application, amqp.Pair{Key: name, Value: v})
	}
	ev := hub.Event{Message: m.Append(nil)}
	if e.PartitionKey != "" {
		ev.Key = []byte(e.PartitionKey)
	}
	return ev, nil
}
