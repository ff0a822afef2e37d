package sql

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	dbsql "database/sql"
	"database/sql/driver"
	"errors"
	"math"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	"weir/internal/connect"
	"weir/internal/vec"
)

// mysqlDialect is MySQL 5.7 and later and MariaDB 10.3 and later, with tables that have
// transactions.
var mysqlDialect = &dialect{
	name:    "mysql",
	aliases: []string{"mariadb"},
	summary: "Rows into a table of a MySQL or MariaDB database.",
	fields:  serverFields("3306", "`mysql://user:password@host:3306/database` or `user:password@tcp(host:3306)/database`"),
	example: `type: mysql
host: db.example.org
database: factory
user: weir
password: ${env:FACTORY_PASSWORD}
table: downtime
mode: insert_ignore
`,
	connector: mysqlConnector,
	secrets:   serverSecrets,
	setup: []string{
		// What does not fit is an error, never cut or made zero.
		"SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'",
		"SET SESSION time_zone = '+00:00'",
		"SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
		// A machine that went away without a word holds its locks no longer than this.
		"SET SESSION wait_timeout = 300",
	},
	begin: "START TRANSACTION", savepoint: "SAVEPOINT weir", back: "ROLLBACK TO SAVEPOINT weir",
	quote: quoteWith("`"),
	place: questionMark, maxParams: 65535, maxRows: math.MaxInt, maxName: 64,
	describe: describeMySQL,
	created: func(kinds vec.Kinds, key bool) string {
		switch kinds.NotNull() {
		case vec.KindsOf(vec.Int):
			return "BIGINT"
		case vec.KindsOf(vec.Float), numbers:
			return "DOUBLE"
		case vec.KindsOf(vec.Datetime):
			return "DATETIME(6)"
		case vec.KindsOf(vec.Bit):
			return "BOOLEAN"
		case vec.KindsOf(vec.Record), vec.KindsOf(vec.Array), vec.KindsOf(vec.Record, vec.Array):
			return "JSON"
		}
		if key {
			return "VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
		}
		return "LONGTEXT CHARACTER SET utf8mb4"
	},
	epochs: func(table string) string {
		const text = " VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL, "
		return "CREATE TABLE IF NOT EXISTS " + table + " (`job`" + text + "`output`" + text + "`instance`" + text + "`epoch` BIGINT NOT NULL, PRIMARY KEY (`job`, `output`, `instance`)) ENGINE=InnoDB"
	},
	write: func(w *statement, n int) string {
		text := w.into() + " " + w.values(n)
		set := w.rest()
		if w.mode == modeInsert {
			return text
		}
		if w.mode == modeIgnore || len(set) == 0 {
			// INSERT IGNORE would take more than equal keys for nothing: texts that are too
			// long, too.
			first := w.quoted(w.cols[0])
			return text + " ON DUPLICATE KEY UPDATE " + first + " = " + w.table.quoted + "." + first
		}
		return text + " ON DUPLICATE KEY UPDATE " + list(set, ", ", func(c *column) string { return w.quoted(c) + " = VALUES(" + w.quoted(c) + ")" })
	},
	fault:     mysqlFault,
	readSetup: []string{"SET SESSION time_zone = '+00:00'"},
	readOnly:  &dbsql.TxOptions{Isolation: dbsql.LevelRepeatableRead, ReadOnly: true},
}

func mysqlConnector(c connect.Config, roots *x509.CertPool) (driver.Connector, error) {
	cfg, err := mysqlConfig(c, roots)
	if err != nil {
		return nil, err
	}
	cfg.Loc = time.UTC
	cfg.ParseTime = false
	cfg.InterpolateParams = false
	cfg.MultiStatements = false
	cfg.AllowAllFiles = false
	cfg.ClientFoundRows = false // rows that were changed are what insert_ignore counts
	cfg.Logger = &mysql.NopLogger{}
	if cfg.Timeout == 0 {
		cfg.Timeout = 15 * time.Second
	}
	if err := cfg.Apply(mysql.Charset("utf8mb4", "")); err != nil {
		return nil, err
	}
	return mysql.NewConnector(cfg)
}

