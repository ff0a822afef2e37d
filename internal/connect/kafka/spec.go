// Package kafka reads and writes topics of Kafka and of what speaks its protocol: Redpanda,
// Confluent, MSK, the Kafka endpoint of Event Hubs, Weir's own hub.
//
// # Input
//
// A partition of a topic is a partition of the input. One client fetches all of them: it consumes
// partitions directly, so no group assigns them, and two jobs never take each other's records. A
// position is the next offset and the arrival that the records before it have reached, because
// Kafka's timestamps may go back and lie in the future, and an arrival must not (see reader).
//
// # Output
//
// An epoch is a transaction. The number of the epoch is committed in it, as the offset of a
// consumer group that nobody is in: what a broker says of that group is what it has of the job.
// After any failure the client is thrown away, and the next one begins by ending what the old
// one has left open (see session). Brokers without transactions get each record once per
// attempt, with an id in a header.
package kafka

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"weir/internal/connect"
	"weir/internal/connect/message"
	"weir/internal/hub/sas"
)

// Name is the type of the connector in job files.
const Name = "kafka"

// The values of settings that are not said elsewhere.
const (
	transactionalAuto = "auto"
	transactionalOn   = "on"
	transactionalOff  = "off"

	readCommitted   = "read_committed"
	readUncommitted = "read_uncommitted"
)

// The limits of settings.
const (
	maxTopics     = 100
	maxPartitions = 10_000
)

var spec = &connect.Spec{
	Name:      Name,
	Summary:   "Topics of Kafka and of services that speak its protocol: Redpanda, Confluent, MSK, Event Hubs.",
	Source:    openSource,
	Sink:      openSink,
	FormatsIn: connect.MessageFormats,
	In:        "exactly once: positions are offsets",
	Out:       "exactly once for readers of committed records, by a transaction per epoch; at least once, with an id in a header, where the broker has no transactions",
	Check:     check,
	Probe:     probe,
	Example: `type: kafka
brokers: [kafka-1.example.com:9092, kafka-2.example.com:9092]
topic: orders
`,
	Fields: append([]connect.Field{
		{Name: "brokers", Type: connect.List, Doc: "Brokers to ask first, as `host:port`; they know the others. Port 9092 if there is none."},
		{Name: "topic", Type: connect.List, Doc: "The name of the topic. An input may have a list of them. With a `connection_string` that has an `EntityPath` it may be left out."},
		{Name: "connection_string", Type: connect.Secret, Doc: "A connection string of Event Hubs. It says the broker, the sign-in, TLS, and the topic if it has an `EntityPath`."},

		{Name: "tls", Type: connect.Bool, Doc: "Encrypt the connections. It is on by itself with a connection string or one of the files below."},
		{Name: "tls_ca", Type: connect.Path, Doc: "A PEM file of the authority that signed the server's certificate, if the system does not know it."},
		{Name: "tls_cert", Type: connect.Path, Doc: "A PEM file with our certificate, for servers that ask for one."},
		{Name: "tls_key", Type: connect.Path, Doc: "A PEM file with the private key of our certificate."},
		{Name: "sasl", Type: connect.Enum, Values: mechanisms, Default: saslNone,
			Doc: "How to sign in: `none`, `plain`, `scram-sha-256`, `scram-sha-512`, or `entra` for the identity of the machine or its environment at Event Hubs."},
		{Name: "user", Type: connect.Text, Doc: "The user of `plain` and SCRAM."},
		{Name: "password", Type: connect.Secret, Doc: "The password of `user`."},

		{Name: "consumer_group", Type: connect.Text, Input: true,
			Doc: "A consumer group in which others see how far the job is. Where the job goes on is in its own state, and nobody shares the partitions out."},
		{Name: "isolation", Type: connect.Enum, Values: []string{readCommitted, readUncommitted}, Default: readCommitted, Input: true,
			Doc: "`read_committed` waits for transactions and leaves out what was aborted; `read_uncommitted` reads all at once."},
		{Name: "metadata_columns", Type: connect.Bool, Default: "true", Input: true,
			Doc: "`SELECT *` shows `EventProcessedUtcTime`, `PartitionId` and `EventEnqueuedUtcTime`. Queries can name them in any case."},
		{Name: "unwrap", Type: connect.Text, Input: true,
			Doc: "A field of each message, such as `records`, that is an array: its elements are the events. Messages without it are taken as they are."},

		{Name: "partition_key", Type: connect.Text, Output: true, Doc: "A column whose value, as text, is the key of the record: rows of one key stay in their order."},
		{Name: "compression", Type: connect.Enum, Values: compressions, Default: "none", Output: true, Doc: "How batches are packed on the way and in the topic."},
		{Name: "transactional", Type: connect.Enum, Values: []string{transactionalAuto, transactionalOn, transactionalOff}, Default: transactionalAuto, Output: true,
			Doc: "`auto` uses transactions if the brokers have them; `on` fails if they have not; `off` is at least once."},
		{Name: "transaction_timeout", Type: connect.Duration, Default: "2m", Output: true,
			Doc: "How long the brokers keep a transaction open that nobody ends: so long a crash may hold up readers. An epoch must be written in that time."},
		{Name: "create", Type: connect.Bool, Default: "false", Output: true, Doc: "Make the topic if there is none of the name."},
		{Name: "partitions", Type: connect.Int, Output: true, Doc: "With `create`: how many partitions the topic gets. Without it the broker decides."},
		{Name: "replication", Type: connect.Int, Output: true, Doc: "With `create`: on how many brokers each partition lies. Without it the broker decides."},
	}, message.Fields()...),
}

