package sql

import (
	"context"
	dbsql "database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"weir/internal/connect"
	"weir/internal/disk"
)

// try tries an input or output (connect.Spec.Probe). It changes nothing: of an input the queries
// begin and are cut off; of an output the catalogue is read.
func try(ctx context.Context, d *dialect, c connect.Config, env connect.ProbeEnv) []connect.Problem {
	t := &trial{d: d, c: c, clean: secretsOf(d, c)}
	if path := c.Text("path"); path != "" {
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			return t.noFile(path, env.Input)
		}
	}
	db, err := openReading(d, c, nil)
	if err != nil {
		t.failed("", err)
		return t.problems
	}
	defer db.Close()
	if env.Input {
		t.input(ctx, db)
	} else {
		t.output(ctx, db, env)
	}
	return t.problems
}

// trial is a try and what it has found.
type trial struct {
	d        *dialect
	c        connect.Config
	clean    secrets
	problems []connect.Problem
}

func (t *trial) add(field, text, hint string) {
	// Errors of drivers may have several lines.
	text = strings.Join(strings.Fields(t.clean.clean(text)), " ")
	t.problems = append(t.problems, connect.Problem{Field: field, Text: strings.TrimPrefix(text, t.d.name+": "), Hint: hint})
}

// failed adds an error of the database, or of the way to it.
func (t *trial) failed(field string, err error) {
	var out said
	if errors.As(err, &out) {
		t.add(field, out.error.Error(), "")
		return
	}
	f := t.d.fault(err)
	if f.hint == "" && f.kind == again {
		f.hint = "is the address right, does the server run, and does a firewall let us through?"
	}
	t.add(field, err.Error(), f.hint)
}

// noFile is about a SQLite file that is not there.
func (t *trial) noFile(path string, input bool) []connect.Problem {
	if input {
		t.add("path", "there is no file "+path, "an input needs a database that is there")
	} else if err := disk.Reach(filepath.Dir(path)); err != nil {
		t.add("path", err.Error(), "the database file is made there: who runs the job has to be able to write")
	}
	return t.problems
}

// input begins the queries and cuts them off.
func (t *trial) input(ctx context.Context, db *dbsql.DB) {
	set, bad := readSource(t.d, t.c)
	if t.problems = append(t.problems, bad...); len(bad) > 0 {
		return
	}
	s := &source{dialect: t.d, readSettings: set, db: db, clean: t.clean}
	now := time.Now()
	query := "query"
	if t.c.Text("query") == "" {
		query = "table"
	}
	cols := t.begin(ctx, s, query, set.query, params{paramSnapshot: now})
	if set.delta == "" || cols == nil {
		return
	}
	delta := t.begin(ctx, s, "delta_query", set.delta, params{paramStart: now, paramEnd: now})
	if delta == nil {
		return
	}
	var names []string
	for _, c := range cols {
		names = append(names, c.name)
	}
	if _, _, _, err := deltaColumns(names, delta); err != nil {
		t.add("delta_query", "it "+err.Error(), "")
	}
}

// begin runs a query up to its first row, and gives its columns.
func (t *trial) begin(ctx context.Context, s *source, field, query string, p params) []reading {
	r := &tableReader{s: s}
	defer r.finished()
	err := r.begin(ctx, query, p)
	if err == nil {
		stop := context.AfterFunc(ctx, r.result.end)
		defer stop()
		r.result.rows.Next()
		if err = r.result.rows.Err(); err != nil {
			err = r.result.cause(err)
		}
	}
	if err != nil {
		t.failed(field, err)
		return nil
	}
	return r.cols
}

// output reads the catalogue and compares it with the rows, as the job does when it starts.
func (t *trial) output(ctx context.Context, db *dbsql.DB, env connect.ProbeEnv) {
	set, bad := read(t.d, t.c)
	if t.problems = append(t.problems, bad...); len(bad) > 0 {
		return
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		t.failed("", err)
		return
	}
	defer conn.Close()
	s := &Sink{settings: set, env: connect.SinkEnv{Columns: env.Columns}, clean: t.clean, mappings: map[string]*mapping{}, shapes: map[string]*shape{}}
	table, err := t.d.describe(ctx, conn, set.table)
	switch {
	case err != nil:
		t.failed("table", err)
		return
	case table == nil && set.create:
		return
	case table == nil:
		t.add("table", fmt.Sprintf("there is no table %s", set.table), "set create: true, or run:\n"+s.suggestion())
		return
	}
	table.quoted = full(t.d.quote, table.name)
	if err := s.bind(table); err != nil {
		t.failed("table", err)
		return
	}
	if text, args := t.d.mayWrite(table); text != "" {
		t.mayWrite(ctx, conn, table, text, args)
	}
}

// mayWrite asks whether rows can be added.
func (t *trial) mayWrite(ctx context.Context, conn *dbsql.Conn, table *table, text string, args []any) {
	allowed := true
	err := query(ctx, conn, func(scan func(...any) error) error {
		if t.d == mysqlDialect { // that it is explained is the answer
			return nil
		}
		return scan(&allowed)
	}, text, args...)
	hint := "the user needs INSERT, and UPDATE for mode: upsert: GRANT SELECT, INSERT, UPDATE ON " + table.quoted + " TO ..."
	switch {
	case err != nil && t.d.fault(err).kind == permanent, !allowed:
		t.add("table", fmt.Sprintf("%s may not add rows to table %s", or(t.c.Text("user"), "the user"), table.name), hint)
	case err != nil:
		t.failed("table", err)
	}
}

// mayWrite is a query whose answer says whether rows can be added to a table; "" if there is no
// need to ask. That of MySQL answers by an error.
func (d *dialect) mayWrite(t *table) (text string, args []any) {
	switch d {
	case postgresDialect:
		return "SELECT has_table_privilege($1, 'INSERT')", []any{t.quoted}
	case sqlserverDialect:
		return "SELECT CAST(COALESCE(HAS_PERMS_BY_NAME(@p1, 'OBJECT', 'INSERT'), 0) AS bit)", []any{t.quoted}
	case mysqlDialect:
		return "EXPLAIN INSERT INTO " + t.quoted + " () VALUES ()", nil
	}
	return "", nil
}
