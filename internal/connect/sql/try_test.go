package sql

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/internal/connect"
	"weir/internal/vec"
)

// tries checks what a try of a database finds: lines of "field: text | hint".
func (b *base) tries(t *testing.T, input bool, more map[string]any, columns []string, want ...string) {
	t.Helper()
	env := connect.ProbeEnv{Job: "j", Name: "x", Input: input, Reference: input}
	for _, c := range columns {
		env.Columns.Names, env.Columns.Types = append(env.Columns.Names, c), append(env.Columns.Types, vec.KindsOf(vec.Int))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	spec, _ := connect.Find(b.dialect.name)
	list := spec.Probe(ctx, b.conf(more), env)
	for i, p := range list {
		got := p.Field + ": " + p.Text + " | " + p.Hint
		hides(t, got)
		if strings.Contains(p.Text, "\n") {
			t.Errorf("several lines: %s", p.Text)
		}
		if i >= len(want) || !strings.Contains(got, want[i]) {
			t.Errorf("%v finds\n%s\nwant %q", more, got, want)
		}
	}
	if len(list) < len(want) {
		t.Errorf("%v finds %v\nwant %q", more, list, want)
	}
}

// tryCases are the tries of a database that is there.
func (b *base) tryCases(t *testing.T) {
	b.drop("t")
	b.drop("none")
	b.exec(t, b.sql(`CREATE TABLE t (k <text>, v <bigint>)`))
	b.exec(t, "INSERT INTO t VALUES ('a', 1)")
	type m = map[string]any
	b.tries(t, true, m{"table": "t"}, nil)
	b.tries(t, true, m{"table": "none"}, nil, "table: ")
	b.tries(t, true, m{"query": "SELECT missing FROM t"}, nil, "query: ")
	b.tries(t, true, m{"query": "SELECT k, v AS k FROM t"}, nil, `query: two columns of the query are called "k"`)
	b.tries(t, true, m{}, nil, ": an input needs a query")
	times := b.dialect.quote("x") + " WHERE '2026' < @deltaEndTime AND '2026' < @deltaStartTime"
	if b.dialect == postgresDialect {
		times = "x WHERE now() < @deltaEndTime AND now() < @deltaStartTime"
	}
	delta := func(query string) m {
		return m{"query": "SELECT k, v FROM t", "refresh": time.Minute, "delta_query": query + times}
	}
	b.tries(t, true, delta("SELECT v, k, 1 AS _operation_ FROM t AS "), nil)
	b.tries(t, true, delta("SELECT k, 1 AS _operation_ FROM t AS "), nil, `delta_query: it lacks column "v" of the query`)
	b.tries(t, false, m{"table": "t"}, []string{"v"})
	b.tries(t, false, m{"table": "t"}, []string{"v", "w"}, `table: table `)
	b.tries(t, false, m{"table": "none"}, []string{"v"}, `table: there is no table none | set create: true, or run:`+"\nCREATE TABLE ")
	b.tries(t, false, m{"table": "none", "create": true}, []string{"v"})
	b.tries(t, false, m{"table": "t", "mode": "upsert", "key": []string{"v"}}, []string{"v"}, "table: mode upsert needs a unique key")
	b.tries(t, false, m{"table": "a.b.c"}, []string{"v"}, `table: "a.b.c" is no name of a table`)
	var n int
	if err := b.db.QueryRow("SELECT COUNT(*) FROM t").Scan(&n); err != nil || n != 1 {
		t.Errorf("%d rows, error %v", n, err)
	}
}

func TestSQLiteTry(t *testing.T) {
	b := newSQLite(t)
	b.exec(t, "PRAGMA user_version = 1") // the file is there
	b.config["create"] = false
	b.tryCases(t)
	none := filepath.Join(t.TempDir(), "dir", "none.db")
	other := &base{dialect: sqliteDialect, config: map[string]any{"path": none}}
	other.tries(t, true, map[string]any{"table": "t"}, nil, "path: there is no file "+none)
	other.tries(t, false, map[string]any{"table": "t"}, []string{"v"})
	if _, err := os.Stat(filepath.Dir(none)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the try has made something: %v", err)
	}
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte(strings.Repeat("no database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	other.config["path"] = text
	other.tries(t, true, map[string]any{"table": "t"}, nil, "no SQLite database; restore it, or name another one")
	other.tries(t, false, map[string]any{"table": "t"}, []string{"v"}, "no SQLite database; restore it, or name another one")
}

// TestTryServers: servers that are not there, and do not let us in.
func TestTryServers(t *testing.T) {
	for _, d := range []*dialect{postgresDialect, mysqlDialect, sqlserverDialect} {
		b := &base{dialect: d, config: map[string]any{"host": "127.0.0.1", "port": int64(1), "user": "weir", "database": "d", "password": secret(canary)}}
		b.tries(t, true, map[string]any{"table": "t"}, nil, "is the address right")
		b.tries(t, false, map[string]any{"table": "t"}, []string{"v"}, "is the address right")
	}
	s := &scripted{answers: map[string]tdsAnswer{
		"SELECT * FROM [t]": {columns: 1, names: []string{"k"}, rows: [][]any{{"a"}}},
	}}
	tds := newTDS(t, func() tdsSession { return s })
	b := &base{dialect: sqlserverDialect, config: map[string]any{"host": "127.0.0.1", "port": tds.port(), "user": "weir", "password": secret(canary)}}
	b.tries(t, true, map[string]any{"table": "t"}, nil)
	tds.lets(func(string, string) int32 { return 18456 })
	b.tries(t, true, map[string]any{"table": "t"}, nil, hintLogin)

	f, b := newFake(t)
	f.tds.lets(func(string, string) int32 { return 0 })
	b.tries(t, false, map[string]any{"table": "t"}, []string{"v"}, "table: there is no table t | set create: true, or run:\nCREATE TABLE [t] ([v] bigint)")
	f.table(nil, "v", "bigint", false)
	may := true
	f.fault = func(text string) *tdsAnswer {
		if strings.Contains(text, "HAS_PERMS_BY_NAME") {
			return &tdsAnswer{number: 0, columns: 1, names: []string{"may"}, rows: [][]any{{may}}}
		}
		return nil
	}
	f.answers = true
	b.tries(t, false, map[string]any{"table": "t"}, []string{"v"})
	b.tries(t, false, map[string]any{"table": "t"}, []string{"v", "w"}, `table: table dbo.t has no column "w" for "w" of the query; it has v`)
	may = false
	b.tries(t, false, map[string]any{"table": "t"}, []string{"v"}, "table: weir may not add rows to table dbo.t | the user needs INSERT, and UPDATE for mode: upsert: GRANT SELECT, INSERT, UPDATE ON [dbo].[t] TO ...")
}
