package sql

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/internal/connect"
	"weir/internal/connect/connecttest"
	"weir/internal/vec"
)

// fakeServer does what SQL Server does with the statements that a sink sends, as far as the
// sink can see it: transactions with locks, the table of epochs, one table of rows, errors. It
// knows statements by their beginnings and does not run SQL; what they say in full is in the
// tests of texts below.
type fakeServer struct {
	tds *tdsServer
	t   testing.TB

	lock chan struct{} // held by the transaction that writes
	mu   sync.Mutex    // guards what is below
	now  fakeState
	// columns are the rows of the query for columns; unique the places of its unique key.
	columns [][]any
	unique  []int
	// check says why a row is not taken: an error number and its text.
	check func(row []any) (int32, string)
	// doom, if set, says that this error ends the transaction, too.
	doom func(number int32) bool
	// fault disturbs statements: its number is sent, or the connection dropped.
	fault func(text string) *tdsAnswer
	texts []string // all statements
	// answers says that what fault gives is the answer, and nothing is done or dropped.
	answers bool
}

// fakeState is what a transaction can change.
type fakeState struct {
	hasEpochs, hasTable bool
	epochs              map[string]int64
	rows                [][]any
}

func (s fakeState) clone() fakeState {
	s.epochs, s.rows = maps.Clone(s.epochs), slices.Clone(s.rows)
	return s
}

func newFake(t testing.TB) (*fakeServer, *base) {
	f := &fakeServer{t: t, lock: make(chan struct{}, 1), now: fakeState{epochs: map[string]int64{}}}
	f.tds = newTDS(t, func() tdsSession { return &fakeSession{f: f} })
	return f, &base{dialect: sqlserverDialect, config: map[string]any{"host": "127.0.0.1", "port": f.tds.port(), "user": "weir", "password": secret("CANARYpassw0rd"), "database": "factory"}}
}

// fakeSession is a connection.
type fakeSession struct {
	f    *fakeServer
	tran bool
	held bool
	work fakeState // of the transaction, once it holds the lock
	save fakeState // at the savepoint
}

func (s *fakeSession) end() { s.rollback() }

func (s *fakeSession) rollback() {
	s.tran = false
	if s.held {
		s.held = false
		<-s.f.lock
	}
}

// write gives the state to change: that of the transaction, with the lock.
func (s *fakeSession) write() *fakeState {
	if !s.held {
		s.f.lock <- struct{}{}
		s.held = true
		s.f.mu.Lock()
		s.work = s.f.now.clone()
		s.f.mu.Unlock()
	}
	return &s.work
}

// commit makes the work seen.
func (s *fakeSession) commit() {
	if s.held {
		s.f.mu.Lock()
		s.f.now = s.work.clone()
		s.f.mu.Unlock()
	}
	s.rollback()
}

// auto ends a statement outside of transactions.
func (s *fakeSession) auto() {
	if !s.tran {
		s.commit()
	}
}

// state is what the session sees.
func (s *fakeSession) state() fakeState {
	if s.held {
		return s.work
	}
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	return s.f.now.clone()
}

func (s *fakeSession) run(text string, args []any, inTran bool) tdsAnswer {
	f := s.f
	f.mu.Lock()
	f.texts = append(f.texts, text)
	var disturbed *tdsAnswer
	if f.fault != nil {
		disturbed = f.fault(text)
	}
	f.mu.Unlock()
	if inTran != s.tran {
		f.t.Errorf("%s: the connection says in a transaction: %v; the server: %v", text, inTran, s.tran)
	}
	if disturbed == nil {
		return s.do(text, args)
	}
	if f.answers {
		return *disturbed
	}
	if disturbed.number == 0 && !disturbed.drop { // it is done, and the answer is lost
		s.do(text, args)
		disturbed.drop = true
	}
	return *disturbed
}

