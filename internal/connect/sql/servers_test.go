//go:build servers

package sql

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"weir/internal/connect"
	"weir/internal/vec"
)

// newServer is a database server that scripts/servers.sh has started.
func newServer(t testing.TB, d *dialect, variable string) *base {
	t.Helper()
	dsn := os.Getenv(variable)
	if dsn == "" {
		t.Fatalf("%s is not set: run this test by \"make servers\"", variable)
	}
	b := &base{dialect: d, config: map[string]any{"dsn": secret(dsn)}}
	b.open(t)
	return b
}

// ctl stops, kills or starts the server.
func (b *base) ctl(t testing.TB, what string) {
	t.Helper()
	control := os.Getenv(map[*dialect]string{postgresDialect: "WEIR_TEST_POSTGRES_CONTROL", mysqlDialect: "WEIR_TEST_MARIADB_CONTROL"}[b.dialect])
	if out, err := exec.Command(control, what).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", control, what, err, out)
	}
}

func postgres(t testing.TB) *base { return newServer(t, postgresDialect, "WEIR_TEST_POSTGRES") }
func mariadb(t testing.TB) *base  { return newServer(t, mysqlDialect, "WEIR_TEST_MARIADB") }

func TestPostgresSuite(t *testing.T) { postgres(t).suite(t, nil) }
func TestMariaDBSuite(t *testing.T)  { mariadb(t).suite(t, nil) }
func TestPostgres(t *testing.T)      { postgres(t).cases(t) }
func TestMariaDB(t *testing.T)       { mariadb(t).cases(t) }

// both runs a test over both servers, with no tables left.
func both(t *testing.T, run func(t *testing.T, b *base)) {
	for _, b := range []*base{postgres(t), mariadb(t)} {
		t.Run(b.dialect.name, func(t *testing.T) {
			for _, table := range []string{"t", "weir_epochs"} {
				b.drop(table)
			}
			run(t, b)
		})
	}
}

