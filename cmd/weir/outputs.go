package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"

	"weir/internal/codec"
	"weir/internal/plan"
	"weir/internal/vec"
)

// outputOptions are the options of -o.
var outputOptions = []string{"format", "delimiter"}

// sinks takes the rows of all outputs of a plan. Its Rows is called from one goroutine at
// a time.
type sinks struct {
	outputs []sink
	stream  *textSink // standard output as text, if any output goes there
	files   []*textSink
	tables  *tableSinks
}

// sink takes the rows of one output.
type sink interface {
	rows(b *vec.Batch) error
}

// columnNames are the names of an output's columns, and whether its only column is a
// record that is the row.
func columnNames(o plan.Output) (names []string, row bool) {
	for _, c := range o.Node.Cols {
		names = append(names, c.Name)
	}
	write, ok := o.Node.Op.(*plan.Write)
	return names, ok && write.Row
}

// openSinks opens the outputs of a plan. format is that of standard output: auto, table,
// json, array or csv.
func openSinks(con *console, p *plan.Plan, to map[string]*endpoint, format string, before func()) (*sinks, error) {
	s := &sinks{}
	if format == "auto" {
		format = "json"
		if con.outTTY {
			format = "table"
		}
	}
	var open []int // outputs that go to standard output
	for i, o := range p.Outputs {
		e := to[o.Name]
		if e == nil || e.path == "-" {
			open = append(open, i)
		}
	}
	if len(open) > 1 && (format == "csv" || format == "array") {
		return nil, usage("--output-format %s holds one output, and the query has %d: %s; give the others a file with -o", format, len(p.Outputs), strings.Join(outputNames(p), ", "))
	}
	for _, o := range p.Outputs {
		sink, err := s.open(con, o, to[o.Name], format, len(open) > 1, before)
		if err != nil {
			return nil, errors.Join(err, s.close())
		}
		s.outputs = append(s.outputs, sink)
	}
	return s, nil
}

func outputNames(p *plan.Plan) []string {
	var names []string
	for _, o := range p.Outputs {
		names = append(names, o.Name)
	}
	return names
}

func (s *sinks) open(con *console, o plan.Output, e *endpoint, format string, several bool, before func()) (sink, error) {
	names, row := columnNames(o)
	if e != nil && e.path != "-" {
		return s.openFile(o, e, names, row)
	}
	if e != nil && e.options["format"] != "" {
		format = e.options["format"]
	}
	if format == "table" {
		if s.tables == nil {
			s.tables = &tableSinks{w: con.out, before: before, several: several}
			if con.outTTY {
				s.tables.fit = con.width
			}
		}
		return s.tables.add(o.Name, names, row), nil
	}
	kind, err := textKind(o.Name, format)
	if err != nil {
		return nil, err
	}
	if s.stream == nil {
		s.stream = &textSink{w: con.out}
	}
	enc := codec.NewEncoder(kind, names, row)
	if several {
		enc = codec.NewTaggedEncoder(o.Name, names, row)
	}
	return s.stream.output(enc), nil
}

func (s *sinks) openFile(o plan.Output, e *endpoint, names []string, row bool) (sink, error) {
	name, format := o.Name, e.options["format"]
	if format == "" {
		format = "json"
		switch ext := extension(e.path); ext {
		case ".csv", ".tsv":
			format = "csv"
		case ".avro", ".parquet":
			format = ext[1:]
		}
	}
	schema := format == "avro" || format == "parquet"
	kind, err := codec.JSONLines, error(nil)
	if !schema {
		kind, err = textKind(name, format)
	}
	if err != nil {
		return nil, err
	}
	enc := codec.NewEncoder(kind, names, row)
	delimiter, err := e.delimiter()
	if err != nil {
		return nil, err
	}
	if delimiter == 0 && extension(e.path) == ".tsv" {
		delimiter = '\t'
	}
	if delimiter != 0 {
		enc.Delimiter(delimiter)
	}
	f, err := os.Create(e.path)
	if err != nil {
		return nil, usage("output %q: %w", name, err)
	}
	t := &textSink{w: f, closers: []io.Closer{f}}
	s.files = append(s.files, t)
	if schema {
		var kinds []vec.Kinds
		for _, c := range o.Node.Cols {
			kinds = append(kinds, c.Type)
		}
		p, err := newPackedFile(f, codec.PackFormat{Type: format, Names: names, Kinds: kinds, Row: row})
		if err != nil {
			return nil, usage("output %q: %w", name, err)
		}
		t.w, t.closers = p, []io.Closer{p, f}
	} else if z, err := compressor(e.path, f); err != nil {
		return nil, usage("output %q: %w", name, err)
	} else if z != nil {
		t.w, t.closers = z, []io.Closer{z, f}
	}
	return t.output(enc), nil
}