// do carries a statement out.
func (s *fakeSession) do(text string, args []any) tdsAnswer {
	has := func(prefix string) bool { return strings.HasPrefix(text, prefix) }
	key := func(from int) string { return fmt.Sprint(args[from : from+3]) }
	switch {
	case has("SET "):
		return tdsAnswer{}
	case has("BEGIN TRANSACTION"):
		s.tran = true
		return tdsAnswer{tran: 1}
	case has("COMMIT"):
		s.commit()
		return tdsAnswer{tran: 2}
	case has("SAVE TRANSACTION"):
		s.save = s.write().clone()
		return tdsAnswer{}
	case has("ROLLBACK TRANSACTION weir"):
		if !s.tran {
			return tdsAnswer{number: 3903, message: "The ROLLBACK TRANSACTION request has no corresponding BEGIN TRANSACTION."}
		}
		s.work = s.save.clone()
		return tdsAnswer{}
	case has("ROLLBACK"):
		s.rollback()
		return tdsAnswer{tran: 2}
	case has("CREATE TABLE [weir_epochs]"):
		s.write().hasEpochs = true
		s.auto()
		return tdsAnswer{}
	case has("CREATE TABLE"):
		s.write().hasTable = true
		s.auto()
		return tdsAnswer{}
	}
	if strings.Contains(text, "[weir_epochs]") && !s.state().hasEpochs {
		return tdsAnswer{number: 208, message: "Invalid object name 'weir_epochs'."}
	}
	switch {
	case has("SELECT [epoch] FROM [weir_epochs]"):
		a := tdsAnswer{columns: 1}
		if n, ok := s.state().epochs[key(0)]; ok {
			a.rows = [][]any{{n}}
		}
		return a
	case has("INSERT INTO [weir_epochs]"):
		s.write().epochs[key(0)] = 0
		s.auto()
		return tdsAnswer{affected: 1}
	case has("UPDATE [weir_epochs]"):
		a := tdsAnswer{}
		if st := s.write(); st.epochs[key(1)] == args[4].(int64) {
			st.epochs[key(1)] = args[0].(int64)
			a.affected = 1
		}
		s.auto()
		return a
	case has("\nSELECT o.object_id"):
		a := tdsAnswer{columns: 3}
		if s.state().hasTable {
			a.rows = [][]any{{int64(77), "dbo", strings.Trim(args[0].(string)[strings.LastIndex(args[0].(string), "[")+1:], "]")}}
		}
		return a
	case has("\nSELECT c.name"):
		return tdsAnswer{columns: 7, rows: s.f.columns}
	case has("\nSELECT i.index_id"):
		a := tdsAnswer{columns: 2}
		for _, i := range s.f.unique {
			a.rows = append(a.rows, []any{int64(1), s.f.columns[i][0]})
		}
		return a
	case has("INSERT INTO [dbo]"), has("MERGE INTO [dbo]"):
		return s.insert(has("MERGE"), strings.Contains(text, "NOT EXISTS"), args)
	}
	s.f.t.Errorf("the server does not know %s", text)
	return tdsAnswer{number: 102, message: "Incorrect syntax."}
}

// insert adds rows, or merges them by the unique key.
func (s *fakeSession) insert(merge, ignore bool, args []any) tdsAnswer {
	st := s.write()
	before := st.clone()
	a := tdsAnswer{}
	same := func(x, y []any) bool {
		for _, i := range s.f.unique {
			if x[i] != y[i] {
				return false
			}
		}
		return len(s.f.unique) > 0
	}
	for row := range slices.Chunk(args, len(s.f.columns)) {
		if s.f.check != nil {
			a.number, a.message = s.f.check(row)
		}
		at := slices.IndexFunc(st.rows, func(r []any) bool { return same(r, row) })
		switch {
		case a.number != 0:
		case at < 0:
			st.rows = append(st.rows, row)
			a.affected++
		case merge:
			st.rows[at] = row
			a.affected++
		case !ignore:
			a.number, a.message = 2627, "Violation of PRIMARY KEY constraint 'PK'. Cannot insert duplicate key in object 'dbo.t'."
		}
		if a.number != 0 {
			*st = before
			if s.f.doom != nil && s.f.doom(a.number) {
				s.rollback()
				a.tran = 2
			}
			return a
		}
	}
	return a
}

// table gives the server a table: name, type and whether NULL is taken, by turns.
func (f *fakeServer) table(unique []int, columns ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now.hasTable = true
	f.unique = unique
	f.columns = nil
	for i := 0; i < len(columns); i += 3 {
		length, scale := int64(-1), int64(7)
		f.columns = append(f.columns, []any{columns[i], columns[i+1], length, scale, columns[i+2], false, false})
	}
}

// got are the rows of the table, each as one text.
func (f *fakeServer) got() (out []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.now.rows {
		var parts []string
		for _, x := range r {
			if at, ok := x.(time.Time); ok {
				x = at.Format(time.RFC3339Nano)
			}
			parts = append(parts, fmt.Sprint(x))
		}
		out = append(out, strings.Join(parts, "|"))
	}
	return out
}

func (f *fakeServer) check1(t *testing.T, want ...string) {
	t.Helper()
	if got := f.got(); !slices.Equal(got, want) {
		t.Errorf("rows\n got %q\nwant %q", got, want)
	}
}

