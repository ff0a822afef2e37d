// Package redis writes rows to Redis: to streams, to a hash for each key, or to the subscribers
// of channels.
//
// # Streams
//
// Messages are added by a script, so many at a time. With them, in the same step, the script
// writes down which epoch and which message of it came last (the mark of the stream), and
// leaves out what has been added before. A step that is done again after an error, an answer
// that was lost or a crash thus adds nothing twice. The last epoch that is whole lies in a key
// of its own, from which Committed is read.
//
// # Hashes and channels
//
// Setting fields again leaves them as they are. What is published is gone: a repeat is heard
// again.
package redis

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"weir/internal/connect"
)

// The ways of writing.
const (
	modeStream  = "stream"
	modeHash    = "hash"
	modePublish = "publish"
)

// The layouts of a message of a stream.
const (
	bodyFields = "fields"
	bodyJSON   = "json"
)

// The limits that no setting changes.
const (
	// MaxRow is the largest row as JSON, in bytes.
	MaxRow = 1 << 20
	// MaxFields is how many fields a message of a stream has, since a script cannot hand more
	// over; rows of more columns become one JSON text.
	MaxFields = 3000
	// MarkLife is how long Redis keeps what it remembers of an output that writes no more.
	MarkLife = 30 * 24 * time.Hour
	// jsonField is the field of a row that is one JSON text.
	jsonField = "data"
)

var spec = &connect.Spec{
	Name:    "redis",
	Summary: "Streams, hashes and channels of Redis, Valkey and services of their protocol.",
	Sink:    openSink,
	Out:     "streams: exactly once as long as Redis keeps what it has answered (appendfsync); hashes: idempotent; channels: at least once to those who listen",
	Check:   check,
	Probe:   probe,
	Example: `type: redis
address: redis.example.com:6379
password: ${env:REDIS_PASSWORD}
key: team:{TeamId}
mode: hash
`,
	Fields: []connect.Field{
		{Name: "address", Type: connect.List, Required: true, Output: true,
			Doc: "Host and port. Several: nodes of a cluster, or with `master` sentinels."},
		{Name: "master", Type: connect.Text, Output: true, Doc: "The name of the master that the sentinels at `address` know."},
		{Name: "cluster", Type: connect.Bool, Default: "false", Output: true, Doc: "The one address is that of a cluster."},
		{Name: "user", Type: connect.Text, Output: true, Doc: "The user; without it the default one."},
		{Name: "password", Type: connect.Secret, Output: true, Doc: "The password of `user`."},
		{Name: "db", Type: connect.Int, Default: "0", Output: true, Doc: "The number of the database; a cluster has 0 only."},
		{Name: "tls", Type: connect.Bool, Default: "false", Output: true, Doc: "Encrypt the connection, and check the certificate."},
		{Name: "tls_ca", Type: connect.Path, Output: true, Doc: "A PEM file of the authority that signed the server's certificate, if the system does not know it."},
		{Name: "tls_cert", Type: connect.Path, Output: true, Doc: "A PEM file with our certificate, for servers that ask for one."},
		{Name: "tls_key", Type: connect.Path, Output: true, Doc: "A PEM file with the private key of our certificate."},
		{Name: "mode", Type: connect.Enum, Values: []string{modeStream, modeHash, modePublish}, Default: modeStream, Output: true,
			Doc: "`stream`: a message of a stream for each row. `hash`: a hash for each key, with the last row. `publish`: a message to a channel for each row."},
		{Name: "key", Type: connect.Text, Required: true, Output: true,
			Doc: "The key of the stream or hash, or the channel. Columns stand in braces: `team:{TeamId}`; `{{` and `}}` are braces themselves."},
		{Name: "body", Type: connect.Enum, Values: []string{bodyFields, bodyJSON}, Default: bodyFields, Output: true,
			Doc: "Of messages of streams. `fields`: a field for each column that is not NULL. `json`: the row as JSON in the field `data`."},
		{Name: "max_len", Type: connect.Int, Default: "0", Output: true,
			Doc: "About how many messages a stream keeps; the oldest are removed. 0: all."},
		{Name: "ttl", Type: connect.Duration, Default: "0s", Output: true, Doc: "How long a hash stays after its last row. 0s: for ever."},
		{Name: "timeout", Type: connect.Duration, Default: "10s", Output: true, Doc: "How long an answer may take."},
	},
}

func init() {
	goredis.SetLogger(quiet{})
	connect.Register(spec)
}

