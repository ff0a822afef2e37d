package kafka

import (
	"context"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/internal/connect"
)

// probe tries to reach the brokers, to sign in and to see the topics, and looks what the user
// may do with them. It writes nothing, and begins no transaction.
func probe(ctx context.Context, c connect.Config, env connect.ProbeEnv) []connect.Problem {
	l, err := linkOf(c, env.Input)
	if err != nil {
		return []connect.Problem{{Text: l.scrub(err).Error()}}
	}
	h := newHealth()
	cl, err := l.client(h)
	if err != nil {
		return []connect.Problem{{Text: err.Error()}}
	}
	defer cl.Close()
	ctx, cancel := limited(ctx)
	defer cancel()
	q := kmsg.NewPtrMetadataRequest()
	q.IncludeTopicAuthorizedOperations = true
	for _, name := range l.topics {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = kmsg.StringPtr(name)
		q.Topics = append(q.Topics, t)
	}
	m, err := q.RequestWith(ctx, cl)
	if err != nil {
		return []connect.Problem{l.problem("", h, "brokers", err)}
	}
	var out []connect.Problem
	for i := range m.Topics {
		if p, bad := l.probeTopic(&m.Topics[i], c, env.Input); bad {
			out = append(out, p)
		}
	}
	if len(out) > 0 || env.Input {
		return out
	}
	return l.probeTransactions(ctx, cl, h, c)
}

// problem is an error as one line with what to do.
func (l *link) problem(field string, h *health, what string, err error) connect.Problem {
	text, hint, _ := strings.Cut(l.while(what, h, err).Error(), "; ")
	return connect.Problem{Field: field, Text: strings.ReplaceAll(text, "\n", " "), Hint: strings.ReplaceAll(hint, "\n", " ")}
}

// notTold is what brokers say of the rights of a user if they do not say them.
const notTold = -1 << 31

// probeTopic says what is wrong with a topic.
func (l *link) probeTopic(t *kmsg.MetadataResponseTopic, c connect.Config, input bool) (connect.Problem, bool) {
	name := ""
	if t.Topic != nil {
		name = *t.Topic
	}
	err := kerr.ErrorForCode(t.ErrorCode)
	switch {
	case err == kerr.UnknownTopicOrPartition && !input && c.Bool("create"):
		return connect.Problem{}, false
	case err != nil:
		return l.problem("topic", nil, "topic "+name, err), true
	}
	want, right := kmsg.ACLOperationRead, "Read"
	if !input {
		want, right = kmsg.ACLOperationWrite, "Write"
	}
	if t.AuthorizedOperations == notTold || t.AuthorizedOperations&(1<<want) != 0 {
		return connect.Problem{}, false
	}
	return connect.Problem{Field: "topic", Text: fmt.Sprintf("%s: the user has no right to %s", l.at("topic "+name), strings.ToLower(right)),
		Hint: fmt.Sprintf("grant the user %s of the topic", right)}, true
}

// probeTransactions says that there are none where they are wanted.
func (l *link) probeTransactions(ctx context.Context, cl *kgo.Client, h *health, c connect.Config) []connect.Problem {
	if c.Text("transactional") != transactionalOn {
		return nil
	}
	ok, err := hasTransactions(ctx, cl)
	switch {
	case err != nil:
		return []connect.Problem{l.problem("", h, "brokers", err)}
	case !ok:
		return []connect.Problem{{Field: "transactional", Text: l.at("brokers") + ": they have no transactions", Hint: "write transactional: auto, which is at least once there"}}
	}
	return nil
}
