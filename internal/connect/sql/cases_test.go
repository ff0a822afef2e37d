package sql

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	"weir/internal/vec"
)

// words are the types of tables that tests make, by database: bigint, small (16 bits), double,
// text, short (5 characters), time, bool, json.
var words = map[string]map[string]string{
	"sqlite":   {"bigint": "BIGINT", "small": "SMALLINT CHECK (s BETWEEN -32768 AND 32767)", "double": "DOUBLE", "text": "TEXT", "short": "VARCHAR(5) CHECK (length(v) <= 5)", "time": "TIMESTAMP", "bool": "BOOLEAN", "json": "JSON"},
	"postgres": {"bigint": "bigint", "small": "smallint", "double": "double precision", "text": "text", "short": "varchar(5)", "time": "timestamptz", "bool": "boolean", "json": "jsonb"},
	"mysql":    {"bigint": "BIGINT", "small": "SMALLINT", "double": "DOUBLE", "text": "TEXT", "short": "VARCHAR(5)", "time": "DATETIME(6)", "bool": "BOOLEAN", "json": "JSON"},
}

// cases are the tests that every database has to pass.
func (b *base) cases(t *testing.T) {
	for _, c := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"types", b.typesCase}, {"upsert", b.upsertCase}, {"ignore", b.ignoreCase}, {"refused", b.refusedCase},
		{"hostile", b.hostileCase}, {"records", b.recordsCase}, {"grow", b.growCase}, {"first", b.firstCase}, {"ambiguous", b.ambiguousCase},
		{"lost", b.lostCase}, {"shared", b.sharedCase}, {"fence", b.fenceCase}, {"schema", b.schemaCase},
		{"spill", b.spillCase}, {"veto", b.vetoCase}, {"twice", b.twiceCase}, {"reader", b.readerCase}, {"idle", b.idleCase},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, table := range []string{"t", "canary", "weir_epochs"} {
				b.drop(table)
			}
			c.run(t)
		})
	}
}

// sql puts the words of the database into a text: <bigint>, and "names".
func (b *base) sql(text string) string {
	for word, typ := range words[b.dialect.name] {
		text = strings.ReplaceAll(text, "<"+word+">", typ)
	}
	if b.dialect == mysqlDialect {
		text = strings.ReplaceAll(text, `"`, "`")
		text = strings.ReplaceAll(text, "TEXT PRIMARY KEY", "VARCHAR(50) COLLATE utf8mb4_bin PRIMARY KEY")
	}
	return text
}

func (b *base) typesCase(t *testing.T) {
	b.exec(t, b.sql(`CREATE TABLE t (n <bigint>, i <bigint>, f <double>, s <text>, d <time>, x <bool>, r <json>, a <text>)`))
	at := vec.FromCivil(2026, 3, 5) + 16*vec.Hour + 59*vec.Minute + 59*vec.Second + 9999999
	p := b.start(t, output{more: map[string]any{"table": "T"}, cols: []string{"N", "I", "F", "S", "D", "X", "R", "A"}})
	p.epoch(1,
		[]any{1, int64(-1 << 63), 1.5, "é🚀'\"\\", at, true, rec("k", 1, "v", arr(1, "x", nil)), arr(rec("a", 1.0), true)},
		[]any{2, nil, nil, nil, nil, nil, nil, nil},
		[]any{3, int64(1<<63 - 1), 1e300, "", vec.FromCivil(1970, 1, 2), false, arr(), "[1]"},
		[]any{4, 7.0, 3, 12, "2026-03-05T16:59:59.1234567+01:00", 1, "text", at},
		[]any{5, "8", "2.5", 2.5, at, "true", `{"j":1}`, true})
	if got := p.refusals(); got != nil {
		t.Fatalf("refused: %q", got)
	}
	time1, time2, time3 := "2026-03-05T16:59:59.9999999Z", "2026-03-05T15:59:59.1234567Z", "1970-01-02T00:00:00.0000000Z"
	record, text, object, yes, no := `{"k":1,"v":[1,"x",null]}`, `"text"`, `{"j":1}`, "1", "0"
	when := "d"
	switch b.dialect {
	case postgresDialect:
		time1, time2, time3, yes, no = "2026-03-05 16:59:59.999999", "2026-03-05 15:59:59.123456", "1970-01-02 00:00:00.000000", "true", "false"
		record, object = `{"k": 1, "v": [1, "x", null]}`, `{"j": 1}`
		when = "to_char(d AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')"
	case mysqlDialect:
		time1, time2, time3 = "2026-03-05 16:59:59.999999", "2026-03-05 15:59:59.123456", "1970-01-02 00:00:00.000000"
	case sqliteDialect:
		when = "CAST(d AS TEXT)"
	}
	b.check(t, "SELECT n, i, s, "+when+", x, CAST(r AS CHAR(60)), a FROM t ORDER BY n",
		"1|-9223372036854775808|é🚀'\"\\|"+time1+"|"+yes+"|"+b.padded(record)+`|[{"a":1.0},true]`,
		"2|NULL|NULL|NULL|NULL|NULL|NULL",
		"3|9223372036854775807||"+time3+"|"+no+"|"+b.padded("[]")+"|[1]",
		"4|7|12|"+time2+"|"+yes+"|"+b.padded(text)+"|2026-03-05T16:59:59.9999999Z",
		"5|8|2.5|"+time1+"|"+yes+"|"+b.padded(object)+"|true")
	b.check(t, "SELECT f FROM t WHERE n <> 2 ORDER BY n", "1.5", "1e+300", "3", "2.5")
}