// TestSQLServerSuite runs the suite of sinks through the driver, over the protocol.
func TestSQLServerSuite(t *testing.T) {
	connecttest.Sinks{New: func(t testing.TB) *connecttest.Target {
		f, b := newFake(t)
		f.columns = [][]any{{"id", "bigint", int64(8), int64(0), false, false, false}, {"text", "nvarchar", int64(-1), int64(0), false, false, false}}
		return &connecttest.Target{
			Open: func(env connect.SinkEnv) (connect.Sink, error) {
				return open(b.dialect, b.conf(map[string]any{"table": "dbo.suite", "create": true, "batch": int64(7)}), env, nil)
			},
			Rows: func() ([]connecttest.Row, error) {
				f.mu.Lock()
				defer f.mu.Unlock()
				var out []connecttest.Row
				for _, r := range f.now.rows {
					out = append(out, connecttest.Row{ID: r[0].(int64), Text: r[1].(string)})
				}
				return out, nil
			},
			Kill: func(s connect.Sink) { kill(s.(*Sink)) },
		}
	}}.Run(t)
}

func TestSQLServerTypes(t *testing.T) {
	f, b := newFake(t)
	f.table(nil, "i", "bigint", false, "f", "float", false, "s", "nvarchar", false, "b", "bit", false, "d", "datetime2", false, "o", "datetimeoffset", false, "m", "decimal", false, "u", "uniqueidentifier", false)
	p := b.start(t, output{more: map[string]any{"table": "t"}, cols: []string{"I", "F", "S", "B", "D", "O", "M", "U"}})
	at := vec.FromCivil(2026, 3, 5) + 16*vec.Hour + 9999999
	long := strings.Repeat("é", 5000)
	p.epoch(1, []any{int64(1<<63 - 1), 1.5, "é🚀", true, at, at, 1.25, "6ba7b810-9dad-11d1-80b4-00c04fd430c8"},
		[]any{nil, nil, nil, nil, nil, nil, nil, nil},
		[]any{7.0, 2, rec("a", arr(1)), 0, "2026-03-05T01:00:00+01:00", nil, "12345678901234567890.5", nil},
		[]any{0, -0.5, long, "false", nil, nil, 7, nil})
	f.check1(t, "9223372036854775807|1.5|é🚀|true|2026-03-05T16:00:00.9999999Z|2026-03-05T16:00:00.9999999Z|1.25|6ba7b810-9dad-11d1-80b4-00c04fd430c8",
		"<nil>|<nil>|<nil>|<nil>|<nil>|<nil>|<nil>|<nil>",
		`7|2|{"a":[1]}|false|2026-03-05T00:00:00Z|<nil>|12345678901234567890.5|<nil>`,
		"0|-0.5|"+long+"|false|<nil>|<nil>|7|<nil>")
}

func TestSQLServerRefused(t *testing.T) {
	for _, doomed := range []bool{false, true} {
		f, b := newFake(t)
		f.table([]int{0}, "k", "bigint", true, "n", "int", false)
		f.check = func(row []any) (int32, string) {
			if row[1] == int64(13) {
				return 547, "The INSERT statement conflicted with the CHECK constraint \"CK\"."
			}
			return 0, ""
		}
		// Some errors take the transaction with them, and the savepoint.
		f.doom = func(number int32) bool { return doomed }
		p := b.start(t, output{more: map[string]any{"table": "t"}, cols: []string{"k", "n"}})
		var rows [][]any
		var want []string
		for i := range 40 {
			rows = append(rows, []any{i, i})
			if i != 13 && i != 20 && i != 30 {
				want = append(want, fmt.Sprintf("%d|%d", i, i))
			}
		}
		rows[20][0] = 19
		rows[30][0] = nil
		p.epoch(1, rows...)
		f.check1(t, want...)
		if got := p.refusals(); len(got) != 3 || !strings.HasPrefix(got[0], "TypeConversionError ") || !strings.HasPrefix(got[1], "DuplicateKey") || !strings.HasPrefix(got[2], "RequiredColumnMissing k") {
			t.Errorf("refused %q", got)
		}
		// Rows whose key is there are skipped.
		p = b.start(t, output{more: map[string]any{"table": "t", "mode": "insert_ignore"}, cols: []string{"k", "n"}, name: "o2"})
		p.epoch(1, []any{5, 1}, []any{100, 1}, []any{100, 2}, []any{6, 1})
		f.check1(t, append(want, "100|1")...)
		if n := p.sink.Skipped(); n != 3 {
			t.Errorf("skipped %d", n)
		}
		p = b.start(t, output{more: map[string]any{"table": "t", "mode": "insert_ignore", "key": []string{"k"}}, cols: []string{"k", "n"}, name: "o3"})
		p.epoch(1, []any{5, 1}, []any{101, 1}, []any{101, 2})
		f.check1(t, append(want, "100|1", "101|1")...)
		if n := p.sink.Skipped(); n != 2 {
			t.Errorf("skipped %d", n)
		}
		p = b.start(t, output{more: map[string]any{"table": "t", "mode": "upsert", "key": []string{"k"}}, cols: []string{"k", "n"}, name: "o4"})
		p.epoch(1, []any{100, 5}, []any{101, 5}, []any{100, 6})
		f.check1(t, append(want, "100|6", "101|5")...)
	}
}

