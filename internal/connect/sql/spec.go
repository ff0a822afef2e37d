package sql

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"weir/internal/connect"
)

// The modes of writing.
const (
	modeInsert = "insert"
	modeUpsert = "upsert"
	modeIgnore = "insert_ignore"
)

// Defaults and limits of the settings.
const (
	defaultBatch   = 1000
	maxBatch       = 100_000
	defaultTimeout = 30 * time.Second
	defaultBuffer  = 64 << 20
	defaultEpochs  = "weir_epochs"
)

// settings are a checked Config.
type settings struct {
	dialect *dialect
	table   name
	epochs  name
	mode    string
	key     []string
	columns map[string]string // name in the query, without case, to name in the table
	create  bool
	batch   int
	timeout time.Duration
	buffer  int64
}

func init() {
	for _, d := range []*dialect{sqliteDialect, postgresDialect, mysqlDialect, sqlserverDialect} {
		connect.Register(specOf(d))
	}
}

// specOf declares the connector of a dialect. Each is one of its own, and not one "sql" with a
// dialect setting: their settings differ, and a job file names the database it means.
func specOf(d *dialect) *connect.Spec {
	return &connect.Spec{
		Name:    d.name,
		Aliases: d.aliases,
		Summary: d.summary,
		Fields:  slices.Concat(d.fields, tableFields(d), readFields()),
		Source: func(_ context.Context, c connect.Config, env connect.SourceEnv) (connect.Source, error) {
			return openSource(d, c, env, nil)
		},
		Reference: true, ReferenceOnly: true,
		In: "as reference data: a snapshot, read anew every so often, kept with the state of the job",
		Sink: func(ctx context.Context, c connect.Config, env connect.SinkEnv) (connect.Sink, error) {
			return open(d, c, env, nil)
		},
		Out:   "exactly once: the number of the epoch is part of the transaction",
		Check: func(c connect.Config, input bool) []connect.Problem { return check(d, c, input) },
		Probe: func(ctx context.Context, c connect.Config, env connect.ProbeEnv) []connect.Problem {
			return try(ctx, d, c, env)
		},
		Example: d.example,
	}
}

// tableFields are the settings that all dialects have.
func tableFields(d *dialect) []connect.Field {
	create := "false"
	if d == sqliteDialect {
		create = "true"
	}
	return []connect.Field{
		{Name: "table", Type: connect.Text, Required: true, Output: true,
			Doc: "The table that rows go to, with its schema if it is not the usual one: `sales.orders`, `[my schema].[my table]`."},
		{Name: "mode", Type: connect.Enum, Values: []string{modeInsert, modeUpsert, modeIgnore}, Default: modeInsert, Output: true,
			Doc: "`insert` adds every row. `upsert` replaces the row of the same key, or adds it. `insert_ignore` adds rows and skips those that a unique key of the table already has."},
		{Name: "key", Type: connect.List, Output: true,
			Doc: "The columns that tell rows apart; `upsert` needs them, and a unique key of the table over exactly them."},
		{Name: "columns", Type: connect.Map, Output: true,
			Doc: "Columns of the table by names of the query, where they differ: `{TeamId: team_id}`."},
		{Name: "create", Type: connect.Bool, Default: create, Output: true,
			Doc: "Make the table, and columns it lacks, when the first rows come."},
		{Name: "batch", Type: connect.Int, Default: fmt.Sprint(defaultBatch), Output: true,
			Doc: "The most rows in one statement."},
		{Name: "timeout", Type: connect.Duration, Default: "30s", Output: true,
			Doc: "The longest that one statement may take; then it is tried again."},
		{Name: "buffer", Type: connect.Size, Default: "64MiB", Output: true,
			Doc: "The most memory for rows of an epoch; more of them wait on disk."},
		{Name: "epochs", Type: connect.Text, Default: defaultEpochs, Output: true,
			Doc: "The table that remembers how far each job is. It is made if it is not there."},
	}
}

