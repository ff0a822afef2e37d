package sql

import (
	"context"
	"database/sql/driver"
	"errors"
	"strings"
	"sync"
)

// faults stands between a sink and a driver, and breaks connections.
type faults struct {
	mu sync.Mutex
	// word is the statement that is disturbed next, done says whether it is carried out.
	word string
	done bool
	// left counts statements until one fails; 0: none does.
	left   int
	down   bool // nobody can connect
	wasHit bool
	text   func(text string) // told of every statement
	seen   func(text string) // told of every statement with arguments, before it runs
}

// set disturbs the next statement that begins with a word: it is carried out or not, and the
// answer is lost with the connection.
func (f *faults) set(word string, done bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.word, f.done = word, done
}

// after breaks the connection at the n-th statement from now on.
func (f *faults) after(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left, f.wasHit = n, false
}

// hit reports whether that happened, and lets go of it.
func (f *faults) hit() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left = 0
	return f.wasHit
}

// errLost is what a broken connection gives.
var errLost = errors.New("connection reset by peer")

// before says what is to happen to a statement: fail without or after doing it.
func (f *faults) before(text string) (fail, done bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.text != nil {
		f.text(text)
	}
	if f.word != "" && strings.HasPrefix(text, f.word) {
		f.word = ""
		return true, f.done
	}
	if f.left > 0 {
		f.left--
		if f.left == 0 {
			f.wasHit = true
			return true, false
		}
	}
	return false, false
}

func (f *faults) wrap(c driver.Connector) driver.Connector { return &faultyConnector{c, f} }

type faultyConnector struct {
	driver.Connector
	f *faults
}

func (c *faultyConnector) Connect(ctx context.Context) (driver.Conn, error) {
	if c.f.down {
		return nil, errLost
	}
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &faultyConn{conn, c.f}, nil
}

// faultyConn passes on what the sinks use of a connection.
type faultyConn struct {
	driver.Conn
	f *faults
}

func (c *faultyConn) ExecContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Result, error) {
	fail, done := c.f.before(text)
	if fail && !done {
		return nil, errLost
	}
	res, err := c.Conn.(driver.ExecerContext).ExecContext(ctx, text, args)
	if fail && err == nil {
		return nil, errLost
	}
	return res, err
}

func (c *faultyConn) QueryContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Rows, error) {
	return c.Conn.(driver.QueryerContext).QueryContext(ctx, text, args)
}

func (c *faultyConn) PrepareContext(ctx context.Context, text string) (driver.Stmt, error) {
	s, err := c.Conn.(driver.ConnPrepareContext).PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	return &faultyStmt{s, text, c.f}, nil
}

func (c *faultyConn) CheckNamedValue(v *driver.NamedValue) error {
	if checker, ok := c.Conn.(driver.NamedValueChecker); ok {
		return checker.CheckNamedValue(v)
	}
	return driver.ErrSkip
}

type faultyStmt struct {
	driver.Stmt
	text string
	f    *faults
}

func (s *faultyStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	if s.f.seen != nil {
		s.f.seen(s.text)
	}
	fail, done := s.f.before(s.text)
	if fail && !done {
		return nil, errLost
	}
	res, err := s.Stmt.(driver.StmtExecContext).ExecContext(ctx, args)
	if fail && err == nil {
		return nil, errLost
	}
	return res, err
}
