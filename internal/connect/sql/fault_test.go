package sql

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
	mssql "github.com/microsoft/go-mssqldb"
)

// TestFaults: what each error of each database asks for.
func TestFaults(t *testing.T) {
	f := func(d *dialect, err error, kind faultKind, name, column string) {
		t.Helper()
		err = fmt.Errorf("wrapped: %w", err)
		if got := d.fault(err); got.kind != kind || got.name != name || got.column != column {
			t.Errorf("%s: %v: %+v", d.name, err, got)
		}
	}
	for _, d := range []*dialect{sqliteDialect, postgresDialect, mysqlDialect, sqlserverDialect} {
		f(d, io.ErrUnexpectedEOF, again, "", "")
		f(d, errors.New("dial tcp: connection refused"), again, "", "")
		f(d, x509.UnknownAuthorityError{}, permanent, "", "")
		f(d, errors.New("server refused TLS connection"), permanent, "", "")
	}
	pg := func(code string, kind faultKind, name string) {
		t.Helper()
		f(postgresDialect, &pgconn.PgError{Code: code}, kind, name, "")
	}
	for _, code := range []string{"08006", "40001", "40P01", "53300", "53100", "55P03", "57P01", "57P03", "57014", "58030", "XX000", "25006", "25P03", "25P02", "odd"} {
		pg(code, again, "")
	}
	for _, code := range []string{"28P01", "28000", "3D000", "42501", "42601", "42P10", "3F000", "0A000"} {
		pg(code, permanent, "")
	}
	for _, code := range []string{"22001", "22003", "22P02", "22007", "23503", "23514", "44000", "P0001"} {
		pg(code, badRow, errType)
	}
	pg("23502", badRow, errRequired)
	pg("54000", badRow, errSize)
	pg("23505", duplicate, errDuplicate)
	pg("42P01", missingTable, "")
	pg("42703", missingColumn, "")
	pg("42P07", exists, "")

	my := func(number uint16, text string, kind faultKind, name, column string) {
		t.Helper()
		f(mysqlDialect, &mysql.MySQLError{Number: number, Message: text}, kind, name, column)
	}
	for _, n := range []uint16{1040, 1203, 1205, 1213, 1053, 1927, 1290, 1792, 1836, 1021, 1114, 1047, 1317, 4031, 3024, 1105} {
		my(n, "", again, "", "")
	}
	for _, n := range []uint16{1044, 1045, 1049, 1142, 1227, 1698, 1064, 1820} {
		my(n, "", permanent, "", "")
	}
	my(1048, "Column 'a' cannot be null", badRow, errRequired, "a")
	my(1364, "Field 'a' doesn't have a default value", badRow, errRequired, "a")
	my(1264, "Out of range value for column 'a' at row 1", badRow, errType, "a")
	my(1366, "Incorrect integer value: 'x' for column `d`.`t`.`a b` at row 3", badRow, errType, "a b")
	my(1406, "Data too long for column 'a' at row 1", badRow, errType, "a")
	my(4025, "CONSTRAINT `c` failed", badRow, errType, "")
	my(1153, "", badRow, errSize, "")
	my(1062, "", duplicate, errDuplicate, "")
	my(1146, "", missingTable, "", "")
	my(1054, "", missingColumn, "", "")
	my(1050, "", exists, "", "")
	f(mysqlDialect, mysql.ErrPktTooLarge, badRow, errSize, "")
	f(mysqlDialect, mysql.ErrInvalidConn, again, "", "")
	f(mysqlDialect, mysql.ErrNoTLS, permanent, "", "")
	f(mysqlDialect, mysql.ErrOldPassword, permanent, "", "")

	ms := func(number int32, text string, kind faultKind, name, column string) {
		t.Helper()
		e := mssql.Error{Number: number, Message: text}
		// The driver reports the last error of a chain, and the cause stands first.
		f(sqlserverDialect, mssql.Error{Number: 3621, All: []mssql.Error{e, {Number: 3621}}}, kind, name, column)
		f(sqlserverDialect, e, kind, name, column)
	}
	for _, n := range []int32{1205, 1222, 40197, 40501, 40613, 49918, 10928, 4060, 3906, 9002, 596, 6005, 64, 99999 - 60000} {
		ms(n, "", again, "", "")
	}
	for _, n := range []int32{18456, 229, 262, 40615, 102, 916} {
		ms(n, "", permanent, "", "")
	}
	ms(515, "Cannot insert the value NULL into column 'a', table 'd.dbo.t'; column does not allow nulls.", badRow, errRequired, "a")
	ms(2628, "String or binary data would be truncated in table 'd.dbo.t', column 'a'. Truncated value: 'x'.", badRow, errType, "a")
	ms(547, "", badRow, errType, "")
	ms(8115, "", badRow, errType, "")
	ms(50000, "", badRow, errType, "")
	ms(2627, "", duplicate, errDuplicate, "")
	ms(2601, "", duplicate, errDuplicate, "")
	ms(208, "", missingTable, "", "")
	ms(207, "", missingColumn, "", "")
	ms(2714, "", exists, "", "")
}

func TestLastColumn(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		if got := lastColumn(text); got != want {
			t.Errorf("%s gives %q", text, got)
		}
	}
	f("constraint failed: UNIQUE constraint failed: t.a (2067)", "a")
	f("constraint failed: NOT NULL constraint failed: t.b c (1299)", "b c")
	f("constraint failed: UNIQUE constraint failed: t.a, t.b (2067)", "")
	f("database is locked (5)", "")
}