// padded is a text as CAST AS CHAR(60) gives it.
func (b *base) padded(s string) string {
	if b.dialect == postgresDialect {
		return fmt.Sprintf("%-60s", s)
	}
	return s
}

func (b *base) upsertCase(t *testing.T) {
	b.exec(t, b.sql(`CREATE TABLE t (k TEXT PRIMARY KEY, n <bigint>, kept <bigint> DEFAULT 7, s <small>)`))
	p := b.start(t, output{more: map[string]any{"table": "t", "mode": "upsert", "key": []string{"K"}}, cols: []string{"k", "n", "s"}})
	p.epoch(1, []any{"a", 1, 1}, []any{"b", 1, 1}, []any{"a", 2, 1})
	b.check(t, "SELECT k, n, kept FROM t ORDER BY k", "a|2|7", "b|1|7")
	b.exec(t, "UPDATE t SET kept = 8")
	p.epoch(2, []any{"b", 2, 1}, []any{"c", 1, 1}, []any{"b", 3, 1}, []any{"b", nil, 1})
	b.check(t, "SELECT k, n, kept FROM t ORDER BY k", "a|2|8", "b|NULL|8", "c|1|7")
	// The last row that is taken wins: the one that is not leaves the one before.
	p.epoch(3, []any{"d", 1, 1}, []any{"d", 2, 70000}, []any{nil, 5, 1}, []any{"a", 9, 1})
	b.check(t, "SELECT k, n FROM t ORDER BY k", "a|9", "b|NULL", "c|1", "d|1")
	if got := p.refusals(); len(got) != 2 || !strings.HasPrefix(got[1], `RequiredColumnMissing k {"k":null`) {
		t.Errorf("refused: %q", got)
	}
	// Only keys.
	b.drop("t")
	b.exec(t, b.sql(`CREATE TABLE t (k TEXT PRIMARY KEY)`))
	p = b.start(t, output{more: map[string]any{"table": "t", "mode": "upsert", "key": []string{"k"}}, cols: []string{"k"}, name: "o2"})
	p.epoch(1, []any{"x"}, []any{"x"}, []any{"y"})
	b.check(t, "SELECT k FROM t ORDER BY k", "x", "y")
	// No unique key.
	b.drop("t")
	b.exec(t, b.sql(`CREATE TABLE t (k <bigint>, n <bigint>)`))
	_, err := b.opened(t, output{more: map[string]any{"table": "t", "mode": "upsert", "key": []string{"k"}}, cols: []string{"k", "n"}, name: "o3"}).sink.Committed(context.Background())
	permanentWith(t, err, "unique key of table", "CREATE UNIQUE INDEX")
}

func (b *base) ignoreCase(t *testing.T) {
	b.exec(t, b.sql(`CREATE TABLE t (k TEXT PRIMARY KEY, n <bigint>, v <short>)`))
	b.exec(t, "INSERT INTO t (k, n) VALUES ('a', 0)")
	p := b.start(t, output{more: map[string]any{"table": "t", "mode": "insert_ignore"}, cols: []string{"k", "n", "v"}})
	p.epoch(1, []any{"a", 1, "x"}, []any{"b", 1, "x"}, []any{"b", 2, "x"}, []any{"c", 1, "too long"}, []any{"d", 1, nil})
	b.check(t, "SELECT k, n FROM t ORDER BY k", "a|0", "b|1", "d|1")
	if got := p.refusals(); len(got) != 1 || !strings.HasPrefix(got[0], "TypeConversionError ") {
		t.Errorf("refused: %q", got)
	}
	if n := p.sink.Skipped(); n != 2 {
		t.Errorf("skipped %d rows, want 2", n)
	}
	if !strings.Contains(p.log.String(), "rows=2") {
		t.Errorf("the log does not say how many rows were skipped: %s", p.log)
	}
}

