package sql

import (
	"bytes"
	dbsql "database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	mssql "github.com/microsoft/go-mssqldb"

	"weir/internal/vec"
)

// How values of a database become values of events:
//
//	integers                 bigint; beyond 64 bits float
//	float, double, real      float; NaN and infinities are NULL
//	decimal, numeric, money  float; without a fraction by their type, bigint
//	bit, boolean             bit
//	text, uuid, enum ...     nvarchar(max)
//	date, datetime ...       nvarchar(max), ISO 8601: CREATE TABLE or CAST makes it datetime
//	json, jsonb              record, array, or what it holds
//	binary                   nvarchar(max), base64
//	NULL                     NULL
//
// The rows go to the runner as lines of JSON.

// reading is a column of a result.
type reading struct {
	name  string // as it is
	key   []byte // as JSON, with the colon
	class class
	// whole says that a decimal has no fraction; plain, that a moment is a time of day.
	whole, plain bool
	guid         bool // bytes are a uniqueidentifier
	single       bool // a float of 4 bytes, which drivers give as one of 8
}

// readings are the columns of a result, or why they cannot be used.
func readings(d *dialect, rows *dbsql.Rows) ([]reading, error) {
	types, err := rows.ColumnTypes()
	if err != nil {
		return nil, err
	}
	var cols []reading
	for i, t := range types {
		if t.Name() == "" || t.Name() == "?column?" {
			return nil, fmt.Errorf("column %d of the query has no name: give it one by AS", i+1)
		}
		if slices.ContainsFunc(cols, func(c reading) bool { return strings.EqualFold(c.name, t.Name()) }) {
			return nil, fmt.Errorf("two columns of the query are called %s: give one another name by AS", short(t.Name()))
		}
		c := reading{name: t.Name(), key: keyOf(t.Name())}
		c.class, c.plain = classOf(d, strings.ToUpper(t.DatabaseTypeName()))
		c.guid = strings.EqualFold(t.DatabaseTypeName(), "UNIQUEIDENTIFIER")
		switch strings.ToUpper(t.DatabaseTypeName()) {
		case "FLOAT4":
			c.single = true
		case "REAL":
			c.single = d != sqliteDialect
		}
		if _, scale, ok := t.DecimalSize(); ok && scale == 0 && c.class == decimal {
			c.whole = true
		}
		cols = append(cols, c)
	}
	return cols, nil
}

// octets is the class of columns of bytes. Nothing is written to them as such: it is of reading
// only.
const octets = other + 1

// classOf is what a column of a result holds, by the name that the driver gives its type.
func classOf(d *dialect, typ string) (c class, timeOfDay bool) {
	base, _, _ := strings.Cut(typ, "(")
	switch strings.TrimSpace(strings.TrimPrefix(base, "UNSIGNED ")) {
	case "NUMERIC", "DECIMAL", "MONEY", "SMALLMONEY", "FIXED":
		return decimal, false
	case "BOOL", "BOOLEAN":
		return boolean, false
	case "BIT":
		if d == mysqlDialect || d == sqlserverDialect {
			return boolean, false
		}
	case "JSON", "JSONB":
		return document, false
	case "DATE", "DATETIME", "DATETIME2", "SMALLDATETIME", "DATETIMEOFFSET", "TIMESTAMP", "TIMESTAMPTZ":
		if d == sqlserverDialect && typ == "TIMESTAMP" { // a row version
			return octets, false
		}
		return moment, false
	case "TIME", "TIMETZ":
		return other, true
	case "BYTEA", "BLOB", "TINYBLOB", "MEDIUMBLOB", "LONGBLOB", "BINARY", "VARBINARY", "IMAGE", "ROWVERSION", "GEOMETRY":
		return octets, false
	}
	return textual, false
}

// appendRow appends a row as a line of JSON, without the line end.
func appendRow(dst []byte, cols []reading, values []any) ([]byte, error) {
	dst = append(dst, '{')
	var err error
	for i := range cols {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, cols[i].key...)
		if dst, err = cols[i].append(dst, values[i]); err != nil {
			return dst, fmt.Errorf("column %s: %w", short(cols[i].name), err)
		}
	}
	return append(dst, '}'), nil
}