// insist calls a method until it gives no error, as the runner does; errors must be those that
// may go away.
func insist(t *testing.T, f func() error) (tries int) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; tries++ {
		err := f()
		if err == nil {
			return tries
		}
		if connect.IsPermanent(err) || time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// TestServersRestart stops, kills and starts the server in the midst of epochs.
func TestServersRestart(t *testing.T) {
	both(t, func(t *testing.T, b *base) {
		b.exec(t, b.sql(`CREATE TABLE t (n <bigint>)`))
		p := b.start(t, output{more: map[string]any{"table": "t", "batch": int64(2)}, cols: []string{"n"}})
		ctx := context.Background()
		n := int64(0)
		round := func(what string, before, between bool) {
			n++
			p.write(n, []any{n * 10}, []any{n*10 + 1}, []any{"x"}, []any{n*10 + 2})
			if before {
				b.ctl(t, what)
				passingError(t, p.sink.Prepare(ctx, n, 0))
				b.ctl(t, "start")
			}
			insist(t, func() error { return p.sink.Prepare(ctx, n, 0) })
			if between {
				b.ctl(t, what)
				passingError(t, p.sink.Commit(ctx, n))
				passingError(t, p.sink.Commit(ctx, n))
				b.ctl(t, "start")
			}
			insist(t, func() error { return p.sink.Commit(ctx, n) })
		}
		round("stop", false, false)
		round("stop", true, false)
		round("kill", false, true)
		round("kill", true, false)
		round("stop", false, true)
		// A restart between two epochs is not even seen.
		b.ctl(t, "stop")
		b.ctl(t, "start")
		p.epoch(n+1, []any{1})
		if got, err := p.sink.Committed(ctx); got != n+1 || err != nil {
			t.Errorf("committed %d, %v", got, err)
		}
		if got := len(p.refusals()); int64(got) != n {
			t.Errorf("%d rows were refused, want %d", got, n)
		}
		b.check(t, "SELECT COUNT(*), COUNT(DISTINCT n) FROM t", fmt.Sprintf("%d|%d", 3*n+1, 3*n+1))
	})
}

// backend is the number of the connection that a sink has.
func (p *probe) backend() string {
	p.t.Helper()
	text := "SELECT pg_backend_pid()"
	if p.b.dialect == mysqlDialect {
		text = "SELECT CONNECTION_ID()"
	}
	var id string
	if err := p.sink.link.conn.QueryRowContext(context.Background(), text).Scan(&id); err != nil {
		p.t.Fatal(err)
	}
	return id
}

// terminate ends a connection on the server.
func (b *base) terminate(t testing.TB, id string) {
	t.Helper()
	if b.dialect == mysqlDialect {
		b.exec(t, "KILL "+id)
		return
	}
	b.exec(t, "SELECT pg_terminate_backend("+id+")")
}

// TestServersTerminated ends the connection of the sink on the server, at every place.
func TestServersTerminated(t *testing.T) {
	both(t, func(t *testing.T, b *base) {
		b.exec(t, b.sql(`CREATE TABLE t (n <bigint>)`))
		p := b.start(t, output{more: map[string]any{"table": "t"}, cols: []string{"n"}})
		ctx := context.Background()
		p.epoch(1, []any{1})
		b.terminate(t, p.backend())
		p.write(2, []any{2})
		if n := insist(t, func() error { return p.sink.Prepare(ctx, 2, 0) }); n != 0 {
			t.Errorf("a connection that was lost between epochs took %d tries", n)
		}
		b.terminate(t, p.backend())
		insist(t, func() error { return p.sink.Commit(ctx, 2) })
		p.epoch(3, []any{3})
		b.check(t, "SELECT n FROM t ORDER BY n", "1", "2", "3")
	})
}

// TestServersDeadlock has the sink lose a deadlock, or wait for a lock too long, until the
// other one is done.
func TestServersDeadlock(t *testing.T) {
	both(t, func(t *testing.T, b *base) {
		b.exec(t, b.sql(`CREATE TABLE t (k TEXT PRIMARY KEY, n <bigint>)`))
		b.exec(t, "INSERT INTO t (k, n) VALUES ('a', 0), ('b', 0)")
		more := map[string]any{"table": "t", "mode": "upsert", "key": []string{"k"}, "batch": int64(1), "timeout": 20 * time.Second}
		f := &faults{}
		p := b.start(t, output{more: more, cols: []string{"k", "n"}, wrap: f.wrap})
		ctx := context.Background()
		other, err := b.db.Conn(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		do := func(text string) {
			t.Helper()
			if _, err := other.ExecContext(ctx, text); err != nil {
				t.Fatal(err)
			}
		}
		if b.dialect == postgresDialect {
			do("SET deadlock_timeout = '10s'") // the sink finds it, after 1 s
		}
		do("BEGIN")
		do("UPDATE t SET n = 100 WHERE k = 'b'")
		p.write(1, []any{"a", 1}, []any{"b", 1})
		// The other one asks for a once the sink has it and waits for b.
		blocked := make(chan error, 1)
		inserts := 0
		f.seen = func(text string) {
			if !strings.HasPrefix(text, "INSERT INTO "+p.sink.table.quoted) {
				return
			}
			if inserts++; inserts != 2 {
				return
			}
			go func() {
				_, err := other.ExecContext(ctx, "UPDATE t SET n = 100 WHERE k = 'a'")
				if err == nil {
					_, err = other.ExecContext(ctx, "COMMIT")
				}
				blocked <- err
			}()
		}
		err = p.sink.Prepare(ctx, 1, 0)
		lost := <-blocked
		if err == nil && lost == nil && inserts == 2 {
			t.Fatal("nobody lost a deadlock")
		}
		if err != nil {
			passingError(t, err)
		}
		insist(t, func() error { return p.sink.Prepare(ctx, 1, 0) })
		p.commit(1)
		b.check(t, "SELECT k, n FROM t ORDER BY k", "a|1", "b|1")
		// A lock that is held for longer than a statement may take.
		p.sink.timeout = 300 * time.Millisecond
		do("BEGIN")
		do("UPDATE t SET n = 100 WHERE k = 'b'")
		p.write(2, []any{"b", 2})
		err = p.sink.Prepare(ctx, 2, 0)
		passingError(t, err)
		if !strings.Contains(err.Error(), "did not answer within 300ms") {
			t.Errorf("the error is %v", err)
		}
		do("COMMIT")
		p.sink.timeout = 20 * time.Second
		p.prepare(2)
		p.commit(2)
		b.check(t, "SELECT k, n FROM t ORDER BY k", "a|1", "b|2")
	})
}

// TestServersRefuse has servers that do not let us in, or not at the table.
func TestServersRefuse(t *testing.T) {
	both(t, func(t *testing.T, b *base) {
		u, err := url.Parse(b.conf(nil).Secret("dsn").Expose())
		if err != nil {
			t.Fatal(err)
		}
		password, _ := u.User.Password()
		fields := func(more map[string]any) *base {
			c := map[string]any{"host": u.Hostname(), "port": portInt(t, u.Port()), "database": "weir", "user": "weir", "password": secret(password), "tls": "disable"}
			for k, v := range more {
				c[k] = v
			}
			return &base{dialect: b.dialect, config: c, db: b.db}
		}
		b.exec(t, b.sql(`CREATE TABLE t (n <bigint>)`))
		more := map[string]any{"table": "t"}
		committed := func(b *base, more map[string]any) error {
			t.Helper()
			p := b.opened(t, output{more: more, cols: []string{"n"}})
			_, err := p.sink.Committed(context.Background())
			for _, s := range []string{password, "CANARYpassw0rd"} {
				if err != nil && strings.Contains(err.Error(), s) {
					t.Errorf("the error tells the password: %v", err)
				}
			}
			return err
		}
		if err := committed(fields(nil), more); err != nil {
			t.Errorf("fields: %v", err)
		}
		permanentWith(t, committed(fields(map[string]any{"password": secret("CANARYpassw0rd")}), more), "check user and password")
		permanentWith(t, committed(fields(map[string]any{"database": "nowhere"}), more), "check the name of the database")
		for _, mode := range []string{"verify", "require"} {
			permanentWith(t, committed(fields(map[string]any{"tls": mode}), more), "set tls: disable")
		}
		passingError(t, committed(fields(map[string]any{"port": int64(1)}), more))
		// Rights, one after the other.
		poor := fields(map[string]any{"user": "poor", "password": secret("CANARYpassw0rd")})
		grant := func(right, table string) {
			if b.dialect == mysqlDialect {
				b.exec(t, "GRANT "+right+" ON weir."+table+" TO poor@'127.0.0.1'")
				return
			}
			b.exec(t, "GRANT "+right+" ON "+table+" TO poor")
		}
		if b.dialect == mysqlDialect {
			_, _ = b.db.Exec("DROP USER poor@'127.0.0.1'")
			b.exec(t, "CREATE USER poor@'127.0.0.1' IDENTIFIED BY 'CANARYpassw0rd'")
			b.exec(t, "GRANT CREATE TEMPORARY TABLES ON weir.* TO poor@'127.0.0.1'")
		} else {
			_, _ = b.db.Exec("DROP OWNED BY poor")
			_, _ = b.db.Exec("DROP ROLE poor")
			b.exec(t, "CREATE ROLE poor LOGIN PASSWORD 'CANARYpassw0rd'")
		}
		b.drop("weir_epochs")
		permanentWith(t, committed(poor, more), "")
		b.exec(t, b.dialect.epochs(b.dialect.quote("weir_epochs")))
		grant("SELECT, INSERT, UPDATE", "weir_epochs")
		if b.dialect == postgresDialect {
			if err := committed(poor, more); err != nil {
				t.Error(err) // the catalogue is open to all
			}
		} else {
			permanentWith(t, committed(poor, more), "there is no table") // that poor could see
			grant("SELECT", "t")
		}
		p := poor.opened(t, output{more: more, cols: []string{"n"}})
		p.write(1, []any{1})
		permanentWith(t, p.sink.Prepare(context.Background(), 1, 0), "needs the right")
		grant("INSERT", "t")
		p.prepare(1)
		p.commit(1)
		b.check(t, "SELECT n FROM t", "1")
	})
}

func portInt(t testing.TB, s string) (n int64) {
	t.Helper()
	if _, err := fmt.Sscan(s, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestMariaDBEngine refuses tables without transactions.
func TestMariaDBEngine(t *testing.T) {
	b := mariadb(t)
	b.drop("t")
	b.exec(t, "CREATE TABLE t (n BIGINT) ENGINE=MyISAM")
	_, err := b.opened(t, output{more: map[string]any{"table": "t"}, cols: []string{"n"}}).sink.Committed(context.Background())
	permanentWith(t, err, "MyISAM has no transactions", "InnoDB")
}

// TestPostgresTypes writes into types that other databases have not.
func TestPostgresTypes(t *testing.T) {
	b := postgres(t)
	b.drop("t")
	b.drop("weir_epochs")
	b.exec(t, `DROP DOMAIN IF EXISTS positive CASCADE`)
	b.exec(t, `DROP TYPE IF EXISTS mood`)
	b.exec(t, `CREATE DOMAIN positive AS numeric(6, 2) CHECK (VALUE > 0)`)
	b.exec(t, `CREATE TYPE mood AS ENUM ('sad', 'ok')`)
	b.exec(t, `CREATE TABLE t (id integer GENERATED ALWAYS AS IDENTITY, u uuid, p positive, m mood, c char(3), i inet, d date, ts timestamp(3), r real, j json, tw bigint GENERATED ALWAYS AS (id * 2) STORED, arr text[])`)
	p := b.start(t, output{more: map[string]any{"table": "public.t"}, cols: []string{"u", "p", "m", "c", "i", "d", "ts", "r", "j", "arr"}})
	const u = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
	day := "2026-03-05"
	p.epoch(1,
		[]any{u, 1.25, "ok", "ab", "10.0.0.1", day, "2026-03-05T01:02:03.4569", 1.5, "[1]", "{a,b}"},
		[]any{u, "9999.99", "sad", "abc", "::1", day, nil, 2, rec("a", 1), nil},
		[]any{"no uuid", 1, "ok", "abc", nil, nil, nil, nil, nil, nil},
		[]any{nil, -1, "ok", "abc", nil, nil, nil, nil, nil, nil},
		[]any{nil, 10000, "ok", "abc", nil, nil, nil, nil, nil, nil},
		[]any{nil, 1, "happy", "abc", nil, nil, nil, nil, nil, nil},
		[]any{nil, 1, nil, "abcd", nil, nil, nil, nil, nil, nil},
		[]any{nil, 1, nil, nil, "here", nil, nil, nil, nil, nil},
		[]any{nil, 1, nil, nil, nil, "2026-03-05T01:00:00", nil, nil, nil, nil},
		[]any{nil, 1, nil, nil, nil, nil, nil, 1e300, nil, nil},
		[]any{nil, 1, nil, "\x00", nil, nil, nil, nil, nil, nil})
	if got := p.refusals(); len(got) != 9 {
		t.Errorf("refused %d: %q", len(got), got)
	}
	b.check(t, "SELECT u, p, m, c, i, d::text, ts::text, r, j, arr::text FROM t ORDER BY id",
		u+"|1.25|ok|ab |10.0.0.1|2026-03-05|2026-03-05 01:02:03.456|1.5|[1]|{a,b}", u+`|9999.99|sad|abc|::1|2026-03-05|NULL|2|{"a":1}|NULL`)
	_, err := b.opened(t, output{more: map[string]any{"table": "t"}, cols: []string{"tw"}, name: "o2"}).sink.Committed(context.Background())
	permanentWith(t, err, "the database itself writes column tw")
	// Constraints that wait for the end of the transaction are asked at once.
	b.drop("t")
	b.exec(t, `CREATE TABLE t (n bigint UNIQUE DEFERRABLE INITIALLY DEFERRED)`)
	p = b.start(t, output{more: map[string]any{"table": "t"}, cols: []string{"n"}, name: "o3"})
	p.epoch(1, []any{1}, []any{2}, []any{1}, []any{3})
	b.check(t, "SELECT n FROM t ORDER BY n", "1", "2", "3")
	if got := p.refusals(); len(got) != 1 || !strings.HasPrefix(got[0], "DuplicateKey") {
		t.Errorf("refused %q", got)
	}
}

// TestPostgresCopy writes many rows by COPY, finds the one that is refused, and goes by
// statements where COPY does not go.
func TestPostgresCopy(t *testing.T) {
	b := postgres(t)
	for _, table := range []string{"v", "t", "weir_epochs"} {
		_, _ = b.db.Exec("DROP VIEW IF EXISTS " + table)
		b.drop(table)
	}
	b.exec(t, `CREATE TABLE t (n int PRIMARY KEY, s varchar(5), f real, d timestamptz(3), l timestamp, b boolean, j jsonb, x json CHECK (n <> 77))`)
	p := b.start(t, output{more: map[string]any{"table": "t"}, cols: []string{"n", "s", "f", "d", "l", "b", "j", "x"}})
	many := func(from int) (rows [][]any) {
		for i := range 300 {
			at := vec.FromCivil(2026, 1, 1) + vec.Time(i)*vec.Second + 1234567
			rows = append(rows, []any{from + i, "é", 1.5, at, at, true, rec("a", i), arr(i)})
		}
		rows[3] = []any{from + 3, nil, nil, nil, nil, nil, nil, nil}
		return rows
	}
	p.epoch(1, many(1000)...)
	b.check(t, "SELECT n, s, f, (d AT TIME ZONE 'UTC')::text, l::text, b, j::text, x::text FROM t WHERE n IN (1003, 1004) ORDER BY n",
		"1003|NULL|NULL|NULL|NULL|NULL|NULL|NULL", `1004|é|1.5|2026-01-01 00:00:04.123|2026-01-01 00:00:04.123456|true|{"a": 4}|[4]`)
	for text := range p.sink.link.stmts {
		if strings.HasPrefix(text, "INSERT INTO "+p.sink.table.quoted) {
			t.Errorf("it did not go by COPY but by %s", text)
		}
	}
	p.epoch(2, many(0)...) // has 77
	p.epoch(3, many(2000)...)
	b.check(t, "SELECT COUNT(*) FROM t", "899")
	if got := p.refusals(); len(got) != 1 {
		t.Errorf("refused %q", got)
	}
	b.exec(t, "CREATE VIEW v AS SELECT n, s FROM t")
	p = b.start(t, output{more: map[string]any{"table": "v"}, cols: []string{"n", "s"}, name: "v"})
	var rows [][]any
	for i := range 100 {
		rows = append(rows, []any{5000 + i, "s"})
	}
	p.epoch(1, rows...)
	if !p.sink.noBulk {
		t.Error("a view took COPY")
	}
	b.check(t, "SELECT COUNT(*) FROM t", "999")
	b.exec(t, "DROP VIEW v")
}

// TestMariaDBTypes writes into types that other databases have not.
func TestMariaDBTypes(t *testing.T) {
	b := mariadb(t)
	b.drop("t")
	b.drop("weir_epochs")
	b.exec(t, "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, u INT UNSIGNED, d DECIMAL(6,2), e ENUM('sad','ok'), c VARCHAR(3) CHARACTER SET latin1, dt DATETIME, ts TIMESTAMP(3) NULL, da DATE, f FLOAT, b BIT(1), g BIGINT AS (u * 2) STORED)")
	p := b.start(t, output{more: map[string]any{"table": "weir.t"}, cols: []string{"u", "d", "e", "c", "dt", "ts", "da", "f", "b"}})
	p.epoch(1,
		[]any{int64(1<<32 - 1), 1.25, "ok", "é", "2026-03-05T23:59:59.9999999", "2026-03-05T01:02:03.4569", "2026-03-05", 1.5, true},
		[]any{-1, 1, nil, nil, nil, nil, nil, nil, nil},
		[]any{1, 10000, nil, nil, nil, nil, nil, nil, nil},
		[]any{1, 1, "happy", nil, nil, nil, nil, nil, nil},
		[]any{1, 1, nil, "🚀", nil, nil, nil, nil, nil},
		[]any{1, 1, nil, nil, nil, "2040-01-01", nil, nil, nil},
		[]any{1, 1, nil, nil, nil, nil, nil, 1e300, nil},
		[]any{1, 1, nil, nil, nil, nil, nil, nil, 2})
	b.check(t, "SELECT u, d, e, c, dt, ts, da, f, b + 0 FROM t", "4294967295|1.25|ok|é|2026-03-05 23:59:59|2026-03-05 01:02:03.456|2026-03-05|1.5|1")
	var columns []string
	for _, e := range p.refused {
		columns = append(columns, e.Column)
	}
	if got := strings.Join(columns, " "); got != "u d e c ts f b" {
		t.Errorf("refused because of %s: %q", got, p.refusals())
	}
	// A row that is too large for a message.
	b.drop("t")
	b.exec(t, "CREATE TABLE t (s LONGTEXT)")
	p = b.start(t, output{more: map[string]any{"table": "t"}, cols: []string{"s"}, name: "o2"})
	p.epoch(1, []any{"a"}, []any{strings.Repeat("x", 17<<20)}, []any{"b"})
	b.check(t, "SELECT s FROM t ORDER BY s", "a", "b")
	if got := p.refused; len(got) != 1 || got[0].Name != errSize {
		t.Errorf("refused %d rows", len(got))
	}
}

// TestServersSpeed prints how fast rows get in.
func TestServersSpeed(t *testing.T) {
	both(t, func(t *testing.T, b *base) { b.speed(t) })
}

func TestPostgresReference(t *testing.T) { postgres(t).referenceCases(t) }
func TestMariaDBReference(t *testing.T)  { mariadb(t).referenceCases(t) }

// TestServersTry tries databases, also as a user who may only read.
func TestServersTry(t *testing.T) {
	both(t, func(t *testing.T, b *base) {
		b.tryCases(t)
		u, err := url.Parse(b.config["dsn"].(connect.Hidden).Expose())
		if err != nil {
			t.Fatal(err)
		}
		u.User = url.UserPassword("reader", "CANARYpassw0rd")
		for _, text := range map[*dialect][]string{
			postgresDialect: {"DROP OWNED BY reader", "DROP ROLE reader", "CREATE ROLE reader LOGIN PASSWORD 'CANARYpassw0rd'", "GRANT SELECT ON t TO reader"},
			mysqlDialect:    {"DROP USER reader@'%'", "CREATE USER reader@'%' IDENTIFIED BY 'CANARYpassw0rd'", "GRANT SELECT ON t TO reader@'%'"},
		}[b.dialect] {
			if _, err := b.db.Exec(text); err != nil && !strings.HasPrefix(text, "DROP") {
				t.Fatalf("%s: %v", text, err)
			}
		}
		reader := &base{dialect: b.dialect, config: map[string]any{"dsn": secret(u.String())}}
		reader.tries(t, true, map[string]any{"table": "t"}, nil)
		reader.tries(t, false, map[string]any{"table": "t"}, []string{"v"}, "may not add rows to table ")
		u.User = url.UserPassword("reader", "CANARYwrong")
		reader.config["dsn"] = secret(u.String())
		reader.tries(t, true, map[string]any{"table": "t"}, nil, hintLogin)
	})
}
