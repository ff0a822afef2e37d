// Package mqtt subscribes to and publishes on topics of an MQTT 5 broker.
//
// # Input
//
// What is delivered lands in a log first (connect/intake) and is acknowledged when it is on the
// disk. The broker keeps the session while we are away, and delivers what came meanwhile. So a
// message of QoS 1 or 2 comes at least once, whatever happens to us or the connection.
//
// # Output
//
// Messages of an epoch are published one behind the other, so many at a time without an answer
// as the window is wide. When an attempt fails the next one goes on with the first message that
// has no answer: messages may come twice, and the first copies keep their order. Each has an
// id, which is the same in both copies.
package mqtt

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"weir/internal/connect"
	"weir/internal/connect/intake"
	"weir/internal/connect/message"
)

// The limits that no setting changes.
const (
	// MaxPacket is the largest message that is taken from the broker, in bytes; the broker is
	// told so and leaves larger ones out.
	MaxPacket = 4 << 20
	// MaxWindow is the most that window can be.
	MaxWindow = 8192
	// maxTopic is the length of a topic in bytes (MQTT 5, 1.5.4).
	maxTopic = 65535
	// keepAlive is how often the broker is asked whether it is there, in seconds.
	keepAlive = 30
	// dialTimeout is how long a connection may take to come.
	dialTimeout = 10 * time.Second
)

// The ways of delivery.
const (
	qos0 = "0"
	qos1 = "1"
	qos2 = "2"
)

// IDProperty is the user property that has the id of a message.
const IDProperty = "weir-id"

var spec = &connect.Spec{
	Name:      "mqtt",
	Summary:   "Topics of an MQTT 5 broker: Mosquitto, EMQX, HiveMQ, VerneMQ and others.",
	Source:    openSource,
	Sink:      openSink,
	FormatsIn: connect.MessageFormats,
	In:        "at least once with qos 1 or 2: a message is acknowledged when it is on the disk; from there on exactly once",
	Out:       "at least once with qos 1 or 2, with an id that tells copies",
	Check:     check,
	Probe:     probe,
	Example: `type: mqtt
url: mqtts://broker.example.com
topics: [factory/+/status]
user: weir
password: ${env:MQTT_PASSWORD}
`,
	Fields: append(append([]connect.Field{
		{Name: "url", Type: connect.Text, Required: true,
			Doc: "The broker: `mqtt://HOST:1883`, `mqtts://HOST:8883` for TLS, `ws://HOST/PATH` and `wss://HOST/PATH` for WebSockets."},
		{Name: "client_id", Type: connect.Text,
			Doc: "The name of our session at the broker; no other client may have it. Without it, it is made of the names of the job and the input or output."},
		{Name: "user", Type: connect.Text, Doc: "The user name."},
		{Name: "password", Type: connect.Secret, Doc: "The password of `user`."},
		{Name: "tls_ca", Type: connect.Path, Doc: "A PEM file of the authority that signed the server's certificate, if the system does not know it."},
		{Name: "tls_cert", Type: connect.Path, Doc: "A PEM file with our certificate, for servers that ask for one."},
		{Name: "tls_key", Type: connect.Path, Doc: "A PEM file with the private key of our certificate."},
		{Name: "qos", Type: connect.Enum, Values: []string{qos0, qos1, qos2}, Default: qos1,
			Doc: "How messages are delivered. `0`: at most once, without an acknowledgement. `1`: at least once. `2`: once per session of the broker, which is still at least once over a restart."},
		{Name: "window", Type: connect.Int, Default: "1000",
			Doc: "How many messages may be under way without an acknowledgement, as far as the broker allows: Mosquitto allows 20 unless its `max_inflight_messages` says more."},
		{Name: "timeout", Type: connect.Duration, Default: "30s", Doc: "How long an answer of the broker may take."},

		{Name: "topics", Type: connect.List, Required: true, Input: true,
			Doc: "Topics to subscribe to: `factory/+/status`, `factory/#`, `$share/GROUP/factory/#`."},
		{Name: "clean_start", Type: connect.Bool, Default: "false", Input: true,
			Doc: "Begin a new session at each start of the job: messages that came while it was away are not delivered."},
		{Name: "session_expiry", Type: connect.Duration, Default: "24h", Input: true,
			Doc: "How long the broker keeps our session, and messages for it, while we are away."},
		{Name: "unwrap", Type: connect.Text, Input: true,
			Doc: "A field of each message, such as `records`, that is an array: its elements are the events. Messages without it are taken as they are."},

		{Name: "topic", Type: connect.Text, Required: true, Output: true,
			Doc: "The topic to publish on. Columns stand in braces: `teams/{TeamId}/totals`."},
		{Name: "retain", Type: connect.Bool, Default: "false", Output: true, Doc: "Have the broker keep the last message of each topic for later subscribers."},
		{Name: "content_type", Type: connect.Text, Output: true, Doc: "The content type of messages; it tells receivers what they hold."},
		{Name: "max_message", Type: connect.Size, Default: "256KiB", Output: true,
			Doc: "The largest message, topic and properties included; rows that do not fit are dead letters. The broker may allow less."},
	}, intake.Fields()...), message.Fields()...),
}