func (b *base) refusedCase(t *testing.T) {
	b.exec(t, b.sql(`CREATE TABLE t (k <bigint> PRIMARY KEY, s <small>, v <short>, d <time> NOT NULL, c <bigint> CHECK (c < 100))`))
	p := b.start(t, output{more: map[string]any{"table": "t", "batch": int64(64), "columns": map[string]string{"ID": "k"}}, cols: []string{"id", "s", "v", "d", "c"}})
	at := vec.FromCivil(2026, 1, 1)
	var rows [][]any
	for i := range 500 {
		rows = append(rows, []any{i, i, "v", at, i % 100})
	}
	rows[3][1] = 40000         // out of range
	rows[70][2] = "too long"   //
	rows[71][3] = nil          // NULL
	rows[72][0] = "no number"  //
	rows[200][0] = 199         // a key twice
	rows[201][4] = 100         // CHECK
	rows[450][3] = "yesterday" // no time
	rows[499][0] = 1.5         // a fraction
	p.epoch(1, rows...)
	want := []string{"TypeConversionError s", "TypeConversionError v", "RequiredColumnMissing d", "TypeConversionError id", "DuplicateKey", "TypeConversionError", "TypeConversionError d", "TypeConversionError id"}
	if b.dialect == sqliteDialect { // whose CHECK does the work of types, and names no column
		want[0], want[1] = "TypeConversionError", "TypeConversionError"
	}
	got := p.refusals()
	if len(got) != len(want) {
		t.Fatalf("refused: %q", got)
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("refused %q, want %q", got[i], want[i])
		}
	}
	if !strings.Contains(got[4], `{"id":199,"s":200,"v":"v","d":"2026-01-01T00:00:00.0000000Z","c":0}`) {
		t.Errorf("the row is %s", got[4])
	}
	b.check(t, "SELECT COUNT(*) FROM t", "492")
	// The next epoch, with nothing wrong, and one with nothing right.
	p.epoch(2, []any{1000, 1, "v", at, 1})
	p.epoch(3, []any{1000, 1, "v", at, 1})
	b.check(t, "SELECT COUNT(*) FROM t", "493")
	if got := p.refusals(); len(got) != 1 || !strings.HasPrefix(got[0], "DuplicateKey") {
		t.Errorf("refused: %q", got)
	}
	if n, err := p.sink.Committed(context.Background()); n != 3 || err != nil {
		t.Errorf("committed %d, %v", n, err)
	}
}

// hostile are names that want to be more than names.
var hostile = []string{`x"; DROP TABLE canary;--`, "x`; DROP TABLE canary;--", "x]; DROP TABLE canary;--", `x'; DROP TABLE canary;--`,
	"nul\x00; DROP TABLE canary", strings.Repeat("n", 300), "ｆｕｌｌ；ＤＲＯＰ", "k); DROP TABLE canary;--", "\\", "?", "$1", "@p1", ":a", "%s", "\n--", ""}

func (b *base) hostileCase(t *testing.T) {
	b.exec(t, b.sql(`CREATE TABLE canary (n <bigint>)`))
	b.exec(t, "INSERT INTO canary (n) VALUES (1)")
	safe := func() {
		t.Helper()
		b.check(t, "SELECT n FROM canary", "1")
	}
	// Fields of rows that no column has.
	b.exec(t, b.sql(`CREATE TABLE t (k <bigint>)`))
	p := b.start(t, output{more: map[string]any{"table": "t", "create": false}})
	var rows [][]any
	for i, name := range hostile {
		rows = append(rows, []any{rec("k", i, name, 1)})
	}
	p.epoch(1, rows...)
	if n := len(p.refusals()); n != len(hostile) {
		t.Errorf("%d of %d rows were refused", n, len(hostile))
	}
	safe()
	// The same where columns may be added.
	p = b.start(t, output{more: map[string]any{"table": "t", "create": true}, name: "o2"})
	p.epoch(1, rows...)
	p.refusals()
	safe()
	// Columns that are really called so, and values.
	for i, name := range hostile {
		if name == "" || strings.Contains(name, "\x00") || len(name) > b.dialect.maxName || b.dialect == mysqlDialect && strings.Contains(name, ";") && len(name) > 60 {
			continue
		}
		b.drop("t")
		b.exec(t, "CREATE TABLE t ("+b.dialect.quote(name)+" "+words[b.dialect.name]["bigint"]+" PRIMARY KEY, s "+words[b.dialect.name]["text"]+")")
		p := b.start(t, output{more: map[string]any{"table": "t", "mode": "upsert", "key": []string{name}}, name: fmt.Sprint("n", i), cols: []string{name, "s"}})
		value := strings.ReplaceAll(name, "\x00", "")
		p.epoch(1, []any{1, value}, []any{1, value + "!"})
		b.check(t, "SELECT s FROM t", value+"!")
		safe()
	}
	// Tables, jobs and outputs.
	for _, name := range hostile[:4] {
		p := b.opened(t, output{more: map[string]any{"table": b.dialect.quote(name), "create": false}, cols: []string{"k"}, name: name, job: name})
		_, err := p.sink.Committed(context.Background())
		permanentWith(t, err, "there is no table")
		safe()
	}
	// Values in every place of a statement.
	b.drop("t")
	b.exec(t, b.sql(`CREATE TABLE t (k <bigint>, s <text>)`))
	p = b.start(t, output{more: map[string]any{"table": "t"}, name: "values", cols: []string{"k", "s"}})
	rows = nil
	var want []string
	for i, name := range hostile {
		if strings.Contains(name, "\x00") && b.dialect == postgresDialect {
			continue
		}
		rows = append(rows, []any{i, name})
		want = append(want, fmt.Sprintf("%d|%s", i, name))
	}
	p.epoch(1, rows...)
	b.check(t, "SELECT k, s FROM t ORDER BY k", want...)
	safe()
}

