// Package cosmos writes documents of Cosmos DB and reads its change feed.
//
// # Output
//
// Rows become documents, which are sent when their epoch is decided (Prepare): those of one
// partition key in transactional batches, in their order, those of different keys side by side.
// The id of a document is a function of the row, or of the epoch and the number of the row. So
// an epoch that is sent again replaces its own documents, and each row counts once.
//
// # Input
//
// The change feed gives the latest version of each document, so it cannot be read again from a
// place with equal results. What is read lands in a log (intake) in the state directory of the
// input, together with the place in the feed. The log is what the job reads: positions, replay
// and start times work as for any other source. A range of the feed that was there when
// the input began is a partition for ever; the ranges that it splits into are read as parts of it.
package cosmos

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"time"

	"weir/internal/connect"
	"weir/internal/connect/intake"
)

// The modes of writing.
const (
	modeUpsert = "upsert"
	modeMerge  = "merge"
	modeInsert = "insert"
)

// The ways of signing in.
const (
	signInKey   = "key"
	signInEntra = "entra"
)

// The limits of the service.
const (
	// MaxDocument is the size of a document as text, in bytes.
	MaxDocument = 2 << 20
	// MaxID is the size of an id, in bytes.
	MaxID = 1023
	// MaxKey is the size of the value of a partition key, in bytes.
	MaxKey = 2048
	// maxBatchRows and maxBatchBytes are the limits of a transactional batch.
	maxBatchRows  = 100
	maxBatchBytes = 1_800_000
)

// The limits that are ours.
const (
	maxWriters = 256
	// minLog is the least max_log: a page of the feed, which is at most 4 MiB, is one append, and
	// an append at most a quarter of the log.
	minLog = 20 << 20
)

var spec = &connect.Spec{
	Name:    "cosmos",
	Aliases: []string{"cosmosdb", "documentdb"},
	Summary: "Documents of Cosmos DB, and its change feed.",
	Source:  openSource,
	Sink:    openSink,
	In:      "exactly once: each version of a document that the feed gives lands in a log first, with its place; of several changes between two looks the feed gives the last one, and of deletions nothing",
	Out:     "exactly once by id: an epoch that is sent again replaces its own documents",
	Check:   check,
	Probe:   probe,
	Example: `type: cosmos
connection_string: ${env:COSMOS_CONNECTION_STRING}
database: shop
container: teams
document_id: TeamId
`,
	Fields: fields(),
}

func init() { connect.Register(spec) }

func fields() []connect.Field {
	list := []connect.Field{
		{Name: "connection_string", Type: connect.Secret, Doc: "The connection string of the account: `AccountEndpoint=https://...;AccountKey=...;`. Instead of `account` or `endpoint` and `key`."},
		{Name: "account", Type: connect.Text, Doc: "The name of the account: it is reached at `https://ACCOUNT.documents.azure.com:443/`."},
		{Name: "endpoint", Type: connect.Text, Doc: "The address of the account, if it is another one: of another cloud, or of an emulator."},
		{Name: "key", Type: connect.Secret, Doc: "A key of the account."},
		{Name: "sign_in", Type: connect.Enum, Values: []string{signInKey, signInEntra}, Default: signInKey,
			Doc: "`key`: with the key or the connection string. `entra`: as Microsoft Entra knows this process, in the order of its SDKs: the variables `AZURE_TENANT_ID`, `AZURE_CLIENT_ID` and `AZURE_CLIENT_SECRET`, a workload or managed identity, or the user of its command line. It needs a data role such as Cosmos DB Built-in Data Contributor."},
		{Name: "tls_ca", Type: connect.Path, Doc: "A PEM file of the authority that signed the server's certificate, if the system does not know it."},
		{Name: "database", Type: connect.Text, Required: true, Doc: "The database."},
		{Name: "container", Type: connect.Text, Required: true, Doc: "The container (collection). It must be there."},

		{Name: "document_id", Type: connect.Text, Output: true,
			Doc: "The column whose value, as text, is the `id` of the document. Without it rows are new documents: the id is the field `id` if the row has one, else it is made of the epoch and the number of the row."},
		{Name: "partition_key", Type: connect.Text, Output: true,
			Doc: "The column of the partition key. It is the one that the container was made with, which is used if this is not set; it is written as text."},
		{Name: "mode", Type: connect.Enum, Values: []string{modeUpsert, modeMerge, modeInsert}, Output: true,
			Doc: "`upsert` replaces the document of the same id, or adds it. `merge` lays the fields of the row over it; arrays are replaced whole. `insert` adds, and rejects rows whose id is there with other fields. With `document_id` it is `upsert`, else `insert`."},
		{Name: "batch_rows", Type: connect.Int, Default: "100", Output: true, Doc: "The most rows of one partition key that are sent in one transaction; 100 is the limit of the service. 1 sends each row alone."},
		{Name: "writers", Type: connect.Int, Default: "16", Output: true, Doc: "How many requests are under way at a time. It falls by itself while the container is throttled."},

		{Name: "poll", Type: connect.Duration, Default: "1s", Input: true, Doc: "How long to wait before the feed is asked again when it had nothing."},
		{Name: "system_fields", Type: connect.Bool, Default: "false", Input: true,
			Doc: "Keep the fields that the service adds to documents: `_rid`, `_self`, `_etag`, `_attachments`, `_ts`, `_lsn`."},
	}
	for _, f := range intake.Fields() {
		if f.Name != "fsync" { // the place in the feed and what was read up to there must go together
			list = append(list, f)
		}
	}
	return list
}

