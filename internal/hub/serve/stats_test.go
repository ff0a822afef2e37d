package serve

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"weir/internal/hub"
	"weir/internal/hub/amqp"
)

// metric is the sum of a metric's values with a label of a value.
func (s *site) metric(name, label string) float64 {
	s.t.Helper()
	r := prometheus.NewRegistry()
	r.MustRegister(s.Server)
	all, err := r.Gather()
	if err != nil {
		s.t.Fatal(err)
	}
	sum := 0.0
	for _, f := range all {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetValue() == label {
					sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
				}
			}
		}
	}
	return sum
}

// metricNames is what dashboards and alerts rely on: a name that goes or changes is a breaking
// change.
const metricNames = `weir_hub_amqp_connections_cut_total counter reason
weir_hub_amqp_links gauge 
weir_hub_amqp_missed_total counter 
weir_hub_amqp_receivers gauge 
weir_hub_amqp_refused_total counter condition
weir_hub_append_seconds histogram hub
weir_hub_appends_refused_total counter hub,reason
weir_hub_appends_total counter hub
weir_hub_bytes_total counter direction,hub
weir_hub_certificate_expiry_timestamp_seconds gauge 
weir_hub_client_problems_total counter kind,protocol
weir_hub_connections gauge protocol
weir_hub_connections_refused_total counter protocol,reason
weir_hub_connections_total counter protocol
weir_hub_denied_total counter 
weir_hub_events_total counter direction,hub
weir_hub_forward_chunks_total counter 
weir_hub_group_lag_events gauge group,hub
weir_hub_http_requests_total counter code
weir_hub_hubs gauge 
weir_hub_kafka_group_members gauge 
weir_hub_kafka_groups gauge 
weir_hub_kafka_memory_bytes gauge direction
weir_hub_kafka_requests_total counter 
weir_hub_log_bytes gauge hub
weir_hub_log_events gauge hub
weir_hub_mqtt_subscriptions gauge `

// TestMetrics: the names and labels stay, and names of hubs and groups do not make labels
// without end.
func TestMetrics(t *testing.T) {
	s := newSite(t, Options{HTTPS: anyPort}, nil)
	for i := range 5 {
		if _, err := s.broker.Create(hub.Config{Name: fmt.Sprint("x", i), Partitions: 1, Groups: []string{"G", "g2"}}); err != nil {
			t.Fatal(err)
		}
	}
	x, err := s.broker.Hub("x0")
	if err != nil {
		t.Fatal(err)
	}
	p := x.Partitions()[0]
	if _, err := p.Append([]hub.Event{{Message: (&amqp.Message{Body: []byte("x")}).Append(nil)}}, nil); err != nil {
		t.Fatal(err)
	}
	for i := range 2 * maxGroupLabels {
		name := fmt.Sprint("many", i)
		if err := errors.Join(x.EnsureGroup(name), x.SetOffset(name, 0, hub.Commit{})); err != nil {
			t.Fatal(err)
		}
	}
	if err := x.SetOffset("$default", 0, hub.Commit{}); err != nil {
		t.Fatal(err)
	}
	c := s.dial("https", false)
	if _, err := io.WriteString(c, fluentd(s.address("https"), s.broker.Rules("")[0].Primary)); err != nil {
		t.Fatal(err)
	}
	ends(t, c)
	s.refuse(s.ports[0], "plain", netip.Addr{})
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(s.Server)
	all, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	groups := map[string]bool{}
	for _, f := range all {
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		names = append(names, fmt.Sprintf("%s %s %s", f.GetName(), strings.ToLower(f.GetType().String()), strings.Join(labels, ",")))
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == "group" {
					groups[l.GetValue()] = true
				}
			}
			if f.GetName() == "weir_hub_append_seconds" && m.GetLabel()[0].GetValue() == "x0" && (m.GetHistogram().GetSampleCount() != 1 || m.GetHistogram().GetSampleSum() <= 0) {
				t.Errorf("%v", m)
			}
		}
	}
	if got := strings.Join(names, "\n"); got != metricNames {
		t.Errorf("%s", got)
	}
	if len(groups) != maxGroupLabels+1 || !groups[other] || !groups[hub.DefaultGroup] {
		t.Errorf("%d groups", len(groups))
	}
	if n := s.metric("weir_hub_events_total", "x0"); n != 1 {
		t.Errorf("%v events", n)
	}
}
