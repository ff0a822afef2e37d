package serve

import (
	"github.com/prometheus/client_golang/prometheus"

	"weir/internal/hub/fluent"
	"weir/internal/hub/kafka"
	"weir/internal/hub/mqtt"
)

var (
	problems      = desc("client_problems_total", "What has gone wrong with clients of Kafka, MQTT and forward, by kind.", "protocol", "kind")
	kafkaRequests = desc("kafka_requests_total", "Requests of Kafka clients.")
	kafkaGroups   = desc("kafka_groups", "Consumer groups that have members over Kafka.")
	kafkaMembers  = desc("kafka_group_members", "Members of these groups.")
	kafkaMemory   = desc("kafka_memory_bytes", "Memory that requests and answers of Kafka clients take.", "direction")
	watchers      = desc("mqtt_subscriptions", "Subscriptions of MQTT clients.")
	chunks        = desc("forward_chunks_total", "Chunks of the forward protocol that were stored.")
)

// clients are the protocols that keep figures of their own.
type clients struct {
	kafka   *kafka.Server
	mqtt    *mqtt.Server
	forward *fluent.Server
}

// collect gives the figures.
func (c *clients) collect(gauge, count func(*prometheus.Desc, float64, ...string)) {
	bad := func(protocol string, kinds map[string]int64) {
		for kind, n := range kinds {
			count(problems, float64(n), protocol, kind)
		}
	}
	k := c.kafka.Stats()
	count(kafkaRequests, float64(k.Requests))
	gauge(kafkaGroups, float64(k.Groups))
	gauge(kafkaMembers, float64(k.Members))
	gauge(kafkaMemory, float64(k.InMemory), "in")
	gauge(kafkaMemory, float64(k.OutMemory), "out")
	bad("kafka", map[string]int64{"refused": k.Refused, "unauthorized": k.Failed, "malformed": k.Malformed, "slow": k.Stalled, "rejected": k.Rejected})
	m := c.mqtt.Stats()
	gauge(watchers, float64(m.Subscriptions))
	bad("mqtt", map[string]int64{"refused": m.Refused, "taken_over": m.TakenOver, "expired": m.Expired, "malformed": m.Broken, "slow": m.Slow, "failed": m.Failed, "missed": m.Missed})
	f := c.forward.Stats()
	count(chunks, float64(f.Chunks))
	bad("forward", map[string]int64{"refused": f.Refused, "malformed": f.Bad, "failed": f.Failed, "lost": f.Unacked, "too_large": f.TooLarge, "overflow": f.Overflow})
}