// TestSQLServerFaults has each error come at each statement of an epoch.
func TestSQLServerFaults(t *testing.T) {
	for _, number := range []int32{0, 1205, 40501, 40613, 4060, 10928} {
		for _, word := range []string{"BEGIN", "UPDATE", "INSERT INTO [dbo]", "COMMIT"} {
			for _, done := range []bool{false, true} {
				f, b := newFake(t)
				f.table(nil, "n", "bigint", true)
				p := b.start(t, output{more: map[string]any{"table": "t"}, cols: []string{"n"}})
				p.epoch(1, []any{1})
				left := 2 // twice, so that the first retry does not hide it
				f.mu.Lock()
				f.fault = func(text string) *tdsAnswer {
					if !strings.HasPrefix(text, word) || left == 0 {
						return nil
					}
					left--
					return &tdsAnswer{number: number, message: "an error", drop: number == 0 && !done}
				}
				f.mu.Unlock()
				p.write(2, []any{2}, []any{3})
				for _, call := range []func() error{
					func() error { return p.sink.Prepare(context.Background(), 2, 0) },
					func() error { return p.sink.Commit(context.Background(), 2) },
				} {
					for err := call(); err != nil; err = call() {
						passingError(t, err)
					}
				}
				p.epoch(3, []any{4})
				f.check1(t, "1", "2", "3", "4")
				if t.Failed() {
					t.Fatalf("error %d at %s, done %v", number, word, done)
				}
			}
		}
	}
}

func TestSQLServerRefuses(t *testing.T) {
	f, b := newFake(t)
	f.tds.lets(func(user, password string) int32 {
		if user != "weir" || password != "CANARYpassw0rd" {
			t.Errorf("the login is %s %s", user, password)
		}
		return 18456
	})
	more := map[string]any{"table": "t"}
	_, err := b.opened(t, output{more: more, cols: []string{"n"}}).sink.Committed(context.Background())
	permanentWith(t, err, "check user and password", "***")
	if strings.Contains(err.Error(), "CANARY") {
		t.Errorf("the error tells the password: %v", err)
	}
	f.tds.lets(func(string, string) int32 { return 0 })
	_, err = b.opened(t, output{more: more, cols: []string{"n"}}).sink.Committed(context.Background())
	permanentWith(t, err, "there is no table t", "CREATE TABLE [t] ([n] nvarchar(max))")
	f.table(nil, "n", "bigint", true)
	for number, hint := range map[int32]string{229: "needs the right", 40615: "firewall", 102: ""} {
		p := b.start(t, output{more: more, cols: []string{"n"}, name: fmt.Sprint(number)})
		f.mu.Lock()
		f.fault = func(text string) *tdsAnswer {
			if strings.HasPrefix(text, "INSERT INTO [dbo]") {
				return &tdsAnswer{number: number, message: "an error"}
			}
			return nil
		}
		f.mu.Unlock()
		p.write(1, []any{1})
		permanentWith(t, p.sink.Prepare(context.Background(), 1, 0), hint)
		f.mu.Lock()
		f.fault = nil
		f.mu.Unlock()
	}
	// A server that wants encryption, and has none.
	_, err = (&base{dialect: b.dialect, config: b.conf(map[string]any{"tls": "verify"}).Values}).opened(t, output{more: more, cols: []string{"n"}}).sink.Committed(context.Background())
	permanentWith(t, err, "tls: disable")
}

// TestSQLServerParameters: no statement has more parameters than a call takes.
func TestSQLServerParameters(t *testing.T) {
	f, b := newFake(t)
	f.table(nil, "a", "bigint", false, "b", "bigint", false, "c", "bigint", false)
	p := b.start(t, output{more: map[string]any{"table": "t", "batch": int64(50000)}, cols: []string{"a", "b", "c"}})
	var rows [][]any
	var want []string
	for i := range 2500 {
		rows = append(rows, []any{i, nil, -i})
		want = append(want, fmt.Sprintf("%d|<nil>|%d", i, -i))
	}
	p.epoch(1, rows...)
	f.check1(t, want...)
	kinds := map[string]bool{}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, text := range f.texts {
		if strings.HasPrefix(text, "INSERT INTO [dbo]") {
			kinds[text] = true
			if strings.Contains(text, "@p2099") {
				t.Error("a statement has more than 2,098 parameters")
			}
		}
	}
	if len(kinds) > 10 {
		t.Errorf("%d texts of statements", len(kinds))
	}
}
