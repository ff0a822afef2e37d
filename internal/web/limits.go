package web

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"time"
)

// The limits of what all clients take together.
const (
	maxConnections = 1024            // at a time; others wait to be let in
	maxBodies      = 64 << 20        // bytes of bodies that are held at a time
	maxValues      = 20_000          // of a JSON body of the interface: events are texts in it, and texts count once
	answerTimeout  = 5 * time.Minute // to make an answer and to take it; events of streams have sendTimeout
	retrySeconds   = "2"             // what clients are told to wait when there is no room
)

// errBusy is the error of a body that there is no room for now.
var errBusy = errors.New("too many requests are under way")

// readAll reads a body. held is what it has taken of the room for bodies, also after an error.
func (s *Server) readAll(r io.Reader) (text []byte, held int64, err error) {
	buf := make([]byte, 0, 4<<10)
	for {
		if grown := int64(cap(buf)) - held; grown > 0 {
			if s.bodies.Add(grown) > maxBodies {
				s.bodies.Add(-grown)
				return nil, held, errBusy
			}
			held += grown
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case errors.Is(err, io.EOF):
			return buf, held, nil
		case err != nil:
			return nil, held, err
		}
		if len(buf) == cap(buf) {
			buf = append(make([]byte, 0, 2*cap(buf)), buf...)
		}
	}
}

// tooMany reports whether a JSON text has more than maxValues values: what it takes to decode
// and check them is a hundred times the text.
func tooMany(text []byte) bool {
	n := 0
	quoted := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && (c == ',' || c == '[' || c == '{'):
			if n++; n > maxValues {
				return true
			}
		}
	}
	return false
}

// isInterface tells the routes whose bodies the framework decodes.
func isInterface(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, base+"/") }
