package sql

import (
	"context"
	"crypto/x509"
	dbsql "database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/stdlib"

	"weir/internal/connect"
	"weir/internal/vec"
)

// postgresDialect is PostgreSQL 12 and later. A statement takes a column of values as one
// array, so that its text is the same for any number of rows. Inserts go by COPY as long as no
// row is refused.
var postgresDialect = &dialect{
	name:    "postgres",
	aliases: []string{"postgresql"},
	summary: "Rows into a table of a PostgreSQL database.",
	fields:  serverFields("5432", "`postgres://user:password@host:5432/database?sslmode=verify-full`"),
	example: `type: postgres
host: db.example.org
database: factory
user: weir
password: ${env:FACTORY_PASSWORD}
table: downtime
mode: upsert
key: [TeamId, Time]
`,
	connector: postgresConnector,
	secrets:   serverSecrets,
	begin:     "BEGIN ISOLATION LEVEL READ COMMITTED", savepoint: "SAVEPOINT weir", release: "RELEASE SAVEPOINT weir", back: "ROLLBACK TO SAVEPOINT weir",
	quote: quoteWith(`"`),
	place: func(i int) string { return fmt.Sprintf("$%d", i) }, maxParams: math.MaxInt, maxRows: math.MaxInt, maxName: 63,
	reserved: []string{"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"},
	describe: describePostgres,
	created: func(kinds vec.Kinds, _ bool) string {
		switch kinds.NotNull() {
		case vec.KindsOf(vec.Int):
			return "bigint"
		case vec.KindsOf(vec.Float):
			return "double precision"
		case vec.KindsOf(vec.Datetime):
			return "timestamptz"
		case vec.KindsOf(vec.Bit):
			return "boolean"
		case vec.KindsOf(vec.Record), vec.KindsOf(vec.Array), vec.KindsOf(vec.Record, vec.Array):
			return "jsonb"
		case numbers:
			return "numeric" // it holds both exactly
		}
		return "text"
	},
	epochs: func(table string) string {
		return "CREATE TABLE IF NOT EXISTS " + table + ` ("job" text NOT NULL, "output" text NOT NULL, "instance" text NOT NULL, "epoch" bigint NOT NULL, PRIMARY KEY ("job", "output", "instance"))`
	},
	write:     writePostgres,
	args:      argsPostgres,
	bulk:      copyPostgres,
	fault:     postgresFault,
	readSetup: []string{"SET TIME ZONE 'UTC'"},
	readOnly:  &dbsql.TxOptions{Isolation: dbsql.LevelRepeatableRead, ReadOnly: true},
}

// numbers are the kinds of a column that has had numbers of an input without declared types.
var numbers = vec.KindsOf(vec.Int, vec.Float)

// serverSecrets are those of databases behind a network.
func serverSecrets(c connect.Config) []string {
	dsn := c.Secret("dsn").Expose()
	return append([]string{dsn, c.Secret("password").Expose()}, passwordIn(dsn)...)
}

func postgresConnector(c connect.Config, roots *x509.CertPool) (driver.Connector, error) {
	dsn := c.Secret("dsn").Expose()
	if dsn == "" {
		if c.Text("host") == "" {
			return nil, errors.New("neither dsn nor host is set")
		}
		mode := map[string]string{tlsVerify: "verify-full", tlsRequire: "require", tlsDisable: "disable"}[tlsMode(c, c.Text("host"))]
		// A value is quoted as libpq has it: it may have any character.
		pair := func(key, value string) string {
			return key + "='" + quoted.Replace(value) + "' "
		}
		dsn = pair("host", c.Text("host")) + pair("port", fmt.Sprint(or(portOf(c), "5432"))) + pair("sslmode", mode)
		for key, value := range map[string]string{"dbname": c.Text("database"), "user": c.Text("user"), "password": c.Secret("password").Expose()} {
			if value != "" {
				dsn += pair(key, value)
			}
		}
	}
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		if c.Secret("dsn").Expose() != "" {
			return nil, errDSN
		}
		return nil, err
	}
	if cfg.TLSConfig != nil && roots != nil {
		cfg.TLSConfig.RootCAs = roots
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = 15 * time.Second
	}
	if cfg.RuntimeParams["application_name"] == "" {
		cfg.RuntimeParams["application_name"] = "weir"
	}
	return stdlib.GetConnector(*cfg), nil
}

// portOf is the port setting, "" if there is none.
func portOf(c connect.Config) string {
	if p := c.Int("port"); p != 0 {
		return fmt.Sprint(p)
	}
	return ""
}

