package sql

import (
	"context"
	"crypto/sha256"
	"database/sql/driver"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"weir/internal/connect"
	"weir/internal/vec"
)

// Sink writes the rows of an output into a table.
type Sink struct {
	settings
	env    connect.SinkEnv
	log    *slog.Logger
	clean  secrets
	link   *link
	path   string // of a database that is a file
	id     [3]any // job, output, instance, as the table of epochs has them
	epochs string // that table, in SQL

	rows  rows
	epoch int64 // that rows are of, 0 if there are none
	// committed is the last epoch that is in the database or had no rows; stored is the
	// number that the database has, once loaded says so.
	committed, stored int64
	loaded            bool
	// doubt is the last epoch whose number may be in the database without an answer that said
	// so. No other one can be there that we have not been told of, unless somebody else writes.
	doubt int64
	gen   int64 // transaction of the link that has the epoch; 0: none

	table     *table
	described time.Time
	unknown   bool            // rows have had fields that the table lacks
	grown     bool            // the table gets no more columns in this epoch
	narrow    bool            // statements name the columns only that rows have a value for
	none      *refusal        // of all rows: no table can be made of them
	unfit     map[string]bool // names of fields, in lower case, that the database made no columns of
	named     *mapping
	mappings  map[string]*mapping
	shapes    map[string]*shape
	key       []*column

	// What is known of the rows of the epoch: those that are refused, where statements must
	// be cut, and that rows were refused, so that savepoints pay.
	bad     map[int]*verdict
	told    []*verdict // reported in the method that runs
	cuts    map[int]bool
	careful bool
	noBulk  bool  // the table does not take the fast way
	skipped int64 // rows of the open transaction whose key was there, and which the database left out

	skippedRows atomic.Int64
	skipLogged  time.Time
	dirSynced   bool
	closed      bool
}

// verdict is why a row is refused.
type verdict struct {
	refusal
	told bool // Reject has been called, in a method that succeeded or still runs
}

// open makes a sink; it does not connect. wrap, if it is set, stands between us and the driver.
func open(d *dialect, c connect.Config, env connect.SinkEnv, wrap func(driver.Connector) driver.Connector) (*Sink, error) {
	set, bad := read(d, c)
	clean := secretsOf(d, c)
	if len(bad) > 0 {
		return nil, connect.Permanent(fmt.Errorf("%s: %s: %s", d.name, bad[0].Field, clean.clean(bad[0].Text)))
	}
	roots, err := rootsOf(d, c)
	if err != nil {
		return nil, err
	}
	connector, err := d.connector(c, roots)
	if err != nil {
		return nil, connect.Permanent(fmt.Errorf("%s: %w", d.name, clean.wrap(err)))
	}
	if wrap != nil {
		connector = wrap(connector)
	}
	path := c.Text("path")
	if path != "" {
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			return nil, fmt.Errorf("%s: %w", d.name, err)
		}
	}
	log := env.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if env.Now == nil {
		env.Now = time.Now
	}
	s := &Sink{settings: set, env: env, log: log, clean: clean, path: path,
		id:       [3]any{idText(env.Job), idText(env.Output), idText(env.Instance)},
		epochs:   full(d.quote, set.epochs),
		rows:     rows{fs: env.State, limit: set.buffer, own: env.Columns.Row},
		bad:      map[int]*verdict{},
		cuts:     map[int]bool{},
		mappings: map[string]*mapping{},
		shapes:   map[string]*shape{},
	}
	target := path
	if target == "" {
		target = targetOf(c)
	}
	s.link = join(linkKey{d.name, target, env.Job, env.Instance}, env.Output, d, connector, log, clean)
	return s, nil
}

// targetOf tells databases behind a network apart. It has secrets, and is compared only.
func targetOf(c connect.Config) string {
	return fmt.Sprintf("%q", []string{c.Secret("dsn").Expose(), c.Text("host"), portOf(c), c.Text("database"), c.Text("user"),
		c.Secret("password").Expose(), c.Text("tls"), c.Text("tls_ca")})
}

// idText is a name as the table of epochs keeps it: names that are too long for its key end
// in a hash.
func idText(s string) string {
	const most = 120
	if len(s) <= most {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	cut := 80
	for s[cut]&0xC0 == 0x80 {
		cut--
	}
	return s[:cut] + "~" + hex.EncodeToString(sum[:16])
}

// said is an error that is to go out as it is.
type said struct{ error }

func (s said) Unwrap() error { return s.error }

// fail makes an error for people of what went wrong while something was done.
func (s *Sink) fail(doing string, err error) error {
	return failure(s.dialect, s.clean, doing, err)
}

// stop is a permanent error of ours.
func (s *Sink) stop(format string, args ...any) error {
	return said{connect.Permanent(fmt.Errorf(s.dialect.name+": "+format, args...))}
}

// statementTime bounds a statement.
func (s *Sink) statementTime(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, s.timeout, fmt.Errorf("the database did not answer within %s: %w", s.timeout, context.DeadlineExceeded))
}

