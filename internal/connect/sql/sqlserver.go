package sql

import (
	"context"
	"crypto/x509"
	dbsql "database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math"
	"net/url"
	"strings"

	mssql "github.com/microsoft/go-mssqldb"
	"github.com/microsoft/go-mssqldb/msdsn"

	"weir/internal/connect"
	"weir/internal/vec"
)

// sqlserverDialect is SQL Server 2016 and later, Azure SQL Database and Synapse SQL pools as
// far as they speak the same language.
var sqlserverDialect = &dialect{
	name:    "sqlserver",
	aliases: []string{"mssql", "azuresql"},
	summary: "Rows into a table of SQL Server or Azure SQL Database.",
	fields:  serverFields("1433", "`sqlserver://user:password@host:1433?database=...` or `Server=...;Database=...;User Id=...;Password=...`"),
	example: `type: sqlserver
host: example.database.windows.net
database: factory
user: weir
password: ${env:FACTORY_PASSWORD}
table: dbo.downtime
mode: upsert
key: [TeamId, Time]
`,
	connector: sqlserverConnector,
	secrets:   serverSecrets,
	// The settings that indexes on views and computed columns ask for; errors end a statement
	// and not the transaction.
	setup: []string{"SET XACT_ABORT OFF; SET ANSI_NULLS ON; SET ANSI_WARNINGS ON; SET ARITHABORT ON; SET QUOTED_IDENTIFIER ON; SET TRANSACTION ISOLATION LEVEL READ COMMITTED"},
	begin: "BEGIN TRANSACTION", savepoint: "SAVE TRANSACTION weir", back: "ROLLBACK TRANSACTION weir",
	quote: bracket,
	place: func(i int) string { return fmt.Sprintf("@p%d", i) },
	// A call takes 2,100 parameters, of which the text and their declaration are two.
	maxParams: 2098, maxRows: 1000, maxName: 128,
	describe: describeSQLServer,
	created: func(kinds vec.Kinds, key bool) string {
		switch kinds.NotNull() {
		case vec.KindsOf(vec.Int):
			return "bigint"
		case vec.KindsOf(vec.Float), numbers:
			return "float"
		case vec.KindsOf(vec.Datetime):
			return "datetime2(7)"
		case vec.KindsOf(vec.Bit):
			return "bit"
		}
		if key {
			return "nvarchar(200)"
		}
		return "nvarchar(max)"
	},
	epochs: func(table string) string {
		const text = " nvarchar(140) COLLATE Latin1_General_100_BIN2 NOT NULL, "
		return "CREATE TABLE " + table + " ([job]" + text + "[output]" + text + "[instance]" + text + "[epoch] bigint NOT NULL, PRIMARY KEY ([job], [output], [instance]))"
	},
	write: writeSQLServer,
	null:  nullSQLServer,
	fault: sqlserverFault,
}

// bracket quotes a name.
func bracket(s string) string { return "[" + strings.ReplaceAll(s, "]", "]]") + "]" }

