package kafka

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/internal/connect"
)

// place is a partition of a topic.
type place struct {
	topic     string
	partition int32
}

func (p place) String() string { return fmt.Sprintf("topic %s, partition %d", p.topic, p.partition) }

// The special times of ListOffsets: before all that is kept, and behind all.
const (
	offsetFirst = -2
	offsetEnd   = -1
)

// partitionsOf are how many partitions topics have.
func partitionsOf(ctx context.Context, cl *kgo.Client, topics []string) (map[string]int, error) {
	ctx, cancel := limited(ctx)
	defer cancel()
	m, err := kadm.NewClient(cl).Metadata(ctx, topics...)
	if err != nil {
		return nil, err
	}
	counts := map[string]int{}
	for _, t := range topics {
		d, ok := m.Topics[t]
		switch {
		case ok && d.Err != nil:
			return nil, fmt.Errorf("topic %s: %w", t, d.Err)
		case !ok || len(d.Partitions) == 0:
			return nil, fmt.Errorf("topic %s: %w", t, kerr.UnknownTopicOrPartition)
		}
		counts[t] = len(d.Partitions)
	}
	return counts, nil
}

// newTopicWait is how long a topic may be unknown to a broker after another one has made it.
const newTopicWait = 1500 * time.Millisecond

// settled is partitionsOf for topics that may have been made a moment ago.
func settled(ctx context.Context, cl *kgo.Client, topics []string) error {
	give := time.After(newTopicWait)
	for {
		_, err := partitionsOf(ctx, cl, topics)
		if !errors.Is(err, kerr.UnknownTopicOrPartition) {
			return err
		}
		select {
		case <-give:
			return err
		case <-ctx.Done():
			return err
		case <-time.After(newTopicWait / 10):
		}
	}
}

// listOffsets asks for the first offset of each place that has a time in milliseconds, or a
// later one; -1 is none. offsetFirst and offsetEnd are times too. committed ends at the first
// transaction that is open.
func listOffsets(ctx context.Context, cl *kgo.Client, millis int64, committed bool, places []place) (map[place]int64, error) {
	q := kmsg.NewPtrListOffsetsRequest()
	q.ReplicaID = -1
	if committed {
		q.IsolationLevel = 1
	}
	at := map[string]int{}
	for _, p := range places {
		i, ok := at[p.topic]
		if !ok {
			i = len(q.Topics)
			at[p.topic] = i
			t := kmsg.NewListOffsetsRequestTopic()
			t.Topic = p.topic
			q.Topics = append(q.Topics, t)
		}
		x := kmsg.NewListOffsetsRequestTopicPartition()
		x.Partition, x.Timestamp = p.partition, millis
		q.Topics[i].Partitions = append(q.Topics[i].Partitions, x)
	}
	found := map[place]int64{}
	for _, shard := range cl.RequestSharded(ctx, q) {
		if shard.Err != nil {
			return nil, shard.Err
		}
		for _, t := range shard.Resp.(*kmsg.ListOffsetsResponse).Topics {
			for _, x := range t.Partitions {
				p := place{t.Topic, x.Partition}
				if err := kerr.ErrorForCode(x.ErrorCode); err != nil {
					return nil, fmt.Errorf("%s: %w", p, err)
				}
				found[p] = x.Offset
			}
		}
	}
	return found, nil
}

// listOffset asks for one place.
func listOffset(ctx context.Context, cl *kgo.Client, millis int64, committed bool, p place) (int64, error) {
	ctx, cancel := limited(ctx)
	defer cancel()
	found, err := listOffsets(ctx, cl, millis, committed, []place{p})
	if err != nil {
		return 0, err
	}
	n, ok := found[p]
	if !ok {
		return 0, fmt.Errorf("the broker gave no offset of %s", p)
	}
	return n, nil
}

