package table

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"modernc.org/sqlite"

	"weir/internal/connect"
	"weir/internal/vec"
)

// Store is an open table. Any number of goroutines and processes may read one; writers take
// turns.
type Store struct {
	path  string
	read  *sql.DB
	write *sql.DB // one connection
	hub   *hub    // tells followers of changes
}

// Document is a document, or an entry of the feed: the document as a change left it.
type Document struct {
	Partition string          `json:"partition,omitempty"`
	ID        string          `json:"id"`
	Version   int64           `json:"version"`  // counts the changes of this document from 1
	Position  int64           `json:"position"` // of the change in the feed
	Time      vec.Time        `json:"-"`        // of the row
	Stored    time.Time       `json:"stored"`   // never goes back along the feed
	Epoch     int64           `json:"epoch"`    // of the job that wrote it
	Doc       json.RawMessage `json:"doc"`
}

// MarshalJSON adds the time of the row as text.
func (d Document) MarshalJSON() ([]byte, error) {
	type plain Document
	return json.Marshal(struct {
		plain
		Time string `json:"time"`
	}{plain(d), d.Time.String()})
}

// Range is what the feed of a table has.
type Range struct {
	First, Last int64 // positions; Last is First-1 if there are none
	Documents   int64
}

const (
	applicationID = 0x77656972 // "weir"
	formatVersion = 1
	// busyWait is how long a write waits for another process; then it is an error, which a
	// retry heals.
	busyWait = 5 * time.Second
	readers  = 4
)

// The table of entries, that of documents, which point to their last entry, how far each
// output has come, and up to which position replaced entries are forgotten.
const schema = `
CREATE TABLE feed (position INTEGER PRIMARY KEY, part TEXT NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL,
  time INTEGER NOT NULL, stored INTEGER NOT NULL, epoch INTEGER NOT NULL, doc TEXT NOT NULL) STRICT;
CREATE TABLE docs (part TEXT NOT NULL, id TEXT NOT NULL, position INTEGER NOT NULL, version INTEGER NOT NULL,
  PRIMARY KEY (part, id)) STRICT, WITHOUT ROWID;
CREATE TABLE epochs (job TEXT NOT NULL, output TEXT NOT NULL, instance TEXT NOT NULL, epoch INTEGER NOT NULL,
  PRIMARY KEY (job, output, instance)) STRICT, WITHOUT ROWID;
CREATE TABLE forgotten (one INTEGER PRIMARY KEY CHECK (one = 1), position INTEGER NOT NULL) STRICT;
INSERT INTO forgotten VALUES (1, 0);
`

// Open opens a table that is there; fs.ErrNotExist says that it is not.
func Open(path string) (*Store, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	return Create(path)
}

// Create opens a table, and makes it if it is not there, with the directories above it. An
// error that wraps as Permanent says that the file is something else.
func Create(path string) (*Store, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, err
	}
	s := &Store{path: path}
	if s.write, err = connection(path, 1, "PRAGMA busy_timeout = "+fmt.Sprint(busyWait.Milliseconds()), "PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL"); err != nil {
		return nil, err
	}
	if err := s.prepare(); err != nil {
		return nil, errors.Join(fmt.Errorf("table %s: %w", path, err), s.write.Close())
	}
	if s.read, err = connection(path, readers, "PRAGMA busy_timeout = "+fmt.Sprint(busyWait.Milliseconds()), "PRAGMA query_only = ON"); err != nil {
		return nil, errors.Join(err, s.write.Close())
	}
	s.hub = join(path)
	return s, nil
}

// connection is a pool of connections that begin with some statements.
func connection(path string, n int, setup ...string) (*sql.DB, error) {
	// The file is a URI for SQLite, so that no character of it is taken for a setting.
	uri := strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(filepath.ToSlash(path))
	for i, s := range setup {
		uri += []string{"?_txlock=immediate&", "&"}[min(i, 1)] + "_pragma=" + strings.NewReplacer("PRAGMA ", "", " = ", "%3d").Replace(s)
	}
	c, err := sqlite.NewConnector("file:" + uri)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(c)
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	return db, nil
}

