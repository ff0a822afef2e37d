package sql

import (
	"context"
	"crypto/x509"
	dbsql "database/sql"
	"database/sql/driver"
	"net"
	"strings"

	"weir/internal/connect"
	"weir/internal/vec"
)

// dialect is what a database has of its own: words, types, its catalogue and its errors.
type dialect struct {
	name    string
	aliases []string
	summary string
	fields  []connect.Field // of the connection
	example string

	// connector makes the driver's way to a connection; it opens nothing. roots are the
	// authorities to trust, nil for those of the system.
	connector func(c connect.Config, roots *x509.CertPool) (driver.Connector, error)
	// secrets are the texts of a Config that no message may have.
	secrets func(c connect.Config) []string
	// setup are statements for a new connection. What fails is logged and left.
	setup []string

	begin, savepoint, release, back string
	quote                           func(string) string
	// place is the parameter of a number, from 1.
	place     func(i int) string
	maxParams int
	// maxRows is the most rows in a list of VALUES.
	maxRows int
	// maxName is the longest name of a column, in bytes.
	maxName int
	// reserved are names that no column of a table can have.
	reserved []string

	// describe reads the catalogue: the table that a name means, nil if there is none.
	describe func(ctx context.Context, q querier, n name) (*table, error)
	// created is the type of a column of a table that we make.
	created func(kinds vec.Kinds, key bool) string
	// epochs is the CREATE TABLE of the table of epochs.
	epochs func(table string) string
	// write is the statement that writes n rows into some columns of a table.
	write func(w *statement, n int) string
	// args are the parameters of the statement; nil: the values, row by row.
	args func(cols []*column, rows [][]any) []any
	// bulk, if set, writes rows in a faster way than statements. It reports false, and has done
	// nothing, if it is not for these columns or this connection.
	bulk func(ctx context.Context, conn *dbsql.Conn, w *statement, rows [][]any) (bool, error)
	// null is the parameter for NULL of a column; nil: nil.
	null func(c *column) any
	// fault says what an error of the driver means.
	fault func(err error) fault
	// reader is connector for inputs, which make nothing that is not there; nil: connector.
	reader func(c connect.Config, roots *x509.CertPool) (driver.Connector, error)
	// readSetup are statements for a connection that reads, and readOnly is the transaction that
	// it reads in; nil: none.
	readSetup []string
	readOnly  *dbsql.TxOptions
	// sync makes what was committed durable, if COMMIT alone does not.
	sync func(ctx context.Context, s *Sink) error
}

// querier is a connection as far as the catalogue needs it.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*dbsql.Rows, error)
}

// faultKind is what an error asks for.
type faultKind uint8

const (
	again         faultKind = iota // it may go away: networks, locks, restarts, full disks
	permanent                      // somebody has to do something
	badRow                         // a row is not taken
	duplicate                      // a row is not taken because a unique key has it
	missingTable                   // there is no such table
	missingColumn                  // there is no such column
	exists                         // what is to be made is there
)

// fault is what an error of a database means.
type fault struct {
	kind   faultKind
	name   string // of a row that is not taken, as the original calls it
	column string
	hint   string
}

// Names of output data errors (saql.md 3.11, 13.4).
const (
	errRequired  = "OutputDataConversionError.RequiredColumnMissing"
	errColumn    = "OutputDataConversionError.ColumnNameInvalid"
	errType      = "OutputDataConversionError.TypeConversionError"
	errSize      = "OutputDataConversionError.RecordExceededSizeLimit"
	errDuplicate = "OutputDataConversionError.DuplicateKey"
)

// The values of tls.
const (
	tlsVerify  = "verify"
	tlsRequire = "require"
	tlsDisable = "disable"
)

// tlsMode is the tls setting, with its default for a host.
func tlsMode(c connect.Config, host string) string {
	if mode := c.Text("tls"); mode != "" {
		return mode
	}
	if ip := net.ParseIP(strings.Trim(host, "[]")); host == "localhost" || strings.HasPrefix(host, "/") || ip != nil && ip.IsLoopback() {
		return tlsDisable
	}
	return tlsVerify
}

// quoteWith quotes names with a character that is doubled inside.
func quoteWith(c string) func(string) string {
	return func(s string) string { return c + strings.ReplaceAll(s, c, c+c) + c }
}

// questionMark is the parameter of databases that do not number them.
func questionMark(int) string { return "?" }

// query reads the rows of a query into values of strings, numbers and NULLs.
func query(ctx context.Context, q querier, row func(scan func(...any) error) error, text string, args ...any) error {
	rows, err := q.QueryContext(ctx, text, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}
