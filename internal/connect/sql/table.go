package sql

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"weir/internal/vec"
)

// name is the name of a table: as it is written, without quotes.
type name struct{ schema, table string }

// String is the name for people.
func (n name) String() string {
	if n.schema == "" {
		return n.table
	}
	return n.schema + "." + n.table
}

// parseName reads table or schema.table; each part may be quoted in the way of any database:
// "a", [a] or `a`, with the closing character doubled inside.
func parseName(text string) (name, error) {
	var parts []string
	rest := strings.TrimSpace(text)
	for {
		part, after, err := namePart(rest)
		if err != nil {
			return name{}, err
		}
		parts = append(parts, part)
		if after == "" {
			break
		}
		if after[0] != '.' {
			return name{}, fmt.Errorf("%q follows the quoted part", after)
		}
		rest = after[1:]
	}
	switch len(parts) {
	case 1:
		return name{table: parts[0]}, nil
	case 2:
		return name{schema: parts[0], table: parts[1]}, nil
	}
	return name{}, errors.New("it has more than two parts")
}

// namePart reads one part of a name.
func namePart(s string) (part, rest string, err error) {
	if s == "" {
		return "", "", errors.New("a part is empty")
	}
	closing, quoted := map[byte]string{'"': `"`, '[': "]", '`': "`"}[s[0]]
	if !quoted {
		end := strings.IndexByte(s, '.')
		if end < 0 {
			end = len(s)
		}
		part, rest = s[:end], s[end:]
	} else {
		s = s[1:]
		for {
			end := strings.Index(s, closing)
			if end < 0 {
				return "", "", errors.New("a quote is not closed")
			}
			part += s[:end]
			s = s[end+1:]
			if !strings.HasPrefix(s, closing) {
				break
			}
			part, s = part+closing, s[1:]
		}
		rest = s
	}
	if strings.TrimSpace(part) == "" {
		return "", "", errors.New("a part is empty")
	}
	if strings.ContainsRune(part, 0) {
		return "", "", errors.New("it has a NUL")
	}
	return part, rest, nil
}

// class is what a column holds, as far as values are made fit for it.
type class uint8

const (
	anything class = iota // values go as they are: SQLite columns without a type
	integer
	float
	decimal // numbers as decimal text
	boolean
	textual
	moment // date and time
	date
	document // JSON
	other    // the text of the value; the database reads it
)

// column is a column of a table, as the catalogue has it.
type column struct {
	name  string
	typ   string // for people
	class class
	// lo and hi are the bounds of integers; of moments, as vec.Time, if hi is not 0.
	lo, hi int64
	// chars is the most characters of a text, 0 for no limit; utf16 counts them as SQL Server
	// does.
	chars int
	utf16 bool
	// digits are those of the fraction of seconds that a moment keeps.
	digits int
	// zone says that a moment has a zone: timestamptz, datetimeoffset.
	zone   bool
	iso    bool // moments are ISO 8601 text
	truth  bool // an integer that stands for true and false
	single bool // a float of 4 bytes
	noNUL  bool // texts must have no NUL
	// needed says that it takes no NULL; filled that the database has a value of its own for
	// rows that do not name it; made that only the database writes it.
	needed, filled, made bool
	cast                 string // PostgreSQL: the type that a text has to be cast to
}

// table is a table, as the catalogue has it.
type table struct {
	name    name   // as the catalogue writes it
	quoted  string // the same in SQL
	columns []*column
	unique  [][]string // the columns of each unique key that holds for all rows
	// trouble says why exactly once cannot be had with it.
	trouble string
	// strict says that a transaction may find out about bad rows at its end only, and what
	// to say so that it does at once.
	strict string
}

// find is the column of a name: the exact one, else the only one that is equal without case.
func (t *table) find(name string) (*column, error) {
	var found *column
	for _, c := range t.columns {
		if c.name == name {
			return c, nil
		}
		if strings.EqualFold(c.name, name) {
			if found != nil {
				return nil, fmt.Errorf("table %s has several columns called %s but for case", t.name, short(name))
			}
			found = c
		}
	}
	if found == nil {
		return nil, fmt.Errorf("table %s has no column %s", t.name, short(name))
	}
	return found, nil
}