// mysqlConfig reads the settings: fields, a URL, or a string of the driver.
func mysqlConfig(c connect.Config, roots *x509.CertPool) (*mysql.Config, error) {
	cfg := mysql.NewConfig()
	cfg.Net = "tcp"
	mode, host, port := "", "", ""
	switch dsn := c.Secret("dsn").Expose(); {
	case dsn == "":
		host, port = c.Text("host"), or(portOf(c), "3306")
		if host == "" {
			return nil, errors.New("neither dsn nor host is set")
		}
		cfg.User, cfg.Passwd, cfg.DBName = c.Text("user"), c.Secret("password").Expose(), c.Text("database")
		mode = tlsMode(c, host)
	case strings.HasPrefix(dsn, "mysql://"), strings.HasPrefix(dsn, "mariadb://"):
		u, err := url.Parse(dsn)
		if err != nil {
			return nil, errDSN
		}
		host, port = u.Hostname(), or(u.Port(), "3306")
		cfg.User, cfg.DBName = u.User.Username(), strings.TrimPrefix(u.Path, "/")
		cfg.Passwd, _ = u.User.Password()
		mode = or(u.Query().Get("tls"), tlsMode(c, host))
	default:
		return mysql.ParseDSN(dsn)
	}
	if strings.HasPrefix(host, "/") {
		cfg.Net, cfg.Addr = "unix", host
		return cfg, nil
	}
	cfg.Addr = net.JoinHostPort(strings.Trim(host, "[]"), port)
	switch mode {
	case tlsVerify, "true":
		cfg.TLS = &tls.Config{ServerName: host, RootCAs: roots, MinVersion: tls.VersionTLS12}
	case tlsRequire, "skip-verify":
		cfg.TLS = &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}
	case tlsDisable, "false":
	default:
		return nil, errors.New("tls in the dsn is none of verify, require, disable")
	}
	return cfg, nil
}

// describeMySQL reads a table of a database, or of the one of the connection.
func describeMySQL(ctx context.Context, q querier, n name) (*table, error) {
	t := &table{}
	var engine dbsql.NullString
	var transactions dbsql.NullString
	err := query(ctx, q, func(scan func(...any) error) error {
		return scan(&t.name.schema, &t.name.table, &engine, &transactions)
	}, `
SELECT t.TABLE_SCHEMA, t.TABLE_NAME, t.ENGINE, e.TRANSACTIONS
FROM information_schema.TABLES t LEFT JOIN information_schema.ENGINES e ON e.ENGINE = t.ENGINE
WHERE t.TABLE_SCHEMA = COALESCE(NULLIF(?, ''), DATABASE()) AND LOWER(t.TABLE_NAME) = LOWER(?)
ORDER BY t.TABLE_NAME <> BINARY ?, t.TABLE_NAME LIMIT 1`, n.schema, n.table, n.table)
	if err != nil || t.name.table == "" {
		return nil, err
	}
	if engine.Valid && transactions.String == "NO" {
		t.trouble = "its engine " + engine.String + " has no transactions: ALTER TABLE ... ENGINE=InnoDB"
	}
	err = query(ctx, q, func(scan func(...any) error) error {
		c := &column{}
		var base, extra string
		var nullable string
		var fallback dbsql.NullString
		var chars, digits dbsql.NullInt64
		if err := scan(&c.name, &base, &c.typ, &nullable, &fallback, &extra, &chars, &digits); err != nil {
			return err
		}
		extra = strings.ToLower(extra)
		c.needed = nullable == "NO"
		c.filled = fallback.Valid && !strings.EqualFold(fallback.String, "null") || strings.Contains(extra, "auto_increment") || strings.Contains(extra, "default_generated")
		c.made = strings.Contains(extra, "virtual") || strings.Contains(extra, "stored") || strings.Contains(extra, "persistent")
		mysqlType(c, strings.ToLower(base), chars.Int64, int(digits.Int64))
		t.columns = append(t.columns, c)
		return nil
	}, `
SELECT COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, IS_NULLABLE, COLUMN_DEFAULT, EXTRA, CHARACTER_MAXIMUM_LENGTH, DATETIME_PRECISION
FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION`, t.name.schema, t.name.table)
	if err != nil {
		return nil, err
	}
	// JSON is a word for LONGTEXT CHECK (json_valid(`c`)) in MariaDB. MySQL has no such column
	// in its table of checks, and says so.
	_ = query(ctx, q, func(scan func(...any) error) error {
		var clause string
		if err := scan(&clause); err != nil {
			return err
		}
		for _, c := range t.columns {
			if c.class == textual && strings.EqualFold(clause, "json_valid("+quoteWith("`")(c.name)+")") {
				c.class, c.typ = document, "json"
			}
		}
		return nil
	}, `SELECT CHECK_CLAUSE FROM information_schema.CHECK_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = ? AND TABLE_NAME = ?`, t.name.schema, t.name.table)
	unique := map[string][]string{}
	err = query(ctx, q, func(scan func(...any) error) error {
		var index string
		var column dbsql.NullString
		if err := scan(&index, &column); err != nil {
			return err
		}
		unique[index] = append(unique[index], column.String)
		return nil
	}, `SELECT INDEX_NAME, COLUMN_NAME FROM information_schema.STATISTICS
WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? AND NON_UNIQUE = 0 ORDER BY INDEX_NAME, SEQ_IN_INDEX`, t.name.schema, t.name.table)
	for _, columns := range unique {
		t.unique = append(t.unique, columns)
	}
	return t, err
}

