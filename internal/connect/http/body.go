package http

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync/atomic"

	"weir/internal/codec"
	"weir/internal/vec"
)

// refusal is why a request is not taken, for its client.
type refusal struct {
	status int
	text   string
}

func (r *refusal) Error() string { return r.text }

func refusef(status int, format string, args ...any) error {
	return &refusal{status, fmt.Sprintf(format, args...)}
}

// unpackings are the values of Content-Encoding.
var unpackings = map[string]codec.Compression{"": codec.CompressAuto, "identity": codec.CompressNone, "gzip": codec.CompressGzip,
	"x-gzip": codec.CompressGzip, "deflate": codec.CompressDeflate, "zstd": codec.CompressZstd}

// budget bounds what all requests of an input hold.
type budget struct {
	used atomic.Int64
	max  int64
}

func (b *budget) take(n int64) bool {
	if b.used.Add(n) > b.max {
		b.used.Add(-n)
		return false
	}
	return true
}

// readBody reads the text of a request, unpacked, in UTF-8. held is what it has taken of the
// budget, also after an error.
func readBody(w http.ResponseWriter, r *http.Request, limit int64, b *budget) (text []byte, held int64, err error) {
	name := strings.ToLower(strings.TrimSpace(r.Header.Get("Content-Encoding")))
	how, ok := unpackings[name]
	if !ok {
		return nil, 0, refusef(http.StatusUnsupportedMediaType, "the Content-Encoding %.40q is not known; gzip, deflate and zstd are", name)
	}
	tooLarge := refusef(http.StatusRequestEntityTooLarge, "the request is larger than max_body, %d bytes; post fewer events at a time", limit)
	if r.ContentLength > limit {
		return nil, 0, tooLarge
	}
	text0 := codec.Open(http.MaxBytesReader(w, r.Body, limit), codec.Format{Compression: how, Type: "json"})
	defer text0.Close()
	buf := make([]byte, 0, startBytes(r.ContentLength, limit))
	for {
		if grown := int64(cap(buf)) - held; grown > 0 {
			if !b.take(grown) {
				return nil, held, errBusy
			}
			held += grown
		}
		n, err := text0.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case int64(len(buf)) > limit:
			return nil, held, tooLarge
		case errors.Is(err, io.EOF):
			return buf, held, nil
		case err != nil:
			return nil, held, bodyError(err, tooLarge)
		}
		if len(buf) == cap(buf) {
			buf = append(make([]byte, 0, min(2*int64(cap(buf)), limit+1)), buf...)
		}
	}
}

// startBytes is how much room a body gets at first; what its client says of its length is
// believed for small ones only.
func startBytes(said, limit int64) int64 {
	const least, most = 4 << 10, 64 << 10
	return min(max(said+1, least), most, limit+1)
}

func bodyError(err, tooLarge error) error {
	var large *http.MaxBytesError
	var bad *codec.InputError
	switch {
	case errors.As(err, &large):
		return tooLarge
	case errors.As(err, &bad):
		return refusef(http.StatusBadRequest, "the body cannot be unpacked: %s", bad.Reason)
	}
	return refusef(http.StatusBadRequest, "the body did not arrive whole")
}

// cutEvents cuts a text into events: each is a JSON object on one line. An error says where
// the text is wrong, and then nothing of it is an event.
func cutEvents(text []byte, contentType string) ([][]byte, error) {
	kind, _, err := mime.ParseMediaType(contentType)
	if contentType != "" && err != nil {
		return nil, refusef(http.StatusUnsupportedMediaType, "the Content-Type %.60q cannot be read", contentType)
	}
	if kind == "text/csv" {
		return cutCSV(text)
	}
	if strings.HasPrefix(kind, "multipart/") {
		return nil, refusef(http.StatusUnsupportedMediaType, "the Content-Type %.60q is not taken; post JSON", contentType)
	}
	return cutJSON(text)
}

