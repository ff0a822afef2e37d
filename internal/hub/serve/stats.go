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
	hubs        = desc("hubs", "Event hubs.")
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
	if c := s.o.Certificates; c != nil {
		gauge(certificate, float64(c.certificate().Leaf.NotAfter.Unix()))
	}
	s.collectHubs(gauge)
}

// kept is what is kept of a hub, or of all hubs beyond the limit.
type kept struct{ events, bytes float64 }

func (s *Server) collectHubs(gauge func(*prometheus.Desc, float64, ...string)) {
	list := s.o.Broker.Hubs()
	gauge(hubs, float64(len(list)))
	sums := map[string]*kept{}
	lags := map[[2]string]float64{}
	for i, h := range list {
		name := strings.ToLower(h.Name())
		if i >= maxHubLabels {
			name = other
		}
		k := sums[name]
		if k == nil {
			k = &kept{}
			sums[name] = k
		}
		groups := append([]string{hub.DefaultGroup}, h.Config().Groups...)
		for n, p := range h.Partitions() {
			rg := p.Range()
			k.events += float64(rg.Next - rg.First)
			k.bytes += float64(rg.Bytes)
			for j, g := range groups {
				c, ok := h.Offset(g, n)
				if !ok {
					continue
				}
				if g = strings.ToLower(g); j >= maxGroupLabels || name == other {
					g = other
				}
				lags[[2]string{name, g}] += float64(max(rg.Next-max(c.Seq, rg.First), 0))
			}
		}
	}
	for name, k := range sums {
		gauge(logEvents, k.events, name)
		gauge(logBytes, k.bytes, name)
	}
	for k, lag := range lags {
		gauge(groupLag, lag, k[0], k[1])
	}
}
