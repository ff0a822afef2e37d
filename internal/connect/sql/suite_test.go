package sql

import (
	"context"
	dbsql "database/sql"
	"database/sql/driver"
	"path/filepath"
	"testing"

	"weir/internal/connect"
	"weir/internal/connect/connecttest"
)

// base is a database that tests write to.
type base struct {
	dialect *dialect
	config  map[string]any // of the connection
	db      *dbsql.DB      // of the test itself
	path    string
}

// secret hides a connection string, as a Config has it.
func secret(s string) connect.Hidden { return connect.NewHidden(s) }

// newSQLite is a new database file.
func newSQLite(t testing.TB) *base {
	t.Helper()
	path := filepath.Join(t.TempDir(), "odd ?#% name.db")
	b := &base{dialect: sqliteDialect, config: map[string]any{"path": path}, path: path}
	b.open(t)
	return b
}

// open gives the test its own connections.
func (b *base) open(t testing.TB) {
	t.Helper()
	connector, err := b.dialect.connector(b.conf(nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	b.db = dbsql.OpenDB(connector)
	t.Cleanup(func() { b.db.Close() })
}

// conf is the settings of an output: those of the connection and more.
func (b *base) conf(more map[string]any) connect.Config {
	values := map[string]any{}
	for k, v := range b.config {
		values[k] = v
	}
	for k, v := range more {
		values[k] = v
	}
	return connect.Config{Values: values}
}

// exec runs a statement of the test.
func (b *base) exec(t testing.TB, text string, args ...any) {
	t.Helper()
	if _, err := b.db.Exec(text, args...); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

// suite is the conformance suite of sinks over a database.
func (b *base) suite(t *testing.T, wrap func(driver.Connector) driver.Connector) {
	n := 0
	connecttest.Sinks{New: func(t testing.TB) *connecttest.Target {
		n++
		b.drop("suite")
		b.drop("weir_epochs")
		return &connecttest.Target{
			Open: func(env connect.SinkEnv) (connect.Sink, error) {
				return open(b.dialect, b.conf(map[string]any{"table": "suite", "create": true, "batch": int64(7), "buffer": int64(100)}), env, wrap)
			},
			Rows: func() ([]connecttest.Row, error) { return b.suiteRows() },
			Kill: func(s connect.Sink) { kill(s.(*Sink)) },
		}
	}}.Run(t)
}

// kill does to the connection what the end of a process does.
func kill(s *Sink) {
	<-s.link.turn
	s.link.discard()
	s.link.turn <- struct{}{}
}

func (b *base) drop(table string) {
	_, _ = b.db.Exec("DROP TABLE " + b.dialect.quote(table))
}

// suiteRows are the rows of the suite. Databases give rows in any order: the suite's ids tell
// the order in which they were written.
func (b *base) suiteRows() ([]connecttest.Row, error) {
	order := "id"
	if b.dialect == sqliteDialect {
		order = "rowid"
	}
	var got []connecttest.Row
	err := query(context.Background(), b.db, func(scan func(...any) error) error {
		var r connecttest.Row
		if err := scan(&r.ID, &r.Text); err != nil {
			return err
		}
		got = append(got, r)
		return nil
	}, "SELECT id, "+b.dialect.quote("text")+" FROM suite ORDER BY "+order)
	if err != nil && b.dialect.fault(err).kind == missingTable {
		return nil, nil
	}
	return got, err
}