func init() { connect.Register(spec) }

func check(c connect.Config, input bool) []connect.Problem {
	var out []connect.Problem
	add := func(field, text, hint string) {
		out = append(out, connect.Problem{Field: field, Text: text, Hint: hint})
	}
	u, err := url.Parse(c.Text("url"))
	switch {
	case err != nil || u.Host == "" || schemes[strings.ToLower(u.Scheme)] == nil:
		add("url", "\"url\" is no address of a broker", "write url: mqtts://HOST:8883") // not quoted: it may hold a secret
	case u.User != nil:
		add("url", "\"url\" holds a user or a password", "give user and password instead: they are not shown")
	case !schemes[strings.ToLower(u.Scheme)].tls && (c.Text("tls_ca") != "" || c.Text("tls_cert") != ""):
		add("url", fmt.Sprintf("%s:// is not encrypted, and there are settings of TLS", u.Scheme), "write url: mqtts://HOST:8883, or wss://")
	}
	if (c.Text("tls_cert") == "") != (c.Text("tls_key") == "") {
		add("tls_cert", "tls_cert and tls_key go together", "give both, or none")
	}
	if n := c.Int("window"); n < 1 || n > MaxWindow {
		add("window", fmt.Sprintf("%d is too small or too large", n), fmt.Sprintf("it is 1 to %d", MaxWindow))
	}
	if c.Duration("timeout") <= 0 {
		add("timeout", "\"timeout\" must be more than 0", "write timeout: 30s")
	}
	if input {
		return append(append(out, checkInput(c)...), intake.CheckFields(c)...)
	}
	return append(append(out, checkOutput(c)...), message.CheckFields(c)...)
}

func checkInput(c connect.Config) (out []connect.Problem) {
	if len(c.List("topics")) == 0 {
		out = append(out, connect.Problem{Field: "topics", Text: "there is no topic", Hint: "write topics: [factory/#]"})
	}
	for _, t := range c.List("topics") {
		if why := badFilter(t); why != "" {
			out = append(out, connect.Problem{Field: "topics", Text: fmt.Sprintf("%.200q is no topic to subscribe to: %s", t, why), Hint: "write topics: [factory/+/status, other/#]"})
		}
	}
	if d := c.Duration("session_expiry"); d < 0 || d > maxExpiry {
		out = append(out, connect.Problem{Field: "session_expiry", Text: "\"session_expiry\" is too small or too large", Hint: "it is 0s to 100000h"})
	}
	return out
}

// maxExpiry is the longest life of a session that is not for ever.
const maxExpiry = 100_000 * time.Hour

func checkOutput(c connect.Config) (out []connect.Problem) {
	if t := c.Text("topic"); !strings.Contains(t, "{") {
		if why := badTopic([]byte(t)); why != "" {
			out = append(out, connect.Problem{Field: "topic", Text: why, Hint: "write topic: teams/totals, or with columns: teams/{TeamId}"})
		}
	}
	if n := c.Int("max_message"); n < 256 || n > MaxPacket {
		out = append(out, connect.Problem{Field: "max_message", Text: "\"max_message\" is too small or too large", Hint: "it is 256 bytes to 4MiB"})
	}
	return out
}

// badFilter says why nothing can be subscribed to by a text, "" if it can (MQTT 5, 4.7 and 4.8.2).
func badFilter(s string) string {
	if rest, ok := strings.CutPrefix(s, "$share/"); ok {
		group, filter, _ := strings.Cut(rest, "/")
		if group == "" || strings.ContainsAny(group, "+#") || filter == "" {
			return "a shared one is $share/GROUP/TOPIC"
		}
		s = filter
	}
	if s == "" || len(s) > maxTopic || strings.ContainsRune(s, 0) {
		return "it is empty or too long"
	}
	levels := strings.Split(s, "/")
	for i, level := range levels {
		switch {
		case level == "+", level == "#" && i == len(levels)-1:
		case strings.ContainsAny(level, "+#"):
			return "+ stands for a whole level, # for all levels at the end"
		}
	}
	return ""
}

// badTopic says why nothing can be published on a topic, "" if it can.
func badTopic(topic []byte) string {
	switch {
	case len(topic) == 0:
		return "the topic is empty"
	case len(topic) > maxTopic:
		return fmt.Sprintf("the topic has %d bytes; %d is the most", len(topic), maxTopic)
	case strings.ContainsAny(string(topic), "+#\x00"):
		return fmt.Sprintf("the topic %.100q holds +, # or a zero byte, which topics of messages cannot", topic)
	}
	return ""
}
