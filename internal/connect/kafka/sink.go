package kafka

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/internal/connect"
	"weir/internal/connect/message"
)

const (
	// defaultLimit is how large a batch may be if the brokers do not say it: what Kafka has
	// without a setting.
	defaultLimit = 1_048_588
	// maxLimit is the largest batch that is sent, whatever the topic takes.
	maxLimit = 16 << 20
	// overhead is what a batch, a record and its id have beside what message.Rows counts.
	overhead = 256
	// maxID is how long the name may be under which a job writes.
	maxID = 200
)

func openSink(ctx context.Context, c connect.Config, env connect.SinkEnv) (connect.Sink, error) {
	s, _, err := newSink(ctx, c, env)
	if err != nil {
		return nil, fmt.Errorf("output %s: %w", env.Output, err)
	}
	return s, nil
}

// newSink makes a sink, and the publisher in it.
func newSink(ctx context.Context, c connect.Config, env connect.SinkEnv) (*message.Sink, *publisher, error) {
	fail := func(err error) (*message.Sink, *publisher, error) { return nil, nil, err }
	l, err := linkOf(c, false)
	if err != nil {
		return fail(err)
	}
	p := &publisher{link: l, topic: l.topics[0], id: senderID(env), health: newHealth(), timeout: c.Duration("transaction_timeout"),
		compression: c.Text("compression"), log: env.Log, second: time.Second}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	if err := p.begin(ctx, c); err != nil {
		return fail(l.atStart("topic "+p.topic, p.health, err))
	}
	rows, err := message.NewRows(message.FromConfig(c, env, p.limit-overhead-len(p.id)))
	if err != nil {
		return fail(connect.Permanent(err))
	}
	s, err := message.NewSink(ctx, env, message.Sender(env), rows, p)
	if err != nil {
		return fail(err)
	}
	return s, p, nil
}

// senderID is the name that the job writes under: its transactional id, and the group that
// keeps the number of its last epoch.
func senderID(env connect.SinkEnv) string {
	id := "weir/" + message.Sender(env)
	if len(id) <= maxID {
		return id
	}
	h := sha256.Sum256([]byte(id))
	return "weir/" + hex.EncodeToString(h[:])
}

// begin looks at the brokers and the topic: whether all is there, how large a record may be,
// and whether there are transactions.
func (p *publisher) begin(ctx context.Context, c connect.Config) error {
	cl, err := p.link.client(p.health)
	if err != nil {
		return err
	}
	defer cl.Close()
	if c.Bool("create") {
		if _, err = partitionsOf(ctx, cl, p.link.topics); errors.Is(err, kerr.UnknownTopicOrPartition) {
			err = p.create(ctx, cl, c)
		}
		if err != nil {
			return err
		}
	}
	if err := settled(ctx, cl, p.link.topics); err != nil {
		return err
	}
	p.limit = batchLimit(ctx, cl, p.topic)
	switch c.Text("transactional") {
	case transactionalOff:
		return nil
	case transactionalOn:
		p.transactional = true
		return nil
	}
	p.auto, p.eventHubs = true, c.Secret("connection_string").Expose() != ""
	p.transactional, err = hasTransactions(ctx, cl)
	return err
}

// create makes the topic; another may have been faster.
func (p *publisher) create(ctx context.Context, cl *kgo.Client, c connect.Config) error {
	partitions, replication := int32(-1), int16(-1)
	if c.Has("partitions") {
		partitions = int32(c.Int("partitions"))
	}
	if c.Has("replication") {
		replication = int16(c.Int("replication"))
	}
	ctx, cancel := limited(ctx)
	defer cancel()
	if _, err := kadm.NewClient(cl).CreateTopic(ctx, partitions, replication, nil, p.topic); err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		return fmt.Errorf("make the topic: %w", err)
	}
	return nil
}

// batchLimit is how large a batch the topic takes. Not everybody may read that.
func batchLimit(ctx context.Context, cl *kgo.Client, topic string) int {
	ctx, cancel := limited(ctx)
	defer cancel()
	found, err := kadm.NewClient(cl).DescribeTopicConfigs(ctx, topic)
	if err != nil {
		return defaultLimit
	}
	for _, r := range found {
		for _, x := range r.Configs {
			if x.Key != "max.message.bytes" || x.Value == nil {
				continue
			}
			if n, err := strconv.Atoi(*x.Value); err == nil && n > 4*overhead {
				return min(n, maxLimit)
			}
		}
	}
	return defaultLimit
}

// hasTransactions asks a broker for what it serves.
func hasTransactions(ctx context.Context, cl *kgo.Client) (bool, error) {
	ctx, cancel := limited(ctx)
	defer cancel()
	q := kmsg.NewPtrApiVersionsRequest()
	q.ClientSoftwareName, q.ClientSoftwareVersion = "weir", "1"
	r, err := q.RequestWith(ctx, cl)
	if err != nil {
		return false, err
	}
	has := map[kmsg.Key]bool{}
	for _, k := range r.ApiKeys {
		has[kmsg.Key(k.ApiKey)] = true
	}
	for _, k := range []kmsg.Key{kmsg.InitProducerID, kmsg.AddPartitionsToTxn, kmsg.AddOffsetsToTxn, kmsg.EndTxn, kmsg.TxnOffsetCommit} {
		if !has[k] {
			return false, nil
		}
	}
	return true, nil
}