func init() { connect.Register(spec) }

func check(c connect.Config, input bool) []connect.Problem {
	var out []connect.Problem
	add := func(field, text, hint string) {
		out = append(out, connect.Problem{Field: field, Text: text, Hint: hint})
	}
	secret := c.Secret("connection_string").Expose()
	entity := ""
	if secret != "" {
		cs, err := sas.ParseConnectionString(secret)
		if err != nil {
			add("connection_string", err.Error(), "copy it from the service as it is: Endpoint=sb://...;SharedAccessKeyName=...;SharedAccessKey=...")
		}
		entity = cs.Entity
		for _, name := range []string{"user", "password"} {
			if c.Has(name) {
				add(name, fmt.Sprintf("a connection string signs in, and so does %q", name), "remove one of them")
			}
		}
		if c.Text("sasl") != saslNone && c.Text("sasl") != "" {
			add("sasl", "a connection string signs in, and so does \"sasl\"", "remove one of them")
		}
	} else if len(c.List("brokers")) == 0 {
		add("brokers", "there are no brokers", "write brokers: [host:9092], or a connection_string")
	}
	for _, b := range c.List("brokers") {
		if _, err := address(b); err != nil {
			add("brokers", err.Error(), "write host:port, such as kafka-1.example.com:9092")
		}
	}
	topics := c.List("topic")
	switch {
	case len(topics) == 0 && entity == "":
		add("topic", "there is no topic", "write topic: orders")
	case len(topics) > 1 && !input:
		add("topic", "an output writes to one topic", "write one output for each")
	case len(topics) > maxTopics:
		add("topic", fmt.Sprintf("%d topics are too many", len(topics)), fmt.Sprintf("%d is the most", maxTopics))
	}
	for i, name := range topics {
		switch {
		case !topicName(name):
			add("topic", fmt.Sprintf("%.60q is no name of a topic", name), "a name has letters, digits, dots, _ and -, and 249 of them at most")
		case slices.Contains(topics[:i], name):
			add("topic", fmt.Sprintf("%q stands twice", name), "remove one of them")
		}
	}
	out = append(out, checkSignIn(c)...)
	if input {
		return out
	}
	if d := c.Duration("transaction_timeout"); c.Has("transaction_timeout") && (d < time.Second || d > 24*time.Hour) {
		add("transaction_timeout", "\"transaction_timeout\" is too short or too long", "write transaction_timeout: 2m")
	}
	for name, most := range map[string]int64{"partitions": maxPartitions, "replication": 100} {
		if n := c.Int(name); c.Has(name) && (n < 1 || n > most) {
			add(name, fmt.Sprintf("%d is too few or too many", n), fmt.Sprintf("it is 1 to %d", most))
		}
	}
	return append(out, message.CheckFields(c)...)
}

// topicName tells whether a topic can have a name, by the rules of Kafka.
func topicName(s string) bool {
	if s == "" || s == "." || s == ".." || len(s) > 249 {
		return false
	}
	return strings.IndexFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.' && r != '_' && r != '-'
	}) < 0
}

// checkSignIn finds what is wrong with how to sign in.
func checkSignIn(c connect.Config) (out []connect.Problem) {
	add := func(field, text, hint string) {
		out = append(out, connect.Problem{Field: field, Text: text, Hint: hint})
	}
	if c.Has("tls_cert") != c.Has("tls_key") {
		add("tls_cert", "a certificate and its key belong together", "write both tls_cert and tls_key")
	}
	if c.Has("tls") && !c.Bool("tls") && (c.Has("tls_ca") || c.Has("tls_cert")) {
		add("tls", "there are certificates, and \"tls\" is off", "remove tls: false")
	}
	switch c.Text("sasl") {
	case saslPlain, saslScram256, saslScram512:
		if c.Text("user") == "" || c.Secret("password").Expose() == "" {
			add("sasl", fmt.Sprintf("%s needs a user and a password", c.Text("sasl")), "write user and password")
		}
	case saslNone, "":
		if !c.Has("connection_string") && (c.Has("user") || c.Has("password")) {
			add("sasl", "there is a user or a password, and \"sasl\" does not say what for", "write sasl: plain, or scram-sha-512, as the brokers want it")
		}
	}
	return out
}
