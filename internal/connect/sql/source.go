package sql

import (
	"context"
	"crypto/x509"
	dbsql "database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"weir/internal/connect"
	"weir/internal/disk"
	"weir/internal/vec"
)

// source reads reference data: what a query gives, anew every so often. A version is a run of
// the query. Its name is when it began, which is also from when on it holds; that of the first
// one of a job holds from ever, since nobody can ask a database what it had before.
type source struct {
	dialect *dialect
	readSettings
	db    *dbsql.DB
	clean secrets
	log   *slog.Logger
	now   func() time.Time
	state disk.FS
	begun bool // the job has a version
}

// readSettings are a checked Config of an input.
type readSettings struct {
	query   string
	delta   string
	refresh time.Duration
	timeout time.Duration
	maxRows int64
	maxSize int64
}

// Defaults and limits of the settings.
const (
	defaultReadTimeout = 10 * time.Minute
	defaultMaxRows     = 10_000_000
	defaultMaxBytes    = 4 << 30
	minRefresh         = time.Second
)

// readFields are the settings of inputs.
func readFields() []connect.Field {
	return []connect.Field{
		{Name: "table", Type: connect.Text, Input: true,
			Doc: "Of an input: the table or view that is read whole, where there is no `query`."},
		{Name: "query", Type: connect.Text, Input: true,
			Doc: "The query whose rows are the reference data. `@snapshotTime` in it is when it begins."},
		{Name: "delta_query", Type: connect.Text, Input: true,
			Doc: "What has changed between `@deltaStartTime` and `@deltaEndTime`: the columns of `query` and `_operation_`, 1 for rows that are there now and 2 for rows that are gone; and `_watermark_`, if the next delta is to begin where this one's last change was. With it `query` runs once, when the job begins."},
		{Name: "refresh", Type: connect.Duration, Input: true,
			Doc: "How often the data is read anew: `5m`. Without it that is when the job starts."},
		{Name: "timeout", Type: connect.Duration, Default: "10m", Input: true,
			Doc: "Of an input: the longest that reading may take; then it is tried again."},
		{Name: "max_rows", Type: connect.Int, Default: fmt.Sprint(defaultMaxRows), Input: true,
			Doc: "The most rows that are read. More are an error: they would all be in memory."},
		{Name: "max_bytes", Type: connect.Size, Default: "4GiB", Input: true,
			Doc: "The most that is read, as JSON."},
	}
}

// readSource makes settings of a Config, and says all that is wrong with it.
func readSource(d *dialect, c connect.Config) (s readSettings, bad []connect.Problem) {
	problem := func(field, text, hint string) {
		bad = append(bad, connect.Problem{Field: field, Text: text, Hint: hint})
	}
	s = readSettings{query: c.Text("query"), delta: c.Text("delta_query"), refresh: c.Duration("refresh"), timeout: c.Duration("timeout"),
		maxRows: c.Int("max_rows"), maxSize: c.Int("max_bytes")}
	switch table := c.Text("table"); {
	case s.query == "" && table == "":
		problem("", "an input needs a query, or a table that is read whole", "set query: SELECT ... FROM ...")
	case s.query != "" && table != "":
		problem("table", "there is a query, too", "leave one of them out")
	case s.query == "":
		n, err := parseName(table)
		if err != nil {
			problem("table", fmt.Sprintf("%q is no name of a table: %v", table, err), `write table, schema.table or [my schema].[my table]`)
		}
		s.query = "SELECT * FROM " + full(d.quote, n)
	}
	if s.refresh < 0 || s.refresh > 0 && s.refresh < minRefresh {
		problem("refresh", fmt.Sprintf("%s is shorter than %s", s.refresh, minRefresh), "")
	}
	if s.delta != "" && s.refresh == 0 {
		problem("delta_query", "it is not used without refresh", "set refresh: to how often it is to run")
	}
	if s.delta != "" && (!uses(s.delta, paramStart) || !uses(s.delta, paramEnd)) {
		problem("delta_query", "it does not name @deltaStartTime and @deltaEndTime", "ask for what has changed: WHERE changed BETWEEN @deltaStartTime AND @deltaEndTime")
	}
	if !c.Has("timeout") {
		s.timeout = defaultReadTimeout
	}
	if s.timeout < time.Millisecond {
		problem("timeout", "a query needs some time", "10m is usual")
	}
	if !c.Has("max_rows") {
		s.maxRows = defaultMaxRows
	}
	if !c.Has("max_bytes") {
		s.maxSize = defaultMaxBytes
	}
	if s.maxRows < 1 || s.maxSize < 1 {
		problem("max_rows", "no row may be read", "")
	}
	return s, bad
}

// uses reports whether a query has a parameter.
func uses(query, param string) bool {
	for _, p := range paramsIn(query) {
		if p.name == param {
			return true
		}
	}
	return false
}

