package sql

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"

	"weir/internal/vec"
)

// look reads the catalogue and checks that the output and the table go together. A table that
// we may make need not be there.
func (s *Sink) look(ctx context.Context) error {
	if s.table != nil {
		return nil
	}
	t, err := s.dialect.describe(ctx, s.link.conn, s.settings.table)
	if err != nil {
		return err
	}
	s.described = s.env.Now()
	if t == nil {
		if s.create {
			return nil
		}
		return s.stop("there is no table %s; set create: true, or run: %s", s.settings.table, s.suggestion())
	}
	t.quoted = full(s.dialect.quote, t.name)
	return s.bind(t)
}

// forget makes the next look read the catalogue again.
func (s *Sink) forget() {
	s.table, s.named, s.key, s.unknown = nil, nil, nil, false
	clear(s.mappings)
	clear(s.shapes)
}

// inside is the column that a name of the query means.
func (s *Sink) inside(name string) string {
	if to, ok := s.columns[strings.ToLower(name)]; ok {
		return to
	}
	return name
}

// bind takes a table as the target, or says why it cannot be.
func (s *Sink) bind(t *table) error {
	s.forget()
	if t.trouble != "" {
		return s.stop("table %s: %s", t.name, t.trouble)
	}
	var key []*column
	for _, k := range s.settings.key {
		c, err := t.find(s.inside(k))
		if err != nil {
			return s.stop("key: %w; it has %s", err, t.names())
		}
		key = append(key, c)
	}
	if len(key) > 0 && s.dialect != sqlserverDialect && !t.hasKey(key) {
		names := list(key, ", ", func(c *column) string { return s.dialect.quote(c.name) })
		return s.stop("mode "+s.mode+" needs a unique key of table %s over exactly %s: CREATE UNIQUE INDEX ... ON %s (%s)",
			t.name, strings.Join(s.settings.key, ", "), t.quoted, names)
	}
	s.table, s.key = t, key
	if s.env.Columns.Row {
		return nil
	}
	m := &mapping{}
	for _, n := range s.env.Columns.Names {
		c, err := t.find(s.inside(n))
		if err != nil {
			s.table = nil
			if s.create && s.dialect.plain(s.inside(n)) {
				s.table = t // it is added when there are rows
				return nil
			}
			return s.stop("%w for %s of the query; it has %s. Give the column another name in the query or by columns:", err, short(n), t.names())
		}
		if c.made {
			return s.stop("the database itself writes column %s of table %s: leave it out of the query", c.name, t.name)
		}
		if contains(m.cols, c) {
			return s.stop("two columns of the query go into column %s of table %s", c.name, t.name)
		}
		m.cols = append(m.cols, c)
	}
	if why := s.shapeFor(m); why != nil {
		return s.stop("key: the query has no column %s", why.column)
	}
	if len(m.cols) > s.dialect.maxParams {
		return s.stop("the query has %d columns; %d is the most", len(m.cols), s.dialect.maxParams)
	}
	s.named = m
	return nil
}

// ready makes sure that the table is there, with all columns, before a transaction begins.
func (s *Sink) ready(ctx context.Context) error {
	bound := func() bool { return s.table != nil && (s.named != nil || s.env.Columns.Row) }
	// Others may make the same table at the same time, with other columns.
	s.none = nil
	for range 3 {
		if bound() || s.none != nil {
			return nil
		}
		if err := s.lookAgain(ctx); err != nil || bound() {
			return err
		}
		s.link.rollback()
		change := s.grow
		if s.table == nil {
			change = s.make
		}
		if err := change(ctx); err != nil {
			return err
		}
	}
	if bound() || s.none != nil {
		return nil
	}
	return s.stop("table %s does not get the columns that the query needs: it takes some names for the same that are not", s.settings.table)
}

// lookAgain looks at the table within the time of a statement.
func (s *Sink) lookAgain(ctx context.Context) error {
	ctx, cancel := s.statementTime(ctx)
	defer cancel()
	if err := s.link.connect(ctx); err != nil {
		return err
	}
	return s.look(ctx)
}

