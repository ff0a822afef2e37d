package sql

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"weir/internal/connect"
)

// tableReader reads a version: the rows of the query, or those of the version before it with
// what has changed since.
type tableReader struct {
	s      *source
	at     time.Time // of the version
	result *result
	cols   []reading
	names  []string
	values []any // of a row
	dest   []any // where it is scanned to
	data   []byte
	rows   int64
	size   int64
	ended  bool

	kept   *kept         // keeps the version for the next delta; nil without a delta query
	before *keptVersion  // that this one is made of; nil: it is read whole
	change map[string]op // what is to be done with rows, by their text
	order  []string      // of the rows that are added
	mark   time.Time     // where the next delta begins
}

// begin runs the query of a version that is read whole.
func (r *tableReader) begin(ctx context.Context, query string, p params) error {
	result, err := r.s.run(ctx, query, p)
	if err != nil {
		return err
	}
	r.result = result
	if r.cols, err = readings(r.s.dialect, result.rows); err != nil {
		return said{connect.Permanent(fmt.Errorf("%s: %w", r.s.dialect.name, err))}
	}
	r.values, r.dest = make([]any, len(r.cols)), make([]any, len(r.cols))
	for i := range r.cols {
		r.dest[i] = &r.values[i]
		r.names = append(r.names, r.cols[i].name)
	}
	r.mark = r.at
	return nil
}

// Read implements connect.Reader.
func (r *tableReader) Read(ctx context.Context, max int, until connect.Position) (connect.Chunk, error) {
	if until != "" {
		return connect.Chunk{}, connect.Permanent(errors.New("rows of a database cannot be read again from a position"))
	}
	if err := ctx.Err(); err != nil {
		return connect.Chunk{}, err
	}
	c := connect.Chunk{Line: r.rows + 1, Offset: r.size, Fresh: r.rows == 0, Object: r.s.dialect.name}
	if r.ended {
		c.Next, c.End, c.Last = r.position(), true, true
		return c, nil
	}
	r.data = r.data[:0]
	var err error
	if r.before == nil {
		stop := context.AfterFunc(ctx, r.result.end)
		err = r.readRows(max)
		stop()
	} else {
		err = r.readKept(max)
	}
	if err != nil {
		return connect.Chunk{}, r.s.fail("the query", err)
	}
	if r.ended && r.kept != nil {
		if err := r.kept.finish(r.rows); err != nil {
			return connect.Chunk{}, err
		}
	}
	c.Data, c.Next, c.End, c.Last = r.data, r.position(), r.ended, r.ended
	return c, nil
}

func (r *tableReader) position() connect.Position {
	return connect.Position(strconv.FormatInt(r.rows, 10))
}

// readRows reads rows of the query.
func (r *tableReader) readRows(max int) error {
	rows := r.result.rows
	for len(r.data) < max {
		if !rows.Next() {
			if err := rows.Err(); err != nil {
				return r.result.cause(err)
			}
			r.ended = true
			r.finished()
			return nil
		}
		if err := rows.Scan(r.dest...); err != nil {
			return r.result.cause(err)
		}
		from := len(r.data)
		var err error
		if r.data, err = appendRow(r.data, r.cols, r.values); err != nil {
			return said{connect.Permanent(fmt.Errorf("%s: %w", r.s.dialect.name, err))}
		}
		if err := r.count(from); err != nil {
			return err
		}
	}
	return nil
}

// finished frees the connection.
func (r *tableReader) finished() {
	if r.result != nil {
		r.result.close()
		r.result = nil
	}
}

// count ends a row that was appended to the data, keeps it, and holds to the limits.
func (r *tableReader) count(from int) error {
	r.data = append(r.data, '\n')
	r.rows++
	r.size += int64(len(r.data) - from)
	switch {
	case r.rows > r.s.maxRows:
		return r.tooMuch("rows", r.s.maxRows, "max_rows")
	case r.size > r.s.maxSize:
		return r.tooMuch("bytes", r.s.maxSize, "max_bytes")
	}
	if r.kept != nil {
		return r.kept.add(r.data[from:])
	}
	return nil
}

func (r *tableReader) tooMuch(what string, most int64, setting string) error {
	return said{connect.Permanent(fmt.Errorf("%s: the query gives more than %d %s: select less of it, or set %s", r.s.dialect.name, most, what, setting))}
}

// readKept reads rows of the version before this one that are still there, and then those that
// have come.
func (r *tableReader) readKept(max int) error {
	for len(r.data) < max && r.before.in != nil {
		line, err := r.before.in.ReadBytes('\n')
		if err == io.EOF {
			r.before.in = nil
			break
		}
		if err != nil {
			return said{err}
		}
		if bytes.HasPrefix(line, []byte(footerStart)) {
			continue
		}
		if _, changed := r.change[string(line[:len(line)-1])]; changed {
			continue
		}
		from := len(r.data)
		r.data = append(r.data, line[:len(line)-1]...)
		if err := r.count(from); err != nil {
			return err
		}
	}
	for len(r.data) < max && r.before.in == nil {
		if len(r.order) == 0 {
			r.ended = true
			return nil
		}
		line := r.order[0]
		r.order = r.order[1:]
		if !r.change[line].there {
			continue
		}
		delete(r.change, line)
		from := len(r.data)
		r.data = append(r.data, line...)
		if err := r.count(from); err != nil {
			return err
		}
	}
	return nil
}

