package kafka

import (
	"context"
	"crypto/rand"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/internal/hub"
)

// initProducerID gives a producer an ID by which what it sends twice is known. An ID is
// random, so that none is given twice whatever becomes of the broker, and nobody can take
// another's away.
func initProducerID(_ context.Context, c *conn, q *kmsg.InitProducerIDRequest, r *kmsg.InitProducerIDResponse) error {
	r.ProducerID, r.ProducerEpoch = -1, -1
	if q.TransactionalID != nil {
		r.ErrorCode = errTransactionalID
		c.s.log.Warn("a Kafka client wants transactions, which are not there; it has to do without transactional.id", "client", c.remote, "software", c.software)
		return nil
	}
	if err := c.login.grant.May(hub.Send, c.login.grant.Hub, c.s.now()); err != nil {
		r.ErrorCode = errClusterAuthorization
		return nil
	}
	// Whatever ID is in the request: Kafka, too, looks at it for transactions only. There are
	// clients that ask with 0 and 0 when they have none (@platformatic/kafka): they would all be
	// one producer, and what the second sends be taken for what the first has sent.
	r.ProducerID, r.ProducerEpoch = newProducerID(), 0
	return nil
}

// newProducerID is 63 random bits.
func newProducerID() int64 {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return int64(be.Uint64(b[:]) >> 1)
}

// createTopics makes hubs. The replicas that are asked for do not matter: there is one broker.
func createTopics(_ context.Context, c *conn, q *kmsg.CreateTopicsRequest, r *kmsg.CreateTopicsResponse) error {
	twice := repeated(q.Topics, func(t kmsg.CreateTopicsRequestTopic) string { return t.Topic })
	for i := range q.Topics {
		t := &q.Topics[i]
		rt := kmsg.NewCreateTopicsResponseTopic()
		rt.Topic, rt.NumPartitions, rt.ReplicationFactor = t.Topic, -1, -1
		h, err := c.createTopic(t, q.ValidateOnly, twice[t.Topic])
		rt.ErrorCode, rt.ErrorMessage = codeOf(err)
		if h != nil {
			rt.TopicID = c.s.topicID(h)
			rt.NumPartitions, rt.ReplicationFactor = int32(len(h.Partitions())), 1
			for _, s := range c.settings(h) {
				rc := kmsg.NewCreateTopicsResponseTopicConfig()
				rc.Name, rc.Value, rc.ReadOnly, rc.Source = s.name, kmsg.StringPtr(s.value), !s.mayChange, int8(s.source)
				rt.Configs = append(rt.Configs, rc)
			}
		}
		r.Topics = append(r.Topics, rt)
	}
	return nil
}

// repeated are the names that a request has more than once.
func repeated[T any](list []T, name func(T) string) map[string]bool {
	seen, twice := map[string]bool{}, map[string]bool{}
	for _, t := range list {
		twice[name(t)] = seen[name(t)]
		seen[name(t)] = true
	}
	return twice
}

func (c *conn) createTopic(t *kmsg.CreateTopicsRequestTopic, validate, twice bool) (*hub.Hub, error) {
	if err := c.may(hub.Manage, t.Topic); err != nil {
		return nil, err
	}
	if twice {
		return nil, refuse(errInvalidRequest, "the topic is named twice")
	}
	cfg := hub.Config{Name: t.Topic}
	switch {
	case len(t.ReplicaAssignment) > 0:
		cfg.Partitions = len(t.ReplicaAssignment)
	case t.NumPartitions == 0 || t.NumPartitions < -1 || t.NumPartitions > hub.MaxPartitions:
		return nil, refuse(errInvalidPartitions, "%d partitions are asked for; it is 1 to %d, or -1 for %d", t.NumPartitions, hub.MaxPartitions, hub.DefaultPartitions)
	case t.NumPartitions > 0:
		cfg.Partitions = int(t.NumPartitions)
	}
	if t.ReplicationFactor == 0 || t.ReplicationFactor < -1 {
		return nil, refuse(errInvalidReplication, "%d replicas are asked for", t.ReplicationFactor)
	}
	for _, s := range t.Configs {
		if err := c.s.set(&cfg, s.Name, s.Value); err != nil {
			return nil, err
		}
	}
	if _, err := c.s.broker.Hub(t.Topic); err == nil {
		return nil, refuse(errTopicExists, "the topic exists already")
	}
	if validate {
		return nil, nil
	}
	return c.s.broker.Create(cfg)
}

