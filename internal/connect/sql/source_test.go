package sql

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/internal/connect"
	"weir/internal/disk"
	"weir/internal/vec"
)

// reads is a source that a test reads.
type reads struct {
	t     testing.TB
	b     *base
	more  map[string]any
	state disk.FS
	now   time.Time
	known []connect.Version
	src   *source
}

// reads opens a source with settings.
func (b *base) reads(t testing.TB, more map[string]any) *reads {
	t.Helper()
	r := &reads{t: t, b: b, more: more, state: disk.NewMem(1).Boot(), now: time.Date(2026, 3, 5, 12, 0, 0, 0, time.UTC)}
	r.open()
	return r
}

func (r *reads) open() {
	r.t.Helper()
	if r.src != nil {
		r.src.Close()
	}
	src, err := openSource(r.b.dialect, r.b.conf(r.more), connect.SourceEnv{Reference: true, State: r.state, Known: r.known, Now: func() time.Time { return r.now }}, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	r.src = src
	r.t.Cleanup(func() { src.Close() })
}

// version reads the version of now; a chunk has few bytes.
func (r *reads) version() (rows string, err error) {
	r.t.Helper()
	ctx := context.Background()
	list, err := r.src.Versions(ctx, 0)
	if err != nil || len(list) != 1 {
		r.t.Fatal(list, err)
	}
	r.known = append(r.known, list[0])
	in, err := r.src.Open(ctx, list[0].Name, "")
	if err != nil {
		return "", err
	}
	defer in.Close()
	var out strings.Builder
	for n := 0; ; n++ {
		c, err := in.Read(ctx, 100, "")
		if err != nil {
			return out.String(), err
		}
		if c.Fresh != (n == 0) {
			r.t.Errorf("chunk %d is fresh: %v", n, c.Fresh)
		}
		out.Write(c.Data)
		if c.End {
			return strings.TrimSpace(out.String()), nil
		}
	}
}

// is checks the rows of the version of now.
func (r *reads) is(want ...string) {
	r.t.Helper()
	got, err := r.version()
	if err != nil || got != strings.Join(want, "\n") {
		r.t.Errorf("%s: rows, error %v\n%s\nwant\n%s", r.b.dialect.name, err, got, strings.Join(want, "\n"))
	}
}

// referenceCases are what a database gives as reference data.
func (b *base) referenceCases(t *testing.T) {
	t.Run("types", b.readTypes)
	t.Run("versions", b.readVersions)
	t.Run("delta", b.readDeltas)
	t.Run("errors", b.readErrors)
	t.Run("many", b.readMany)
}

func (b *base) readTypes(t *testing.T) {
	b.drop("t")
	switch b.dialect {
	case sqliteDialect:
		b.exec(t, `CREATE TABLE t (n INTEGER, f REAL, m DECIMAL(10,2), x BOOLEAN, s TEXT, d DATETIME, j JSON, o BLOB)`)
		b.exec(t, `INSERT INTO t VALUES (-9223372036854775808, 1, 12, 1, 'é"🚀', '2026-03-05 16:59:59.123', '{"a":`+"\n"+` [1, null]}', x'00ff'), (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL), (7, 1e300, 2.5, 0, '', '2026-03-05', '"text"', x'')`)
	case postgresDialect:
		b.exec(t, `CREATE TABLE t (n bigint, f double precision, m numeric(10,2), x boolean, s text, d timestamptz, j jsonb, o bytea)`)
		b.exec(t, `INSERT INTO t VALUES (-9223372036854775808, 1, 12, true, 'é"🚀', '2026-03-05 17:59:59.123+01', '{"a": [1, null]}', '\x00ff'), (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL), (7, 1e300, 2.5, false, '', '2026-03-05', '"text"', '')`)
	default:
		b.exec(t, "CREATE TABLE t (n bigint, f double, m decimal(10,2), x bit(1), s longtext CHARACTER SET utf8mb4, d datetime(6), j longtext, o longblob)")
		b.exec(t, `INSERT INTO t VALUES (-9223372036854775808, 1, 12, 1, 'é"🚀', '2026-03-05 16:59:59.123', '{"a":[1,null]}', x'00ff'), (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL), (7, 1e300, 2.5, 0, '', '2026-03-05', '"text"', '')`)
	}
	object, text := `{"a":[1,null]}`, `"text"`
	if b.dialect == mysqlDialect { // MariaDB has no type of its own for it
		object, text = `"{\"a\":[1,null]}"`, `"\"text\""`
	}
	r := b.reads(t, map[string]any{"table": "t"})
	r.is(`{"n":-9223372036854775808,"f":1.0,"m":12.0,"x":true,"s":"é\"🚀","d":"2026-03-05T16:59:59.1230000Z","j":`+object+`,"o":"AP8="}`,
		`{"n":null,"f":null,"m":null,"x":null,"s":null,"d":null,"j":null,"o":null}`,
		`{"n":7,"f":1e+300,"m":2.5,"x":false,"s":"","d":"2026-03-05T00:00:00.0000000Z","j":`+text+`,"o":""}`)
	b.exec(t, "DELETE FROM t")
	r.is("")
	more := b.reads(t, map[string]any{"query": "SELECT 1 AS a, 'x' AS " + b.dialect.quote(`odd "name`)})
	more.is(`{"a":1,"odd \"name":"x"}`)
	switch b.dialect {
	case postgresDialect:
		b.reads(t, map[string]any{"query": "SELECT 'NaN'::float8 AS f, 12::numeric(5,0) AS w, 12::numeric AS m, '2026-03-05'::date AS d, '12:30'::time AS t, '{1,2}'::int[] AS a, '6ba7b810-9dad-11d1-80b4-00c04fd430c8'::uuid AS u, 0.1::float4 AS s"}).
			is(`{"f":null,"w":12,"m":12.0,"d":"2026-03-05T00:00:00.0000000Z","t":"12:30:00","a":"{1,2}","u":"6ba7b810-9dad-11d1-80b4-00c04fd430c8","s":0.1}`)
	case mysqlDialect:
		b.reads(t, map[string]any{"query": "SELECT 18446744073709551615 AS u, CAST(12 AS decimal(5,0)) AS w, CAST('2026-03-05' AS date) AS d, CAST('12:30' AS time) AS t, CAST(5 AS unsigned) AS n"}).
			is(`{"u":1.8446744073709552e+19,"w":12,"d":"2026-03-05T00:00:00.0000000Z","t":"12:30:00","n":5}`)
	}
}

// readVersions: a version is a run of the query; the first one of a job holds from ever.
func (b *base) readVersions(t *testing.T) {
	b.drop("t")
	b.exec(t, b.sql(`CREATE TABLE t (k <text>, v <bigint>)`))
	b.exec(t, `INSERT INTO t VALUES ('a', 1)`)
	r := b.reads(t, map[string]any{"query": "SELECT k, v FROM t WHERE k <> '@snapshotTime' ORDER BY k", "refresh": time.Minute})
	r.is(`{"k":"a","v":1}`)
	b.exec(t, `INSERT INTO t VALUES ('b', 2)`)
	r.now = r.now.Add(time.Minute)
	r.is(`{"k":"a","v":1}`, `{"k":"b","v":2}`)
	r.open()
	r.now = r.now.Add(time.Minute)
	r.is(`{"k":"a","v":1}`, `{"k":"b","v":2}`)
	at := vec.FromCivil(2026, 3, 5) + 12*vec.Hour
	want := []connect.Version{{Name: "2026-03-05T12:00:00.0000000Z", Effective: vec.MinTime}, {Name: "2026-03-05T12:01:00.0000000Z", Effective: at + vec.Minute}, {Name: "2026-03-05T12:02:00.0000000Z", Effective: at + 2*vec.Minute}}
	if fmt.Sprint(r.known) != fmt.Sprint(want) || r.src.Every() != time.Minute {
		t.Errorf("versions %v every %s", r.known, r.src.Every())
	}
}

// readDeltas: a delta changes the version before it, and gives what a whole version would.
func (b *base) readDeltas(t *testing.T) {
	b.drop("t")
	b.drop("gone")
	// Times as text, so that all databases compare them alike with what the test writes.
	b.exec(t, b.sql(`CREATE TABLE t (k <text>, v <bigint>, since <text>)`))
	b.exec(t, b.sql(`CREATE TABLE gone (k <text>, v <bigint>, since <text>)`))
	start, end := "@deltaStartTime", "@deltaEndTime"
	switch b.dialect {
	case postgresDialect:
		start, end = "to_char(@deltaStartTime::timestamptz, 'YYYY-MM-DD HH24:MI:SS.MS')", "to_char(@DELTAENDTIME::timestamptz, 'YYYY-MM-DD HH24:MI:SS.MS')"
	case mysqlDialect:
		start, end = "LEFT(@deltaStartTime, 23)", "LEFT(@DELTAENDTIME, 23)"
	}
	const times = "2006-01-02 15:04:05.000"
	for _, watermark := range []bool{false, true} {
		b.exec(t, "DELETE FROM t")
		b.exec(t, "DELETE FROM gone")
		mark := ""
		if watermark {
			mark = "since AS _watermark_, "
		}
		delta := "SELECT 1 AS _operation_, " + mark + "v, k FROM t WHERE since BETWEEN " + start + " AND " + end +
			" UNION ALL SELECT 2 AS _operation_, " + mark + "v, k FROM gone WHERE since BETWEEN " + start + " AND " + end
		r := b.reads(t, map[string]any{"query": "SELECT k, v FROM t ORDER BY k", "delta_query": delta, "refresh": time.Minute})
		set := func(k string, v int) {
			t.Helper()
			at := r.now.Add(-time.Second).Format(times)
			b.exec(t, "INSERT INTO gone SELECT k, v, '"+at+"' FROM t WHERE k = '"+k+"'")
			b.exec(t, "DELETE FROM t WHERE k = '"+k+"'")
			if v > 0 {
				b.exec(t, fmt.Sprintf("INSERT INTO t VALUES ('%s', %d, '%s')", k, v, at))
			}
		}
		later := func() { r.now = r.now.Add(time.Minute) }
		set("a", 1)
		set("b", 2)
		set("c", 3)
		r.is(`{"k":"a","v":1}`, `{"k":"b","v":2}`, `{"k":"c","v":3}`)
		// This one the delta cannot see: that the rows are there shows what is read.
		b.exec(t, "INSERT INTO t VALUES ('hidden', 9, '1999')")
		later()
		set("b", 20)
		set("c", 0)
		set("d", 4)
		r.is(`{"k":"a","v":1}`, `{"k":"b","v":20}`, `{"k":"d","v":4}`)
		later()
		r.is(`{"k":"a","v":1}`, `{"k":"b","v":20}`, `{"k":"d","v":4}`)
		// There and back, within one delta; gone and back over two.
		later()
		set("a", 5)
		set("a", 1)
		set("d", 0)
		r.is(`{"k":"b","v":20}`, `{"k":"a","v":1}`)
		r.open()
		later()
		set("d", 4)
		r.is(`{"k":"b","v":20}`, `{"k":"a","v":1}`, `{"k":"d","v":4}`)
		if !watermark {
			continue
		}
		// A version that fails leaves the one before it.
		r.now = r.now.Add(time.Minute)
		set("e", 6)
		r.src.maxRows = 3
		if _, err := r.version(); err == nil || !strings.Contains(err.Error(), "more than 3 rows") {
			t.Errorf("error %v", err)
		}
		r.src.maxRows = 100
		r.is(`{"k":"b","v":20}`, `{"k":"a","v":1}`, `{"k":"d","v":4}`, `{"k":"e","v":6}`)
		// What is kept and damaged, or of another query, is read whole.
		f, err := r.state.Edit(keptName)
		if err == nil {
			_, err = f.Write([]byte(`{"columns":["x"`))
			err = errors.Join(err, f.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
		all := []string{`{"k":"a","v":1}`, `{"k":"b","v":20}`, `{"k":"d","v":4}`, `{"k":"e","v":6}`, `{"k":"hidden","v":9}`}
		r.is(all...)
		b.exec(t, "INSERT INTO t VALUES ('hidden', 10, '1999')")
		r.more["query"] = "SELECT k, v FROM t ORDER BY k, v"
		r.open()
		r.is(append(all, `{"k":"hidden","v":10}`)...)
	}
	f := func(delta, want string) {
		t.Helper()
		r := b.reads(t, map[string]any{"query": "SELECT k, v FROM t", "refresh": time.Minute, "delta_query": "SELECT @deltaStartTime, @deltaEndTime"})
		r.src.delta = delta
		if _, err := r.version(); err != nil {
			t.Fatal(err)
		}
		_, err := r.version()
		if err == nil || !connect.IsPermanent(err) || err.Error() != b.dialect.name+": the delta query "+want {
			t.Errorf("%s gives %v", delta, err)
		}
	}
	f(`SELECT k, v FROM t`, "has no column _operation_, which says what has become of a row: 1 it is there, 2 it is gone")
	f(`SELECT k, 1 AS _operation_ FROM t`, `lacks column "v" of the query`)
	f(`SELECT k, v, since, 1 AS _operation_ FROM t`, `has a column "since" that the query does not have`)
	f(`SELECT k, v, 3 AS _operation_ FROM t`, `says "3" for _operation_: 1 is a row that is there, 2 one that is gone`)
	f(`SELECT k, v, 1 AS _operation_, 'x' AS _watermark_ FROM t`, `has a _watermark_ that is no time`)
	b.drop("gone")
}

func (b *base) readErrors(t *testing.T) {
	b.drop("t")
	b.drop("none")
	b.exec(t, b.sql(`CREATE TABLE t (k <text>, v <bigint>)`))
	b.exec(t, "INSERT INTO t VALUES ('a', 1), ('b', 2), ('c', 3)")
	f := func(more map[string]any, permanent bool, want string) {
		t.Helper()
		_, err := b.reads(t, more).version()
		if err == nil || connect.IsPermanent(err) != permanent || !regexp.MustCompile(want).MatchString(err.Error()) {
			t.Errorf("%v gives %v (permanent: %v), want %s", more, err, connect.IsPermanent(err), want)
		}
		hides(t, fmt.Sprint(err))
	}
	f(map[string]any{"table": "none"}, true, b.dialect.name+`: the query: .*none`)
	f(map[string]any{"query": "SELECT missing FROM t"}, true, `missing`)
	f(map[string]any{"query": "SELEC 1"}, true, `SELEC`)
	f(map[string]any{"query": "SELECT k, v AS k FROM t"}, true, `two columns of the query are called "k": give one another name by AS`)
	f(map[string]any{"query": "SELECT k FROM t", "max_rows": int64(2)}, true, `gives more than 2 rows: select less of it, or set max_rows`)
	f(map[string]any{"query": "SELECT k FROM t", "max_bytes": int64(20)}, true, `gives more than 20 bytes: select less of it, or set max_bytes`)
	// A query that writes is refused, and has written nothing.
	f(map[string]any{"query": "DELETE FROM t"}, b.dialect != mysqlDialect && b.dialect != postgresDialect, `(?i)read.?only`)
	var n int
	if err := b.db.QueryRow("SELECT COUNT(*) FROM t").Scan(&n); err != nil || n != 3 {
		t.Errorf("%d rows, error %v", n, err)
	}
	forever := map[*dialect]string{sqliteDialect: "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n WHERE i < 0", postgresDialect: "SELECT pg_sleep(100) AS x", mysqlDialect: "SELECT SLEEP(100) AS x"}[b.dialect]
	began := time.Now()
	f(map[string]any{"query": forever, "timeout": 200 * time.Millisecond}, false, `the query takes longer than 200ms \(timeout\)`)
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	r := b.reads(t, map[string]any{"query": forever})
	in, err := r.src.Open(ctx, r.now.Format(nameForm), "")
	if err == nil {
		_, err = in.Read(ctx, 100, "")
		in.Close()
	}
	if err == nil || connect.IsPermanent(err) {
		t.Errorf("a query that is cancelled gives %v", err)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it took %s", took)
	}
}

// readMany reads rows in chunks of the size that is asked for, and can stop in their midst.
func (b *base) readMany(t *testing.T) {
	b.drop("t")
	b.exec(t, b.sql(`CREATE TABLE t (n <bigint>)`))
	b.exec(t, "INSERT INTO t VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)")
	r := b.reads(t, map[string]any{"query": "SELECT a.n + 10 * b.n + 100 * c.n + 1000 * d.n AS n, 'some text of some length' AS s FROM t a, t b, t c, t d"})
	ctx := context.Background()
	for _, stop := range []int{0, 5} {
		in, err := r.src.Open(ctx, r.now.Format(nameForm), "")
		if err != nil {
			t.Fatal(err)
		}
		rows, chunks := 0, 0
		for {
			c, err := in.Read(ctx, 4096, "")
			if err != nil {
				t.Fatal(err)
			}
			if chunks++; len(c.Data) > 5000 || c.Line != int64(rows+1) {
				t.Errorf("a chunk of %d bytes at line %d", len(c.Data), c.Line)
			}
			rows += strings.Count(string(c.Data), "\n")
			if c.End || chunks == stop {
				break
			}
		}
		if err := in.Close(); err != nil {
			t.Fatal(err)
		}
		if stop == 0 && rows != 10_000 {
			t.Errorf("%d rows", rows)
		}
	}
}

func TestSQLiteReference(t *testing.T) { newSQLite(t).referenceCases(t) }

// TestSQLiteReferenceFile: a file that is not there is an error, and is not made.
func TestSQLiteReferenceFile(t *testing.T) {
	b := &base{dialect: sqliteDialect, config: map[string]any{"path": t.TempDir() + "/none.db"}}
	if _, err := b.reads(t, map[string]any{"table": "t"}).version(); err == nil || !strings.Contains(err.Error(), "unable to open database file") {
		t.Errorf("error %v", err)
	}
	if _, err := b.reads(t, map[string]any{"table": "t"}).version(); err == nil {
		t.Error("it has been made")
	}
}

func TestCheckInput(t *testing.T) {
	f := func(values map[string]any, want ...string) {
		t.Helper()
		values["path"] = "x.db"
		var got []string
		for _, p := range check(sqliteDialect, connect.Config{Values: values}, true) {
			got = append(got, p.Field+": "+p.Text)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%v\n got %q\nwant %q", values, got, want)
		}
	}
	type m = map[string]any
	f(m{"table": "t"})
	f(m{"query": "SELECT 1 AS x", "refresh": time.Minute})
	f(m{}, ": an input needs a query, or a table that is read whole")
	f(m{"query": "SELECT 1 AS x", "table": "t"}, "table: there is a query, too")
	f(m{"table": "a.b.c"}, `table: "a.b.c" is no name of a table: it has more than two parts`)
	f(m{"table": "t", "refresh": time.Millisecond}, "refresh: 1ms is shorter than 1s")
	f(m{"table": "t", "delta_query": "SELECT 1"}, "delta_query: it is not used without refresh", "delta_query: it does not name @deltaStartTime and @deltaEndTime")
	f(m{"table": "t", "timeout": time.Duration(0), "max_rows": int64(0)}, "timeout: a query needs some time", "max_rows: no row may be read")
	_, err := openSource(sqliteDialect, connect.Config{Values: m{"path": "x.db", "table": "t"}}, connect.SourceEnv{}, nil)
	if err == nil || !connect.IsPermanent(err) || err.Error() != "sqlite: a database gives reference data, and no events: set reference: true" {
		t.Errorf("error %v", err)
	}
}

func TestBound(t *testing.T) {
	p := params{paramStart: time.Date(2026, 3, 5, 1, 2, 3, 456789000, time.FixedZone("", 3600)), paramEnd: time.Date(2026, 3, 6, 0, 0, 0, 0, time.UTC)}
	f := func(d *dialect, query, want string, args ...any) {
		t.Helper()
		text, got := bound(d, query, p)
		if text != want || !slices.Equal(got, args) {
			t.Errorf("%s\n got %s %v\nwant %s %v", query, text, got, want, args)
		}
	}
	const one = "SELECT 1 WHERE a > @deltaStartTime AND b > @DELTASTARTTIME AND c < @deltaEndTime"
	start, end := p[paramStart].UTC(), p[paramEnd]
	f(postgresDialect, one, "SELECT 1 WHERE a > $1 AND b > $1 AND c < $2", start, end)
	f(mysqlDialect, one, "SELECT 1 WHERE a > ? AND b > ? AND c < ?", "2026-03-05 00:02:03.456789", "2026-03-05 00:02:03.456789", "2026-03-06 00:00:00.000000")
	f(sqliteDialect, one, "SELECT 1 WHERE a > ? AND b > ? AND c < ?", "2026-03-05 00:02:03.456", "2026-03-05 00:02:03.456", "2026-03-06 00:00:00.000")
	f(sqlserverDialect, one, "DECLARE @deltaStartTime datetime2(7) = @p1, @deltaEndTime datetime2(7) = @p2;\n"+one, start, end)
	f(sqlserverDialect, "SELECT 1", "SELECT 1")
	// No parameters: texts, names, comments, other variables, longer names, those without a value.
	for _, query := range []string{`'@deltaStartTime'`, `'it''s @deltaStartTime'`, `"@deltaStartTime"`, "`@deltaStartTime`", "[@deltaStartTime]", "-- @deltaStartTime\n", "/* @deltaStartTime */",
		"$$ @deltaStartTime $$", "$a$ $ @deltaStartTime $a$", "@@deltaStartTime", "x@deltaStartTime", "@deltaStartTimes", "@other", "@snapshotTime", "'@deltaStartTime", "/* @deltaStartTime", "é@deltaStartTime"} {
		f(postgresDialect, query, query)
	}
	f(postgresDialect, "a - @deltaStartTime -- '\n/@deltaEndTime;", "a - $1 -- '\n/$2;", start, end)
}

// TestSQLServerReference reads over the protocol; what the server is asked is compared.
func TestSQLServerReference(t *testing.T) {
	s := &scripted{answers: map[string]tdsAnswer{
		"SELECT * FROM [dbo].[names]": {columns: 3, names: []string{"k", "v", "x"}, rows: [][]any{{"a", int64(1), true}, {"b", int64(2), false}}},
	}}
	tds := newTDS(t, func() tdsSession { return s })
	b := &base{dialect: sqlserverDialect, config: map[string]any{"host": "127.0.0.1", "port": tds.port(), "user": "weir", "password": secret("CANARYpassw0rd")}}
	r := b.reads(t, map[string]any{"table": "dbo.names"})
	r.is(`{"k":"a","v":1,"x":true}`, `{"k":"b","v":2,"x":false}`)
	const snapshot = "SELECT k FROM t FOR SYSTEM_TIME AS OF @snapshotTime"
	s.answers["DECLARE @snapshotTime datetime2(7) = @p1;\n"+snapshot] = tdsAnswer{columns: 1, names: []string{"k"}, rows: [][]any{{"a"}, {"b"}}}
	const delta = "SELECT k, 1 AS _operation_ FROM t WHERE ValidFrom BETWEEN @deltaStartTime AND @deltaEndTime"
	s.answers["DECLARE @deltaStartTime datetime2(7) = @p1, @deltaEndTime datetime2(7) = @p2;\n"+delta] =
		tdsAnswer{columns: 2, names: []string{"k", "_operation_"}, rows: [][]any{{"b", int64(2)}, {"c", int64(1)}}}
	r = b.reads(t, map[string]any{"query": snapshot, "delta_query": delta, "refresh": time.Minute})
	r.is(`{"k":"a"}`, `{"k":"b"}`)
	r.now = r.now.Add(time.Minute)
	r.is(`{"k":"a"}`, `{"k":"c"}`)
	at := time.Date(2026, 3, 5, 12, 0, 0, 0, time.UTC)
	if got := fmt.Sprint(s.args); got != fmt.Sprint([][]any{{at}, {at, at.Add(time.Minute)}}) {
		t.Errorf("parameters %s", got)
	}
	s.answers["SELECT * FROM [gone]"] = tdsAnswer{number: 208, message: "Invalid object name 'gone'."}
	if _, err := b.reads(t, map[string]any{"table": "gone"}).version(); err == nil || !connect.IsPermanent(err) || !strings.Contains(err.Error(), "Invalid object name 'gone'") {
		t.Errorf("error %v", err)
	}
	tds.lets(func(string, string) int32 { return 18456 })
	_, err := b.reads(t, map[string]any{"table": "dbo.names"}).version()
	if err == nil || !strings.Contains(err.Error(), hintLogin) {
		t.Errorf("error %v", err)
	}
	hides(t, fmt.Sprint(err))
}

// scripted answers statements by their text.
type scripted struct {
	answers map[string]tdsAnswer
	args    [][]any
}

func (s *scripted) end() {}

func (s *scripted) run(text string, args []any, _ bool) tdsAnswer {
	if a, ok := s.answers[text]; ok {
		if len(args) > 0 {
			s.args = append(s.args, args)
		}
		return a
	}
	return tdsAnswer{number: 102, message: "Incorrect syntax near " + text}
}