// describePostgres reads a table of a schema, or of the search path.
func describePostgres(ctx context.Context, q querier, n name) (*table, error) {
	t := &table{}
	var oid int64
	err := query(ctx, q, func(scan func(...any) error) error { return scan(&oid, &t.name.schema, &t.name.table, &t.strict) }, `
SELECT c.oid::bigint, n.nspname::text, c.relname::text,
  CASE WHEN EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conrelid = c.oid AND k.condeferrable) THEN 'SET CONSTRAINTS ALL IMMEDIATE' ELSE '' END
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'f') AND lower(c.relname) = lower($2)
  AND CASE WHEN $1 = '' THEN n.nspname = ANY (current_schemas(false)) ELSE lower(n.nspname) = lower($1) END
ORDER BY c.relname = $2 DESC, n.nspname = $1 DESC, array_position(current_schemas(false), n.nspname), c.relname LIMIT 1`, n.schema, n.table)
	if err != nil || t.name.table == "" {
		return nil, err
	}
	err = query(ctx, q, func(scan func(...any) error) error {
		c := &column{noNUL: true}
		var base, kind string
		var mod int
		if err := scan(&c.name, &c.typ, &base, &kind, &mod, &c.cast, &c.needed, &c.filled, &c.made); err != nil {
			return err
		}
		postgresType(c, base, kind, mod)
		t.columns = append(t.columns, c)
		return nil
	}, `
SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), coalesce(b.typname, t.typname)::text, coalesce(b.typtype, t.typtype)::text,
  CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END, format_type(a.atttypid, NULL),
  a.attnotnull OR t.typnotnull, a.atthasdef OR a.attidentity <> '' OR t.typdefault IS NOT NULL, a.attgenerated <> '' OR a.attidentity = 'a'
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_type b ON b.oid = t.typbasetype AND t.typtype = 'd'
WHERE a.attrelid = $1::bigint::oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`, oid)
	if err != nil {
		return nil, err
	}
	err = query(ctx, q, func(scan func(...any) error) error {
		var columns string
		if err := scan(&columns); err != nil {
			return err
		}
		t.unique = append(t.unique, strings.Split(columns, "\x01"))
		return nil
	}, `
SELECT string_agg(a.attname::text, E'\x01')
FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
WHERE i.indrelid = $1::bigint::oid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
GROUP BY i.indexrelid`, oid)
	return t, err
}

// postgresType sets what a column holds by its type.
func postgresType(c *column, base, kind string, mod int) {
	c.digits = 6
	if kind != "b" { // an enum, a range, a composite type
		c.class = other
		return
	}
	bounds := func(bits int) { c.class, c.lo, c.hi = integer, -1<<(bits-1), 1<<(bits-1)-1 }
	switch base {
	case "int2":
		bounds(16)
	case "int4":
		bounds(32)
	case "int8":
		c.class, c.lo, c.hi = integer, math.MinInt64, math.MaxInt64
	case "float4":
		c.class, c.single = float, true
	case "float8":
		c.class = float
	case "numeric":
		c.class = decimal
	case "bool":
		c.class = boolean
	case "text", "varchar", "bpchar", "name", "citext":
		c.class = textual
		if mod > 4 && (base == "varchar" || base == "bpchar") {
			c.chars = mod - 4
		}
		if base != "citext" {
			c.cast = ""
		}
	case "timestamp", "timestamptz":
		c.class, c.zone = moment, base == "timestamptz"
		if mod >= 0 {
			c.digits = mod
		}
	case "date":
		c.class = date
	case "json", "jsonb":
		c.class = document
	default:
		c.class = other
	}
}

// writePostgres is INSERT INTO t (a, b) SELECT x1, x2::numeric FROM unnest($1::int8[], $2::text[]).
func writePostgres(w *statement, _ int) string {
	var values, arrays, names strings.Builder
	for i, c := range w.cols {
		if i > 0 {
			values.WriteString(", ")
			arrays.WriteString(", ")
			names.WriteString(", ")
		}
		fmt.Fprintf(&names, "x%d", i)
		fmt.Fprintf(&values, "x%d", i)
		typ := ""
		switch c.class {
		case integer:
			typ = "int8"
		case float:
			typ = "float8"
		case boolean:
			typ = "bool"
		case moment:
			typ = "timestamp"
			if c.zone {
				typ = "timestamptz"
			}
		default:
			typ = "text"
			// An explicit cast to varchar(n) would cut; so the type has no length, and texts
			// have no cast.
			if c.cast != "" {
				values.WriteString("::" + c.cast)
			}
		}
		fmt.Fprintf(&arrays, "$%d::%s[]", i+1, typ)
	}
	return w.into() + " SELECT " + values.String() + " FROM unnest(" + arrays.String() + ") AS u(" + names.String() + ")" + w.onConflict()
}

