package rest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"math"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"weir/internal/hub"
	"weir/internal/hub/amqp"
)

// batchType is the content type of many events.
const batchType = "application/vnd.microsoft.servicebus.json"

// The limits of a request's events.
const (
	// MaxEvents is how many events one request may have.
	MaxEvents = 10_000
	// MaxProperties is how many properties one event may have.
	MaxProperties = 200
	// MaxKey is how long a partition key may be, in bytes (the SDKs' limit).
	MaxKey = 128
)

// protocolHeaders are HTTP's own, and those of proxies and browsers: they say something of the
// request and nothing of the event.
var protocolHeaders = func() map[string]bool {
	m := map[string]bool{}
	for _, name := range strings.Fields(`Accept Accept-Charset Accept-Encoding Accept-Language Accept-Ranges Age Allow
		Authorization BrokerProperties Cache-Control Connection Content-Disposition Content-Encoding Content-Language Content-Length
		Content-Location Content-Md5 Content-Range Content-Type Cookie Date Dnt Etag Expect Expires Forwarded From Host If-Match
		If-Modified-Since If-None-Match If-Range If-Unmodified-Since Keep-Alive Last-Modified Location Max-Forwards Origin Pragma
		Priority Proxy-Authenticate Proxy-Authorization Proxy-Connection Range Referer Retry-After Server Set-Cookie Te Trailer
		Traceparent Tracestate Transfer-Encoding Upgrade Upgrade-Insecure-Requests User-Agent Vary Via Warning Www-Authenticate
		X-Forwarded-For X-Forwarded-Host X-Forwarded-Port X-Forwarded-Proto X-Real-Ip X-Request-Id X-Ms-Retrypolicy X-Ms-Version
		X-Ms-Client-Request-Id Servicebusauthorization`) {
		m[http.CanonicalHeaderKey(name)] = true
	}
	return m
}()

// decode makes events of the body.
func (s *room) decode(r *http.Request, publisher string) error {
	s.events, s.encoded, s.key = s.events[:0], s.encoded[:0], nil
	contentType := r.Header.Get("Content-Type")
	kind, _, err := mime.ParseMediaType(contentType)
	if err == nil && kind == batchType {
		return s.batch(publisher)
	}
	m := amqp.Message{Body: s.body}
	if utf8.ValidString(contentType) {
		m.Properties.ContentType = contentType
	}
	var b brokerProperties
	if text := r.Header.Values("Brokerproperties"); len(text) > 0 {
		if b, err = parseBroker([]byte(text[0])); err != nil || len(text) > 1 {
			return refusef(http.StatusBadRequest, "the header BrokerProperties is no JSON object of properties: %s", reason(err))
		}
	}
	if m.Application, err = headers(r.Header); err != nil {
		return err
	}
	return s.add(&m, b, publisher)
}

// reason says what is wrong with a JSON text without repeating it.
func reason(err error) string {
	switch {
	case err == nil:
		return "it is there twice"
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return "it does not end"
	}
	if bad, ok := errors.AsType[*json.SyntaxError](err); ok {
		return "byte " + strconv.FormatInt(bad.Offset, 10) + " is not what JSON has there"
	}
	if bad, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return short(bad.Field) + " is not of the right type"
	}
	return short(err.Error())
}

// short is the start of a text.
func short(text string) string {
	const most = 200
	if len(text) > most {
		text = text[:most]
	}
	return strings.ToValidUTF8(text, "?")
}

// headers are the properties of the application among the headers of a request, in the order
// of their names.
func headers(h http.Header) ([]amqp.Pair, error) {
	var list []amqp.Pair
	for name, values := range h {
		if protocolHeaders[name] || strings.HasPrefix(name, "Sec-") || strings.HasPrefix(name, "Access-Control-") {
			continue
		}
		text := strings.Join(values, ", ")
		if !utf8.ValidString(text) {
			return nil, refusef(http.StatusBadRequest, "the header %.80q is not UTF-8", name)
		}
		if n := len(text); n >= 2 && text[0] == '"' && text[n-1] == '"' {
			text = text[1 : n-1]
		}
		list = append(list, amqp.Pair{Key: name, Value: text})
	}
	if len(list) > MaxProperties {
		return nil, refusef(http.StatusBadRequest, "the request has %d headers that are properties; %d is the most", len(list), MaxProperties)
	}
	slices.SortFunc(list, func(a, b amqp.Pair) int { return strings.Compare(a.Key, b.Key) })
	return list, nil
}

// brokerProperties are the properties that AMQP has a place for. Others are ignored, as the
// service does.
type brokerProperties struct {
	PartitionKey, MessageID, CorrelationID, Label, To, ReplyTo, SessionID, ReplyToSessionID, ContentType string
}

// parseBroker reads BrokerProperties.
func parseBroker(text []byte) (brokerProperties, error) {
	var b struct {
		PartitionKey, Label, To, ReplyTo, ContentType *string
		MessageID                                     *string `json:"MessageId"`
		CorrelationID                                 *string `json:"CorrelationId"`
		SessionID                                     *string `json:"SessionId"`
		ReplyToSessionID                              *string `json:"ReplyToSessionId"`
	}
	if err := json.Unmarshal(text, &b); err != nil {
		return brokerProperties{}, err
	}
	of := func(p *string) string {
		if p == nil {
			return ""
		}
		return *p
	}
	return brokerProperties{of(b.PartitionKey), of(b.MessageID), of(b.CorrelationID), of(b.Label), of(b.To), of(b.ReplyTo), of(b.SessionID),
		of(b.ReplyToSessionID), of(b.ContentType)}, nil
}