// append appends a value as JSON.
func (c *reading) append(dst []byte, v any) ([]byte, error) {
	switch x := v.(type) {
	case nil:
		return append(dst, "null"...), nil
	case int64:
		switch c.class {
		case boolean:
			return strconv.AppendBool(dst, x != 0), nil
		case decimal:
			if !c.whole {
				return appendFloat(dst, float64(x)), nil
			}
		}
		return strconv.AppendInt(dst, x, 10), nil
	case uint64:
		if x > math.MaxInt64 {
			return appendFloat(dst, float64(x)), nil
		}
		return strconv.AppendUint(dst, x, 10), nil
	case float64:
		if c.single {
			return appendSingle(dst, x), nil
		}
		return appendFloat(dst, x), nil
	case float32:
		return appendSingle(dst, float64(x)), nil
	case bool:
		return strconv.AppendBool(dst, x), nil
	case time.Time:
		if c.plain {
			return vec.AppendJSONString(dst, x.Format("15:04:05.0000000")), nil
		}
		return appendMoment(dst, x), nil
	case string:
		return c.appendText(dst, x), nil
	case []byte:
		return c.appendBytes(dst, x), nil
	}
	return dst, fmt.Errorf("values of the type %T cannot be read: CAST them to text", v)
}

// appendFloat appends a number that stays a float; NULL if it is none.
func appendFloat(dst []byte, f float64) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(dst, "null"...)
	}
	return vec.AppendFloatJSON(dst, f)
}

// appendSingle appends a float of 4 bytes by the fewest digits that tell it.
func appendSingle(dst []byte, f float64) []byte {
	f, _ = strconv.ParseFloat(strconv.FormatFloat(f, 'g', -1, 32), 64)
	return appendFloat(dst, f)
}

// appendMoment appends a time; NULL if it is outside of the years 1 to 9999.
func appendMoment(dst []byte, t time.Time) []byte {
	t = t.UTC()
	if t.Year() < 1 || t.Year() > 9999 {
		return append(dst, "null"...)
	}
	ticks := vec.Time((t.Unix()+unixSeconds)*int64(vec.Second)) + vec.Time(t.Nanosecond()/100)
	dst = append(dst, '"')
	return append(vec.AppendTime(dst, ticks), '"')
}

func (c *reading) appendBytes(dst, b []byte) []byte {
	switch {
	case c.guid && len(b) == 16:
		var id mssql.UniqueIdentifier
		copy(id[:], b)
		_ = id.Scan(b) // of 16 bytes it takes all
		return vec.AppendJSONString(dst, id.String())
	case c.class == boolean: // BIT(n) of MySQL
		n := uint64(0)
		for _, x := range b {
			n = n<<8 | uint64(x)
		}
		if len(b) > 1 || n > 1 {
			return strconv.AppendUint(dst, n&math.MaxInt64, 10)
		}
		return strconv.AppendBool(dst, n == 1)
	case c.class == octets, !utf8.Valid(b) && c.class != moment:
		return vec.AppendJSONString(dst, base64.StdEncoding.EncodeToString(b))
	}
	return c.appendText(dst, string(b))
}

func (c *reading) appendText(dst []byte, s string) []byte {
	switch c.class {
	case decimal:
		return c.appendDecimal(dst, s)
	case document:
		var line bytes.Buffer
		if json.Compact(&line, []byte(s)) == nil {
			return append(dst, line.Bytes()...)
		}
	case moment:
		text := strings.Replace(strings.TrimSpace(s), " ", "T", 1)
		if t, ok := vec.ParseTime(text); ok {
			dst = append(dst, '"')
			return append(vec.AppendTime(dst, t), '"')
		}
		if strings.HasPrefix(s, "0000-00-00") {
			return append(dst, "null"...)
		}
	case boolean:
		if b, ok := vec.ParseBit(s); ok {
			return strconv.AppendBool(dst, b)
		}
	}
	return vec.AppendJSONString(dst, strings.ToValidUTF8(s, "\uFFFD"))
}

// appendDecimal appends digits as a number: of a type without a fraction a whole one, if it has
// 64 bits at most.
func (c *reading) appendDecimal(dst []byte, s string) []byte {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && c.whole {
		return strconv.AppendInt(dst, n, 10)
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) { // money with a sign of a currency
		return vec.AppendJSONString(dst, s)
	}
	return appendFloat(dst, f)
}
