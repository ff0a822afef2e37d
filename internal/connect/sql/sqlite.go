package sql

import (
	"context"
	"crypto/x509"
	dbsql "database/sql"
	"database/sql/driver"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"

	"modernc.org/sqlite"

	"weir/internal/connect"
	"weir/internal/vec"
)

// sqliteDialect is the embedded database. It works with a write-ahead log, which a COMMIT
// does not sync: a loss of power takes back the last epochs whole, each with its number, and
// the job makes them again. See syncSQLite for what makes them stay.
var sqliteDialect = &dialect{
	name:    "sqlite",
	summary: "Rows into a table of a SQLite database file.",
	fields: []connect.Field{
		{Name: "path", Type: connect.Path, Required: true, Doc: "The database file. For an output it is made if it is not there, with the directories above it."},
	},
	example: `type: sqlite
path: ./results.db
table: downtime
mode: upsert
key: [TeamId, Time]
`,
	connector: func(c connect.Config, _ *x509.CertPool) (driver.Connector, error) { return sqliteFile(c, "") },
	secrets:   func(connect.Config) []string { return nil },
	// The journal comes first: its file is made while synchronous is still full.
	setup: []string{"PRAGMA busy_timeout = 5000", "PRAGMA journal_mode = WAL", "PRAGMA foreign_keys = ON", "PRAGMA synchronous = NORMAL"},
	// One that begins to read and then wants to write can be refused for good; this one waits.
	begin: "BEGIN IMMEDIATE", savepoint: "SAVEPOINT weir", release: "RELEASE weir", back: "ROLLBACK TO weir",
	quote: quoteWith(`"`),
	place: questionMark, maxParams: 32766, maxRows: 100, maxName: 255,
	describe: describeSQLite,
	created: func(kinds vec.Kinds, _ bool) string {
		switch kinds.NotNull() {
		case vec.KindsOf(vec.Int):
			return "INTEGER"
		case vec.KindsOf(vec.Float):
			return "REAL"
		case vec.KindsOf(vec.String), vec.KindsOf(vec.Datetime):
			return "TEXT"
		case vec.KindsOf(vec.Bit):
			return "BOOLEAN"
		case vec.KindsOf(vec.Record), vec.KindsOf(vec.Array), vec.KindsOf(vec.Record, vec.Array):
			return "JSON"
		}
		return "" // a column without a type keeps every value as it is
	},
	epochs: func(table string) string {
		return "CREATE TABLE IF NOT EXISTS " + table + ` ("job" TEXT NOT NULL, "output" TEXT NOT NULL, "instance" TEXT NOT NULL, "epoch" INTEGER NOT NULL, "synced" INTEGER NOT NULL DEFAULT 0, PRIMARY KEY ("job", "output", "instance"))`
	},
	write:  func(w *statement, n int) string { return w.into() + " " + w.values(n) + w.onConflict() },
	fault:  sqliteFault,
	reader: func(c connect.Config, _ *x509.CertPool) (driver.Connector, error) { return sqliteFile(c, "?mode=rw") },
	// A read that meets the end of a log waits; nothing is written.
	readSetup: []string{"PRAGMA busy_timeout = 5000", "PRAGMA query_only = ON"},
	readOnly:  &dbsql.TxOptions{},
	sync:      syncSQLite,
}

// sqliteFile is the way to a database file.
func sqliteFile(c connect.Config, options string) (driver.Connector, error) {
	path := c.Text("path")
	if path == "" {
		return nil, errors.New("path is not set")
	}
	// The file is a URI for SQLite, so that no character of it is taken for a setting.
	path = strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(filepath.ToSlash(path))
	return sqlite.NewConnector("file:" + path + options)
}

// describeSQLite reads a table of the main or another attached database.
func describeSQLite(ctx context.Context, q querier, n name) (*table, error) {
	schema := or(n.schema, "main")
	t := &table{}
	var strict bool
	find := func(condition string) error {
		return query(ctx, q, func(scan func(...any) error) error {
			t.name = n
			return scan(&t.name.table, &strict)
		}, "SELECT name, strict FROM pragma_table_list WHERE schema = ? AND type IN ('table', 'view') AND "+condition, schema, n.table)
	}
	err := find("name = ?")
	if err == nil && t.name.table == "" {
		err = find("lower(name) = lower(?)")
	}
	if err != nil || t.name.table == "" {
		return nil, err
	}
	var keys []string
	err = query(ctx, q, func(scan func(...any) error) error {
		var typ string
		var fallback dbsql.NullString
		var needed bool
		var pk, hidden int
		c := &column{}
		if err := scan(&c.name, &typ, &needed, &fallback, &pk, &hidden); err != nil {
			return err
		}
		sqliteType(c, typ, strict)
		c.needed, c.filled, c.made = needed, fallback.Valid, hidden > 1
		if pk > 0 {
			keys = append(keys, c.name)
		}
		t.columns = append(t.columns, c)
		return nil
	}, `SELECT name, type, "notnull", dflt_value, pk, hidden FROM pragma_table_xinfo(?, ?) WHERE hidden <> 1 ORDER BY cid`, t.name.table, schema)
	if err != nil {
		return nil, err
	}
	if len(keys) == 1 {
		// INTEGER PRIMARY KEY is the number of the row: SQLite makes one if there is none.
		if c, err := t.find(keys[0]); err == nil && strings.EqualFold(c.typ, "integer") {
			c.filled = true
		}
	}
	if len(keys) > 0 {
		t.unique = append(t.unique, keys)
	}
	unique := map[string][]string{}
	err = query(ctx, q, func(scan func(...any) error) error {
		var index, column dbsql.NullString
		if err := scan(&index, &column); err != nil {
			return err
		}
		unique[index.String] = append(unique[index.String], column.String)
		return nil
	}, `SELECT l.name, i.name FROM pragma_index_list(?, ?) l, pragma_index_info(l.name, ?) i WHERE l."unique" = 1 AND l.partial = 0 ORDER BY l.name, i.seqno`,
		t.name.table, schema, schema)
	for _, columns := range unique {
		t.unique = append(t.unique, columns)
	}
	return t, err
}