func sqlserverConnector(c connect.Config, roots *x509.CertPool) (driver.Connector, error) {
	dsn := c.Secret("dsn").Expose()
	if dsn == "" {
		// tcp:example.database.windows.net,1433 is how Azure writes it.
		host, port := strings.TrimPrefix(c.Text("host"), "tcp:"), or(portOf(c), "1433")
		if h, p, ok := strings.Cut(host, ","); ok {
			host, port = h, strings.TrimSpace(p)
		}
		if host == "" {
			return nil, errors.New("neither dsn nor host is set")
		}
		set := url.Values{}
		if db := c.Text("database"); db != "" {
			set.Set("database", db)
		}
		switch tlsMode(c, host) {
		case tlsVerify:
			set.Set("encrypt", "true")
			set.Set("TrustServerCertificate", "false")
		case tlsRequire:
			set.Set("encrypt", "true")
			set.Set("TrustServerCertificate", "true")
		default:
			set.Set("encrypt", "disable")
		}
		// A named instance has its port from the server's browser service.
		u := url.URL{Scheme: "sqlserver", User: url.UserPassword(c.Text("user"), c.Secret("password").Expose()), Host: host + ":" + port, RawQuery: set.Encode()}
		if h, instance, ok := strings.Cut(host, `\`); ok {
			u.Host, u.Path = h, instance
		}
		dsn = u.String()
	}
	cfg, err := msdsn.Parse(dsn)
	if err != nil {
		if c.Secret("dsn").Expose() != "" {
			return nil, errDSN
		}
		return nil, err
	}
	if cfg.Host == "" {
		return nil, errors.New("the dsn names no server")
	}
	if cfg.AppName == "go-mssqldb" {
		cfg.AppName = "weir"
	}
	cfg.LogFlags = 0
	// A statement that is sent again behind our back could be written twice.
	cfg.DisableRetry = true
	if roots != nil && cfg.TLSConfig != nil {
		cfg.TLSConfig.RootCAs = roots
	}
	return mssql.NewConnectorConfig(cfg), nil
}

// describeSQLServer reads a table of a schema, or of the user's own.
func describeSQLServer(ctx context.Context, q querier, n name) (*table, error) {
	t := &table{}
	var id int64
	err := query(ctx, q, func(scan func(...any) error) error { return scan(&id, &t.name.schema, &t.name.table) }, `
SELECT o.object_id, s.name, o.name FROM sys.objects o JOIN sys.schemas s ON s.schema_id = o.schema_id
WHERE o.object_id = OBJECT_ID(@p1) AND o.type IN ('U', 'V')`, full(bracket, n))
	if err != nil || t.name.table == "" {
		return nil, err
	}
	err = query(ctx, q, func(scan func(...any) error) error {
		c := &column{utf16: true}
		var length, scale int64
		if err := scan(&c.name, &c.typ, &length, &scale, &c.needed, &c.filled, &c.made); err != nil {
			return err
		}
		sqlserverType(c, int(length), int(scale))
		t.columns = append(t.columns, c)
		return nil
	}, `
SELECT c.name, t.name, c.max_length, c.scale, CAST(1 - c.is_nullable AS bit), CAST(CASE WHEN c.default_object_id <> 0 THEN 1 ELSE 0 END AS bit),
  CAST(CASE WHEN c.is_identity = 1 OR c.is_computed = 1 OR t.name = 'timestamp' THEN 1 ELSE 0 END AS bit)
FROM sys.columns c JOIN sys.types t ON t.user_type_id = c.system_type_id
WHERE c.object_id = @p1 ORDER BY c.column_id`, id)
	if err != nil {
		return nil, err
	}
	unique := map[int64][]string{}
	err = query(ctx, q, func(scan func(...any) error) error {
		var index int64
		var column string
		if err := scan(&index, &column); err != nil {
			return err
		}
		unique[index] = append(unique[index], column)
		return nil
	}, `
SELECT i.index_id, c.name FROM sys.indexes i
JOIN sys.index_columns k ON k.object_id = i.object_id AND k.index_id = i.index_id AND k.is_included_column = 0
JOIN sys.columns c ON c.object_id = k.object_id AND c.column_id = k.column_id
WHERE i.object_id = @p1 AND i.is_unique = 1 AND i.has_filter = 0 AND i.is_disabled = 0 ORDER BY i.index_id, k.key_ordinal`, id)
	for _, columns := range unique {
		t.unique = append(t.unique, columns)
	}
	return t, err
}

// sqlserverType sets what a column holds by its type; length is in bytes, -1 for max.
func sqlserverType(c *column, length, scale int) {
	base := strings.ToLower(c.typ)
	moments := func(digits, firstYear int) {
		c.class, c.digits = moment, digits
		c.lo, c.hi = int64(vec.FromCivil(firstYear, 1, 1)), int64(vec.MaxDatetime)
	}
	switch base {
	case "tinyint":
		c.class, c.lo, c.hi = integer, 0, 255
	case "smallint":
		c.class, c.lo, c.hi = integer, math.MinInt16, math.MaxInt16
	case "int":
		c.class, c.lo, c.hi = integer, math.MinInt32, math.MaxInt32
	case "bigint":
		c.class, c.lo, c.hi = integer, math.MinInt64, math.MaxInt64
	case "bit":
		c.class = boolean
	case "float":
		c.class = float
	case "real":
		c.class, c.single = float, true
	case "decimal", "numeric", "money", "smallmoney":
		c.class = decimal
	case "nvarchar", "nchar", "sysname":
		c.class = textual
		if length > 0 {
			c.chars = length / 2
		}
	case "varchar", "char":
		c.class = textual
		if length > 0 {
			c.chars = length
		}
	case "text", "ntext":
		c.class = textual
	case "datetime2":
		moments(scale, 1)
	case "datetimeoffset":
		moments(scale, 1)
		c.zone = true
	case "datetime":
		moments(3, 1753)
	case "smalldatetime":
		moments(0, 1900)
		c.hi = int64(vec.FromCivil(2079, 6, 6))
	case "date":
		c.class = date
	case "json":
		c.class = document
	default:
		c.class = other
	}
	switch {
	case base == "nvarchar" || base == "varchar" || base == "nchar" || base == "char":
		size := "max"
		if c.chars > 0 {
			size = fmt.Sprint(c.chars)
		}
		c.typ = base + "(" + size + ")"
	case base == "datetime2" || base == "datetimeoffset":
		c.typ = fmt.Sprintf("%s(%d)", base, scale)
	}
}

// nullSQLServer is NULL with a type, so that a statement has the same declaration whatever
// is NULL in it, and the server need not compile it anew.
func nullSQLServer(c *column) any {
	switch c.class {
	case integer:
		return dbsql.NullInt64{}
	case float:
		return dbsql.NullFloat64{}
	case boolean:
		return dbsql.NullBool{}
	case moment:
		return dbsql.NullTime{}
	}
	return dbsql.NullString{}
}

// writeSQLServer is INSERT ... VALUES, or MERGE for upsert, or INSERT ... WHERE NOT EXISTS.
// HOLDLOCK keeps others from adding a key between the look and the insert.
func writeSQLServer(w *statement, n int) string {
	source := "(" + w.values(n) + ") AS s (" + list(w.cols, ", ", w.quoted) + ")"
	of := func(alias string) func(c *column) string {
		return func(c *column) string { return alias + "." + w.quoted(c) }
	}
	on := list(w.key, " AND ", func(c *column) string { return of("t")(c) + " = " + of("s")(c) })
	switch {
	case w.mode == modeUpsert:
		text := "MERGE INTO " + w.table.quoted + " WITH (HOLDLOCK) AS t USING " + source + " ON " + on
		if rest := w.rest(); len(rest) > 0 {
			text += " WHEN MATCHED THEN UPDATE SET " + list(rest, ", ", func(c *column) string { return w.quoted(c) + " = " + of("s")(c) })
		}
		return text + " WHEN NOT MATCHED THEN INSERT (" + list(w.cols, ", ", w.quoted) + ") VALUES (" + list(w.cols, ", ", of("s")) + ");"
	case w.mode == modeIgnore && len(w.key) > 0:
		return w.into() + " SELECT " + list(w.cols, ", ", of("s")) + " FROM " + source +
			" WHERE NOT EXISTS (SELECT 1 FROM " + w.table.quoted + " AS t WITH (UPDLOCK, HOLDLOCK) WHERE " + on + ")"
	}
	return w.into() + " " + w.values(n)
}

func sqlserverFault(err error) fault {
	var e mssql.Error
	if !errors.As(err, &e) {
		return commonFault(err)
	}
	// The first error of a chain is the cause; what follows says that the statement ended.
	for _, one := range e.All {
		if f, known := sqlserverNumber(one.Number, one.Message); known {
			return f
		}
	}
	f, _ := sqlserverNumber(e.Number, e.Message)
	return f
}

// sqlserverNumber is what an error number means (learn.microsoft.com, "Database engine events
// and errors", and for Azure "Troubleshoot transient connection errors").
func sqlserverNumber(number int32, text string) (f fault, known bool) {
	switch number {
	case 2627, 2601:
		return fault{kind: duplicate, name: errDuplicate}, true
	case 515: // Cannot insert the value NULL into column 'a'
		return fault{kind: badRow, name: errRequired, column: firstQuoted(text)}, true
	case 511, 1946: // row or key too large
		return fault{kind: badRow, name: errSize}, true
	case 8672: // MERGE met a row twice: keys that are equal for the server only
		return fault{kind: badRow, name: errDuplicate}, true
	case 547, 550, // foreign keys, CHECK, check option
		2628, 8152, // texts that would be cut
		220, 232, 244, 248, 8115, 8023, // overflows
		241, 242, 245, 295, 296, 8114, 8169, 206, 257, 529, // conversions
		13608, 13609, 3609, 3616: // JSON, triggers
		column := ""
		if number == 2628 {
			_, rest, _ := strings.Cut(text, "column ")
			column = firstQuoted(rest)
		}
		return fault{kind: badRow, name: errType, column: column}, true
	case 208:
		return fault{kind: missingTable}, true
	case 207:
		return fault{kind: missingColumn}, true
	case 2714, 2705:
		return fault{kind: exists}, true
	case 229, 230, 262, 916, 1088, 2760, 15151:
		return fault{kind: permanent, hint: hintPermission}, true
	case 18456, 18452, 18470, 18486, 18487, 18488:
		return fault{kind: permanent, hint: hintLogin}, true
	case 40615:
		return fault{kind: permanent, hint: "the firewall of the server must let this machine in"}, true
	case 102, 105, 156, 319, 8102, 544, 213, 271, 8101, 1750, 1919, 4902, 4924, 5324, 8624:
		return fault{kind: permanent}, true
	case 4060:
		// Azure says so during a failover, too.
		return fault{kind: again, hint: hintDatabase}, true
	case 3906:
		return fault{kind: again, hint: "the database is read-only: a secondary?"}, true
	case 1205, 1222, 3960, 41301, 41302, 41305, 41325, 41839, // deadlocks, lock timeouts, conflicts
		701, 802, 8645, 8651, 1204, 9002, 1105, // memory, locks, full logs and files
		596, 6005, 17142, 18401, 17809, 17810, 978, 979, 976, 983, // sessions killed, shutdown, groups
		64, 233, 10053, 10054, 10060, 10928, 10929, 40143, 40197, 40501, 40540, 40544, 40549, 40550, 40551, 40552, 40553, 40613,
		49918, 49919, 49920, 4221, 615, 926:
		return fault{kind: again}, true
	}
	if number >= 50000 { // RAISERROR and THROW of a trigger
		return fault{kind: badRow, name: errType}, true
	}
	return fault{kind: again}, false
}