// cutJSON takes an object, objects one after another, on lines or not, or an array of them.
func cutJSON(text []byte) ([][]byte, error) {
	var events [][]byte
	pos := skipSpace(text, 0)
	array := pos < len(text) && text[pos] == '['
	if array {
		pos = skipSpace(text, pos+1)
	}
	fail := func(at int, format string, args ...any) ([][]byte, error) {
		return nil, refusef(http.StatusBadRequest, "event %d, byte %d of the body: %s; nothing of the request was taken", len(events)+1, at, fmt.Sprintf(format, args...))
	}
	for first := true; ; first = false {
		if array && pos < len(text) && text[pos] == ']' && first {
			pos = skipSpace(text, pos+1)
			break
		}
		if pos == len(text) {
			if array {
				return fail(pos, "the array does not end")
			}
			break
		}
		if text[pos] != '{' {
			return fail(pos, "an event is a JSON object, which starts with {")
		}
		_, next, err := vec.ScanJSON(text, pos)
		if err != nil {
			var bad *vec.JSONError
			if errors.As(err, &bad) {
				return fail(bad.Offset, "%s", bad.Msg)
			}
			return fail(pos, "%s", err)
		}
		if next-pos > codec.MaxEventBytes {
			return nil, refusef(http.StatusRequestEntityTooLarge, "event %d has %d bytes; %d is the most", len(events)+1, next-pos, codec.MaxEventBytes)
		}
		if len(events) == MaxRequestEvents {
			return nil, tooManyEvents()
		}
		events = append(events, oneLine(text[pos:next]))
		pos = skipSpace(text, next)
		if !array {
			continue
		}
		if pos < len(text) && text[pos] == ',' {
			pos = skipSpace(text, pos+1)
		} else if pos < len(text) && text[pos] == ']' {
			pos = skipSpace(text, pos+1)
			break
		} else {
			return fail(pos, `"," or "]" should stand here`)
		}
	}
	if pos != len(text) {
		return fail(pos, "text after the array")
	}
	if len(events) == 0 && !array {
		return nil, refusef(http.StatusBadRequest, "there is no event in the request")
	}
	return events, nil
}

func tooManyEvents() error {
	return refusef(http.StatusRequestEntityTooLarge, "the request has more than %d events", MaxRequestEvents)
}

func skipSpace(text []byte, pos int) int {
	for pos < len(text) && (text[pos] == ' ' || text[pos] == '\n' || text[pos] == '\r' || text[pos] == '\t') {
		pos++
	}
	return pos
}

// oneLine makes white space of line ends, in place: in valid JSON they stand between tokens
// only.
func oneLine(event []byte) []byte {
	for i, c := range event {
		if c == '\n' || c == '\r' {
			event[i] = ' '
		}
	}
	return event
}

// cutCSV makes an object of texts of each row below the header row.
func cutCSV(text []byte) ([][]byte, error) {
	rows := csv.NewReader(bytes.NewReader(text))
	rows.ReuseRecord = true
	header, err := rows.Read()
	if errors.Is(err, io.EOF) {
		return nil, refusef(http.StatusBadRequest, "there is no header row in the request")
	}
	names := append([]string(nil), header...)
	var events [][]byte
	size := 0
	for ; err == nil; err = nil {
		row, e := rows.Read()
		if errors.Is(e, io.EOF) {
			return events, nil
		}
		if err = e; err != nil {
			break
		}
		event := []byte{'{'}
		for i, cell := range row {
			if i > 0 {
				event = append(event, ',')
			}
			event = append(vec.AppendJSONString(event, names[i]), ':')
			event = vec.AppendJSONString(event, cell)
		}
		events = append(events, append(event, '}'))
		// Names stand in every event: a wide header makes much of little.
		if size += len(event); len(events) > MaxRequestEvents || size > 16*len(text)+codec.MaxEventBytes {
			return nil, tooManyEvents()
		}
	}
	return nil, refusef(http.StatusBadRequest, "the CSV cannot be read: %s; nothing of the request was taken", err)
}

// cutLines takes every line that is not empty for an event, whatever stands in it.
func cutLines(text []byte) ([][]byte, error) {
	var events [][]byte
	for line := range bytes.Lines(text) {
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if len(events) == MaxRequestEvents {
			return nil, tooManyEvents()
		}
		events = append(events, line)
	}
	if len(events) == 0 {
		return nil, refusef(http.StatusBadRequest, "there is no event in the request")
	}
	return events, nil
}