// sqliteType sets what a column holds, by the words of its type. SQLite itself takes any value
// in nearly any column; what the type says is held to all the same, as other databases do.
func sqliteType(c *column, typ string, strict bool) {
	c.typ = or(strings.ToLower(typ), "any")
	upper := strings.ToUpper(typ)
	has := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(upper, w) {
				return true
			}
		}
		return false
	}
	c.digits, c.iso = 7, true
	switch {
	case typ == "" || strict && upper == "ANY":
		c.class = anything
	case has("INT"):
		c.class, c.lo, c.hi = integer, math.MinInt64, math.MaxInt64
	case has("CHAR", "CLOB", "TEXT"):
		c.class = textual
	case has("REAL", "FLOA", "DOUB"):
		c.class = float
	case has("BOOL"):
		c.class = boolean
	case has("JSON"):
		c.class = document
	case has("DATETIME", "TIMESTAMP"):
		c.class = moment
	case has("DATE"):
		c.class = date
	default:
		c.class = anything // NUMERIC, DECIMAL ... too: SQLite makes numbers of what looks like one
	}
}

// syncSQLite makes all commits before it durable: a commit under synchronous = FULL syncs the
// write-ahead log, and with it all that stands in it before.
func syncSQLite(ctx context.Context, s *Sink) error {
	l := s.link
	l.rollback() // one that waits for its Commit is made again: the setting cannot change in it
	if err := l.connect(ctx); err != nil {
		return err
	}
	if _, err := l.conn.ExecContext(ctx, "PRAGMA synchronous = FULL"); err != nil {
		l.discard()
		return err
	}
	// The value must differ: SQLite writes no page that stays the same.
	_, err := l.conn.ExecContext(ctx, "UPDATE "+s.epochs+` SET "synced" = "synced" + 1 WHERE "job" = ? AND "output" = ? AND "instance" = ?`, s.id[:]...)
	if err == nil {
		_, err = l.conn.ExecContext(ctx, "PRAGMA synchronous = NORMAL")
	}
	if err != nil {
		l.discard()
		return err
	}
	if s.dirSynced {
		return nil
	}
	// The names of the file and its log, once: they stay.
	dir, err := os.Open(filepath.Dir(s.path))
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := dir.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && os.PathSeparator == '/' {
		return err
	}
	s.dirSynced = true
	return nil
}

// Result codes of SQLite (sqlite.org/rescode.html).
const (
	sqliteError      = 1
	sqlitePerm       = 3
	sqliteReadonly   = 8
	sqliteCorrupt    = 11
	sqliteCantOpen   = 14
	sqliteTooBig     = 18
	sqliteConstraint = 19
	sqliteMismatch   = 20
	sqliteMisuse     = 21
	sqliteAuth       = 23
	sqliteRange      = 25
	sqliteNotADB     = 26

	sqliteNotNull    = sqliteConstraint | 5<<8
	sqlitePrimaryKey = sqliteConstraint | 6<<8
	sqliteUnique     = sqliteConstraint | 8<<8
	sqliteRowID      = sqliteConstraint | 10<<8
)

func sqliteFault(err error) fault {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return commonFault(err)
	}
	text := e.Error()
	switch code := e.Code(); code & 0xff {
	case sqliteConstraint:
		switch code {
		case sqliteUnique, sqlitePrimaryKey, sqliteRowID:
			return fault{kind: duplicate, name: errDuplicate, column: lastColumn(text)}
		case sqliteNotNull:
			return fault{kind: badRow, name: errRequired, column: lastColumn(text)}
		}
		return fault{kind: badRow, name: errType}
	case sqliteMismatch:
		return fault{kind: badRow, name: errType}
	case sqliteTooBig:
		return fault{kind: badRow, name: errSize}
	case sqliteError:
		switch {
		case strings.Contains(text, "no such table"):
			return fault{kind: missingTable}
		case strings.Contains(text, "has no column named"), strings.Contains(text, "no such column"):
			return fault{kind: missingColumn}
		case strings.Contains(text, "already exists"), strings.Contains(text, "duplicate column name"):
			return fault{kind: exists}
		}
		return fault{kind: permanent}
	case sqliteReadonly, sqlitePerm, sqliteAuth, sqliteCantOpen:
		return fault{kind: permanent, hint: "the file and its directory must be writable for who runs the job"}
	case sqliteCorrupt, sqliteNotADB:
		return fault{kind: permanent, hint: "the file is damaged or no SQLite database; restore it, or name another one"}
	case sqliteMisuse, sqliteRange:
		return fault{kind: permanent}
	}
	return fault{kind: again}
}

// lastColumn is the column in "UNIQUE constraint failed: table.column (2067)", "" if there are
// several.
func lastColumn(text string) string {
	_, where, ok := strings.Cut(text, "constraint failed: ")
	if !ok || strings.Contains(where, ", ") {
		return ""
	}
	if i := strings.LastIndex(where, " ("); i >= 0 {
		where = where[:i]
	}
	if _, after, ok := strings.Cut(where, "constraint failed: "); ok {
		where = after
	}
	return where[strings.LastIndexByte(where, '.')+1:]
}
