package namespace

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"

	client "github.com/Azure/go-amqp"

	"weir/internal/connect"
)

// Kind is what an error of a service is about.
type Kind int

// The kinds.
const (
	Other    Kind = iota
	Refused       // the key, or its rights
	Missing       // there is nothing of the name
	Crowded       // too many readers, or too much in it
	Busy          // come again later
	Lost          // the connection
	Stranger      // the certificate is not trusted
	NoHost        // the name of the host is not known
)

// KindOf tells what an error is about. Errors of the clients say what they wrap in their text
// only.
func KindOf(err error) Kind {
	var answer interface{ RPCCode() int }
	var condition *client.Error
	var dns *net.DNSError
	text := err.Error()
	if errors.As(err, &condition) {
		text = string(condition.Condition) // a description may have anything in it
	}
	code := 0
	if errors.As(err, &answer) {
		code = answer.RPCCode()
	}
	has := func(list ...string) bool {
		for _, s := range list {
			if strings.Contains(text, s) {
				return true
			}
		}
		return false
	}
	switch {
	case has("failed to verify certificate"):
		return Stranger
	case errors.As(err, &dns) && dns.IsNotFound, has("no such host"):
		return NoHost
	case has("amqp:unauthorized-access", "(unauthorized): "), code == 401, code == 403:
		return Refused
	case has("amqp:not-found", "(notfound): "), code == 404:
		return Missing
	case has("amqp:resource-limit-exceeded"):
		return Crowded
	case has("server-busy"), code == 503:
		return Busy
	case has("(connlost): "):
		return Lost
	}
	return Other
}

var hints = map[Kind]string{
	Stranger: "check the host name, and set tls_ca if a private authority signed the certificate",
	NoHost:   "check the namespace",
}

// Hint is what to do about an error, by what a connector says of a kind, or as it is for all;
// "" if there is nothing to say.
func Hint(err error, own map[Kind]string) string {
	k := KindOf(err)
	if hint := own[k]; hint != "" {
		return hint
	}
	return hints[k]
}

// Failed is an error of a thing, such as "queue orders", with where it was and what to do, and
// without secrets. starting says that the job is being started: what its settings cannot get
// right is permanent then, and tried again later on, when somebody may repair it.
func (r *Reach) Failed(thing string, starting bool, doing string, err error, own map[Kind]string) error {
	if err == nil || errors.Is(err, connect.ErrGone) {
		return err
	}
	text := fmt.Errorf("%s at %s: %s: %w", thing, r.Host, doing, oneLine{err})
	if hint := Hint(err, own); hint != "" {
		text = fmt.Errorf("%w; %s", text, hint)
	}
	if k := KindOf(err); starting && (k == Refused || k == Missing || k == Stranger) {
		text = connect.Permanent(text)
	}
	return r.Error(text)
}

// Problem is what a Probe tells of an error.
func (r *Reach) Problem(thing, doing string, err error, own map[Kind]string) connect.Problem {
	hint := Hint(err, own)
	text := strings.TrimSuffix(r.Failed(thing, false, doing, err, own).Error(), "; "+hint)
	if hint == "" {
		hint = "check the namespace, the network on the way to it, and the port"
	}
	return connect.Problem{Text: text, Hint: hint}
}

// oneLine is an error on one line: of the protocol, what people can use of it.
type oneLine struct{ error }

// described finds what the service says in an error of a client.
var described = regexp.MustCompile(`(?:Description: (.*?), Info: |and description: (.*))`)

func (o oneLine) Error() string {
	text := strings.Join(strings.Fields(o.error.Error()), " ")
	if m := described.FindStringSubmatch(text); m != nil && m[1]+m[2] != "" {
		text = m[1] + m[2]
	}
	return strings.TrimSuffix(text, ".")
}

func (o oneLine) Unwrap() error { return o.error }