// argsPostgres turns rows into an array a column.
func argsPostgres(cols []*column, rows [][]any) []any {
	args := make([]any, len(cols))
	for i, c := range cols {
		switch c.class {
		case integer:
			args[i] = array(rows, i, func(x int64) pgtype.Int8 { return pgtype.Int8{Int64: x, Valid: true} })
		case float:
			args[i] = array(rows, i, func(x float64) pgtype.Float8 { return pgtype.Float8{Float64: x, Valid: true} })
		case boolean:
			args[i] = array(rows, i, func(x bool) pgtype.Bool { return pgtype.Bool{Bool: x, Valid: true} })
		case moment:
			if c.zone {
				args[i] = array(rows, i, func(x time.Time) pgtype.Timestamptz { return pgtype.Timestamptz{Time: x, Valid: true} })
			} else {
				args[i] = array(rows, i, func(x time.Time) pgtype.Timestamp { return pgtype.Timestamp{Time: x, Valid: true} })
			}
		default:
			args[i] = array(rows, i, func(x string) pgtype.Text { return pgtype.Text{String: x, Valid: true} })
		}
	}
	return args
}

// copyPostgres sends rows by COPY, which is about twice as fast as statements.
func copyPostgres(ctx context.Context, conn *dbsql.Conn, w *statement, rows [][]any) (done bool, err error) {
	names := make([]string, len(w.cols))
	for i, c := range w.cols {
		// COPY casts nothing: the driver must know how the type lies in bytes.
		if c.class == decimal || c.class == date || c.class == other || c.cast == "citext" {
			return false, nil
		}
		names[i] = c.name
	}
	err = conn.Raw(func(driver any) error {
		c, ok := driver.(*stdlib.Conn)
		if !ok {
			return nil
		}
		done = true
		_, err := c.Conn().CopyFrom(ctx, pgx.Identifier{w.table.name.schema, w.table.name.table}, names, pgx.CopyFromRows(rows))
		return err
	})
	return done, err
}

// array is column i of rows; what is nil stays the NULL that the zero of V is.
func array[T, V any](rows [][]any, i int, f func(T) V) pgtype.FlatArray[V] {
	a := make(pgtype.FlatArray[V], len(rows))
	for r, row := range rows {
		if x, ok := row[i].(T); ok {
			a[r] = f(x)
		}
	}
	return a
}

func postgresFault(err error) fault {
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		return commonFault(err)
	}
	return postgresState(e.Code, e.ColumnName)
}

// postgresState is what a SQLSTATE means (postgresql.org/docs/current/errcodes-appendix.html).
func postgresState(code, column string) fault {
	if len(code) != 5 {
		return fault{kind: again}
	}
	switch code {
	case "23505", "23P01": // unique_violation, exclusion_violation
		return fault{kind: duplicate, name: errDuplicate, column: column}
	case "23502": // not_null_violation
		return fault{kind: badRow, name: errRequired, column: column}
	case "54000", "54001", "22P07": // program_limit_exceeded: an index row that is too long ...
		return fault{kind: badRow, name: errSize, column: column}
	case "21000": // cardinality_violation: keys that are equal for the database only
		return fault{kind: badRow, name: errDuplicate}
	case "42P01": // undefined_table
		return fault{kind: missingTable}
	case "42703": // undefined_column
		return fault{kind: missingColumn}
	case "42P07", "42701", "42710": // duplicate_table, duplicate_column, duplicate_object
		return fault{kind: exists}
	case "42P10": // no unique constraint for ON CONFLICT
		return fault{kind: permanent, hint: "mode upsert needs a unique key of the table over exactly the columns of key"}
	case "42501": // insufficient_privilege
		return fault{kind: permanent, hint: hintPermission}
	case "3D000": // invalid_catalog_name
		return fault{kind: permanent, hint: hintDatabase}
	case "25006": // read_only_sql_transaction: a standby, until it is promoted
		return fault{kind: again, hint: "the server is read-only: a standby?"}
	}
	switch code[:2] {
	case "22", "23", "44", "P0": // data, constraints, check option, raise_exception
		return fault{kind: badRow, name: errType, column: column}
	case "28":
		return fault{kind: permanent, hint: hintLogin}
	case "0A", "3F", "42", "2F", "39":
		return fault{kind: permanent}
	}
	// 08 connections, 25 transactions, 40 serialization and deadlocks, 53 resources, 55 locks,
	// 57 operators, 58 the system, XX the server itself.
	return fault{kind: again}
}