func (b *base) recordsCase(t *testing.T) {
	b.exec(t, b.sql(`CREATE TABLE t (k <bigint>, "Temp" <double>, note <text>, filled <bigint> DEFAULT 5)`))
	p := b.start(t, output{more: map[string]any{"table": "t", "create": false}})
	p.epoch(1,
		[]any{rec("k", 1, "temp", 1.5)},
		[]any{rec("NOTE", "n", "K", 2)},
		[]any{rec("k", 3, "other", 1)},
		[]any{rec("k", 4, "K", 5)},
		[]any{rec()},
		[]any{"no record"},
		[]any{rec("k", 6, "filled", 6)})
	b.check(t, b.sql(`SELECT k, "Temp", note, filled FROM t ORDER BY k`), "1|1.5|NULL|5", "2|NULL|n|5", "6|NULL|NULL|6")
	want := []string{`ColumnNameInvalid other {"k":3,"other":1}`, `ColumnNameInvalid K {"k":4,"K":5}`, `RequiredColumnMissing  {}`, `TypeConversionError  "no record"`}
	if got := p.refusals(); !reflect.DeepEqual(got, want) {
		t.Errorf("refused %q", got)
	}
	// A column that somebody adds is found after a while.
	b.exec(t, b.sql(`ALTER TABLE t ADD COLUMN other <bigint>`))
	p.now = p.now.Add(2 * time.Minute)
	p.epoch(2, []any{rec("k", 7, "other", 1)})
	b.check(t, "SELECT k, other FROM t WHERE k = 7", "7|1")
	// An upsert leaves what a row does not name.
	b.drop("t")
	b.exec(t, b.sql(`CREATE TABLE t (k TEXT PRIMARY KEY, a <bigint>, b <bigint>)`))
	p = b.start(t, output{more: map[string]any{"table": "t", "mode": "upsert", "key": []string{"k"}}, name: "o2"})
	p.epoch(1, []any{rec("k", "x", "a", 1)}, []any{rec("b", 2, "k", "x")}, []any{rec("k", "y", "b", 1)}, []any{rec("a", 1)}, []any{rec("k", "y", "a", nil)})
	b.check(t, "SELECT k, a, b FROM t ORDER BY k", "x|1|2", "y|NULL|1")
	if got := p.refusals(); len(got) != 1 || got[0] != `RequiredColumnMissing k {"a":1}` {
		t.Errorf("refused %q", got)
	}
}

