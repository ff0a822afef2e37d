package sql

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"weir/internal/connect"
	"weir/internal/vec"
)

// maxStatementBytes is the most that the rows of one statement have in memory. Servers limit
// what a message may hold.
const maxStatementBytes = 1 << 20

// What an attempt to write an epoch can ask for.
var (
	errRestart = errors.New("the transaction has to begin anew")
	errGrow    = errors.New("the table needs more columns")
)

// prepare writes the epoch, in as many attempts as it takes: each one that fails because of a
// row knows more about which row it is.
func (s *Sink) prepare(ctx context.Context, epoch int64) error {
	if s.link.open(s.gen) {
		s.link.rollback() // asked again: what was written goes
	}
	if s.gen != 0 && s.gen <= s.link.lost {
		s.doubt = epoch // another output may have committed it with its own
	}
	s.gen = 0
	if err := s.attempts(ctx, epoch); err != nil {
		return err
	}
	if s.committed >= epoch {
		return nil
	}
	if err := s.tell(); err != nil {
		s.link.rollback()
		s.gen = 0
		return said{err}
	}
	return nil
}

// attempts tries until the rows stand in a transaction.
func (s *Sink) attempts(ctx context.Context, epoch int64) error {
	used := s.link.conn != nil && s.link.used && !s.link.inTx
	looked := false
	for {
		err := s.attempt(ctx, epoch)
		if err == nil {
			return nil
		}
		f := s.dialect.fault(err)
		switch {
		case errors.As(err, new(said)):
			s.link.rollback()
			return err
		case errors.Is(err, errRestart):
			s.link.rollback()
		case errors.Is(err, errGrow):
			s.link.rollback()
			before := len(s.table.columns)
			if err := s.grow(ctx); err != nil {
				return err
			}
			// Names that differ for us may be the same for the database: such rows are refused.
			s.grown = s.table == nil || len(s.table.columns) == before
		case (f.kind == missingTable || f.kind == missingColumn) && !looked:
			// The table has changed under us.
			looked = true
			s.link.rollback()
			s.forget()
		case f.kind == again && used && !isContext(err):
			// The connection was from before; a server that was restarted shows only now.
			used = false
			s.link.discard()
		default:
			if f.kind == again {
				s.link.discard()
			} else {
				s.link.rollback()
			}
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// attempt writes the number of the epoch and its rows in a transaction.
func (s *Sink) attempt(ctx context.Context, epoch int64) error {
	if !s.loaded {
		if err := s.load(ctx); err != nil {
			return err
		}
		if s.stored >= epoch {
			s.there(epoch, s.stored)
			return nil
		}
	}
	if s.unknown && s.env.Now().Sub(s.described) > time.Minute {
		s.forget() // somebody may have added the column
	}
	if err := s.ready(ctx); err != nil {
		return err
	}
	beginCtx, cancel := s.statementTime(ctx)
	defer cancel()
	if err := s.link.begin(beginCtx); err != nil {
		return err
	}
	s.gen = s.link.gen
	s.skipped = 0
	if s.table != nil && s.table.strict != "" {
		if _, err := s.exec(ctx, s.table.strict); err != nil {
			return err
		}
	}
	if err := s.move(ctx, epoch); err != nil || s.committed >= epoch {
		return err
	}
	return s.writeAll(ctx)
}

// move sets our number in the table of epochs from the last one to this one. If it is there
// already, the epoch is: its COMMIT had got through.
func (s *Sink) move(ctx context.Context, epoch int64) error {
	p := s.dialect.place
	n, err := s.exec(ctx, "UPDATE "+s.epochs+" SET "+s.dialect.quote("epoch")+" = "+p(1)+s.where(2)+" AND "+s.dialect.quote("epoch")+" = "+p(5),
		epoch, s.id[0], s.id[1], s.id[2], s.stored)
	if err != nil {
		s.doubt = epoch
		return err
	}
	if n == 1 {
		return nil
	}
	readCtx, cancel := s.statementTime(ctx)
	defer cancel()
	got, found, err := s.readEpoch(readCtx)
	switch {
	case err != nil:
		return err
	case !found:
		return s.stop("the row of job %v, output %v is gone from the table of epochs %s: what the database has cannot be told", s.id[0], s.id[1], s.settings.epochs)
	case got < epoch:
		return s.stop("the table of epochs %s has epoch %d for job %v, output %v, which had committed epoch %d: was the database restored from an older copy, or is the job running twice?",
			s.settings.epochs, got, s.id[0], s.id[1], s.stored)
	case got != s.doubt:
		return s.stop("the table of epochs %s has epoch %d for job %v, output %v, and this process has not written it: the job is running twice; stop the one or the other, and do not copy its state",
			s.settings.epochs, got, s.id[0], s.id[1])
	}
	s.link.rollback()
	s.there(epoch, got)
	return nil
}

// writeAll writes the rows of the epoch, run by run.
func (s *Sink) writeAll(ctx context.Context) error {
	in := s.rows.read(len(s.env.Columns.Names))
	var run []*row
	size := 0
	flush := func() error {
		if len(run) == 0 {
			return nil
		}
		err := s.put(ctx, run)
		run, size = run[:0], 0
		return err
	}
	for {
		r, n, err := in.next()
		if err == io.EOF {
			return flush()
		}
		if err != nil {
			return said{err}
		}
		if s.bad[r.at] != nil {
			continue
		}
		if s.table == nil {
			s.refuse(r, *s.none)
			continue
		}
		if refused, err := s.shapeOf(r); err != nil {
			return err
		} else if refused != nil {
			s.refuse(r, *refused)
			continue
		}
		if len(run) > 0 && (run[0].shape != r.shape || len(run) >= r.shape.limit || size+n > maxStatementBytes || s.cuts[r.at]) {
			if err := flush(); err != nil {
				return err
			}
		}
		run, size = append(run, r), size+n
	}
}

// refuse remembers that a row is not taken.
func (s *Sink) refuse(r *row, why refusal) {
	if s.bad[r.at] == nil {
		s.bad[r.at] = &verdict{refusal: why}
	}
}

// put writes rows that have one shape. If the database refuses one of them, they are halved
// until it is found: behind savepoints if there are any, else in a new transaction.
func (s *Sink) put(ctx context.Context, run []*row) error {
	if s.careful {
		if _, err := s.exec(ctx, s.dialect.savepoint); err != nil {
			return err
		}
	}
	before := s.skipped
	err := s.insert(ctx, run)
	if err == nil {
		if s.careful && s.dialect.release != "" {
			_, err = s.exec(ctx, s.dialect.release)
		}
		return err
	}
	f := s.dialect.fault(err)
	if f.kind != badRow && f.kind != duplicate {
		return err
	}
	if f.name == errColumn && !s.narrow {
		s.narrow = true
		clear(s.mappings)
		clear(s.shapes)
		return errRestart
	}
	s.skipped = before
	half := len(run) / 2
	if half == 0 {
		if f.kind == duplicate && s.mode == modeIgnore {
			s.refuse(run[0], refusal{}) // to be left out and counted, and not to be told of
			s.bad[run[0].at].told = true
		} else {
			s.refuse(run[0], refusal{f.name, s.outside(f.column), s.clean.clean(err.Error())})
		}
	} else {
		s.cuts[run[half].at] = true
	}
	if !s.careful {
		s.careful = true
		return errRestart
	}
	if _, err := s.exec(ctx, s.dialect.back); err != nil {
		return errRestart // the transaction is gone, and what is known of the row is kept
	}
	if half == 0 {
		return nil
	}
	// The halves are copies of the slice header only: put keeps neither.
	if err := s.put(ctx, run[:half]); err != nil {
		return err
	}
	return s.put(ctx, run[half:])
}

// outside is the name that the query has for a column.
func (s *Sink) outside(column string) string {
	if s.named != nil {
		for i, c := range s.named.cols {
			if c.name == column {
				return s.env.Columns.Names[i]
			}
		}
	}
	return column
}

// insert runs the statements that write rows.
func (s *Sink) insert(ctx context.Context, run []*row) error {
	sh := run[0].shape
	if s.dialect.bulk != nil && s.mode == modeInsert && !s.careful && !s.noBulk && len(run) >= minBulk {
		if done, err := s.insertBulk(ctx, sh, run); done || err != nil {
			return err
		}
	}
	run = s.distinct(run)
	for len(run) > 0 {
		n := len(run)
		if s.dialect.args == nil {
			n = powerBelow(n)
		}
		args := s.argsOf(sh, run[:n])
		affected, err := s.exec(ctx, sh.text(n), args...)
		if err != nil {
			return err
		}
		if s.mode == modeIgnore {
			s.skipped += max(0, int64(n)-affected)
		}
		run = run[n:]
	}
	return nil
}

// minBulk is how many rows the fast way pays for.
const minBulk = 50

// insertBulk writes rows in the fast way of the database. What it does not take at all, such
// as a view, goes by statements from then on.
func (s *Sink) insertBulk(ctx context.Context, sh *shape, run []*row) (bool, error) {
	ctx, cancel := s.statementTime(ctx)
	defer cancel()
	done, err := s.dialect.bulk(ctx, s.link.conn, sh.stmt, valuesOf(run))
	if err != nil && s.dialect.fault(err).kind == permanent {
		s.noBulk = true
		return false, errRestart
	}
	if err != nil && ctx.Err() == context.DeadlineExceeded {
		err = context.Cause(ctx)
	}
	return done, err
}

// valuesOf are the values of rows.
func valuesOf(run []*row) [][]any {
	values := make([][]any, len(run))
	for i, r := range run {
		values[i] = r.args
	}
	return values
}

// powerBelow is the largest power of two that is not above n. Statements of these sizes only
// are made, so that few of them serve any number of rows.
func powerBelow(n int) int {
	p := 1
	for p*2 <= n {
		p *= 2
	}
	return p
}

// argsOf are the parameters of a statement.
func (s *Sink) argsOf(sh *shape, run []*row) []any {
	if s.dialect.args != nil {
		return s.dialect.args(sh.cols, valuesOf(run))
	}
	args := make([]any, 0, len(run)*len(sh.cols))
	for _, r := range run {
		if s.dialect.null == nil {
			args = append(args, r.args...)
			continue
		}
		for i, x := range r.args {
			if x == nil {
				x = s.dialect.null(sh.cols[i])
			}
			args = append(args, x)
		}
	}
	return args
}

// distinct leaves one row for each key, as statements that write a key twice fail: for upsert
// the last one, for insert_ignore the first.
func (s *Sink) distinct(run []*row) []*row {
	if len(s.key) == 0 || len(run) < 2 || s.mode == modeInsert {
		return run
	}
	at := make(map[string]int, len(run))
	var buf []byte
	out := make([]*row, 0, len(run))
	for _, r := range run {
		buf = buf[:0]
		for _, i := range r.shape.keys {
			buf = appendArg(buf, r.args[i])
		}
		if j, ok := at[string(buf)]; !ok {
			at[string(buf)] = len(out)
			out = append(out, r)
		} else if s.mode == modeUpsert {
			out[j] = r
		} else {
			s.skipped++
		}
	}
	return out
}

// appendArg writes a parameter so that different ones are different texts.
func appendArg(dst []byte, x any) []byte {
	text := ""
	switch x := x.(type) {
	case string:
		text = x
	case time.Time:
		text = x.Format(time.RFC3339Nano)
	default:
		text = fmt.Sprint(x)
	}
	return append(fmt.Appendf(dst, "%T%d:", x, len(text)), text...)
}

// tell reports the rows that are refused and were not reported yet.
func (s *Sink) tell() error {
	left := 0
	for _, v := range s.bad {
		if !v.told {
			left++
		}
	}
	if left == 0 {
		return nil
	}
	in := s.rows.read(len(s.env.Columns.Names))
	for left > 0 {
		r, _, err := in.next()
		if err != nil {
			return err
		}
		v := s.bad[r.at]
		if v == nil || v.told {
			continue
		}
		left--
		if s.env.Reject != nil {
			err := s.env.Reject(connect.RowError{Row: r.json(s.env.Columns.Names), Time: r.time, Name: v.name, Column: v.column, Reason: v.reason})
			if err != nil {
				return err
			}
		}
		v.told = true
		s.told = append(s.told, v)
	}
	return nil
}

// untell takes back what tell has reported in a method that then failed: it is as if the
// method had not been called, and the next one reports again.
func (s *Sink) untell(err error) error {
	if err != nil {
		for _, v := range s.told {
			v.told = false
		}
	}
	s.told = s.told[:0]
	return err
}

// shape is a set of columns that rows are written into.
type shape struct {
	cols  []*column
	keys  []int // places of the key in cols
	limit int
	stmt  *statement
	texts map[int]string // by number of rows
}

// text is the statement for a number of rows.
func (sh *shape) text(n int) string {
	if sh.stmt.d.args != nil {
		n = 0 // it is the same for all
	}
	t, ok := sh.texts[n]
	if !ok {
		t = sh.stmt.d.write(sh.stmt, n)
		sh.texts[n] = t
	}
	return t
}

// mapping says where the values of rows with certain names go.
type mapping struct {
	cols   []*column // for each name; nil if the value goes nowhere
	shape  *shape
	from   []int // for each column of the shape the place of its value, -1 for NULL
	refuse *refusal
}

// shapeOf finds the columns of a row and makes its values fit, or says why it is refused.
func (s *Sink) shapeOf(r *row) (*refusal, error) {
	m := s.named
	if s.env.Columns.Row {
		if r.odd {
			return &refusal{errType, "", "the row is no record but of type " + r.vals[0].Kind.String()}, nil
		}
		var err error
		if m, err = s.mappingOf(r.names); err != nil {
			return nil, err
		}
		if m.refuse != nil {
			return m.refuse, nil
		}
	}
	r.shape = m.shape
	r.args = make([]any, len(m.from))
	for i, from := range m.from {
		v := vec.NullValue()
		if from >= 0 {
			v = r.vals[from]
		}
		c := m.shape.cols[i]
		x, why := fit(c, v)
		if why != nil {
			why.column = s.outside(c.name)
			return why, nil
		}
		r.args[i] = x
	}
	if s.mode == modeUpsert {
		for _, i := range m.shape.keys {
			if r.args[i] == nil {
				return &refusal{errRequired, s.outside(m.shape.cols[i].name), "a column of the key is NULL"}, nil
			}
		}
	}
	return nil, nil
}

// maxMappings is how many different sets of names are remembered.
const maxMappings = 1000

// mappingOf is the mapping of rows that have names of their own.
func (s *Sink) mappingOf(names []string) (*mapping, error) {
	id := strings.Join(names, "\x00")
	if m := s.mappings[id]; m != nil {
		return m, nil
	}
	m := &mapping{}
	for _, n := range names {
		c, err := s.table.find(s.inside(n))
		switch {
		case err != nil && s.create && s.growable(n):
			return nil, errGrow
		case err != nil:
			s.unknown = true
			m.refuse = &refusal{errColumn, shorten(n), err.Error()}
		case c.made:
			m.refuse = &refusal{errColumn, n, "the database itself writes column " + c.name}
		case contains(m.cols, c):
			m.refuse = &refusal{errColumn, n, "two fields of the row go into column " + c.name}
		}
		if m.refuse != nil {
			break
		}
		m.cols = append(m.cols, c)
	}
	if m.refuse == nil {
		m.refuse = s.shapeFor(m)
	}
	if len(s.mappings) >= maxMappings {
		clear(s.mappings)
	}
	s.mappings[id] = m
	return m, nil
}

// shorten cuts a name for messages.
func shorten(n string) string {
	if len(n) <= 120 {
		return n
	}
	return strings.ToValidUTF8(n[:117], "") + "..."
}

func contains(cols []*column, c *column) bool {
	for _, o := range cols {
		if o == c {
			return true
		}
	}
	return false
}

// shapeFor finds the shape of a mapping. An insert names every column that is NULL without a
// value, so that rows with different fields go in one statement; an upsert names those that
// the row has, so that others keep what they have.
func (s *Sink) shapeFor(m *mapping) *refusal {
	cols := m.cols
	if s.env.Columns.Row && s.mode != modeUpsert && !s.narrow {
		cols = nil
		for _, c := range s.table.columns {
			if contains(m.cols, c) || !c.filled && !c.made {
				cols = append(cols, c)
			}
		}
	}
	for _, k := range s.key {
		if s.mode == modeUpsert && !contains(m.cols, k) {
			return &refusal{errRequired, k.name, "the row has no value for a column of the key"}
		}
	}
	if len(m.cols) == 0 {
		return &refusal{errRequired, "", "the row has no field"}
	}
	if s.env.Columns.Row && (s.mode == modeUpsert || s.narrow) {
		// The order of the table, so that fields in another order make the same shape.
		cols = nil
		for _, c := range s.table.columns {
			if contains(m.cols, c) {
				cols = append(cols, c)
			}
		}
	}
	var id strings.Builder
	for _, c := range cols {
		fmt.Fprintf(&id, "%p ", c)
	}
	sh := s.shapes[id.String()]
	if sh == nil {
		sh = s.newShape(cols)
		if len(s.shapes) >= maxMappings {
			clear(s.shapes)
			clear(s.mappings)
		}
		s.shapes[id.String()] = sh
	}
	m.shape = sh
	m.from = make([]int, len(cols))
	for i, c := range cols {
		m.from[i] = -1
		for j, o := range m.cols {
			if o == c {
				m.from[i] = j
			}
		}
	}
	return nil
}

func (s *Sink) newShape(cols []*column) *shape {
	d := s.dialect
	sh := &shape{cols: cols, texts: map[int]string{}, stmt: &statement{d: d, table: s.table, cols: cols, mode: s.mode}}
	sh.limit = max(1, min(s.batch, d.maxRows, d.maxParams/len(cols)))
	whole := true
	for _, k := range s.key {
		found := false
		for i, c := range cols {
			if c == k {
				sh.keys, found = append(sh.keys, i), true
			}
		}
		whole = whole && found
	}
	if whole {
		sh.stmt.key = s.key
	}
	return sh
}