// prepare makes the tables in a new file and checks those of an old one.
func (s *Store) prepare() error {
	ctx := context.Background()
	var app, version, tables int64
	look := func(q rower) error {
		return errors.Join(q.QueryRowContext(ctx, "PRAGMA application_id").Scan(&app), q.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version),
			q.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables))
	}
	if err := look(s.write); err != nil {
		return fileError(err)
	}
	if app == 0 && version == 0 && tables == 0 {
		err := s.transaction(ctx, func(tx *sql.Tx) error {
			if err := look(tx); err != nil || tables > 0 {
				return err // another process was faster
			}
			_, err := tx.ExecContext(ctx, fmt.Sprintf("%s PRAGMA application_id = %d; PRAGMA user_version = %d", schema, applicationID, formatVersion))
			return err
		})
		if err == nil {
			err = look(s.write)
		}
		if err == nil {
			err = syncDir(filepath.Dir(s.path))
		}
		if err != nil {
			return fileError(err)
		}
	}
	switch {
	case app != applicationID:
		return connect.Permanent(errors.New("the file is no table of ours; give another path"))
	case version > formatVersion:
		return connect.Permanent(fmt.Errorf("the table has version %d of the format, and this program knows version %d; use the program that wrote it", version, formatVersion))
	}
	return nil
}

// rower is a connection or a transaction.
type rower interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// Result codes of SQLite after which no retry helps (sqlite.org/rescode.html).
const (
	sqliteCorrupt = 11
	sqliteNotADB  = 26
)

// fileError says what can be done about an error of the file.
func fileError(err error) error {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code() & 0xff {
	case sqliteNotADB:
		return connect.Permanent(fmt.Errorf("the file is no table of ours; give another path: %w", err))
	case sqliteCorrupt:
		return connect.Permanent(fmt.Errorf("the file is damaged; put it back from a copy: %w", err))
	}
	return err
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && os.PathSeparator == '/' {
		return err
	}
	return nil
}

// transaction runs f alone among all writers.
func (s *Store) transaction(ctx context.Context, f func(*sql.Tx) error) error {
	// It begins as a writer (_txlock): one that reads first could be refused later.
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := f(tx); err != nil {
		return errors.Join(err, ignoreDone(tx.Rollback()))
	}
	return tx.Commit()
}

// Path is the file of the table.
func (s *Store) Path() string { return s.path }

// Close frees the table.
func (s *Store) Close() error {
	s.hub.leave()
	return errors.Join(s.read.Close(), s.write.Close())
}

const columns = "f.part, f.id, f.version, f.position, f.time, f.stored, f.epoch, f.doc"

func scanDocument(scan func(...any) error) (d Document, err error) {
	var stored int64
	var doc []byte
	err = scan(&d.Partition, &d.ID, &d.Version, &d.Position, (*int64)(&d.Time), &stored, &d.Epoch, &doc)
	d.Stored, d.Doc = time.UnixMicro(stored).UTC(), doc
	return d, err
}

// Get is the document of an id in a partition, "" if the table has none. fs.ErrNotExist says
// that there is no such document.
func (s *Store) Get(ctx context.Context, partition, id string) (Document, error) {
	d, err := scanDocument(s.read.QueryRowContext(ctx, "SELECT "+columns+" FROM docs d JOIN feed f ON f.position = d.position WHERE d.part = ? AND d.id = ?", partition, id).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return d, fs.ErrNotExist
	}
	return d, err
}

// Query says which documents Scan gives.
type Query struct {
	Prefix string // of the id
	// After is the document that the last answer ended with: zero values begin at the start.
	AfterPartition, AfterID string
	Limit                   int // 0 is 100
}

// MaxLimit is the most documents or changes that one call gives.
const MaxLimit = 10_000

func limitOf(n int) int {
	if n <= 0 {
		n = 100
	}
	return min(n, MaxLimit)
}

