package serve

import (
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"weir/internal/hub"
)

// The limits of labels: hubs and groups beyond them count as "other".
const (
	maxHubLabels   = 100
	maxGroupLabels = 20 // of a hub
	other          = "other"
)

// stats counts what comes in, by protocol and by reason: both are words of ours.
type stats struct {
	mu       sync.Mutex
	taken    map[string]int64
	rejected map[[2]string]int64 // protocol, reason
}

func (s *stats) accepted(protocol string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken == nil {
		s.taken = map[string]int64{}
	}
	s.taken[protocol]++
}

func (s *stats) refused(protocol, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rejected == nil {
		s.rejected = map[[2]string]int64{}
	}
	s.rejected[[2]string{protocol, reason}]++
}

// desc is a metric. The names are a contract: dashboards have them.
func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("weir_hub_"+name, help, labels, nil)
}

var (
	connections = desc("connections", "Connections that are open.", "protocol")
	connected   = desc("connections_total", "Connections that were let in.", "protocol")
	refused     = desc("connections_refused_total", "Connections that were not let in, or broken off before their protocol began.", "protocol", "reason")
	requests    = desc("http_requests_total", "Requests that were answered, by status.", "code")
	logBytes    = desc("log_bytes", "Bytes of events that are kept.", "hub")
	logEvents   = desc("log_events", "Events that are kept.", "hub")
	groupLag    = desc("group_lag_events", "Events that a consumer group has not committed yet, of partitions that it has committed.", "hub", "group")
	hubEvents   = desc("events_total", "Events that were appended, and that clients have read.", "hub", "direction")
	hubBytes    = desc("bytes_total", "Bytes of these events.", "hub", "direction")
	appends     = desc("appends_total", "Appends that succeeded: batches of events.", "hub")
	appendTime  = desc("append_seconds", "From the turn of an append until it was durable and its caller had seen it.", "hub")
	notTaken    = desc("appends_refused_total", "Appends that were not made.", "hub", "reason")
	denied      = desc("denied_total", "Keys and tokens that were wrong.")
	hubs        = desc("hubs", "Event hubs.")
	amqpLinks   = desc("amqp_links", "Links of AMQP clients that are open.")
	amqpReaders = desc("amqp_receivers", "Receivers of events over AMQP that are open.")
	amqpCut     = desc("amqp_connections_cut_total", "Connections of AMQP clients that were refused or cut.", "reason")
	amqpRefused = desc("amqp_refused_total", "Links that were not opened or were ended, and requests and messages that were not taken, by the condition that AMQP clients were told.", "condition")
	amqpMissed  = desc("amqp_missed_total", "Times that retention has passed a receiver over AMQP that was too slow.")
	certificate = desc("certificate_expiry_timestamp_seconds", "When the certificate of the ports ends.")
)

// Describe names no metric: they are checked as they are collected.
func (s *Server) Describe(chan<- *prometheus.Desc) {}

// Collect gives the metrics of the ports and of the broker.
func (s *Server) Collect(to chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	count := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
	}
	open := map[string]int64{}
	for _, p := range s.ports {
		open[p.protocol] += p.open.Load()
	}
	for protocol, n := range open {
		gauge(connections, float64(n), protocol)
	}
	s.stats.mu.Lock()
	for protocol, n := range s.stats.taken {
		count(connected, float64(n), protocol)
	}
	for k, n := range s.stats.rejected {
		count(refused, float64(n), k[0], k[1])
	}
	s.stats.mu.Unlock()
	for code, n := range s.rest.Answered() {
		count(requests, float64(n), code)
	}
	s.collectAMQP(gauge, count)
	s.clients.collect(gauge, count)
	if c := s.o.Certificates; c != nil {
		gauge(certificate, float64(c.certificate().Leaf.NotAfter.Unix()))
	}
	s.collectHubs(gauge, count, func(d *prometheus.Desc, l *hub.Latency, labels ...string) {
		total, buckets := uint64(0), map[float64]uint64{}
		for i, n := range l.Counts {
			total += uint64(n)
			if i < len(hub.LatencyBounds) {
				buckets[hub.LatencyBounds[i].Seconds()] = total
			}
		}
		to <- prometheus.MustNewConstHistogram(d, total, l.Sum.Seconds(), buckets, labels...)
	})
}

// collectAMQP gives what AMQP clients do.
func (s *Server) collectAMQP(gauge, count func(*prometheus.Desc, float64, ...string)) {
	st := s.amqp.Stats()
	gauge(amqpLinks, float64(st.AMQP.Links))
	gauge(amqpReaders, float64(st.Readers))
	count(amqpMissed, float64(st.Missed))
	for reason, n := range st.AMQP.Refused {
		count(amqpCut, float64(n), reason)
	}
	for condition, n := range st.Refused {
		count(amqpRefused, float64(n), condition)
	}
}

// sum is what hubs that share a label have in common.
type sum struct {
	in, out                         hub.Counts
	events, bytes, appends          int64
	throttled, large, order, failed int64
	duplicates                      int64
	latency                         hub.Latency
}

func (x *sum) add(h *hub.HubStats) {
	x.events, x.bytes = x.events+h.Events, x.bytes+h.Bytes
	x.in.Events, x.in.Bytes = x.in.Events+h.In.Events, x.in.Bytes+h.In.Bytes
	x.out.Events, x.out.Bytes = x.out.Events+h.Out.Events, x.out.Bytes+h.Out.Bytes
	for i := range h.Partitions {
		p := &h.Partitions[i]
		x.appends += p.Appends
		x.latency.Add(p.Latency)
		x.duplicates += p.Duplicates
		x.throttled += p.Throttled
		x.large += p.TooLarge
		x.order += p.OutOfOrder
		x.failed += p.Failed + p.Refused
	}
}

// collectHubs gives what the broker holds and has done.
func (s *Server) collectHubs(gauge, count func(*prometheus.Desc, float64, ...string), histogram func(*prometheus.Desc, *hub.Latency, ...string)) {
	st := s.o.Broker.Stats()
	gauge(hubs, float64(len(st.Hubs)))
	count(denied, float64(st.Denied))
	sums := map[string]*sum{}
	lags := map[[2]string]int64{}
	for i := range st.Hubs {
		h := &st.Hubs[i]
		name := strings.ToLower(h.Config.Name)
		if i >= maxHubLabels {
			name = other
		}
		if sums[name] == nil {
			sums[name] = &sum{}
		}
		sums[name].add(h)
		shown := 0
		for _, g := range h.Groups {
			if len(g.Partitions) == 0 {
				continue
			}
			group := g.Name
			if shown++; shown > maxGroupLabels || name == other {
				group = other
			}
			lags[[2]string{name, group}] += g.Lag
		}
	}
	for name, x := range sums {
		gauge(logEvents, float64(x.events), name)
		gauge(logBytes, float64(x.bytes), name)
		count(hubEvents, float64(x.in.Events), name, "in")
		count(hubEvents, float64(x.out.Events), name, "out")
		count(hubBytes, float64(x.in.Bytes), name, "in")
		count(hubBytes, float64(x.out.Bytes), name, "out")
		count(appends, float64(x.appends), name)
		histogram(appendTime, &x.latency, name)
		for reason, n := range map[string]int64{"duplicate": x.duplicates, "throttled": x.throttled, "too_large": x.large, "out_of_order": x.order, "failed": x.failed} {
			count(notTaken, float64(n), name, reason)
		}
	}
	for k, lag := range lags {
		gauge(groupLag, float64(lag), k[0], k[1])
	}
}