// address is where an account is and how to sign in; err is for people and has no secret.
type address struct {
	endpoint string
	key      string // base64; "" with entra
}

// addressOf reads the settings that say where the account is.
func addressOf(c connect.Config) (a address, bad []connect.Problem) {
	add := func(field, text, hint string) {
		bad = append(bad, connect.Problem{Field: field, Text: text, Hint: hint})
	}
	entra := c.Text("sign_in") == signInEntra
	cs := c.Secret("connection_string").Expose()
	field := "endpoint"
	switch {
	case cs != "":
		field = "connection_string"
		a.endpoint, a.key = parseConnectionString(cs)
		if c.Text("account") != "" || c.Text("endpoint") != "" || c.Secret("key").Expose() != "" {
			add("connection_string", "connection_string says where the account is and has its key", "remove account, endpoint and key, or connection_string")
		}
		if a.endpoint == "" || a.key == "" && !entra {
			add("connection_string", "connection_string has no AccountEndpoint or no AccountKey", "copy it from the account: az cosmosdb keys list --type connection-strings")
			return a, bad
		}
	case c.Text("endpoint") != "" && c.Text("account") != "":
		add("endpoint", "account and endpoint say both where the account is", "remove one of them")
		return a, bad
	case c.Text("endpoint") != "":
		a.endpoint, a.key = c.Text("endpoint"), c.Secret("key").Expose()
	case c.Text("account") != "":
		field = "account"
		if strings.ContainsAny(c.Text("account"), "/:.@?# ") {
			add("account", fmt.Sprintf("%q is no name of an account", c.Text("account")), "write account: shop, or endpoint: https://shop.documents.azure.com:443/")
			return a, bad
		}
		a.endpoint, a.key = "https://"+c.Text("account")+".documents.azure.com:443/", c.Secret("key").Expose()
	default:
		add("", "it is not set where the account is", "set connection_string, or account and key")
		return a, bad
	}
	u, err := url.Parse(a.endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "" || strings.Trim(u.Path, "/") != "" {
		add(field, fmt.Sprintf("%q has no address of an account", field), "write endpoint: https://ACCOUNT.documents.azure.com:443/") // not quoted: it may hold a secret
		return a, bad
	}
	a.endpoint = u.Scheme + "://" + u.Host + "/"
	if entra {
		a.key = ""
		if u.Scheme != "https" {
			add(field, "sign_in: entra needs https", "set endpoint: to an https address, or use a key")
		}
		return a, bad
	}
	switch _, err := base64.StdEncoding.DecodeString(a.key); {
	case a.key == "":
		add("key", "key is not set", "set key, or sign_in: entra")
	case err != nil:
		add(field, "the key of the account is no base64", "copy it again: az cosmosdb keys list")
	}
	return a, bad
}

// parseConnectionString finds endpoint and key. Other parts, such as Database, are left out.
func parseConnectionString(s string) (endpoint, key string) {
	for part := range strings.SplitSeq(s, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch strings.ToLower(name) {
		case "accountendpoint":
			endpoint = value
		case "accountkey":
			key = value
		}
	}
	return endpoint, key
}

// check finds what single fields cannot tell.
func check(c connect.Config, input bool) []connect.Problem {
	_, out := addressOf(c)
	add := func(field, text, hint string) {
		out = append(out, connect.Problem{Field: field, Text: text, Hint: hint})
	}
	for _, field := range []string{"database", "container"} {
		if name := c.Text(field); strings.ContainsAny(name, `/\?#`) || len(name) > 255 || strings.HasSuffix(name, " ") {
			add(field, fmt.Sprintf("%.80q is no name of a %s", name, field), "names have at most 255 characters, none of / \\ ? #, and no blank at the end")
		}
	}
	if input {
		if c.Int("max_log") < minLog {
			add("max_log", "\"max_log\" is too small", "the least is 20MiB")
		}
		if d := c.Duration("poll"); d < time.Millisecond || d > time.Hour {
			add("poll", "\"poll\" is not between 1ms and 1h", "write poll: 1s")
		}
		return out
	}
	if m := c.Text("mode"); c.Text("document_id") == "" && (m == modeUpsert || m == modeMerge) {
		add("mode", fmt.Sprintf("%s needs a document_id", m), "set document_id: to the column that tells documents apart; document_id: id takes that of the rows")
	}
	if n := c.Int("batch_rows"); n < 1 || n > maxBatchRows {
		add("batch_rows", fmt.Sprintf("%d is not between 1 and %d", n, maxBatchRows), "remove it: there is a default")
	}
	if n := c.Int("writers"); n < 1 || n > maxWriters {
		add("writers", fmt.Sprintf("%d is not between 1 and %d", n, maxWriters), "remove it: there is a default")
	}
	return out
}

// modeOf is the mode of writing.
func modeOf(c connect.Config) string {
	switch {
	case c.Text("mode") != "":
		return c.Text("mode")
	case c.Text("document_id") != "":
		return modeUpsert
	}
	return modeInsert
}