// exec runs a statement within the time that one may take.
func (s *Sink) exec(ctx context.Context, text string, args ...any) (affected int64, err error) {
	ctx, cancel := s.statementTime(ctx)
	defer cancel()
	res, err := s.link.exec(ctx, text, args...)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil && ctx.Err() == context.DeadlineExceeded {
			err = cause
		}
		return 0, err
	}
	affected, err = res.RowsAffected()
	if err != nil {
		return 0, nil // some statements have none
	}
	return affected, nil
}

// Committed reads the number of the last epoch from the database. It is also where the table
// is looked at first, so that what is wrong with it shows before the first row.
func (s *Sink) Committed(ctx context.Context) (int64, error) {
	err := s.link.with(ctx, func() error {
		err := s.fresh(func() error { return s.load(ctx) })
		if err != nil {
			s.link.rollback() // of another output of the job, which makes it again
		}
		return err
	})
	if err != nil {
		return 0, s.fail("read the last epoch", err)
	}
	s.committed = max(s.committed, s.stored)
	return s.stored, nil
}

// fresh runs f, and once more if it failed on a connection that was there before: a server
// that was restarted in between shows only then.
func (s *Sink) fresh(f func() error) error {
	used := s.link.conn != nil && s.link.used
	err := f()
	if !s.passing(err) {
		return err
	}
	s.link.discard()
	if !used || isContext(err) {
		return err
	}
	return f()
}

// passing reports whether an error may go away by itself.
func (s *Sink) passing(err error) bool {
	return err != nil && !errors.As(err, new(said)) && s.dialect.fault(err).kind == again
}