// openSource makes a source; it does not connect. wrap, if it is set, stands between us and the
// driver.
func openSource(d *dialect, c connect.Config, env connect.SourceEnv, wrap func(driver.Connector) driver.Connector) (*source, error) {
	clean := secretsOf(d, c)
	if !env.Reference {
		return nil, connect.Permanent(fmt.Errorf("%s: a database gives reference data, and no events: set reference: true", d.name))
	}
	set, bad := readSource(d, c)
	if len(bad) > 0 {
		return nil, connect.Permanent(fmt.Errorf("%s: %s: %s", d.name, bad[0].Field, clean.clean(bad[0].Text)))
	}
	db, err := openReading(d, c, wrap)
	if err != nil {
		return nil, err
	}
	s := &source{dialect: d, readSettings: set, db: db, clean: clean, log: env.Log, now: env.Now, state: env.State, begun: len(env.Known) > 0}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	return s, nil
}

// openReading makes the connections of an input, or of a try.
func openReading(d *dialect, c connect.Config, wrap func(driver.Connector) driver.Connector) (*dbsql.DB, error) {
	roots, err := rootsOf(d, c)
	if err != nil {
		return nil, err
	}
	way := d.connector
	if d.reader != nil {
		way = d.reader
	}
	connector, err := way(c, roots)
	if err != nil {
		return nil, connect.Permanent(fmt.Errorf("%s: %w", d.name, secretsOf(d, c).wrap(err)))
	}
	if wrap != nil {
		connector = wrap(connector)
	}
	db := dbsql.OpenDB(connector)
	db.SetMaxIdleConns(0) // it may be hours until the next look
	return db, nil
}

// rootsOf are the authorities of the ca setting; nil if it is not set.
func rootsOf(d *dialect, c connect.Config) (*x509.CertPool, error) {
	file := c.Text("tls_ca")
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, connect.Permanent(fmt.Errorf("%s: ca: %w", d.name, err))
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, connect.Permanent(fmt.Errorf("%s: ca: %s has no certificate in PEM form", d.name, file))
	}
	return roots, nil
}

// nameForm is how the time of a version is written.
const nameForm = "2006-01-02T15:04:05.0000000Z"

// Versions implements connect.Versions.
func (s *source) Versions(context.Context, vec.Time) ([]connect.Version, error) {
	now := s.now().UTC()
	v := connect.Version{Name: now.Format(nameForm), Effective: ticksOf(now)}
	if !s.begun {
		s.begun, v.Effective = true, vec.MinTime
	}
	return []connect.Version{v}, nil
}

// Every implements connect.Versions.
func (s *source) Every() time.Duration { return s.refresh }

// ticksOf is a time as rows have it.
func ticksOf(t time.Time) vec.Time {
	return vec.Time((t.Unix()+unixSeconds)*int64(vec.Second)) + vec.Time(t.Nanosecond()/100)
}

// Partitions implements connect.Source: the version of now.
func (s *source) Partitions(context.Context) ([]string, error) {
	return []string{s.now().UTC().Format(nameForm)}, nil
}

// Seek implements connect.Source.
func (s *source) Seek(context.Context, string, vec.Time) (connect.Position, error) { return "", nil }

// Done implements connect.Source.
func (s *source) Done(context.Context, string, connect.Position) error { return nil }

// Close implements connect.Source.
func (s *source) Close() error { return s.db.Close() }

// Open implements connect.Source.
func (s *source) Open(ctx context.Context, version string, _ connect.Position) (connect.Reader, error) {
	at, err := time.Parse(nameForm, version)
	if err != nil {
		return nil, connect.Permanent(fmt.Errorf("%s: %q is no version of reference data", s.dialect.name, version))
	}
	r := &tableReader{s: s, at: at}
	if s.delta != "" {
		r.kept = &kept{fs: s.state, log: s.log}
		if r.before = r.kept.open(s.query); r.before != nil {
			if err := r.readDelta(ctx); err != nil {
				r.Close()
				return nil, s.fail("the delta query", err)
			}
		}
	}
	if r.before == nil {
		if err := r.begin(ctx, s.query, params{paramSnapshot: at}); err != nil {
			r.Close()
			return nil, s.fail("the query", err)
		}
	}
	if r.kept != nil {
		if err := r.kept.create(r.header()); err != nil {
			r.Close()
			return nil, err
		}
	}
	return r, nil
}

// fail makes an error for people of what went wrong while something was done.
func (s *source) fail(doing string, err error) error {
	return failure(s.dialect, s.clean, doing, err)
}

// failure is an error of a database for people: with a hint, and permanent if no retry heals it.
func failure(d *dialect, clean secrets, doing string, err error) error {
	var out said
	switch {
	case err == nil:
		return nil
	case errors.As(err, &out):
		return out.error
	}
	f := d.fault(err)
	text := fmt.Errorf("%s: %s: %w", d.name, doing, clean.wrap(err))
	if f.hint != "" {
		text = fmt.Errorf("%w; %s", text, f.hint)
	}
	switch f.kind {
	case permanent, missingTable, missingColumn:
		return connect.Permanent(text)
	}
	return text
}