// make makes the table.
func (s *Sink) make(ctx context.Context) error {
	cols, err := s.wanted(nil)
	if err != nil {
		return err
	}
	if s.env.Columns.Row {
		if cols, s.none = s.first(cols); s.none != nil {
			return nil
		}
	}
	if len(cols) == 0 {
		return s.stop("table %s cannot be made: the query has no column", s.settings.table)
	}
	err = s.change(ctx, s.createText(cols))
	if err == nil || !s.env.Columns.Row {
		return err
	}
	if f := s.dialect.fault(err); f.kind == badRow {
		s.none = &refusal{f.name, "", s.clean.clean(err.Error())}
		return nil
	}
	return err
}

// first are the columns that a table is made with whose names come from rows: those that no
// database takes for another one, as some do with letters that differ in their accents. The
// others are added one by one, and one that is not taken does no harm. Rows of which no table
// can be made are refused: what they hold must not end the job.
func (s *Sink) first(cols []newColumn) ([]newColumn, *refusal) {
	if len(cols) == 0 {
		return nil, &refusal{errColumn, "", "no field of the row can be the name of a column"}
	}
	for _, k := range s.settings.key {
		if !slices.ContainsFunc(cols, func(c newColumn) bool { return strings.EqualFold(c.name, s.inside(k)) }) {
			return nil, &refusal{errRequired, k, "the row has no value for a column of the key"}
		}
	}
	safe := slices.DeleteFunc(slices.Clone(cols), func(c newColumn) bool {
		return strings.ContainsFunc(c.name, func(r rune) bool { return r > unicode.MaxASCII }) &&
			!slices.ContainsFunc(s.settings.key, func(k string) bool { return strings.EqualFold(c.name, s.inside(k)) })
	})
	if len(safe) == 0 {
		safe = cols[:1]
	}
	return safe, nil
}

// createText is the statement that makes the table.
func (s *Sink) createText(cols []newColumn) string {
	var key []string
	for i, c := range cols {
		for _, k := range s.settings.key {
			if strings.EqualFold(c.name, s.inside(k)) {
				cols[i].key = true
				key = append(key, c.name)
			}
		}
	}
	if len(key) < len(s.settings.key) {
		key = nil // bind says which one is missing
	}
	return s.dialect.createTable(full(s.dialect.quote, s.settings.table), cols, key)
}

// grow adds the columns that the table lacks.
func (s *Sink) grow(ctx context.Context) error {
	cols, err := s.wanted(s.table)
	if err != nil {
		return err
	}
	add := " ADD COLUMN "
	if s.dialect == sqlserverDialect {
		add = " ADD "
	}
	for _, c := range cols {
		err := s.change(ctx, "ALTER TABLE "+s.table.quoted+add+s.dialect.columnDef(c))
		refused := err != nil && s.env.Columns.Row && (s.dialect.fault(err).kind == permanent || s.dialect.fault(err).kind == badRow)
		switch {
		case err != nil && !refused:
			return err
		case s.table == nil:
			return fmt.Errorf("table %s is gone", s.settings.table)
		}
		if _, missing := s.table.find(c.name); missing != nil && s.env.Columns.Row {
			s.log.Warn("a field of the rows gets no column", "field", shorten(c.name), "error", s.clean.wrap(err))
			if len(s.unfit) >= maxMappings || s.unfit == nil {
				s.unfit = map[string]bool{}
			}
			s.unfit[strings.ToLower(c.name)] = true
		}
	}
	return nil
}

// change runs a statement that makes something, and looks at the table again.
func (s *Sink) change(ctx context.Context, text string) error {
	if err := s.ddl(ctx, text); err != nil {
		if s.dialect.fault(err).kind == badRow && !s.env.Columns.Row { // it is about columns here, and those of a query stay
			return s.stop("%s", s.clean.clean(err.Error()))
		}
		return err
	}
	s.log.Info("the database was changed", "statement", text)
	s.forget()
	return s.lookAgain(ctx)
}