func deleteTopics(_ context.Context, c *conn, q *kmsg.DeleteTopicsRequest, r *kmsg.DeleteTopicsResponse) error {
	topics := q.Topics
	for _, name := range q.TopicNames {
		t := kmsg.NewDeleteTopicsRequestTopic()
		t.Topic = kmsg.StringPtr(name)
		topics = append(topics, t)
	}
	for _, t := range topics {
		rt := kmsg.NewDeleteTopicsResponseTopic()
		rt.Topic, rt.TopicID = t.Topic, t.TopicID
		if q.Version < 6 && rt.Topic == nil {
			rt.Topic = kmsg.StringPtr("")
		}
		h, err := c.topic(text0(t.Topic), t.TopicID, t.Topic == nil)
		if err == nil {
			err = c.may(hub.Manage, h.Name())
		}
		if err == nil {
			if rt.Topic == nil {
				rt.Topic = kmsg.StringPtr(h.Name())
			}
			err = c.s.broker.Remove(h.Name())
		}
		rt.ErrorCode, rt.ErrorMessage = codeOf(err)
		r.Topics = append(r.Topics, rt)
	}
	return nil
}

// createPartitions gives hubs more partitions.
func createPartitions(_ context.Context, c *conn, q *kmsg.CreatePartitionsRequest, r *kmsg.CreatePartitionsResponse) error {
	for _, t := range q.Topics {
		rt := kmsg.NewCreatePartitionsResponseTopic()
		rt.Topic = t.Topic
		rt.ErrorCode, rt.ErrorMessage = codeOf(c.morePartitions(t.Topic, int(t.Count), q.ValidateOnly))
		r.Topics = append(r.Topics, rt)
	}
	return nil
}

func (c *conn) morePartitions(name string, count int, validate bool) error {
	h, err := c.s.broker.Hub(name)
	if err != nil {
		return err
	}
	if err := c.may(hub.Manage, name); err != nil {
		return err
	}
	cfg := h.Config()
	if count <= cfg.Partitions || count > hub.MaxPartitions {
		return refuse(errInvalidPartitions, "%d partitions are asked for; there are %d, and more are possible, up to %d", count, cfg.Partitions, hub.MaxPartitions)
	}
	if validate {
		return nil
	}
	cfg.Partitions = count
	return c.s.broker.Update(cfg)
}

// describeLogDirs tells how many bytes partitions have.
func describeLogDirs(_ context.Context, c *conn, q *kmsg.DescribeLogDirsRequest, r *kmsg.DescribeLogDirsResponse) error {
	if err := c.may(hub.Manage, ""); err != nil {
		r.ErrorCode = errClusterAuthorization
		return nil
	}
	d := kmsg.NewDescribeLogDirsResponseDir()
	d.Dir = c.s.broker.Namespace()
	var wanted map[string]map[int32]bool // nil is all
	if q.Topics != nil {
		wanted = map[string]map[int32]bool{}
		for _, t := range q.Topics {
			wanted[t.Topic] = map[int32]bool{}
			for _, i := range t.Partitions {
				wanted[t.Topic][i] = true
			}
		}
	}
	for _, h := range c.s.broker.Hubs() {
		if wanted != nil && wanted[h.Name()] == nil {
			continue
		}
		t := kmsg.NewDescribeLogDirsResponseDirTopic()
		t.Topic = h.Name()
		for i, p := range h.Partitions() {
			if wanted == nil || wanted[h.Name()][int32(i)] {
				rp := kmsg.NewDescribeLogDirsResponseDirTopicPartition()
				rp.Partition, rp.Size = int32(i), p.Range().Bytes
				t.Partitions = append(t.Partitions, rp)
			}
		}
		d.Topics = append(d.Topics, t)
	}
	r.Dirs = append(r.Dirs, d)
	return nil
}
