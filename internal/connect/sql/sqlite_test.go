package sql

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"weir/internal/connect"
)

func TestSQLiteSuite(t *testing.T) { newSQLite(t).suite(t, nil) }

func TestSQLite(t *testing.T) { newSQLite(t).cases(t) }

// copied is a copy of the files as they are, with the log cut at a length; less than 0: whole.
func (b *base) copied(t *testing.T, cut int64) *base {
	t.Helper()
	path := filepath.Join(t.TempDir(), "copy.db")
	for _, end := range []string{"", "-wal"} {
		text, err := os.ReadFile(b.path + end)
		if err != nil {
			t.Fatal(err)
		}
		if end == "-wal" && cut >= 0 {
			text = text[:min(cut, int64(len(text)))]
		}
		if err := os.WriteFile(path+end, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := &base{dialect: sqliteDialect, config: map[string]any{"path": path}, path: path}
	c.open(t)
	return c
}

// logSize is the length of the write-ahead log.
func (b *base) logSize(t *testing.T) int64 {
	t.Helper()
	info, err := os.Stat(b.path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// TestSQLitePower cuts the log off at many lengths, as a loss of power does with what was not
// synced: there are the rows of the epochs up to the number in the table, no more and no less,
// and what was synced is among them.
func TestSQLitePower(t *testing.T) {
	b := newSQLite(t)
	p := b.start(t, output{more: map[string]any{"table": "t", "create": true}, cols: []string{"epoch", "n"}})
	const epochs, synced = 20, 7
	syncedSize := int64(0)
	for e := int64(1); e <= epochs; e++ {
		var rows [][]any
		for i := range 50 {
			rows = append(rows, []any{e, i})
		}
		p.epoch(e, rows...)
		if e == synced {
			if err := p.sink.Sync(context.Background()); err != nil {
				t.Fatal(err)
			}
			syncedSize = b.logSize(t)
		}
	}
	p.write(epochs+1, []any{epochs + 1, 0})
	p.prepare(epochs + 1) // and never committed
	size := b.logSize(t)
	seen := map[string]bool{}
	for cut := syncedSize; cut <= size; cut += max(1, (size-syncedSize)/60) {
		c := b.copied(t, cut)
		q := c.start(t, output{more: map[string]any{"table": "t"}, cols: []string{"epoch", "n"}, job: p.env.Job})
		last, err := q.sink.Committed(context.Background())
		if err != nil || last < synced || last > epochs {
			t.Fatalf("cut at %d: committed %d, %v", cut, last, err)
		}
		c.check(t, "SELECT COUNT(*), COUNT(DISTINCT epoch), MAX(epoch) FROM t", fmt.Sprintf("%d|%d|%d", 50*last, last, last))
		seen[fmt.Sprint(last)] = true
		// The job goes on from there.
		q.epoch(last+1, []any{last + 1, 0})
		q.sink.Close()
		c.db.Close()
	}
	if len(seen) < 10 {
		t.Errorf("only %d different ends: the cuts do not meet the epochs", len(seen))
	}
	c := b.copied(t, -1)
	c.check(t, "SELECT MAX(epoch) FROM t", fmt.Sprint(epochs))
}

// TestSQLiteSync: commits are not synced, Sync is.
func TestSQLiteSync(t *testing.T) {
	b := newSQLite(t)
	var texts []string
	f := &faults{text: func(s string) { texts = append(texts, s) }}
	p := b.start(t, output{more: map[string]any{"table": "t", "create": true}, cols: []string{"n"}, wrap: f.wrap})
	level := func(want int) {
		t.Helper()
		var got int
		if err := p.sink.link.conn.QueryRowContext(context.Background(), "PRAGMA synchronous").Scan(&got); err != nil || got != want {
			t.Errorf("synchronous is %d, %v; want %d", got, err, want)
		}
	}
	p.epoch(1, []any{1})
	level(1)
	texts = nil
	if err := p.sink.Sync(context.Background()); err != nil {
		t.Fatal(err)
	}
	level(1)
	if len(texts) != 3 || texts[0] != "PRAGMA synchronous = FULL" || texts[2] != "PRAGMA synchronous = NORMAL" {
		t.Errorf("Sync does %q", texts)
	}
	b.check(t, "SELECT epoch, synced FROM weir_epochs", "1|1")
	// A prepared epoch is made again.
	p.write(2, []any{2})
	p.prepare(2)
	if err := p.sink.Sync(context.Background()); err != nil {
		t.Fatal(err)
	}
	p.commit(2)
	b.check(t, "SELECT n FROM t ORDER BY n", "1", "2")
	// An error in the midst leaves the connection as a new one is.
	for at := 1; at <= 3; at++ {
		f.after(at)
		err := p.sink.Sync(context.Background())
		if !f.hit() {
			t.Errorf("statement %d of Sync was not met", at)
		}
		if err != nil {
			passingError(t, err)
			if err := p.sink.Sync(context.Background()); err != nil {
				t.Error(err)
			}
		}
		level(1)
	}
}

// TestSQLiteBusy has another process write: the sink waits, and says so.
func TestSQLiteBusy(t *testing.T) {
	b := newSQLite(t)
	p := b.start(t, output{more: map[string]any{"table": "t", "create": true}, cols: []string{"n"}})
	p.epoch(1, []any{1})
	ctx := context.Background()
	if _, err := p.sink.link.conn.ExecContext(ctx, "PRAGMA busy_timeout = 20"); err != nil {
		t.Fatal(err)
	}
	other, err := b.db.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	for _, text := range []string{"BEGIN IMMEDIATE", "INSERT INTO t (n) VALUES (100)"} {
		if _, err := other.ExecContext(ctx, text); err != nil {
			t.Fatal(err)
		}
	}
	p.write(2, []any{2})
	p.sink.link.dialect = &dialect{}
	*p.sink.link.dialect = *sqliteDialect
	p.sink.link.dialect.setup = []string{"PRAGMA busy_timeout = 20"}
	passingError(t, p.sink.Prepare(ctx, 2, 0))
	if _, err := other.ExecContext(ctx, "COMMIT"); err != nil {
		t.Fatal(err)
	}
	p.prepare(2)
	p.commit(2)
	b.check(t, "SELECT n FROM t ORDER BY n", "1", "2", "100")
}

// TestSQLiteFiles has files that cannot be used.
func TestSQLiteFiles(t *testing.T) {
	dir := t.TempDir()
	damaged := filepath.Join(dir, "damaged.db")
	if err := os.WriteFile(damaged, []byte("this is no database, and long enough to show that it is none"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := func(path, text string) {
		t.Helper()
		b := &base{dialect: sqliteDialect, config: map[string]any{"path": path}}
		_, err := b.opened(t, output{more: map[string]any{"table": "t"}, cols: []string{"n"}}).sink.Committed(context.Background())
		permanentWith(t, err, text)
	}
	f(damaged, "no SQLite database")
	f(dir, "must be writable")
	// Directories are made.
	b := &base{dialect: sqliteDialect, config: map[string]any{"path": filepath.Join(dir, "a", "b", "c.db")}}
	b.start(t, output{more: map[string]any{"table": "t"}, cols: []string{"n"}}).epoch(1, []any{1})
}

// TestLeftBehind has a sink that was never closed hold a transaction, and its successor.
func TestLeftBehind(t *testing.T) {
	b := newSQLite(t)
	o := output{more: map[string]any{"table": "t", "create": true}, cols: []string{"n"}}
	p := b.start(t, o)
	p.epoch(1, []any{1})
	p.write(2, []any{2})
	p.prepare(2)
	q := b.start(t, o)
	if p.sink.link == q.sink.link {
		t.Fatal("the two share a connection")
	}
	p.sink.link.tooLong(p.sink.gen) // as time goes by
	q.epoch(2, []any{2})
	permanentWith(t, p.sink.Commit(t.Context(), 2), "has epoch 2", "the job is running twice")
	q.epoch(3, []any{3})
	b.check(t, "SELECT n FROM t ORDER BY n", "1", "2", "3")
	for _, s := range []connect.Sink{p.sink, q.sink, q.sink} {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	linksMu.Lock()
	defer linksMu.Unlock()
	for key := range links {
		if key.target == b.path {
			t.Errorf("the link %v stays", key.dialect)
		}
	}
}

func TestSQLiteSpeed(t *testing.T) { newSQLite(t).speed(t) }
