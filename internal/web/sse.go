package web

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// sender sends an event to whoever listens; an id of 0 is none. Its error says that nobody
// does any more.
type sender func(id int64, data any) error

// sendTimeout is how long somebody who listens may take for an event; then the stream ends.
const sendTimeout = 10 * time.Second

// stream registers a route of server-sent events. kinds are the events by their names. open
// finds what there is to send, so that what is wrong is an answer with a status; what it gives
// sends until its context ends, and is always called.
func stream[I any](s *Server, o huma.Operation, kinds map[string]any, open func(context.Context, *I) (func(context.Context, sender), error)) {
	names := map[reflect.Type]string{}
	var schemas []*huma.Schema
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		t := reflect.TypeOf(kinds[name])
		names[t] = name
		schemas = append(schemas, &huma.Schema{Title: name, Type: huma.TypeObject, Required: []string{"event", "data"}, Properties: map[string]*huma.Schema{
			"event": {Type: huma.TypeString, Enum: []any{name}},
			"data":  s.api.OpenAPI().Components.Schemas.Schema(t, true, name),
			"id":    {Type: huma.TypeInteger},
		}})
	}
	o.Responses = map[string]*huma.Response{"200": {Description: "Server-sent events", Content: map[string]*huma.MediaType{
		"text/event-stream": {Schema: &huma.Schema{Type: huma.TypeArray, Items: &huma.Schema{OneOf: schemas}}}}}}
	huma.Register(s.api, o, func(ctx context.Context, in *I) (*huma.StreamResponse, error) {
		run, err := open(ctx, in)
		if err != nil {
			return nil, err
		}
		return &huma.StreamResponse{Body: func(c huma.Context) {
			r, w := humago.Unwrap(c)
			w.Header().Set("Content-Type", "text/event-stream")
			control := http.NewResponseController(w)
			w.WriteHeader(http.StatusOK)
			_ = control.Flush()
			run(r.Context(), func(id int64, data any) error { return sendEvent(w, control, names, id, data) })
		}}, nil
	})
}

// sendEvent writes one event.
func sendEvent(w http.ResponseWriter, control *http.ResponseController, names map[reflect.Type]string, id int64, data any) error {
	var b bytes.Buffer
	if id > 0 {
		fmt.Fprintf(&b, "id: %d\n", id)
	}
	name, ok := names[reflect.TypeOf(data)]
	if !ok {
		panic(fmt.Sprintf("web: no event is a %T", data))
	}
	fmt.Fprintf(&b, "event: %s\ndata: ", name)
	if err := json.NewEncoder(&b).Encode(data); err != nil { // one line, and an end of line
		return err
	}
	b.WriteByte('\n')
	_ = control.SetWriteDeadline(time.Now().Add(sendTimeout)) // a recorder in a test has none
	if _, err := w.Write(b.Bytes()); err != nil {
		return err
	}
	return control.Flush()
}
