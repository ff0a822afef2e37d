package sql

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"weir/internal/connect"
)

func TestSpecs(t *testing.T) {
	for name, want := range map[string]string{"SQLite": "sqlite", "postgresql": "postgres", "MariaDB": "mysql", "azuresql": "sqlserver", "mssql": "sqlserver"} {
		s, ok := connect.Find(name)
		if !ok || s.Name != want || s.Sink == nil || s.Source == nil || !s.ReferenceOnly {
			t.Errorf("%s finds %v", name, s)
		}
	}
	for _, d := range []*dialect{sqliteDialect, postgresDialect, mysqlDialect, sqlserverDialect} {
		s, _ := connect.Find(d.name)
		seen := map[string]bool{}
		for _, input := range []bool{true, false} {
			once := map[string]bool{}
			for _, f := range s.Fields {
				if f.Input != f.Output && f.Input != input {
					continue
				}
				if once[f.Name] || f.Doc == "" {
					t.Errorf("%s: field %s", d.name, f.Name)
				}
				once[f.Name], seen[f.Name] = true, true
			}
		}
		for line := range strings.Lines(s.Example) {
			if key, _, ok := strings.Cut(line, ":"); !ok || key != "type" && !seen[key] {
				t.Errorf("%s: the example has %q", d.name, line)
			}
		}
	}
}

func TestCheck(t *testing.T) {
	f := func(d *dialect, values map[string]any, want ...string) {
		t.Helper()
		s, _ := connect.Find(d.name)
		var got []string
		for _, p := range s.Check(connect.Config{Values: values}, false) {
			got = append(got, p.Field+": "+p.Text)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) || len(got) != len(want) {
			t.Errorf("%v\n got %q\nwant %q", values, got, want)
		}
	}
	type m = map[string]any
	f(sqliteDialect, m{"path": "x.db", "table": "t"})
	f(sqliteDialect, m{"path": "x.db", "table": "a.b.c"}, `table: "a.b.c" is no name of a table: it has more than two parts`)
	f(sqliteDialect, m{"path": "x.db", "table": "t", "mode": "upsert"}, "mode: upsert needs a key")
	f(sqliteDialect, m{"path": "x.db", "table": "t", "key": []string{"k"}}, "key: insert uses no key")
	f(sqliteDialect, m{"path": "x.db", "table": "t", "mode": "upsert", "key": []string{"k", "K"}}, "key: K stands twice")
	f(sqliteDialect, m{"path": "x.db", "table": "t", "batch": int64(0), "timeout": time.Duration(0), "buffer": int64(-1)},
		"batch: 0 is not between 1 and 100000", "timeout: a statement needs some time", "buffer: is negative")
	f(sqliteDialect, m{"table": "t", "columns": map[string]string{"a": ""}}, "columns: a has no column", ": path is not set")
	f(postgresDialect, m{"table": "t"}, ": neither dsn nor host is set")
	f(mysqlDialect, m{"table": "t", "dsn": secret("mysql://u:p@h/d?tls=odd")}, "dsn: tls in the dsn is none of verify, require, disable")
	f(sqlserverDialect, m{"table": "t", "dsn": secret("database=d")})
	f(sqlserverDialect, m{"table": "t", "host": "tcp:example.database.windows.net,1433", "database": "d"})
}

func TestTLSMode(t *testing.T) {
	f := func(set, host, want string) {
		t.Helper()
		if got := tlsMode(connect.Config{Values: map[string]any{"tls": set}}, host); got != want {
			t.Errorf("%s %s gives %s, want %s", set, host, got, want)
		}
	}
	f("", "localhost", "disable")
	f("", "127.0.0.1", "disable")
	f("", "[::1]", "disable")
	f("", "/var/run/postgresql", "disable")
	f("", "db.example.org", "verify")
	f("", "10.0.0.1", "verify")
	f("require", "localhost", "require")
}

// TestManual holds the tables of settings in the manual equal to the Specs.
func TestManual(t *testing.T) {
	const path = "../../../docs/connectors/sql.md"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	row := func(f connect.Field) string {
		def := f.Default
		if def != "" {
			def = "`" + def + "`"
		}
		if f.Required {
			def = "required"
		}
		return fmt.Sprintf("| `%s` | %s | %s |", f.Name, def, f.Doc)
	}
	section := string(text)
	for _, d := range []*dialect{sqliteDialect, postgresDialect, mysqlDialect, sqlserverDialect} {
		spec, _ := connect.Find(d.name)
		for _, f := range spec.Fields {
			want := row(f)
			if f.Name == "port" || f.Name == "create" { // whose defaults differ
				want = fmt.Sprintf("| %s |", f.Doc)
			}
			if f.Name == "dsn" {
				continue // its form is that of the dialect: see the examples
			}
			if !strings.Contains(section, want) {
				t.Errorf("%s has no row\n%s", path, row(f))
			}
		}
		if !strings.Contains(section, d.example) {
			t.Errorf("%s has no example of %s as the Spec has it", path, d.name)
		}
		if _, form, ok := strings.Cut(spec.Fields[0].Doc, "The connection string, "); ok && !strings.Contains(section, strings.Split(form, ". It takes")[0]) {
			t.Errorf("%s does not have the connection string of %s: %s", path, d.name, form)
		}
	}
}