// Ready implements connect.Reader.
func (r *tableReader) Ready() <-chan struct{} { return nil }

// Close implements connect.Reader.
func (r *tableReader) Close() error {
	r.finished()
	if r.before != nil {
		r.before.close()
	}
	if r.kept != nil {
		r.kept.drop()
	}
	return nil
}

// header is what is kept of the version beside its rows.
func (r *tableReader) header() keptHeader {
	return keptHeader{Names: r.names, At: r.at, Mark: r.mark, Query: r.s.query}
}

// op is the last thing that a delta says of a row.
type op struct {
	there bool // else it is gone
	mark  time.Time
}

// The columns that a delta has beside those of the query.
const (
	operationColumn = "_operation_"
	watermarkColumn = "_watermark_"
)

// readDelta reads what has changed since the version before.
func (r *tableReader) readDelta(ctx context.Context) error {
	d := &tableReader{s: r.s, at: r.at}
	defer d.finished()
	if err := d.begin(ctx, r.s.delta, params{paramStart: r.before.Mark, paramEnd: r.at}); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, d.result.end)
	defer stop()
	places, operation, watermark, err := deltaColumns(r.before.Names, d.cols)
	if err != nil {
		return said{connect.Permanent(fmt.Errorf("%s: the delta query %w", r.s.dialect.name, err))}
	}
	cols := make([]reading, len(places))
	for i, at := range places {
		cols[i] = d.cols[at]
		cols[i].key = keyOf(r.before.Names[i])
	}
	r.names, r.mark, r.change = r.before.Names, r.at, map[string]op{}
	last, values := time.Time{}, make([]any, len(places))
	var size int64
	for d.result.rows.Next() {
		if err := d.result.rows.Scan(d.dest...); err != nil {
			return d.result.cause(err)
		}
		for i, at := range places {
			values[i] = d.values[at]
		}
		line, err := appendRow(r.data[:0], cols, values)
		if err != nil {
			return said{connect.Permanent(fmt.Errorf("%s: %w", r.s.dialect.name, err))}
		}
		r.data = line
		there, err := operationOf(d.values[operation])
		if err != nil {
			return said{connect.Permanent(fmt.Errorf("%s: the delta query %w", r.s.dialect.name, err))}
		}
		mark := time.Time{}
		if watermark >= 0 {
			if mark, err = markOf(d.values[watermark]); err != nil {
				return said{connect.Permanent(fmt.Errorf("%s: the delta query %w", r.s.dialect.name, err))}
			}
			if mark.After(last) {
				last = mark
			}
		}
		size += int64(len(line))
		if size > r.s.maxSize {
			return r.tooMuch("bytes", r.s.maxSize, "max_bytes")
		}
		r.note(string(line), op{there, mark})
	}
	if err := d.result.rows.Err(); err != nil {
		return d.result.cause(err)
	}
	if watermark >= 0 { // the clock of the database, not ours, says what the next one must not miss
		if r.mark = r.before.Mark; last.After(r.mark) {
			r.mark = last
		}
	}
	return nil
}

// note takes down what has become of a row: what the latest watermark says, and of one time, or
// without any, that it is there.
func (r *tableReader) note(line string, is op) {
	was, known := r.change[line]
	if known && (was.mark.After(is.mark) || was.mark.Equal(is.mark) && was.there) {
		return
	}
	if !known {
		r.order = append(r.order, line)
	}
	r.change[line] = is
}

// deltaColumns finds the columns of the query in those of a delta.
func deltaColumns(names []string, cols []reading) (places []int, operation, watermark int, err error) {
	operation, watermark = -1, -1
	of := map[string]int{}
	for i, c := range cols {
		switch {
		case strings.EqualFold(c.name, operationColumn):
			operation = i
		case strings.EqualFold(c.name, watermarkColumn):
			watermark = i
		default:
			of[strings.ToLower(c.name)] = i
		}
	}
	if operation < 0 {
		return nil, 0, 0, fmt.Errorf("has no column %s, which says what has become of a row: 1 it is there, 2 it is gone", operationColumn)
	}
	for _, name := range names {
		at, ok := of[strings.ToLower(name)]
		if !ok {
			return nil, 0, 0, fmt.Errorf("lacks column %s of the query", short(name))
		}
		places = append(places, at)
		delete(of, strings.ToLower(name))
	}
	for name := range of {
		return nil, 0, 0, fmt.Errorf("has a column %s that the query does not have", short(name))
	}
	return places, operation, watermark, nil
}

// operationOf reads _operation_.
func operationOf(v any) (there bool, err error) {
	text := fmt.Sprint(v)
	if b, ok := v.([]byte); ok {
		text = string(b)
	}
	switch text {
	case "1":
		return true, nil
	case "2":
		return false, nil
	}
	return false, fmt.Errorf("says %s for %s: 1 is a row that is there, 2 one that is gone", short(text), operationColumn)
}

// markOf reads _watermark_.
func markOf(v any) (time.Time, error) {
	switch x := v.(type) {
	case time.Time:
		return x.UTC(), nil
	case []byte:
		return markOf(string(x))
	case string:
		for _, form := range []string{"2006-01-02 15:04:05.999999999", "2006-01-02T15:04:05.999999999Z07:00", "2006-01-02T15:04:05.999999999"} {
			if t, err := time.Parse(form, x); err == nil {
				return t.UTC(), nil
			}
		}
	}
	return time.Time{}, fmt.Errorf("has a %s that is no time", watermarkColumn)
}