func (b *base) growCase(t *testing.T) {
	// A table of rows with names of their own.
	p := b.start(t, output{more: map[string]any{"table": "t", "create": true}})
	p.epoch(1, []any{rec("k", 1, "temp", 20, "at", vec.FromCivil(2026, 1, 1), "on", true, "more", rec("a", 1))})
	p.epoch(2, []any{rec("k", 2, "temp", 20.5, "Neu", "x", "bad;name", 1)}, []any{rec("k", 3, "neu", "y")})
	b.check(t, b.sql(`SELECT k, temp, "Neu" FROM t ORDER BY k`), "1|20|NULL", "3|NULL|y")
	if got := p.refusals(); len(got) != 1 || !strings.HasPrefix(got[0], "ColumnNameInvalid bad;name") {
		t.Errorf("refused %q", got)
	}
	p.epoch(3, []any{rec("k", 2, "temp", 20.5)})
	b.check(t, `SELECT temp FROM t WHERE k = 2`, "20.5")
	// A table of a query, with a key.
	b.drop("t")
	p = b.start(t, output{more: map[string]any{"table": "t", "create": true, "mode": "upsert", "key": []string{"Id", "Time"}}, name: "o2",
		cols: []string{"id", "time", "n", "any"}, types: []vec.Kinds{vec.KindsOf(vec.String, vec.Null), vec.KindsOf(vec.Datetime), vec.KindsOf(vec.Int), vec.AnyKind}})
	at := vec.FromCivil(2026, 1, 1)
	p.epoch(1, []any{"a", at, 1, "x"}, []any{"a", at, 2, "y"}, []any{"b", at, 1, nil})
	b.check(t, b.sql(`SELECT id, n, "any" FROM t ORDER BY id`), "a|2|y", "b|1|NULL")
	// A query that got a column more.
	p.sink.Close()
	p = b.start(t, output{more: map[string]any{"table": "t", "create": true, "mode": "upsert", "key": []string{"id", "time"}}, name: "o2",
		cols: []string{"id", "time", "n", "extra"}})
	p.epoch(2, []any{"b", at, 5, 1.5})
	b.check(t, b.sql(`SELECT id, n, "any", extra FROM t ORDER BY id`), "a|2|y|NULL", "b|5|NULL|1.5")
	// Names that are one for some databases, and two for us.
	b.drop("t")
	p = b.start(t, output{more: map[string]any{"table": "t", "create": true}, name: "o5"})
	p.epoch(1, []any{rec("n", 1, "resume", 1)}, []any{rec("n", 2, "résumé", 1)}, []any{rec("n", 3, "ß", 1, "ss", 2)})
	p.epoch(2, []any{rec("n", 4, "Resume", 1)}, []any{rec("n", 5, "K", 1)}, []any{rec("n", 6, "k", 1)})
	if n := len(p.refusals()); n > 3 {
		t.Errorf("%d rows were refused", n)
	}
	// More columns than there may be.
	b.drop("t")
	p = b.start(t, output{more: map[string]any{"table": "t", "create": true}, name: "o3"})
	var wide []any
	for i := range maxColumns + 50 {
		wide = append(wide, fmt.Sprint("c", i), i)
	}
	p.epoch(1, []any{rec(wide...)}, []any{rec("c1", 1)})
	b.check(t, "SELECT COUNT(*) FROM t", "1")
	// No table, and none is to be made.
	b.drop("t")
	_, err := b.opened(t, output{more: map[string]any{"table": "t", "create": false}, name: "o4", cols: []string{"a", "b"}}).sink.Committed(context.Background())
	permanentWith(t, err, "there is no table t", "create: true", "CREATE TABLE")
}

// ambiguousCase loses the answer to COMMIT, with the transaction there and not there.
// firstCase makes tables of rows from anywhere: none of them may end the job, or hold it.
func (b *base) firstCase(t *testing.T) {
	n := 0
	f := func(more map[string]any, refused int, count string, rows ...[]any) *probe {
		t.Helper()
		n++
		b.drop("t")
		settings := map[string]any{"table": "t", "create": true}
		maps.Copy(settings, more)
		p := b.start(t, output{more: settings, name: fmt.Sprint("first", n)})
		p.epoch(1, rows...)
		if got := p.refusals(); len(got) != refused {
			t.Errorf("refused %q", got)
		}
		p.epoch(2, []any{rec("k", "last")})
		b.check(t, "SELECT COUNT(*) FROM t", count)
		b.check(t, "SELECT k FROM t WHERE k = 'last'", "last")
		return p
	}
	key := map[string]any{"mode": "upsert", "key": []string{"k"}}
	// No field that can be a column, no row that is one, no key.
	f(nil, 3, "1", []any{rec("", 1)}, []any{rec("?", 1)}, []any{"no record"})
	f(nil, 1, "1", []any{rec()})
	f(key, 2, "1", []any{rec("a", 1)}, []any{rec("b", 1)})
	f(key, 1, "2", []any{rec("a", 1)}, []any{rec("k", "x")})
	// Names that a database has itself, and names that are one for it. Rows of names that get no
	// column are refused, the others not.
	rows := [][]any{{rec("k", "x")}}
	for _, name := range []string{"ctid", "xmin", "tableoid", "rowid", "oid", "_rowid_", "weir_epoch", "select", "$1", "a b"} {
		rows = append(rows, []any{rec("k", name, name, 1)})
	}
	own := 0
	if b.dialect == postgresDialect {
		own = 3
	}
	f(nil, own, fmt.Sprint(len(rows)+1-own), rows...)
	rows = [][]any{{rec("k", "x")}}
	for _, name := range []string{"i", "I", "İ", "ı", "é", "e\u0301", "ｅ", "ß", "ss", "K", "K"} {
		rows = append(rows, []any{rec("k", "y", name, 1)})
	}
	// Of these MariaDB makes two columns, and in a table of more than 32 takes them for one in INSERT.
	wide := []any{"k", "x"}
	for i := range 40 {
		wide = append(wide, fmt.Sprint("c", i), i)
	}
	f(nil, 0, "4", []any{rec(wide...)}, []any{rec("k", "y", "İ", 1)}, []any{rec("k", "z", "ı", 1)})
	if own = 0; b.dialect == mysqlDialect {
		own = 1
	}
	f(nil, own, fmt.Sprint(3-own), []any{rec(wide...)}, []any{rec("k", "z", "ı", 1, "İ", 2)})
	b.drop("t")
	p := b.start(t, output{more: map[string]any{"table": "t", "create": true}, name: "names"})
	taken := 0
	for epoch := range int64(3) {
		p.epoch(epoch+1, rows...)
		taken += len(rows) - len(p.refusals())
		b.check(t, "SELECT COUNT(*) FROM t", fmt.Sprint(taken))
	}
	if log := p.log.String(); strings.Count(log, "gets no column") > len(rows) {
		t.Errorf("it tries again and again: %s", log)
	}
}