// packedFile keeps rows in a temporary file until all are there, and makes a file with a schema
// of them.
type packedFile struct {
	to     *os.File
	staged *os.File
	format codec.PackFormat
}

func newPackedFile(to *os.File, f codec.PackFormat) (*packedFile, error) {
	staged, err := os.CreateTemp("", "weir-rows-*")
	if err != nil {
		return nil, err
	}
	return &packedFile{to: to, staged: staged, format: f}, nil
}

// Write keeps lines of JSON.
func (p *packedFile) Write(b []byte) (int, error) { return p.staged.Write(b) }

// Close writes the file.
func (p *packedFile) Close() error {
	_, err := p.staged.Seek(0, io.SeekStart)
	if err == nil {
		err = codec.Pack(p.to, p.staged, p.format)
	}
	return errors.Join(err, p.staged.Close(), os.Remove(p.staged.Name()))
}

// compressor compresses what it writes to w as the end of the file's name says, or is nil.
func compressor(path string, w io.Writer) (io.WriteCloser, error) {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".gz":
		return gzip.NewWriter(w), nil
	case ".sz":
		return snappy.NewBufferedWriter(w), nil
	case ".zst":
		return zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
	}
	return nil, nil
}

func textKind(name, format string) (codec.OutputKind, error) {
	switch format {
	case "json":
		return codec.JSONLines, nil
	case "array":
		return codec.JSONArray, nil
	case "csv":
		return codec.CSV, nil
	}
	known := []string{"json", "array", "csv", "avro", "parquet"}
	return 0, usage("output %q: format %q; it must be json (an object a line), array or csv, or of a file avro or parquet%s", name, format, didYouMean(format, known))
}

// Rows takes rows of output i.
func (s *sinks) Rows(i int, b *vec.Batch) error {
	if b.N == 0 {
		return nil
	}
	return s.outputs[i].rows(b)
}

// close writes what is left and closes the files.
func (s *sinks) close() error {
	var errs []error
	if s.tables != nil {
		errs = append(errs, s.tables.end())
	}
	if s.stream != nil {
		errs = append(errs, s.stream.end())
	}
	for _, f := range s.files {
		errs = append(errs, f.end())
	}
	return errors.Join(errs...)
}

// When buffered text is written: at this size, or after this time.
const (
	textBytes = 128 << 10
	textWait  = 50 * time.Millisecond
)

// textSink writes encoded rows in large pieces, yet lets none wait long.
type textSink struct {
	w       io.Writer
	closers []io.Closer // in this order
	mu      sync.Mutex
	buf     []byte
	timer   *time.Timer
	err     error
	told    bool // the caller has err
	ends    []*codec.Encoder
}

// output is the sink of one output that writes to t with its own encoder.
func (t *textSink) output(enc *codec.Encoder) sink {
	t.ends = append(t.ends, enc)
	return &encodedSink{t, enc}
}

type encodedSink struct {
	to  *textSink
	enc *codec.Encoder
}

func (e *encodedSink) rows(b *vec.Batch) error {
	t := e.to
	t.mu.Lock()
	defer t.mu.Unlock()
	waiting := len(t.buf) > 0
	t.buf = e.enc.Encode(t.buf, b)
	if len(t.buf) >= textBytes {
		t.flush()
		return t.tell()
	}
	if t.timer == nil {
		t.timer = time.AfterFunc(textWait, func() {
			t.mu.Lock()
			defer t.mu.Unlock()
			t.flush()
		})
	} else if !waiting {
		t.timer.Reset(textWait)
	}
	return t.tell()
}

