package sql

import (
	"context"
	dbsql "database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// idleLimit is how long a transaction may wait for its Commit before it is rolled back: it
// holds locks that others may need. The Commit then makes it again.
const idleLimit = 10 * time.Second

// maxStatements is how many prepared statements a connection keeps.
const maxStatements = 64

// linkKey says which sinks share a link: those of one job on one database.
type linkKey struct{ dialect, target, job, instance string }

var (
	linksMu sync.Mutex
	links   = map[linkKey]*link{} // guarded by linksMu, with the outputs of each
)

// link is the connection of a job to a database, and its transaction. What is below turn
// belongs to who has taken the turn.
type link struct {
	key     linkKey
	outputs map[string]bool // that use it; guarded by linksMu
	dialect *dialect
	db      *dbsql.DB
	log     *slog.Logger
	clean   secrets

	turn  chan struct{} // holds one token while nobody uses the link
	conn  *dbsql.Conn   // nil when there is none
	used  bool          // a transaction has gone over the connection
	stmts map[string]*dbsql.Stmt
	// gen counts transactions; inTx says that the last of them is open, done that it was
	// committed.
	gen        int64
	inTx, done bool
	lost       int64 // last transaction whose COMMIT got no answer
	idle       *time.Timer
}

// join gives an output the link of a key, made by connector if it is the first. An output
// that is there already was left behind without Close; it keeps the link for itself, and the
// table of epochs keeps the two apart.
func join(key linkKey, output string, d *dialect, connector driver.Connector, log *slog.Logger, clean secrets) *link {
	linksMu.Lock()
	defer linksMu.Unlock()
	l := links[key]
	if l == nil || l.outputs[output] {
		l = &link{key: key, outputs: map[string]bool{}, dialect: d, db: dbsql.OpenDB(connector), log: log, clean: clean, turn: make(chan struct{}, 1)}
		// One connection writes, and one may look whether a commit got there.
		l.db.SetMaxOpenConns(2)
		l.db.SetMaxIdleConns(0)
		l.turn <- struct{}{}
		links[key] = l
	}
	l.outputs[output] = true
	return l
}

// leave ends the use of a link by an output whose last transaction was gen.
func (l *link) leave(output string, gen int64) error {
	<-l.turn
	if l.open(gen) {
		l.rollback()
	}
	linksMu.Lock()
	delete(l.outputs, output)
	last := len(l.outputs) == 0
	if last && links[l.key] == l {
		delete(links, l.key)
	}
	linksMu.Unlock()
	if !last {
		l.turn <- struct{}{}
		return nil
	}
	l.discard()
	return l.db.Close()
}

// with runs f while nobody else uses the link.
func (l *link) with(ctx context.Context, f func() error) error {
	select {
	case <-l.turn:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() {
		if l.inTx {
			l.waits()
		}
		l.turn <- struct{}{}
	}()
	return f()
}

// connect makes sure that there is a connection.
func (l *link) connect(ctx context.Context) error {
	if l.conn != nil {
		return nil
	}
	conn, err := l.db.Conn(ctx)
	if err != nil {
		return err
	}
	l.conn, l.used, l.stmts = conn, false, map[string]*dbsql.Stmt{}
	for _, text := range l.dialect.setup {
		if _, err := conn.ExecContext(ctx, text); err != nil {
			if l.dialect.fault(err).kind == again {
				l.discard()
				return err
			}
			l.log.Warn("the database does not take a setting", "statement", text, "error", l.clean.clean(err.Error()))
		}
	}
	return nil
}

// discard gives the connection up, and with it the transaction.
func (l *link) discard() {
	l.stopIdle()
	l.inTx = false
	if l.conn == nil {
		return
	}
	for _, s := range l.stmts {
		s.Close()
	}
	// A bad connection is closed and not kept.
	_ = l.conn.Raw(func(any) error { return driver.ErrBadConn })
	_ = l.conn.Close()
	l.conn, l.stmts = nil, nil
}

// open reports whether transaction gen is open.
func (l *link) open(gen int64) bool { return l.inTx && l.gen == gen }

// committed reports whether transaction gen was committed, as the last one.
func (l *link) committed(gen int64) bool { return l.done && l.gen == gen }

// begin joins the open transaction or starts one.
func (l *link) begin(ctx context.Context) error {
	l.stopIdle()
	if l.inTx {
		return nil
	}
	if err := l.connect(ctx); err != nil {
		return err
	}
	if _, err := l.conn.ExecContext(ctx, l.dialect.begin); err != nil {
		return err
	}
	l.gen++
	l.inTx, l.done = true, false
	return nil
}

// rollback ends the transaction without a trace; the connection is given up if that fails.
func (l *link) rollback() {
	l.stopIdle()
	if !l.inTx {
		return
	}
	l.inTx = false
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if _, err := l.conn.ExecContext(ctx, "ROLLBACK"); err != nil {
		l.discard()
	}
	l.used = true
}

// commit commits the transaction. After an error nobody knows whether it happened.
func (l *link) commit(ctx context.Context) error {
	l.stopIdle()
	if !l.inTx {
		return errors.New("there is no transaction")
	}
	if _, err := l.conn.ExecContext(ctx, "COMMIT"); err != nil {
		l.lost = l.gen
		l.discard()
		return fmt.Errorf("commit: %w", err)
	}
	l.inTx, l.done, l.used = false, true, true
	return nil
}

// waits lets the transaction wait for its Commit, for a while.
func (l *link) waits() {
	l.stopIdle()
	gen := l.gen
	l.idle = time.AfterFunc(idleLimit, func() { l.tooLong(gen) })
}

// tooLong ends transaction gen if it still waits.
func (l *link) tooLong(gen int64) {
	select {
	case <-l.turn:
	default:
		return // somebody is at it, and it waits anew behind
	}
	if l.open(gen) {
		l.rollback()
	}
	l.turn <- struct{}{}
}

func (l *link) stopIdle() {
	if l.idle != nil {
		l.idle.Stop()
		l.idle = nil
	}
}

// exec runs a statement; with arguments it is prepared once for the life of the connection.
func (l *link) exec(ctx context.Context, text string, args ...any) (dbsql.Result, error) {
	if len(args) == 0 {
		return l.conn.ExecContext(ctx, text)
	}
	s := l.stmts[text]
	if s == nil {
		if len(l.stmts) >= maxStatements {
			for _, old := range l.stmts {
				old.Close()
			}
			clear(l.stmts)
		}
		var err error
		if s, err = l.conn.PrepareContext(ctx, text); err != nil {
			return nil, err
		}
		l.stmts[text] = s
	}
	return s.ExecContext(ctx, args...)
}