func (b *base) ambiguousCase(t *testing.T) {
	b.exec(t, b.sql(`CREATE TABLE t (n <bigint>)`))
	f := &faults{}
	p := b.start(t, output{more: map[string]any{"table": "t"}, cols: []string{"n"}, wrap: f.wrap})
	p.epoch(1, []any{1})
	// The transaction got through, the answer did not; the table of epochs tells.
	f.set("COMMIT", true)
	p.epoch(2, []any{2})
	// It did not get through: Commit says so, and the next one makes it again.
	p.write(3, []any{3}, []any{"refused"})
	p.prepare(3)
	f.set("COMMIT", false)
	passingError(t, p.sink.Commit(context.Background(), 3))
	b.check(t, "SELECT n FROM t ORDER BY n", "1", "2")
	p.commit(3)
	b.check(t, "SELECT n FROM t ORDER BY n", "1", "2", "3")
	// It got through, and then nothing can be asked: the next Commit finds out.
	p.write(4, []any{4})
	p.prepare(4)
	f.set("COMMIT", true)
	f.down = true
	passingError(t, p.sink.Commit(context.Background(), 4))
	passingError(t, p.sink.Commit(context.Background(), 4))
	f.down = false
	p.commit(4)
	// The runner prepares anew after the error.
	p.write(5, []any{5})
	p.prepare(5)
	f.set("COMMIT", true)
	f.down = true
	passingError(t, p.sink.Commit(context.Background(), 5))
	f.down = false
	p.prepare(5)
	p.commit(5)
	p.epoch(6, []any{6})
	b.check(t, "SELECT n FROM t ORDER BY n", "1", "2", "3", "4", "5", "6")
	if got := p.refusals(); len(got) != 1 {
		t.Errorf("a row was refused %d times: %q", len(got), got)
	}
}

// lostCase loses the connection in every statement of an epoch.
func (b *base) lostCase(t *testing.T) {
	b.exec(t, b.sql(`CREATE TABLE t (n <bigint>)`))
	f := &faults{}
	p := b.start(t, output{more: map[string]any{"table": "t", "batch": int64(2)}, cols: []string{"n"}, wrap: f.wrap})
	n := int64(0)
	lost := 0
	for at := 1; ; at++ {
		n++
		p.write(n, []any{n * 10}, []any{n*10 + 1}, []any{"refused"}, []any{n*10 + 2})
		f.after(at)
		tries := 0
		for p.sink.Prepare(context.Background(), n, 0) != nil {
			tries++
		}
		for p.sink.Commit(context.Background(), n) != nil {
			tries++
		}
		hit := f.hit()
		if tries > 3 {
			t.Errorf("statement %d: %d tries", at, tries)
		}
		if !hit {
			break
		}
		lost++
	}
	if lost < 4 {
		t.Errorf("only %d statements were disturbed", lost)
	}
	b.check(t, "SELECT COUNT(*), COUNT(DISTINCT n) FROM t", fmt.Sprintf("%d|%d", 3*n, 3*n))
	if got := len(p.refusals()); int64(got) != n {
		t.Errorf("%d rows were refused, want %d", got, n)
	}
}

// sharedCase has two outputs of a job on one database, which share a transaction.
func (b *base) sharedCase(t *testing.T) {
	b.exec(t, b.sql(`CREATE TABLE t (k TEXT PRIMARY KEY, n <bigint>)`))
	more := map[string]any{"table": "t", "mode": "upsert", "key": []string{"k"}}
	f := &faults{}
	p := b.start(t, output{more: more, cols: []string{"k", "n"}, name: "a", job: "j", wrap: f.wrap})
	q := b.start(t, output{more: more, cols: []string{"k", "n"}, name: "b", job: "j", wrap: f.wrap})
	ctx := context.Background()
	for n := int64(1); n <= 3; n++ {
		p.write(n, []any{"x", n})
		q.write(n, []any{"x", n * 10})
		p.prepare(n)
		q.prepare(n)
		p.commit(n)
		q.commit(n)
		b.check(t, "SELECT k, n FROM t", fmt.Sprintf("x|%d", n*10))
	}
	// One that fails takes the other's work with it, which that makes again.
	p.write(4, []any{"x", 4})
	q.write(4, []any{"y", 4})
	p.prepare(4)
	f.after(1)
	if err := q.sink.Prepare(ctx, 4, 0); err == nil && f.hit() {
		t.Error("the fault was not seen")
	}
	q.prepare(4)
	q.commit(4)
	p.commit(4)
	b.check(t, "SELECT k, n FROM t ORDER BY k", "x|4", "y|4")
	// An answer that is lost is lost for both.
	p.write(5, []any{"x", 5})
	q.write(5, []any{"y", 5})
	p.prepare(5)
	q.prepare(5)
	f.set("COMMIT", true)
	p.commit(5)
	q.commit(5)
	b.check(t, "SELECT k, n FROM t ORDER BY k", "x|5", "y|5")
	for _, s := range []*probe{p, q} {
		if n, err := s.sink.Committed(ctx); n != 5 || err != nil {
			t.Errorf("committed %d, %v", n, err)
		}
	}
	p.sink.Close()
	q.epoch(6, []any{"y", 6})
	b.check(t, "SELECT k, n FROM t ORDER BY k", "x|5", "y|6")
}