// names lists the columns for people.
func (t *table) names() string {
	var b strings.Builder
	for i, c := range t.columns {
		if i == 40 {
			b.WriteString(", ...")
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(c.name)
	}
	return b.String()
}

// hasKey reports whether a unique key is over exactly these columns.
func (t *table) hasKey(key []*column) bool {
	return slices.ContainsFunc(t.unique, func(u []string) bool {
		return len(u) == len(key) && !slices.ContainsFunc(key, func(c *column) bool { return !slices.Contains(u, c.name) })
	})
}

// short is a name for messages: rows can have names of any length and content.
func short(name string) string {
	if len(name) > 80 {
		cut := 77
		for cut > 0 && name[cut]&0xC0 == 0x80 {
			cut--
		}
		name = name[:cut] + "..."
	}
	return fmt.Sprintf("%q", name)
}

// Limits of tables that we make: names come from rows, and rows from anywhere.
const maxColumns = 250

// plain reports whether a name may become the name of a column that we make.
func (d *dialect) plain(name string) bool {
	if name == "" || len(name) > d.maxName || strings.TrimSpace(name) != name || slices.Contains(d.reserved, name) {
		return false
	}
	for _, r := range name {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.Is(unicode.Mn, r) && !strings.ContainsRune("_-. $#@/:()%+", r) {
			return false
		}
	}
	return true
}

// newColumn is a column to be made.
type newColumn struct {
	name  string
	kinds vec.Kinds
	key   bool
}

// createTable is the statement that makes a table.
func (d *dialect) createTable(quoted string, cols []newColumn, key []string) string {
	var b strings.Builder
	b.WriteString("CREATE TABLE ")
	b.WriteString(quoted)
	b.WriteString(" (")
	for i, c := range cols {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(d.columnDef(c))
	}
	if len(key) > 0 {
		b.WriteString(", PRIMARY KEY (")
		for i, k := range key {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(d.quote(k))
		}
		b.WriteString(")")
	}
	b.WriteString(")")
	return b.String()
}

// columnDef is a column in CREATE or ALTER TABLE.
func (d *dialect) columnDef(c newColumn) string {
	def := d.quote(c.name)
	if t := d.created(c.kinds, c.key); t != "" {
		def += " " + t
	}
	if c.key {
		def += " NOT NULL"
	}
	return def
}

// full is a name in SQL.
func full(quote func(string) string, n name) string {
	if n.schema == "" {
		return quote(n.table)
	}
	return quote(n.schema) + "." + quote(n.table)
}

// statement is what a dialect makes the SQL of writing rows from.
type statement struct {
	d     *dialect
	table *table
	cols  []*column
	key   []*column
	mode  string
}

// rest are the columns that are not of the key.
func (w *statement) rest() []*column {
	return slices.DeleteFunc(slices.Clone(w.cols), func(c *column) bool { return slices.Contains(w.key, c) })
}

// list puts columns in a row, each as f has it.
func list(cols []*column, sep string, f func(c *column) string) string {
	var b strings.Builder
	for i, c := range cols {
		if i > 0 {
			b.WriteString(sep)
		}
		b.WriteString(f(c))
	}
	return b.String()
}

// quoted is a column in SQL.
func (w *statement) quoted(c *column) string { return w.d.quote(c.name) }

// into is INSERT INTO table (columns).
func (w *statement) into() string {
	return "INSERT INTO " + w.table.quoted + " (" + list(w.cols, ", ", w.quoted) + ")"
}

// values is VALUES with n rows of parameters.
func (w *statement) values(n int) string {
	var b strings.Builder
	b.WriteString("VALUES ")
	at := 0
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteByte('(')
		for j := range w.cols {
			if j > 0 {
				b.WriteString(", ")
			}
			at++
			b.WriteString(w.d.place(at))
		}
		b.WriteByte(')')
	}
	return b.String()
}

// onConflict is the end of INSERT in PostgreSQL and SQLite.
func (w *statement) onConflict() string {
	key := "(" + list(w.key, ", ", w.quoted) + ") "
	switch rest := w.rest(); {
	case w.mode == modeInsert:
		return ""
	case w.mode == modeIgnore:
		return " ON CONFLICT DO NOTHING"
	case len(rest) == 0:
		return " ON CONFLICT " + key + "DO NOTHING"
	default:
		return " ON CONFLICT " + key + "DO UPDATE SET " + list(rest, ", ", func(c *column) string {
			return w.quoted(c) + " = excluded." + w.quoted(c)
		})
	}
}