func check(c connect.Config, _ bool) []connect.Problem {
	var out []connect.Problem
	add := func(field, text, hint string) {
		out = append(out, connect.Problem{Field: field, Text: text, Hint: hint})
	}
	for _, a := range c.List("address") {
		if host, port, err := net.SplitHostPort(a); err != nil || host == "" || port == "" || strings.ContainsAny(a, "@/") {
			add("address", "an address is no host with a port", "write address: HOST:6379") // not quoted: it may hold a secret
		}
	}
	if len(c.List("address")) == 0 {
		add("address", "there is no address", "write address: HOST:6379")
	}
	if c.Text("master") != "" && c.Bool("cluster") {
		add("master", "a cluster has no sentinels", "remove master, or cluster")
	}
	if n := c.Int("db"); n < 0 || n > 0 && (c.Bool("cluster") || c.Text("master") == "" && len(c.List("address")) > 1) {
		add("db", fmt.Sprintf("there is no database %d", n), "remove db: it is 0 then")
	}
	if !c.Bool("tls") && (c.Text("tls_ca") != "" || c.Text("tls_cert") != "") {
		add("tls", "there are settings of TLS, and it is off", "write tls: true")
	}
	if (c.Text("tls_cert") == "") != (c.Text("tls_key") == "") {
		add("tls_cert", "tls_cert and tls_key go together", "give both, or none")
	}
	if strings.TrimSpace(c.Text("key")) == "" {
		add("key", "the key is empty", "write key: NAME, or with columns: team:{TeamId}")
	}
	switch mode := c.Text("mode"); {
	case mode != modeStream && c.Int("max_len") != 0:
		add("max_len", "\"max_len\" is of streams", "remove it")
	case c.Int("max_len") < 0:
		add("max_len", "\"max_len\" is less than 0", "remove it: streams then keep all")
	case mode != modeHash && c.Duration("ttl") != 0:
		add("ttl", "\"ttl\" is of hashes", "remove it; streams have max_len")
	case c.Duration("ttl") < 0 || c.Duration("ttl") > 0 && c.Duration("ttl") < time.Millisecond:
		add("ttl", "\"ttl\" is too small", "remove it: hashes then stay")
	}
	if c.Duration("timeout") <= 0 {
		add("timeout", "\"timeout\" must be more than 0", "write timeout: 10s")
	}
	return out
}

// open makes a client; it connects when it is used. Errors are permanent.
func open(c connect.Config) (goredis.UniversalClient, error) {
	timeout := c.Duration("timeout")
	o := &goredis.UniversalOptions{Addrs: c.List("address"), MasterName: c.Text("master"), IsClusterMode: c.Bool("cluster"),
		Username: c.Text("user"), Password: c.Secret("password").Expose(), DB: int(c.Int("db")), Protocol: 2, DialTimeout: timeout, ReadTimeout: timeout, WriteTimeout: timeout, ContextTimeoutEnabled: true,
		// What fails is tried again by the runner, which tells of it.
		MaxRetries: -1, DialerRetries: 1, PoolSize: 2, PipelinePoolSize: -1,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}, DisableIdentity: true}
	if !c.Bool("tls") {
		return goredis.NewUniversalClient(o), nil
	}
	o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	if path := c.Text("tls_ca"); path != "" {
		pem, err := os.ReadFile(path)
		if err != nil {
			return nil, connect.Permanent(fmt.Errorf("read tls_ca: %w", err))
		}
		o.TLSConfig.RootCAs = x509.NewCertPool()
		if !o.TLSConfig.RootCAs.AppendCertsFromPEM(pem) {
			return nil, connect.Permanent(fmt.Errorf("tls_ca %s has no certificate in PEM", path))
		}
	}
	if path := c.Text("tls_cert"); path != "" {
		pair, err := tls.LoadX509KeyPair(path, c.Text("tls_key"))
		if err != nil {
			return nil, connect.Permanent(fmt.Errorf("load tls_cert and tls_key: %w", err))
		}
		o.TLSConfig.Certificates = []tls.Certificate{pair}
	}
	return goredis.NewUniversalClient(o), nil
}

// where is what error texts call the server.
func where(c connect.Config) string { return "Redis " + strings.Join(c.List("address"), ", ") }

// atStart makes an error of the first answer permanent, if it is a refusal that stays.
func atStart(err error) error {
	for _, text := range []string{"WRONGPASS", "NOAUTH", "invalid password", "Client sent AUTH", "DB index is out of range", "NOPERM"} {
		if goredis.HasErrorPrefix(err, text) {
			return connect.Permanent(err)
		}
	}
	return err
}

// hinted adds to an error of Redis what to do about it.
func hinted(err error) error {
	if h := hintOf(err); h != "" {
		return fmt.Errorf("%w; %s", err, h)
	}
	return err
}

func hintOf(err error) string {
	var n net.Error
	switch {
	case goredis.HasErrorPrefix(err, "WRONGPASS"), goredis.HasErrorPrefix(err, "NOAUTH"), goredis.HasErrorPrefix(err, "invalid password"), goredis.HasErrorPrefix(err, "Client sent AUTH"):
		return "see user and password"
	case goredis.HasErrorPrefix(err, "NOPERM"):
		return "give the user the rights ~* or the keys, and +evalsha +script|load +get +set +ping +type +hset +hdel +expire +pexpire +publish +xadd +waitaof"
	case goredis.HasErrorPrefix(err, "WRONGTYPE"):
		return "the key holds something else; write another key, or remove it"
	case goredis.HasErrorPrefix(err, "MOVED"), goredis.HasErrorPrefix(err, "CROSSSLOT"):
		return "it is a cluster: write cluster: true"
	case goredis.HasErrorPrefix(err, "OOM"):
		return "it has no memory left (maxmemory)"
	case goredis.HasErrorPrefix(err, "MISCONF"):
		return "it cannot write to its disk"
	case errors.As(err, &n) && n.Timeout():
		return "it does not answer"
	}
	return ""
}