// add encodes an event and puts it to the others, which must have the same key.
func (s *room) add(m *amqp.Message, b brokerProperties, publisher string) error {
	key := b.PartitionKey
	if publisher != "" {
		if key != "" && key != publisher {
			return refusef(http.StatusBadRequest, "the partition key of what a publisher sends is its name, and another one is given")
		}
		key = publisher
		m.Annotations = []amqp.Pair{{Key: "x-opt-publisher", Value: publisher}}
	}
	if len(key) > MaxKey {
		return refusef(http.StatusBadRequest, "the partition key has %d bytes; %d is the most", len(key), MaxKey)
	}
	if !utf8.ValidString(key) {
		return refusef(http.StatusBadRequest, "the partition key is not UTF-8")
	}
	p := &m.Properties
	if b.MessageID != "" {
		p.MessageID = b.MessageID
	}
	if b.CorrelationID != "" {
		p.CorrelationID = b.CorrelationID
	}
	p.Subject, p.To, p.ReplyTo, p.GroupID, p.ReplyToGroupID = b.Label, b.To, b.ReplyTo, b.SessionID, b.ReplyToSessionID
	if b.ContentType != "" {
		p.ContentType = b.ContentType
	}
	if len(s.events) > 0 && string(s.key) != key {
		return refusef(http.StatusBadRequest, "event %d has another partition key than the first: all events of a request have the same, or none", len(s.events)+1)
	}
	if key != "" && s.key == nil {
		s.key = []byte(key)
	}
	// A slice of s.encoded stays good when the rest of it moves.
	at := len(s.encoded)
	s.encoded = m.Append(s.encoded)
	s.events = append(s.events, hub.Event{Key: s.key, Message: s.encoded[at:len(s.encoded):len(s.encoded)]})
	return nil
}

// entry is an event of a batch.
type entry struct {
	Body             *string
	IsBodyBase64     bool
	UserProperties   map[string]json.RawMessage
	BrokerProperties json.RawMessage
}

// batch reads an array of events.
func (s *room) batch(publisher string) error {
	bad := func(err error) error {
		return refusef(http.StatusBadRequest, "the body is no array of events: event %d: %s; nothing of it was taken", len(s.events)+1, reason(err))
	}
	d := json.NewDecoder(bytes.NewReader(s.body))
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return refusef(http.StatusBadRequest, `the body is no array of events; write [{"Body": "..."}]`)
	}
	for d.More() {
		if len(s.events) == MaxEvents {
			return refusef(http.StatusRequestEntityTooLarge, "the request has more than %d events", MaxEvents)
		}
		var e *entry
		if err := d.Decode(&e); err != nil {
			return bad(err)
		}
		if e == nil {
			return bad(errors.New("it is null"))
		}
		if err := s.addEntry(e, publisher); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return bad(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return refusef(http.StatusBadRequest, "there is text behind the array of events; nothing of it was taken")
	}
	if len(s.events) == 0 {
		return refusef(http.StatusBadRequest, "there is no event in the request")
	}
	return nil
}

func (s *room) addEntry(e *entry, publisher string) error {
	n := len(s.events) + 1
	m := amqp.Message{}
	switch {
	case e.Body == nil:
	case e.IsBodyBase64:
		b, err := base64.StdEncoding.DecodeString(*e.Body)
		if err != nil {
			return refusef(http.StatusBadRequest, "the Body of event %d is not base64; nothing of the request was taken", n)
		}
		m.Body = b
	default:
		m.Body = []byte(*e.Body)
	}
	var b brokerProperties
	if len(e.BrokerProperties) > 0 {
		var err error
		if b, err = parseBroker(e.BrokerProperties); err != nil {
			return refusef(http.StatusBadRequest, "the BrokerProperties of event %d are no object of properties: %s", n, reason(err))
		}
	}
	if len(e.UserProperties) > MaxProperties {
		return refusef(http.StatusBadRequest, "event %d has %d properties; %d is the most", n, len(e.UserProperties), MaxProperties)
	}
	for name, text := range e.UserProperties {
		v, ok := valueOf(text)
		if !ok {
			return refusef(http.StatusBadRequest, "the property %.80q of event %d is no text, number, true, false or null", name, n)
		}
		m.Application = append(m.Application, amqp.Pair{Key: name, Value: v})
	}
	slices.SortFunc(m.Application, func(a, b amqp.Pair) int { return strings.Compare(a.Key, b.Key) })
	return s.add(&m, b, publisher)
}

// valueOf is the value of a property: a text, a whole number, another number, a boolean or
// nothing.
func valueOf(text json.RawMessage) (any, bool) {
	switch text[0] {
	case '"':
		var v string
		err := json.Unmarshal(text, &v)
		return v, err == nil
	case 't', 'f':
		return text[0] == 't', true
	case 'n':
		return nil, true
	case '{', '[':
		return nil, false
	}
	if n, err := strconv.ParseInt(string(text), 10, 64); err == nil {
		return n, true
	}
	f, err := strconv.ParseFloat(string(text), 64)
	return f, err == nil && !math.IsInf(f, 0)
}
