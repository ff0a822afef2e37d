package fluent

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// chunk is a message of the protocol that carries events. Its parts are slices of the
// message.
type chunk struct {
	tag     string
	id      string // of the option chunk: it is to be acknowledged
	packed  []byte // entries one behind the other
	packing string // "", gzip or zstd
	single  bool   // the message is one entry itself: time and record
	time    []byte
	record  []byte
}

// maxTag and maxID bound the tag, which every event of a chunk carries, and the id of a
// chunk, which is remembered; in bytes.
const (
	maxTag = 1024
	maxID  = 256
)

// parseChunk reads a message that scan has found the end of (forward protocol v1, Event
// Modes).
func parseChunk(message []byte) (*chunk, error) {
	parts, err := items(message, 4)
	if err != nil {
		return nil, err
	}
	if len(parts) < 2 {
		return nil, errors.New("a message of a tag and events is expected")
	}
	c := &chunk{}
	var ok bool
	if c.tag, ok = text(parts[0]); !ok {
		return nil, errors.New("the tag is not a text")
	}
	if len(c.tag) > maxTag {
		return nil, fmt.Errorf("the tag has %d bytes; %d is the most", len(c.tag), maxTag)
	}
	h, err := readHead(parts[1])
	if err != nil {
		return nil, err
	}
	option := parts[2:]
	switch {
	case h.kind == kindArray && !isTime(parts[1], parts[2:]):
		c.packed = parts[1][h.size:]
	case h.kind == kindText, h.kind == kindBinary:
		c.packed = parts[1][h.size:]
	case len(parts) < 3:
		return nil, errors.New("a message of a tag and a time has no record")
	default:
		c.single, c.time, c.record, option = true, parts[1], parts[2], parts[3:]
	}
	switch len(option) {
	case 0:
		return c, nil
	case 1:
		return c, c.options(option[0])
	}
	return nil, errors.New("a message has too many parts")
}

// isTime reports whether an array is the time of a single event, with metadata, as Fluent Bit
// has it, and not the list of events: then a record that is not empty follows, and the array
// does not begin with an array.
func isTime(array []byte, rest [][]byte) bool {
	h, _ := readHead(array)
	if h.items != 2 || len(rest) == 0 {
		return false
	}
	_, ok := parseTime(array)
	return ok
}

// options reads the map of options; nil is none.
func (c *chunk) options(b []byte) error {
	h, err := readHead(b)
	if err != nil || h.kind == kindNil {
		return err
	}
	if h.kind != kindMap {
		return errors.New("the options are not a map")
	}
	b = b[h.size:]
	for range h.items / 2 {
		var key, value []byte
		if key, b, err = cut(b); err != nil {
			return err
		}
		if value, b, err = cut(b); err != nil {
			return err
		}
		name, _ := text(key)
		v, _ := readHead(value)
		switch name {
		case "chunk":
			id, ok := text(value)
			if !ok && v.kind != kindNil {
				return errors.New("the option chunk is not a text")
			}
			if len(id) > maxID {
				return fmt.Errorf("the option chunk has %d bytes; %d is the most", len(id), maxID)
			}
			c.id = id
		case "compressed":
			c.packing, _ = text(value)
			if c.packing == "text" {
				c.packing = ""
			}
			if c.packing != "" && (c.packing != "gzip" && c.packing != "zstd" || c.packed == nil) {
				return fmt.Errorf("events that are compressed with %.20q are not known; gzip and zstd are", c.packing)
			}
		case "fluent_signal":
			if (v.kind == kindUint || v.kind == kindInt) && v.number(value) != 0 {
				return errors.New("metrics and traces of Fluent Bit are not taken; logs are")
			}
		}
	}
	return nil
}

// entries goes through the events of a chunk.
type entries struct {
	c    *chunk
	one  bool // the single event has been given
	src  io.Reader
	stop func()
	buf  []byte // what is left of the entries, or of what was unpacked
	all  bool   // buf has all that is to come
	l    *Limits
	size int64 // bytes unpacked
}