// explain says what to do about an error, if there is something.
func explain(err error) error {
	var hint string
	switch {
	case errors.Is(err, kerr.UnknownTopicOrPartition), errors.Is(err, kerr.UnknownTopicID):
		hint = "there is no such topic, or the user may not see it; make the topic, or correct its name"
	case errors.Is(err, kerr.TopicAuthorizationFailed):
		hint = "grant the user the right to the topic: Read and Describe for an input, Write and Describe for an output, and Read for one with transactions"
	case errors.Is(err, kerr.GroupAuthorizationFailed):
		hint = "grant the user Read of the consumer group"
	case errors.Is(err, kerr.TransactionalIDAuthorizationFailed):
		hint = "grant the user Write and Describe of the transactional id, or write transactional: off"
	case errors.Is(err, kerr.ClusterAuthorizationFailed):
		hint = "grant the user the right to the cluster, such as IdempotentWrite"
	case errors.Is(err, kerr.SaslAuthenticationFailed):
		hint = "check the user and the password, or the connection string"
	case errors.Is(err, kerr.UnsupportedSaslMechanism), errors.Is(err, kerr.IllegalSaslState):
		hint = "write the mechanism that the brokers have: sasl: plain, scram-sha-256 or scram-sha-512"
	case errors.Is(err, kerr.ProducerFenced), errors.Is(err, kerr.InvalidProducerEpoch), errors.Is(err, kerr.InvalidProducerIDMapping), errors.Is(err, kerr.InvalidTxnState):
		hint = "the transaction took longer than transaction_timeout, or another process writes in the name of this job; the next attempt finds out"
	case errors.Is(err, kerr.InvalidTransactionTimeout):
		hint = "the brokers allow less (transaction.max.timeout.ms); make transaction_timeout shorter"
	case errors.Is(err, kerr.MessageTooLarge):
		hint = "the topic's max.message.bytes has become smaller; make it larger again"
	case errors.Is(err, kerr.InvalidReplicationFactor):
		hint = "there are fewer brokers than replication says"
	case errors.Is(err, syscall.ECONNREFUSED):
		hint = "nothing listens there; start the broker, or correct brokers"
	case strings.Contains(err.Error(), "certificate"):
		hint = "name the authority of the brokers' certificates: tls_ca: ca.pem"
	case strings.Contains(err.Error(), "first record does not look like a TLS handshake"):
		hint = "the port does not speak TLS; remove tls, or name the port that does"
	default:
		return err
	}
	return fmt.Errorf("%w; %s", err, hint)
}

// lasting tells an error of the start that no retry heals.
func lasting(err error) bool {
	for _, e := range []error{kerr.UnknownTopicOrPartition, kerr.TopicAuthorizationFailed, kerr.GroupAuthorizationFailed, kerr.TransactionalIDAuthorizationFailed,
		kerr.ClusterAuthorizationFailed, kerr.SaslAuthenticationFailed, kerr.UnsupportedSaslMechanism, kerr.IllegalSaslState, kerr.InvalidTopicException,
		kerr.InvalidReplicationFactor, kerr.InvalidPartitions, kerr.InvalidTransactionTimeout, kerr.PolicyViolation} {
		if errors.Is(err, e) {
			return true
		}
	}
	return strings.Contains(err.Error(), "x509: ") || strings.Contains(err.Error(), "first record does not look like a TLS handshake")
}

// atStart is an error of opening: with what to do, and permanent if no retry heals it.
func (l *link) atStart(what string, h *health, err error) error {
	out := l.while(what, h, err)
	if lasting(out) {
		return connect.Permanent(out)
	}
	return out
}

// while is an error with its place and what to do. A deadline says less than what the brokers
// did.
func (l *link) while(what string, h *health, err error) error {
	if h != nil && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, errNoProgress)) {
		if last := h.last(); last != nil {
			err = last
		}
	}
	return l.scrub(fmt.Errorf("%s: %w", l.at(what), explain(err)))
}
