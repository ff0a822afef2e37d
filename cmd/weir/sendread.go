package main

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"weir/internal/vec"
)

// eventReader cuts a text into events.
type eventReader struct{ *bufio.Reader }

func newEventReader(r io.Reader) *eventReader { return &eventReader{bufio.NewReaderSize(r, 64<<10)} }

// detect finds the format by the name and the first byte that is no white space.
func (r *eventReader) detect(name string) string {
	if b, _ := r.Peek(3); bytes.Equal(b, []byte("\xef\xbb\xbf")) {
		_, _ = r.Discard(3) // it was peeked
	}
	switch {
	case strings.HasSuffix(name, ".csv"):
		return "csv"
	case strings.HasSuffix(name, ".jsonl"), strings.HasSuffix(name, ".ndjson"):
		return "lines"
	}
	for n := 1; ; n++ {
		b, err := r.Peek(n)
		if err != nil {
			return "lines"
		}
		switch c := b[n-1]; c {
		case ' ', '\t', '\r', '\n':
			continue
		case '[':
			return "json"
		case '{': // an object that goes over lines
			buffered, _ := r.Peek(r.Buffered())
			if line, _, ok := bytes.Cut(bytes.TrimLeft(buffered, " \t\r\n"), []byte("\n")); ok && !json.Valid(line) {
				return "json"
			}
		}
		return "lines"
	}
}

// lines gives each line that is not empty.
func (r *eventReader) lines(name string, give func(outgoing) error) error {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 0, 64<<10), maxSent)
	n := 0
	for s.Scan() {
		n++
		if len(bytes.TrimSpace(s.Bytes())) == 0 {
			continue
		}
		if err := give(outgoing{body: bytes.Clone(s.Bytes()), at: fmt.Sprintf("%s:%d", name, n)}); err != nil {
			return err
		}
	}
	if errors.Is(s.Err(), bufio.ErrTooLong) {
		return usage("%s:%d: the line has more than %d bytes; is it an array? then say --format json", name, n+1, maxSent)
	}
	return s.Err()
}

// json gives the values of a text; of arrays their elements. A first array is not held whole.
func (r *eventReader) json(name string, give func(outgoing) error) error {
	d := json.NewDecoder(r)
	n := 0
	give1 := func(v json.RawMessage) error {
		n++
		return give(outgoing{body: bytes.Clone(v), at: fmt.Sprintf("%s: event %d", name, n)})
	}
	bad := func(err error) error {
		var at *json.SyntaxError
		if errors.As(err, &at) || errors.Is(err, io.ErrUnexpectedEOF) {
			return usage("%s: event %d, byte %d: %w", name, n+1, d.InputOffset(), err)
		}
		return err
	}
	if r.array() {
		if _, err := d.Token(); err != nil {
			return bad(err)
		}
		for d.More() {
			var v json.RawMessage
			if err := d.Decode(&v); err != nil {
				return bad(err)
			}
			if err := give1(v); err != nil {
				return err
			}
		}
		if _, err := d.Token(); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return bad(err)
		}
	}
	for {
		var v json.RawMessage
		err := d.Decode(&v)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return bad(err)
		}
		list := []json.RawMessage{v}
		if v[0] == '[' {
			if err := json.Unmarshal(v, &list); err != nil {
				return bad(err)
			}
		}
		for _, v := range list {
			if err := give1(v); err != nil {
				return err
			}
		}
	}
}

// array reports whether the text begins with an array.
func (r *eventReader) array() bool {
	for n := 1; n <= r.Size(); n++ {
		b, err := r.Peek(n)
		if err != nil {
			return false
		}
		switch b[n-1] {
		case ' ', '\t', '\r', '\n':
		default:
			return b[n-1] == '['
		}
	}
	return false
}

// csv gives an object of texts for each row.
func (r *eventReader) csv(name string, give func(outgoing) error) error {
	rows := csv.NewReader(r)
	rows.ReuseRecord = true
	head, err := rows.Read()
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return usage("%s: %w", name, err)
	}
	names := append([]string(nil), head...)
	for {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return usage("%s: %w", name, err)
		}
		line, _ := rows.FieldPos(0)
		body := []byte{'{'}
		for i, cell := range row {
			if i > 0 {
				body = append(body, ',')
			}
			body = append(vec.AppendJSONString(body, names[i]), ':')
			body = vec.AppendJSONString(body, cell)
		}
		if err := give(outgoing{body: append(body, '}'), at: fmt.Sprintf("%s:%d", name, line)}); err != nil {
			return err
		}
	}
}