// fenceCase has a sink that was thought dead write on: it may have other rows.
func (b *base) fenceCase(t *testing.T) {
	b.exec(t, b.sql(`CREATE TABLE t (n <bigint>)`))
	o := output{more: map[string]any{"table": "t"}, cols: []string{"n"}}
	old := b.start(t, o)
	old.epoch(1, []any{1})
	old.write(2, []any{2})
	fresh := b.start(t, o)
	fresh.epoch(2, []any{2})
	fresh.epoch(3, []any{3})
	for range 2 {
		permanentWith(t, old.sink.Prepare(context.Background(), 2, 0), "has epoch 3", "the job is running twice")
	}
	old = b.start(t, o)
	old.commit(4) // without rows: the number goes with Sync
	fresh.commit(4)
	if err := old.sink.Sync(context.Background()); err != nil {
		t.Error(err)
	}
	permanentWith(t, fresh.sink.Sync(context.Background()), "has epoch 4", "the job is running twice")
	b.check(t, "SELECT n FROM t ORDER BY n", "1", "2", "3")
	// A database that was restored from an older copy.
	b.exec(t, "UPDATE weir_epochs SET epoch = 1")
	old.write(5, []any{5})
	permanentWith(t, old.sink.Prepare(context.Background(), 5, 0), "has epoch 1", "epoch 4", "older copy")
	b.exec(t, "DELETE FROM weir_epochs")
	permanentWith(t, old.sink.Prepare(context.Background(), 5, 0), "is gone from the table of epochs")
	b.check(t, "SELECT n FROM t ORDER BY n", "1", "2", "3")
}

// schemaCase changes the table while the job runs.
func (b *base) schemaCase(t *testing.T) {
	b.exec(t, b.sql(`CREATE TABLE t (a <bigint>, "B" <text>)`))
	p := b.start(t, output{more: map[string]any{"table": "t", "create": false}, cols: []string{"A", "b"}})
	p.epoch(1, []any{1, "x"})
	b.drop("t")
	p.write(2, []any{2, "y"})
	permanentWith(t, p.sink.Prepare(context.Background(), 2, 0), "there is no table t")
	b.exec(t, b.sql(`CREATE TABLE t (b <text>, more <bigint>, a <bigint>)`))
	p.prepare(2)
	p.commit(2)
	b.check(t, "SELECT a, b, more FROM t", "2|y|NULL")
	b.exec(t, b.sql(`ALTER TABLE t RENAME COLUMN b TO c`))
	p.write(3, []any{3, "z"})
	permanentWith(t, p.sink.Prepare(context.Background(), 3, 0), `no column "b"`, "it has c, more, a")
	b.exec(t, b.sql(`ALTER TABLE t RENAME COLUMN c TO b`))
	p.prepare(3)
	p.commit(3)
	// What the query has and the table has not shows before the first row.
	_, err := b.opened(t, output{more: map[string]any{"table": "t", "create": false}, cols: []string{"a", "x"}, name: "o2"}).sink.Committed(context.Background())
	permanentWith(t, err, `no column "x"`, "columns:")
	_, err = b.opened(t, output{more: map[string]any{"table": "t", "create": false}, cols: []string{"a", "A"}, name: "o3"}).sink.Committed(context.Background())
	permanentWith(t, err, "two columns of the query go into column a")
}

// spillCase has an epoch that memory has no place for.
func (b *base) spillCase(t *testing.T) {
	b.exec(t, b.sql(`CREATE TABLE t (n <bigint>, s <text>)`))
	p := b.start(t, output{more: map[string]any{"table": "t", "buffer": int64(1000)}, cols: []string{"n", "s"}})
	for e := int64(1); e <= 2; e++ {
		for i := range 40 {
			p.write(e, []any{int(e)*1000 + 2*i, strings.Repeat("s", 90)}, []any{int(e)*1000 + 2*i + 1, "t"})
		}
		if _, err := p.env.State.Stat(spillFile); err != nil {
			t.Errorf("nothing is on disk: %v", err)
		}
		p.prepare(e)
		p.commit(e)
		if _, err := p.env.State.Stat(spillFile); err == nil {
			t.Error("the file stays")
		}
	}
	b.check(t, "SELECT COUNT(*), COUNT(DISTINCT n), SUM(n) FROM t", "160|160|246320")
}

