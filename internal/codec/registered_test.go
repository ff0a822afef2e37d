package codec

import (
	"context"
	"encoding/binary"
	"strings"
	"testing"
)

// schemas is a registry that has a schema for every number.
type schemas struct{ asked int }

func (s *schemas) Schema(context.Context, uint32) (RegisteredSchema, error) {
	s.asked++
	return RegisteredSchema{Type: "avro", Text: `"long"`}, nil
}

// TestManySchemas: what was learned stays known while messages of further schemas come, and they
// are bad without asking for each.
func TestManySchemas(t *testing.T) {
	r := &schemas{}
	p, err := NewPayload(PayloadFormat{Type: "avro", Registry: r})
	if err != nil {
		t.Fatal(err)
	}
	message := func(n uint32) []byte { return append(binary.BigEndian.AppendUint32([]byte{0}, n), 2) }
	for n := range uint32(maxRegistered + 5) {
		if err := p.Learn(t.Context(), message(n)); err != nil {
			t.Fatal(err)
		}
	}
	if r.asked != maxRegistered || !p.Known(message(0)) || !p.Known(message(maxRegistered-1)) {
		t.Errorf("the registry was asked %d times", r.asked)
	}
	if got := string(p.Append(nil, message(maxRegistered+1))); !strings.Contains(got, "an input keeps 10000 of the registry") {
		t.Errorf("got %s", got)
	}
}
