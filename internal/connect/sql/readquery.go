package sql

import (
	"context"
	dbsql "database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// The parameters of queries that read reference data, as the original calls them: when the
// snapshot is taken, and of which time a delta tells.
const (
	paramSnapshot = "snapshotTime"
	paramStart    = "deltaStartTime"
	paramEnd      = "deltaEndTime"
)

// params are values of the parameters by their names.
type params map[string]time.Time

// bound writes a query for a dialect, with its arguments.
func bound(d *dialect, query string, p params) (text string, args []any) {
	if d == sqlserverDialect {
		return declared(query, p)
	}
	var b strings.Builder
	numbers := map[string]int{}
	for _, part := range paramsIn(query) {
		b.WriteString(part.before)
		value, ok := p[part.name]
		if part.name == "" || !ok {
			b.WriteString(part.text)
			continue
		}
		n := numbers[part.name]
		if n == 0 || d != postgresDialect {
			n = len(args) + 1
			args = append(args, d.instant(value))
			numbers[part.name] = n
		}
		b.WriteString(d.place(n))
	}
	return b.String(), args
}

// declared is a query of SQL Server behind declarations of the parameters that are in it: there
// the names are those of variables.
func declared(query string, p params) (text string, args []any) {
	var names []string
	for _, part := range paramsIn(query) {
		if value, ok := p[part.name]; ok && !strings.Contains(strings.Join(names, " ")+" ", "@"+part.name+" ") {
			args = append(args, value.UTC())
			names = append(names, fmt.Sprintf("@%s datetime2(7) = @p%d", part.name, len(args)))
		}
	}
	if len(names) == 0 {
		return query, nil
	}
	return "DECLARE " + strings.Join(names, ", ") + ";\n" + query, args
}

// queryPart is a piece of a query and the parameter behind it; the last one has none.
type queryPart struct {
	before string
	name   string // as we know it
	text   string // as it is written
}

// paramsIn finds the parameters of a query. What stands in quotes or comments is none.
func paramsIn(query string) (parts []queryPart) {
	from := 0
	for i := 0; i < len(query); {
		if end := skip(query, i); end > i {
			i = end
			continue
		}
		if query[i] != '@' || i > 0 && (query[i-1] == '@' || wordByte(query[:i])) {
			i++
			continue
		}
		end := i + 1
		for end < len(query) {
			r, n := utf8.DecodeRuneInString(query[end:])
			if !wordRune(r) {
				break
			}
			end += n
		}
		for _, name := range []string{paramSnapshot, paramStart, paramEnd} {
			if strings.EqualFold(query[i+1:end], name) {
				parts = append(parts, queryPart{query[from:i], name, query[i:end]})
				from = end
			}
		}
		i = end
	}
	return append(parts, queryPart{before: query[from:]})
}

func wordRune(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }

// wordByte reports whether a text ends within a word.
func wordByte(s string) bool {
	r, _ := utf8.DecodeLastRuneInString(s)
	return wordRune(r)
}

// skip is the end of what begins at i and is no code: a text, a quoted name, a comment. It is i
// where there is none.
func skip(query string, i int) int {
	rest := query[i:]
	until := func(open, end string) int {
		if at := strings.Index(rest[len(open):], end); at >= 0 {
			return i + len(open) + at + len(end)
		}
		return len(query)
	}
	switch rest[0] {
	case '\'', '"', '`': // a quote that is doubled inside ends one text and begins the next
		return until(rest[:1], rest[:1])
	case '[':
		return until("[", "]")
	case '-':
		if strings.HasPrefix(rest, "--") {
			return until("--", "\n")
		}
	case '/':
		if strings.HasPrefix(rest, "/*") {
			return until("/*", "*/")
		}
	case '$': // $tag$ ... $tag$
		if end := strings.IndexByte(rest[1:], '$'); end >= 0 && strings.IndexFunc(rest[1:1+end], func(r rune) bool { return !wordRune(r) }) < 0 {
			return until(rest[:end+2], rest[:end+2])
		}
	}
	return i
}

// instant is a time as a parameter that each database compares as its own times are written.
func (d *dialect) instant(t time.Time) any {
	switch d {
	case mysqlDialect:
		return t.UTC().Format("2006-01-02 15:04:05.000000")
	case sqliteDialect: // as its functions write it
		return t.UTC().Format("2006-01-02 15:04:05.000")
	}
	return t.UTC()
}

// result is a query that runs: a connection, a transaction that only reads, and its rows.
type result struct {
	rows *dbsql.Rows
	conn *dbsql.Conn
	tx   *dbsql.Tx
	end  context.CancelFunc
	ctx  context.Context
}

// run runs a query. It ends with ctx while run works, and by close afterwards.
func (s *source) run(ctx context.Context, query string, p params) (_ *result, err error) {
	own, end := context.WithTimeoutCause(context.WithoutCancel(ctx), s.timeout, fmt.Errorf("the query takes longer than %s (timeout)", s.timeout))
	r := &result{end: end, ctx: own}
	stop := context.AfterFunc(ctx, end)
	defer stop()
	defer func() {
		if err != nil {
			err = r.cause(err)
			r.close()
		}
	}()
	if r.conn, err = s.db.Conn(own); err != nil {
		return nil, err
	}
	for _, text := range s.dialect.readSetup {
		if _, err = r.conn.ExecContext(own, text); err != nil {
			return nil, err
		}
	}
	var q querier = r.conn
	if s.dialect.readOnly != nil {
		if r.tx, err = r.conn.BeginTx(own, s.dialect.readOnly); err != nil {
			return nil, err
		}
		q = r.tx
	}
	text, args := bound(s.dialect, query, p)
	if r.rows, err = q.QueryContext(own, text, args...); err != nil {
		return nil, err
	}
	return r, nil
}

// cause is the error of a query, which may have taken too long.
func (r *result) cause(err error) error {
	if cause := context.Cause(r.ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}

// close ends the query and gives the connection up.
func (r *result) close() {
	if r.rows != nil {
		r.end() // a result that was not read to its end is cut off and not read on
		r.rows.Close()
	}
	if r.tx != nil {
		_ = r.tx.Rollback() // it has only read
	}
	if r.conn != nil {
		r.conn.Close()
	}
	r.end()
}