// serverFields are the settings of databases behind a network.
func serverFields(port, form string) []connect.Field {
	return []connect.Field{
		{Name: "dsn", Type: connect.Secret,
			Doc: "The connection string, " + form + ". It takes the place of `host`, `port`, `database`, `user`, `password`, `tls` and `tls_ca`."},
		{Name: "host", Type: connect.Text, Doc: "The name or address of the server."},
		{Name: "port", Type: connect.Int, Default: port, Doc: "Its port."},
		{Name: "database", Type: connect.Text, Doc: "The database."},
		{Name: "user", Type: connect.Text, Doc: "Who we are for the database."},
		{Name: "password", Type: connect.Secret, Doc: "The password of `user`."},
		{Name: "tls", Type: connect.Enum, Values: []string{tlsVerify, tlsRequire, tlsDisable},
			Doc: "`verify` encrypts and checks who the server is; `require` encrypts; `disable` does not. If it is not set: `disable` for this machine (`localhost`, `127.0.0.1`, `::1`), else `verify`."},
		{Name: "tls_ca", Type: connect.Path,
			Doc: "A PEM file of the authorities that `verify` trusts, if they are not those of the system."},
	}
}

// read makes settings of a Config, and says all that is wrong with it.
func read(d *dialect, c connect.Config) (settings, []connect.Problem) {
	s := settings{dialect: d, mode: c.Text("mode"), key: c.List("key"), create: d == sqliteDialect,
		batch: int(c.Int("batch")), timeout: c.Duration("timeout"), buffer: c.Int("buffer")}
	var bad []connect.Problem
	problem := func(field, text, hint string) {
		bad = append(bad, connect.Problem{Field: field, Text: text, Hint: hint})
	}
	if c.Has("create") {
		s.create = c.Bool("create")
	}
	tableName := func(field, text string) name {
		n, err := parseName(text)
		if err != nil {
			problem(field, fmt.Sprintf("%q is no name of a table: %v", text, err), `write table, schema.table or [my schema].[my table]`)
		}
		return n
	}
	s.table = tableName("table", c.Text("table"))
	s.epochs = tableName("epochs", or(c.Text("epochs"), defaultEpochs))
	s.mode = or(s.mode, modeInsert)
	if s.mode == modeUpsert && len(s.key) == 0 {
		problem("mode", "upsert needs a key", "set key: to the columns that tell rows apart")
	}
	if s.mode == modeInsert && len(s.key) > 0 {
		problem("key", "insert uses no key", "set mode: upsert or mode: insert_ignore, or leave key: out")
	}
	s.columns = map[string]string{}
	for from, to := range c.Map("columns") {
		if to == "" {
			problem("columns", fmt.Sprintf("%s has no column", from), "")
		}
		s.columns[strings.ToLower(from)] = to
	}
	for i, k := range s.key {
		if slices.ContainsFunc(s.key[:i], func(o string) bool { return strings.EqualFold(o, k) }) {
			problem("key", fmt.Sprintf("%s stands twice", k), "")
		}
	}
	bad = append(bad, s.limits(c)...)
	return s, bad
}

// limits fills in and checks the settings that are numbers.
func (s *settings) limits(c connect.Config) (bad []connect.Problem) {
	if !c.Has("batch") {
		s.batch = defaultBatch
	}
	if s.batch < 1 || s.batch > maxBatch {
		bad = append(bad, connect.Problem{Field: "batch", Text: fmt.Sprintf("%d is not between 1 and %d", s.batch, maxBatch)})
	}
	if !c.Has("timeout") {
		s.timeout = defaultTimeout
	}
	if s.timeout < time.Millisecond {
		bad = append(bad, connect.Problem{Field: "timeout", Text: "a statement needs some time", Hint: "30s is usual"})
	}
	if !c.Has("buffer") {
		s.buffer = defaultBuffer
	}
	if s.buffer < 0 {
		bad = append(bad, connect.Problem{Field: "buffer", Text: "is negative"})
	}
	return bad
}

func or(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

// check finds what is wrong with settings without opening anything.
func check(d *dialect, c connect.Config, input bool) (bad []connect.Problem) {
	if input {
		_, bad = readSource(d, c)
	} else {
		_, bad = read(d, c)
	}
	if _, err := d.connector(c, nil); err != nil {
		field := ""
		if c.Has("dsn") {
			field = "dsn"
		}
		bad = append(bad, connect.Problem{Field: field, Text: secretsOf(d, c).clean(err.Error())})
	}
	return bad
}