// mysqlType sets what a column holds by its type.
func mysqlType(c *column, base string, chars int64, digits int) {
	bounds := func(bits int) {
		c.class, c.lo, c.hi = integer, -1<<(bits-1), 1<<(bits-1)-1
		if strings.Contains(c.typ, "unsigned") {
			c.lo, c.hi = 0, 1<<bits-1
		}
	}
	switch base {
	case "tinyint":
		bounds(8)
		c.truth = strings.HasPrefix(c.typ, "tinyint(1)") // BOOLEAN is a word for it
	case "smallint":
		bounds(16)
	case "mediumint":
		bounds(24)
	case "int", "integer":
		bounds(32)
	case "bigint":
		c.class, c.lo, c.hi = integer, math.MinInt64, math.MaxInt64
		if strings.Contains(c.typ, "unsigned") {
			c.lo = 0
		}
	case "bit":
		c.class = boolean
	case "float":
		c.class, c.single = float, true
	case "double", "real":
		c.class = float
	case "decimal", "numeric":
		c.class = decimal
	case "char", "varchar":
		c.class, c.chars = textual, int(chars)
	case "tinytext", "text", "mediumtext", "longtext":
		c.class = textual
	case "datetime":
		c.class, c.digits = moment, digits
	case "timestamp":
		c.class, c.digits = moment, digits
		c.lo, c.hi = int64(vec.FromCivil(1970, 1, 1)+vec.Second), int64(vec.FromCivil(2038, 1, 19)+3*vec.Hour+14*vec.Minute+8*vec.Second-1)
	case "date":
		c.class = date
	case "json":
		c.class = document
	default:
		c.class = other
	}
}

func mysqlFault(err error) fault {
	if errors.Is(err, mysql.ErrPktTooLarge) {
		return fault{kind: badRow, name: errSize}
	}
	if errors.Is(err, mysql.ErrNoTLS) {
		return fault{kind: permanent, hint: "the server offers no encryption: switch it on there, or set tls: disable if the network is trusted"}
	}
	for _, login := range []error{mysql.ErrCleartextPassword, mysql.ErrNativePassword, mysql.ErrOldPassword, mysql.ErrUnknownPlugin, mysql.ErrOldProtocol} {
		if errors.Is(err, login) {
			return fault{kind: permanent, hint: hintLogin}
		}
	}
	var e *mysql.MySQLError
	if !errors.As(err, &e) {
		return commonFault(err)
	}
	return mysqlNumber(e.Number, e.Message)
}

// mysqlNumber is what an error number means (dev.mysql.com/doc/mysql-errors, and MariaDB's).
func mysqlNumber(number uint16, text string) fault {
	switch number {
	case 1062, 1586, 1022, 1169, 1761, 1762: // ER_DUP_ENTRY and its sisters
		return fault{kind: duplicate, name: errDuplicate}
	case 1048, 1364, 1263: // NULL, or no value, where one is needed
		return fault{kind: badRow, name: errRequired, column: firstQuoted(text)}
	case 1110: // two names that are one where rows are written, and were two where columns are made
		return fault{kind: badRow, name: errColumn}
	case 1118, 1153, 1301: // row or packet too large
		return fault{kind: badRow, name: errSize}
	case 1264, 1265, 1292, 1366, 1367, 1406, 1411, 1441, 1690, // ranges, cut texts, wrong values
		1216, 1217, 1451, 1452, 3819, 4025, // foreign keys, CHECK
		1644, 1365, 1526, 1748, 3140, 3141, 3156, 3903: // SIGNAL, division by zero, partitions, JSON
		return fault{kind: badRow, name: errType, column: columnAfter(text)}
	case 1146:
		return fault{kind: missingTable}
	case 1054:
		return fault{kind: missingColumn}
	case 1050, 1060:
		return fault{kind: exists}
	case 1044, 1142, 1143, 1227, 1370:
		return fault{kind: permanent, hint: hintPermission}
	case 1045, 1698, 1820, 1862, 1251, 3118, 4151:
		return fault{kind: permanent, hint: hintLogin}
	case 1049, 1046:
		return fault{kind: permanent, hint: hintDatabase}
	case 1064, 1149, 1235, 1071, 1074, 1113, 1166, 1059, 1103:
		return fault{kind: permanent}
	}
	// 1205 and 1213 locks, 1040 and 1203 too many connections, 1053 and 1927 shutdown and
	// KILL, 1290, 1792 and 1836 read-only, 1021 and 1114 full disks, 1047 a cluster that is
	// not ready ...
	return fault{kind: again}
}

// firstQuoted is the first text in '...' of a message.
func firstQuoted(text string) string {
	_, rest, _ := strings.Cut(text, "'")
	word, _, ok := strings.Cut(rest, "'")
	if !ok {
		return ""
	}
	return word
}

// columnAfter is the name in "... for column 'a' at row 1", which MariaDB writes with its
// table: `db`.`t`.`a`.
func columnAfter(text string) string {
	_, rest, ok := strings.Cut(text, "for column ")
	if !ok {
		return ""
	}
	if i := strings.LastIndex(rest, " at row "); i >= 0 {
		rest = rest[:i]
	}
	if strings.HasPrefix(rest, "`") {
		rest = rest[strings.LastIndex(rest, ".")+1:]
	}
	return strings.Trim(rest, "`'")
}
