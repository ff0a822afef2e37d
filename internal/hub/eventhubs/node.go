package eventhubs

import (
	"strings"

	"weir/internal/hub/amqp"
)

// request is what a client asks of a node: its application properties say what, and the
// body has the rest.
type request struct {
	id      any // of the message, of any type that ids may have
	replyTo string
	fields  []amqp.Pair
	body    []byte
}

// reply is the answer to a request.
type reply struct {
	status    int32
	text      string
	condition string // of an error, amqp's or com.microsoft's
	body      []amqp.Pair
}

// readRequest decodes a request. What clients put into it is taken in any form that says the
// same (eventhubs.md 1.2, 5).
func readRequest(message []byte) (request, error) {
	m, err := amqp.Decode(message)
	if err != nil {
		return request{}, undecodable(err)
	}
	return request{id: m.Properties.MessageID, replyTo: m.Properties.ReplyTo, fields: m.Application, body: m.Body}, nil
}

// text is an application property as a text; "" if there is none.
func (r request) text(name string) string {
	for _, f := range r.fields {
		if f.Key == name {
			return textOf(f.Value)
		}
	}
	return ""
}

// textOf is a value that stands for a text. Python's SDK 5.11 sends a token as the descriptor
// of a described value (eventhubs.md 1.2, 5).
func textOf(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case amqp.Symbol:
		return string(v)
	case []byte:
		return string(v)
	case amqp.Described:
		if text := textOf(v.Descriptor); text != "" {
			return text
		}
		return textOf(v.Value)
	}
	return ""
}

// encode makes the message that answers a request: with the id as it was sent, of the same
// type, as correlation-id, and the body as an amqp-value.
func (r reply) encode(id any) []byte {
	b := amqp.AppendSection(nil, amqp.SectionProperties)
	b = amqp.AppendValue(b, []any{nil, nil, nil, nil, nil, id})
	fields := []amqp.Pair{{Key: "status-code", Value: r.status}, {Key: "status-description", Value: r.text}}
	if r.condition != "" {
		fields = append(fields, amqp.Pair{Key: "error-condition", Value: amqp.Symbol(r.condition)})
	}
	b = amqp.AppendValue(amqp.AppendSection(b, amqp.SectionApplicationProperties), fields)
	b = amqp.AppendSection(b, amqp.SectionValue)
	if r.body == nil {
		return amqp.AppendValue(b, nil)
	}
	return amqp.AppendValue(b, r.body)
}

// failed is the reply for an error.
func failed(err error) reply {
	e := refusal(err)
	r := reply{status: 500, text: e.Description, condition: e.Condition}
	switch e.Condition {
	case condUnauthorized:
		r.status = 401
	case condNotFound:
		r.status = 404
	case condArgument, condOutOfRange, condDecode, condNotAllowed:
		r.status = 400
	case condNotImplemented:
		r.status = 501
	case condBusy:
		r.status = 503
	case condLimit:
		r.status = 403
	}
	return r
}

// isJWT reports whether a token has the shape of a JSON web token: three parts of base64.
func isJWT(token string) bool {
	return strings.Count(token, ".") == 2 && !strings.ContainsAny(token, " =&")
}
