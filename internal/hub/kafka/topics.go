package kafka

import (
	"context"
	"crypto/sha256"
	"errors"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/internal/hub"
)

// nodeID is the one broker that clients see. It leads all partitions, in the epoch
// leaderEpoch for ever.
const (
	nodeID      = 1
	leaderEpoch = 0
)

// topicID is what newer requests call a hub by: a hash of what it is, so that it stays the
// same when the broker starts again.
func (s *Server) topicID(h *hub.Hub) [16]byte {
	sum := sha256.Sum256([]byte(s.broker.Namespace() + "/" + strings.ToLower(h.Name()) + "/" + h.Created().UTC().Format(time.RFC3339Nano)))
	id := [16]byte(sum[:16])
	id[6] = id[6]&0x0f | 0x80 // a UUID of our own making (RFC 9562, version 8)
	id[8] = id[8]&0x3f | 0x80
	return id
}

// find is the hub of an ID.
func (s *Server) find(id [16]byte) (*hub.Hub, error) {
	s.mu.Lock()
	name, ok := s.ids[id]
	s.mu.Unlock()
	if ok {
		if h, err := s.broker.Hub(name); err == nil && s.topicID(h) == id {
			return h, nil
		}
	}
	ids := map[[16]byte]string{}
	var found *hub.Hub
	for _, h := range s.broker.Hubs() {
		t := s.topicID(h)
		ids[t] = h.Name()
		if t == id {
			found = h
		}
	}
	s.mu.Lock()
	s.ids = ids
	s.mu.Unlock()
	if found == nil {
		return nil, refuse(errUnknownTopicID, "there is no topic with this ID")
	}
	return found, nil
}

// topic is a hub by its name or its ID.
func (c *conn) topic(name string, id [16]byte, byID bool) (*hub.Hub, error) {
	if byID {
		return c.s.find(id)
	}
	return c.s.broker.Hub(name)
}

// metadata tells which topics there are and who has them.
func metadata(_ context.Context, c *conn, q *kmsg.MetadataRequest, r *kmsg.MetadataResponse) error {
	a := c.s.advertised(c)
	b := kmsg.NewMetadataResponseBroker()
	b.NodeID, b.Host, b.Port = nodeID, a.host, a.port
	r.Brokers = append(r.Brokers, b)
	r.ClusterID = kmsg.StringPtr(c.s.broker.Namespace())
	r.ControllerID = nodeID
	if q.IncludeClusterAuthorizedOperations {
		r.AuthorizedOperations = c.clusterOperations()
	}
	if q.Topics == nil || q.Version == 0 && len(q.Topics) == 0 {
		for _, h := range c.s.broker.Hubs() {
			if c.mayAny(h.Name()) == nil {
				r.Topics = append(r.Topics, c.describe(h, h.Name(), q))
			}
		}
		return nil
	}
	seen := map[string]bool{}
	for _, t := range q.Topics {
		name := ""
		if t.Topic != nil {
			name = *t.Topic
		}
		if name == "" || !seen[name] {
			seen[name] = true
			r.Topics = append(r.Topics, c.lookUp(name, t, q))
		}
	}
	return nil
}

func (c *conn) lookUp(name string, t kmsg.MetadataRequestTopic, q *kmsg.MetadataRequest) kmsg.MetadataResponseTopic {
	var h *hub.Hub
	var err error
	if t.Topic != nil {
		err = c.mayAny(name) // before it is known whether there is one
	}
	if err == nil {
		h, err = c.topic(name, t.TopicID, t.Topic == nil)
	}
	if errors.Is(err, hub.ErrNoHub) && c.s.o.AutoCreate && (q.Version < 4 || q.AllowAutoTopicCreation) && c.may(hub.Manage, name) == nil {
		if h, err = c.s.broker.Create(hub.Config{Name: name}); errors.Is(err, hub.ErrExists) {
			h, err = c.s.broker.Hub(name)
		}
	}
	if err == nil {
		if name == "" {
			name = h.Name()
		}
		err = c.mayAny(h.Name())
	}
	if err == nil {
		return c.describe(h, name, q)
	}
	rt := kmsg.NewMetadataResponseTopic()
	rt.Topic, rt.TopicID = t.Topic, t.TopicID
	if t.Topic == nil && q.Version < 12 {
		rt.Topic = kmsg.StringPtr("")
	}
	rt.ErrorCode, _ = codeOf(err)
	return rt
}

// describe tells of a hub under the name by which the client asked for it, because clients
// compare names with case.
func (c *conn) describe(h *hub.Hub, name string, q *kmsg.MetadataRequest) kmsg.MetadataResponseTopic {
	rt := kmsg.NewMetadataResponseTopic()
	rt.Topic, rt.TopicID = kmsg.StringPtr(name), c.s.topicID(h)
	if q.IncludeTopicAuthorizedOperations {
		rt.AuthorizedOperations = c.topicOperations(h.Name())
	}
	for _, p := range h.Partitions() {
		rp := kmsg.NewMetadataResponseTopicPartition()
		rp.Partition, rp.Leader, rp.LeaderEpoch = int32(p.ID()), nodeID, leaderEpoch
		rp.Replicas, rp.ISR = []int32{nodeID}, []int32{nodeID}
		rt.Partitions = append(rt.Partitions, rp)
	}
	return rt
}

// The operations of access control lists, as bits.
const (
	opRead            = 1 << 3
	opWrite           = 1 << 4
	opCreate          = 1 << 5
	opDelete          = 1 << 6
	opAlter           = 1 << 7
	opDescribe        = 1 << 8
	opDescribeConfigs = 1 << 10
	opAlterConfigs    = 1 << 11
	opIdempotentWrite = 1 << 12
)

func (c *conn) topicOperations(name string) int32 {
	ops := int32(opDescribe | opDescribeConfigs)
	if c.may(hub.Listen, name) == nil {
		ops |= opRead
	}
	if c.may(hub.Send, name) == nil {
		ops |= opWrite
	}
	if c.may(hub.Manage, name) == nil {
		ops |= opDelete | opAlter | opAlterConfigs
	}
	return ops
}

func (c *conn) clusterOperations() int32 {
	ops := int32(opDescribe | opIdempotentWrite)
	if c.may(hub.Manage, "") == nil {
		ops |= opCreate | opAlter | opDescribeConfigs
	}
	return ops
}

func describeCluster(_ context.Context, c *conn, q *kmsg.DescribeClusterRequest, r *kmsg.DescribeClusterResponse) error {
	a := c.s.advertised(c)
	b := kmsg.NewDescribeClusterResponseBroker()
	b.NodeID, b.Host, b.Port = nodeID, a.host, a.port
	r.Brokers = append(r.Brokers, b)
	r.ClusterID, r.ControllerID, r.EndpointType = c.s.broker.Namespace(), nodeID, q.EndpointType
	if q.IncludeClusterAuthorizedOperations {
		r.ClusterAuthorizedOperations = c.clusterOperations()
	}
	return nil
}