func isContext(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// load makes sure of the row in the table of epochs, reads it and looks at the table.
func (s *Sink) load(ctx context.Context) error {
	ctx, cancel := s.statementTime(ctx)
	defer cancel()
	if err := s.link.connect(ctx); err != nil {
		return err
	}
	s.link.used = true
	n, found, err := s.readEpoch(ctx)
	if err != nil && s.dialect.fault(err).kind == missingTable {
		s.link.rollback() // a failed query ends a transaction of PostgreSQL
		if err := s.ddl(ctx, s.dialect.epochs(s.epochs)); err != nil {
			return s.noEpochs(err)
		}
		n, found, err = s.readEpoch(ctx)
	}
	if err != nil {
		return err
	}
	if !found {
		p := s.dialect.place
		_, err := s.link.conn.ExecContext(ctx, "INSERT INTO "+s.epochs+" ("+s.dialect.quote("job")+", "+s.dialect.quote("output")+", "+
			s.dialect.quote("instance")+", "+s.dialect.quote("epoch")+") VALUES ("+p(1)+", "+p(2)+", "+p(3)+", 0)", s.id[:]...)
		if err != nil && s.dialect.fault(err).kind != duplicate {
			return err
		}
		if n, _, err = s.readEpoch(ctx); err != nil {
			return err
		}
	}
	if err := s.look(ctx); err != nil {
		return err
	}
	s.stored, s.loaded = n, true
	return nil
}

// noEpochs explains why there is no table of epochs.
func (s *Sink) noEpochs(err error) error {
	if s.dialect.fault(err).kind != permanent {
		return err
	}
	return s.stop("the table of epochs %s cannot be made: %w; somebody who may has to run: %s", s.settings.epochs, s.clean.wrap(err), s.dialect.epochs(s.epochs))
}

// readEpoch reads the number of the last epoch.
func (s *Sink) readEpoch(ctx context.Context) (n int64, found bool, err error) {
	err = query(ctx, s.link.conn, func(scan func(...any) error) error {
		found = true
		return scan(&n)
	}, "SELECT "+s.dialect.quote("epoch")+" FROM "+s.epochs+s.where(1), s.id[:]...)
	return n, found, err
}

// where finds our row in the table of epochs; its first parameter has number first.
func (s *Sink) where(first int) string {
	q, p := s.dialect.quote, s.dialect.place
	return " WHERE " + q("job") + " = " + p(first) + " AND " + q("output") + " = " + p(first+1) + " AND " + q("instance") + " = " + p(first+2)
}

// Write keeps rows until Prepare.
func (s *Sink) Write(_ context.Context, epoch int64, b *vec.Batch) error {
	if epoch <= s.committed || b.N == 0 {
		return nil
	}
	if s.epoch != 0 && s.epoch != epoch {
		return connect.Permanent(fmt.Errorf("%s: rows of epoch %d while epoch %d is not committed", s.dialect.name, epoch, s.epoch))
	}
	if err := s.rows.add(b); err != nil {
		return err
	}
	s.epoch = epoch
	return nil
}

// Prepare writes the rows of an epoch in a transaction that Commit ends.
func (s *Sink) Prepare(ctx context.Context, epoch int64, _ vec.Time) error {
	if epoch <= s.committed || s.rows.n == 0 {
		return nil
	}
	err := s.untell(s.link.with(ctx, func() error { return s.prepare(ctx, epoch) }))
	return s.fail(fmt.Sprintf("write epoch %d to %s", epoch, s.settings.table), err)
}

// Commit commits the transaction; if that was lost, all of it is made again.
func (s *Sink) Commit(ctx context.Context, epoch int64) error {
	if epoch <= s.committed {
		return nil
	}
	if s.rows.n == 0 {
		s.committed = epoch
		return nil
	}
	err := s.untell(s.link.with(ctx, func() error {
		if s.link.committed(s.gen) {
			return nil // another output of the job has
		}
		if !s.link.open(s.gen) {
			if err := s.prepare(ctx, epoch); err != nil {
				return err
			}
			if s.committed >= epoch {
				return nil
			}
		}
		return s.commit(ctx, epoch)
	}))
	if err != nil {
		return s.fail(fmt.Sprintf("commit epoch %d to %s", epoch, s.settings.table), err)
	}
	s.finished(epoch)
	return nil
}

// commit commits the open transaction. If the answer does not come, the number in the table
// of epochs says what happened; if that cannot be asked either, the next Commit finds out.
func (s *Sink) commit(ctx context.Context, epoch int64) error {
	// The wait for COMMIT is bounded, and not cut short by who stops the job: it is nearly over.
	commitCtx, cancel := s.statementTime(context.WithoutCancel(ctx))
	defer cancel()
	gen := s.gen
	err := s.link.commit(commitCtx)
	if err == nil {
		return nil
	}
	s.doubt = epoch
	askCtx, cancelAsk := s.statementTime(ctx)
	defer cancelAsk()
	if s.link.connect(askCtx) != nil {
		return err
	}
	n, _, askErr := s.readEpoch(askCtx)
	if askErr != nil {
		s.link.discard()
		return err
	}
	if n < epoch {
		return err
	}
	// The transaction is there with all that was in it.
	s.link.gen, s.link.done = gen, true
	return nil
}

// finished ends an epoch that is in the database.
func (s *Sink) finished(epoch int64) {
	for _, v := range s.bad {
		if v.name == "" {
			s.skipped++
		}
	}
	if s.skipped > 0 {
		total := s.skippedRows.Add(s.skipped)
		if now := s.env.Now(); now.Sub(s.skipLogged) >= time.Minute {
			s.skipLogged = now
			s.log.Info("rows were skipped because their key is in the table", "table", s.settings.table.String(), "rows", total)
		}
	}
	s.committed, s.stored = epoch, epoch
	s.epoch, s.gen, s.skipped = 0, 0, 0
	// Savepoints stay on for a while after a row was refused: the next one is probably near.
	s.careful = len(s.bad) > 0
	s.grown = false
	clear(s.bad)
	clear(s.cuts)
	s.rows.reset()
}

// there ends an epoch that turns out to be in the database, which has epoch got.
func (s *Sink) there(epoch, got int64) {
	s.skipped = 0
	s.finished(epoch)
	s.committed, s.stored = max(epoch, got), got
}

// Skipped is how many rows insert_ignore has left out because their key was in the table.
// Any goroutine may ask.
func (s *Sink) Skipped() int64 { return s.skippedRows.Load() }

// Sync makes commits durable. Servers do so by themselves as their settings say; what is left
// is to store the number of epochs that had no rows.
func (s *Sink) Sync(ctx context.Context) error {
	if !s.loaded {
		return nil
	}
	err := s.link.with(ctx, func() error {
		return s.fresh(func() error {
			ctx, cancel := s.statementTime(ctx)
			defer cancel()
			if s.stored < s.committed {
				s.link.rollback() // what waits for its Commit is made again
				if err := s.link.connect(ctx); err != nil {
					return err
				}
				if err := s.move(ctx, s.committed); err != nil {
					return err
				}
				s.stored = s.committed
			}
			if s.dialect.sync != nil {
				return s.dialect.sync(ctx, s)
			}
			return nil
		})
	})
	return s.fail("sync", err)
}

// Close drops what was not committed.
func (s *Sink) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	s.rows.close()
	return s.clean.wrap(s.link.leave(s.env.Output, s.gen))
}