// tell gives the error to the caller, so that the end does not give it again.
func (t *textSink) tell() error {
	t.told = t.err != nil
	return t.err
}

// flush writes the buffer. The caller holds mu.
func (t *textSink) flush() {
	if len(t.buf) > 0 && t.err == nil {
		if _, err := t.w.Write(t.buf); err != nil {
			t.err = fmt.Errorf("write rows: %w", err)
		}
	}
	t.buf = t.buf[:0]
}

func (t *textSink) end() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.timer != nil {
		t.timer.Stop()
	}
	for _, e := range t.ends {
		t.buf = e.End(t.buf)
	}
	t.flush()
	err := t.err
	for _, c := range t.closers {
		if e := c.Close(); err == nil {
			err = e
		}
	}
	if t.told {
		return nil
	}
	return err
}

// tableSinks draws the outputs as tables. A table that is drawn in several goes stays open
// until another output has rows.
type tableSinks struct {
	w       io.Writer
	before  func() // called before something is drawn
	several bool
	fit     int // the width of the terminal; 0 if there is none
	list    []*tableSink
	last    *tableSink
}

func (t *tableSinks) add(name string, names []string, row bool) *tableSink {
	s := &tableSink{all: t, name: name, names: names, row: row}
	t.list = append(t.list, s)
	return s
}

func (t *tableSinks) end() error {
	for _, s := range t.list {
		if err := s.end(); err != nil {
			return err
		}
	}
	return nil
}

// tableSink is an output as a table.
type tableSink struct {
	all   *tableSinks
	name  string
	names []string
	row   bool
	tab   *table
	cells []string
	nums  []bool
}

// Write draws a piece of the table.
func (s *tableSink) Write(p []byte) (int, error) {
	if s.all.before != nil {
		s.all.before()
	}
	if last := s.all.last; last != nil && last != s && last.tab != nil {
		s.all.last = nil
		if err := last.end(); err != nil {
			return 0, err
		}
	}
	s.all.last = s
	return s.all.w.Write(p)
}

func (s *tableSink) rows(b *vec.Batch) error {
	for i := range b.N {
		s.cells, s.nums = s.cells[:0], s.nums[:0]
		if s.row {
			if err := s.record(&b.Cols[0], i); err != nil {
				return err
			}
			continue
		}
		for c := range s.names {
			s.cell(b.Cols[c].At(i))
		}
		if err := s.add(s.names); err != nil {
			return err
		}
	}
	return nil
}

// record adds a row that is a record. A record with other names starts another table.
func (s *tableSink) record(v *vec.Vec, i int) error {
	if v.KindAt(i) != vec.Record {
		return s.add(nil)
	}
	r := v.Rec[i]
	for _, x := range r.Vals {
		s.cell(x)
	}
	if s.tab != nil && !slices.Equal(s.tab.names, r.Names) {
		if err := s.end(); err != nil {
			return err
		}
	}
	return s.add(r.Names)
}

func (s *tableSink) cell(v vec.Value) {
	s.cells = append(s.cells, cellText(v))
	s.nums = append(s.nums, v.Kind.IsNumber() || v.Kind.IsNull())
}

// cellText is a value as a table shows it: NULL is an empty cell.
func cellText(v vec.Value) string {
	switch {
	case v.Kind == vec.String:
		return strings.Clone(v.Str)
	case v.Kind.IsNull():
		return ""
	}
	return strings.Trim(string(vec.AppendJSON(nil, v)), `"`)
}

func (s *tableSink) add(names []string) error {
	if s.tab == nil {
		s.tab = newTable(s, slices.Clone(names))
		s.tab.fit = s.all.fit
		if s.all.several {
			s.tab.title = s.name
		}
	}
	return s.tab.add(slices.Clone(s.cells), s.nums)
}

func (s *tableSink) end() error {
	tab := s.tab
	s.tab = nil
	if tab == nil {
		return nil
	}
	return tab.end()
}