// vetoCase has the job say that it stops at a row that is refused.
func (b *base) vetoCase(t *testing.T) {
	b.exec(t, b.sql(`CREATE TABLE t (n <bigint>)`))
	p := b.start(t, output{more: map[string]any{"table": "t"}, cols: []string{"n"}})
	p.write(1, []any{1}, []any{"x"})
	p.veto = errors.New("the job stops here")
	for range 2 {
		if err := p.sink.Prepare(context.Background(), 1, 0); err != p.veto {
			t.Errorf("the error is %v", err)
		}
	}
	b.check(t, "SELECT n FROM t")
	p.veto = nil
	p.prepare(1)
	p.commit(1)
	b.check(t, "SELECT n FROM t", "1")
	if got := p.refusals(); len(got) != 1 {
		t.Errorf("refused %q", got)
	}
	// What was reported before the veto is reported again: the runner forgets what a method
	// that failed has reported.
	p.write(2, []any{2}, []any{"x"}, []any{"y"})
	p.veto, p.patience = errors.New("no more"), 1
	if err := p.sink.Prepare(context.Background(), 2, 0); err != p.veto {
		t.Errorf("the error is %v", err)
	}
	if got := p.refusals(); len(got) != 1 {
		t.Errorf("refused %q", got)
	}
	p.veto = nil
	p.prepare(2)
	if got := p.refusals(); len(got) != 2 {
		t.Errorf("refused %q", got)
	}
	p.prepare(2)
	p.commit(2)
	if got := p.refusals(); len(got) != 0 {
		t.Errorf("refused again %q", got)
	}
}

// twiceCase prepares an epoch again, with more rows than before.
func (b *base) twiceCase(t *testing.T) {
	b.exec(t, b.sql(`CREATE TABLE t (n <bigint>)`))
	p := b.start(t, output{more: map[string]any{"table": "t"}, cols: []string{"n"}})
	p.write(1, []any{1}, []any{"x"})
	p.prepare(1)
	p.prepare(1)
	p.commit(1)
	p.commit(1)
	p.prepare(1)
	b.check(t, "SELECT n FROM t", "1")
	if got := p.refusals(); len(got) != 1 {
		t.Errorf("refused %q", got)
	}
	// Epochs without rows leave no trace until Sync.
	p.prepare(2)
	p.commit(2)
	if n, err := p.sink.Committed(context.Background()); n != 1 || err != nil {
		t.Errorf("committed %d, %v", n, err)
	}
	if err := p.sink.Sync(context.Background()); err != nil {
		t.Error(err)
	}
	if n, err := p.sink.Committed(context.Background()); n != 2 || err != nil {
		t.Errorf("committed %d, %v", n, err)
	}
	p.epoch(3, []any{3})
	b.check(t, "SELECT n FROM t ORDER BY n", "1", "3")
}

// readerCase reads while epochs are written: it sees whole ones only.
func (b *base) readerCase(t *testing.T) {
	b.exec(t, b.sql(`CREATE TABLE t (epoch <bigint>, n <bigint>)`))
	p := b.start(t, output{more: map[string]any{"table": "t", "batch": int64(4)}, cols: []string{"epoch", "n"}})
	stop, done := make(chan struct{}), make(chan error)
	go func() {
		for {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			parts, err := b.texts("SELECT epoch, COUNT(*) FROM t GROUP BY epoch HAVING COUNT(*) <> 40")
			if err == nil && len(parts) > 0 {
				err = fmt.Errorf("parts of epochs can be seen: %q", parts)
			}
			if err != nil {
				<-stop
				done <- err
				return
			}
		}
	}()
	for e := range 25 {
		var rows [][]any
		for i := range 40 {
			rows = append(rows, []any{e, i})
		}
		p.epoch(int64(e)+1, rows...)
	}
	close(stop)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// idleCase has a transaction that waited too long, and one of another job that wants in.
func (b *base) idleCase(t *testing.T) {
	b.exec(t, b.sql(`CREATE TABLE t (k TEXT PRIMARY KEY, n <bigint>)`))
	more := map[string]any{"table": "t", "mode": "upsert", "key": []string{"k"}}
	p := b.start(t, output{more: more, cols: []string{"k", "n"}, job: "one"})
	q := b.start(t, output{more: more, cols: []string{"k", "n"}, job: "two"})
	p.write(1, []any{"x", 1})
	p.prepare(1)
	p.sink.link.tooLong(p.sink.link.gen)
	q.epoch(1, []any{"x", 2})
	p.commit(1)
	b.check(t, "SELECT k, n FROM t", "x|1")
	p.sink.link.tooLong(p.sink.link.gen) // nothing waits
	p.epoch(2, []any{"x", 3})
	b.check(t, "SELECT k, n FROM t", "x|3")
}