// Scan gives documents in the order of partition and id, at most Limit.
func (s *Store) Scan(ctx context.Context, q Query) ([]Document, error) {
	where := "(d.part, d.id) > (?, ?)"
	if q.AfterPartition == "" && q.AfterID == "" {
		where = "(d.part, d.id) >= (?, ?)"
	}
	return s.query(ctx, "SELECT "+columns+" FROM docs d JOIN feed f ON f.position = d.position WHERE "+where+
		" AND substr(d.id, 1, ?) = ? ORDER BY d.part, d.id LIMIT ?", q.AfterPartition, q.AfterID, len([]rune(q.Prefix)), q.Prefix, limitOf(q.Limit))
}

// Feed gives changes behind a position, at most n (0 is 100), oldest first. 0 is the start.
// connect.ErrGone says that some of them are no longer kept: Range tells from where on they
// are.
func (s *Store) Feed(ctx context.Context, after int64, n int) ([]Document, error) {
	return s.feed(ctx, after, math.MaxInt64, limitOf(n))
}

func (s *Store) feed(ctx context.Context, after, upTo int64, n int) ([]Document, error) {
	// What is forgotten is looked at second: it may have moved while the entries were read.
	list, err := s.query(ctx, "SELECT "+columns+" FROM feed f WHERE position > ? AND position <= ? ORDER BY position LIMIT ?", after, upTo, n)
	if err != nil {
		return nil, err
	}
	gone, err := s.forgotten(ctx)
	if err == nil && after < gone {
		err = fmt.Errorf("%w: position %d is asked for, and changes up to %d were forgotten", connect.ErrGone, after, gone)
	}
	return list, err
}

func (s *Store) forgotten(ctx context.Context) (n int64, err error) {
	err = s.read.QueryRowContext(ctx, "SELECT position FROM forgotten").Scan(&n)
	return n, err
}

func (s *Store) query(ctx context.Context, text string, args ...any) (list []Document, err error) {
	rows, err := s.read.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		d, err := scanDocument(rows.Scan)
		if err != nil {
			return nil, err
		}
		list = append(list, d)
	}
	return list, rows.Err()
}

// Range is what the feed has now.
func (s *Store) Range(ctx context.Context) (r Range, err error) {
	err = s.read.QueryRowContext(ctx, "SELECT (SELECT position + 1 FROM forgotten), (SELECT coalesce(max(position), 0) FROM feed), (SELECT count(*) FROM docs)").Scan(&r.First, &r.Last, &r.Documents)
	return r, err
}

// last is the position of the last change.
func (s *Store) last(ctx context.Context, q rower) (n int64, err error) {
	err = q.QueryRowContext(ctx, "SELECT coalesce(max(position), 0) FROM feed").Scan(&n)
	return n, err
}

// SeekTime is the position before the first change that was stored at a time or later.
func (s *Store) SeekTime(ctx context.Context, t time.Time) (int64, error) {
	micros := t.UnixMicro()
	if t.After(time.UnixMicro(micros)) {
		micros++
	}
	r, err := s.Range(ctx)
	if err != nil {
		return 0, err
	}
	// Times do not go back along the feed, and every position behind First has an entry or a
	// later one that replaced it.
	lo, hi := r.First, r.Last+1 // the answer is one before a position in [lo, hi]
	for lo < hi {
		mid := lo + (hi-lo)/2
		var at, stored int64
		err := s.read.QueryRowContext(ctx, "SELECT position, stored FROM feed WHERE position >= ? ORDER BY position LIMIT 1", mid).Scan(&at, &stored)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			hi = mid
		case err != nil:
			return 0, err
		case stored >= micros:
			hi = mid
		default:
			lo = at + 1
		}
	}
	return lo - 1, nil
}

// Wait waits until there is a change behind a position.
func (s *Store) Wait(ctx context.Context, after int64) error {
	f := s.hub.follow(s)
	defer f.close()
	for {
		last, err := s.last(ctx, s.read)
		if err != nil || last > after {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-f.ready:
		}
	}
}

func ignoreDone(err error) error {
	if errors.Is(err, sql.ErrTxDone) {
		return nil
	}
	return err
}