// ddl runs a statement outside of transactions; that something is there already is no error.
func (s *Sink) ddl(ctx context.Context, text string) error {
	ctx, cancel := s.statementTime(ctx)
	defer cancel()
	if err := s.link.connect(ctx); err != nil {
		return err
	}
	_, err := s.link.conn.ExecContext(ctx, text)
	if err == nil {
		return nil
	}
	switch s.dialect.fault(err).kind {
	case exists, duplicate: // two who make the same at once may meet in the catalogue itself
		return nil
	}
	return err
}

// growable reports whether a field of a row may become a column of the table.
func (s *Sink) growable(name string) bool {
	return !s.grown && s.dialect.plain(s.inside(name)) && !s.unfit[strings.ToLower(s.inside(name))] && len(s.table.columns) < maxColumns
}

// wanted are the columns that rows need and a table (nil: a new one) lacks, with the kinds of
// values they are for.
func (s *Sink) wanted(t *table) ([]newColumn, error) {
	var cols []newColumn
	place := map[string]int{}
	have := 0
	if t != nil {
		have = len(t.columns)
	}
	want := func(name string, kinds vec.Kinds) {
		name = s.inside(name)
		if t != nil {
			if _, err := t.find(name); err == nil {
				return
			}
		}
		id := strings.ToLower(name)
		i, ok := place[id]
		if !ok {
			if !s.dialect.plain(name) || s.unfit[id] || have+len(cols) >= maxColumns {
				return
			}
			i = len(cols)
			place[id] = i
			cols = append(cols, newColumn{name: name})
		}
		cols[i].kinds |= kinds.NotNull()
	}
	if !s.env.Columns.Row {
		for _, n := range s.env.Columns.Names {
			if !s.dialect.plain(s.inside(n)) {
				return nil, s.stop("%s cannot be the name of a column that is made; make the table, or give another name by columns:", short(s.inside(n)))
			}
			want(n, 0)
		}
	}
	in := s.rows.read(len(s.env.Columns.Names))
	for {
		r, _, err := in.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, said{err}
		}
		if r.odd {
			continue
		}
		names := r.names
		if !s.env.Columns.Row {
			names = s.env.Columns.Names
		}
		for i, v := range r.vals {
			want(names[i], vec.KindsOf(v.Kind))
		}
	}
	for i := range cols {
		cols[i].kinds = s.kindsFor(cols[i].name, cols[i].kinds)
	}
	return cols, nil
}

// kindsFor is what a new column is to hold: what the query says if it says one thing, else
// what the rows at hand have had. Numbers of inputs without declared types are taken for
// numbers of both kinds: 20 is followed by 20.5.
func (s *Sink) kindsFor(name string, seen vec.Kinds) vec.Kinds {
	static := vec.AnyKind.NotNull()
	for i, n := range s.env.Columns.Names {
		if !s.env.Columns.Row && strings.EqualFold(s.inside(n), name) && i < len(s.env.Columns.Types) {
			static = s.env.Columns.Types[i].NotNull()
		}
	}
	one := static&(static-1) == 0 && static != 0
	if one || static.Within(vec.KindsOf(vec.Record, vec.Array)) || s.dialect == sqliteDialect {
		return static
	}
	if seen != 0 && seen.Within(numbers) && static.Has(vec.Float) {
		for _, k := range s.settings.key {
			if strings.EqualFold(s.inside(k), name) {
				return seen
			}
		}
		return numbers
	}
	return seen
}

// suggestion is a CREATE TABLE for people, as far as the query tells the types.
func (s *Sink) suggestion() string {
	var cols []newColumn
	if s.env.Columns.Row {
		return "CREATE TABLE " + full(s.dialect.quote, s.settings.table) + " (...)"
	}
	for _, n := range s.env.Columns.Names {
		cols = append(cols, newColumn{name: s.inside(n), kinds: s.kindsFor(s.inside(n), 0)})
	}
	return s.createText(cols)
}