// open begins with the first event. Close must be called.
func (c *chunk) open(l *Limits) (*entries, error) {
	e := &entries{c: c, l: l, stop: func() {}}
	switch c.packing {
	case "gzip":
		r, err := gzip.NewReader(bytes.NewReader(c.packed))
		if err != nil {
			return nil, fmt.Errorf("unpack: %w", err)
		}
		e.src = r
	case "zstd":
		r, err := zstd.NewReader(bytes.NewReader(c.packed), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, fmt.Errorf("unpack: %w", err)
		}
		e.src, e.stop = r, r.Close
	default:
		e.buf, e.all = c.packed, true
	}
	return e, nil
}

// maxWindow bounds what a zstd stream may look back, in bytes; it is kept in memory.
const maxWindow = 8 << 20

// Close frees what unpacks.
func (e *entries) Close() { e.stop() }

// next is the next event; io.EOF is behind the last. at and record are valid until it is
// called again, at is zero for an event without a time.
func (e *entries) next() (at time.Time, record []byte, err error) {
	var when []byte
	if e.c.single {
		if e.one {
			return time.Time{}, nil, io.EOF
		}
		e.one = true
		when, record = e.c.time, e.c.record
	} else if when, record, err = e.entry(); err != nil {
		return time.Time{}, nil, err
	}
	if h, _ := readHead(record); h.kind != kindMap {
		return time.Time{}, nil, errors.New("a record is not a map")
	}
	if h, _ := readHead(when); h.kind != kindNil {
		var ok bool
		if at, ok = parseTime(when); !ok {
			return time.Time{}, nil, errors.New("the time of an event is none")
		}
	}
	return at, record, nil
}

// entry is the next array of time and record.
func (e *entries) entry() (when, record []byte, err error) {
	var s scanner
	for {
		whole, err := s.scan(e.buf, e.l.EventBytes)
		if err != nil {
			return nil, nil, err
		}
		if whole {
			break
		}
		if e.all {
			if len(e.buf) > 0 {
				return nil, nil, errShort
			}
			return nil, nil, io.EOF
		}
		if err := e.fill(); err != nil {
			return nil, nil, err
		}
	}
	value := e.buf[:s.pos]
	e.buf = e.buf[s.pos:]
	h, err := readHead(value)
	if err != nil || h.kind != kindArray || h.items != 2 {
		return nil, nil, errors.New("an event is not an array of a time and a record")
	}
	value = value[h.size:]
	if h, err = readHead(value); err != nil {
		return nil, nil, err
	}
	if h.items == 0 { // as scan has looked at all of it, the rest is the record
		end := h.size + int(h.bytes)
		return value[:end:end], value[end:], nil
	}
	return cut(value)
}

// fillBytes is how much is unpacked at once.
const fillBytes = 64 << 10

// fill unpacks some more.
func (e *entries) fill() error {
	if free := cap(e.buf) - len(e.buf); free < fillBytes {
		grown := make([]byte, len(e.buf), max(2*len(e.buf), 2*fillBytes))
		copy(grown, e.buf)
		e.buf = grown
	}
	n, err := e.src.Read(e.buf[len(e.buf) : len(e.buf)+fillBytes])
	e.buf = e.buf[:len(e.buf)+n]
	if e.size += int64(n); e.size > int64(e.l.UnpackedBytes) {
		return fmt.Errorf("a chunk has more than %d bytes when it is unpacked: %w", e.l.UnpackedBytes, errTooLarge)
	}
	switch {
	case err == io.EOF:
		e.all = true
	case err != nil:
		return fmt.Errorf("unpack: %w", err)
	}
	return nil
}

// check goes through all events and says what is wrong with one.
func (c *chunk) check(l *Limits) error {
	e, err := c.open(l)
	if err != nil {
		return err
	}
	defer e.Close()
	for {
		if _, _, err := e.next(); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}
