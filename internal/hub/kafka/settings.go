package kafka

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/internal/hub"
)

// setting is a configuration of a topic or of the broker.
type setting struct {
	name, value string
	kind        kmsg.ConfigType
	source      kmsg.ConfigSource
	mayChange   bool
}

const (
	retentionMillis = "retention.ms"
	retentionBytes  = "retention.bytes"
)

// settings are those of a topic. Two can be changed; the others say how things are.
func (c *conn) settings(h *hub.Hub) []setting {
	cfg := h.Config()
	message, _ := c.s.broker.Limits()
	bytes := int64(-1)
	if cfg.RetentionBytes > 0 {
		bytes = cfg.RetentionBytes
	}
	list := []setting{
		{name: "cleanup.policy", value: "delete", kind: kmsg.ConfigTypeList},
		{name: "compression.type", value: "uncompressed", kind: kmsg.ConfigTypeString},
		{name: "max.message.bytes", value: strconv.Itoa(message), kind: kmsg.ConfigTypeInt},
		{name: "message.timestamp.type", value: "LogAppendTime", kind: kmsg.ConfigTypeString},
		{name: "min.insync.replicas", value: "1", kind: kmsg.ConfigTypeInt},
		{name: retentionBytes, value: strconv.FormatInt(bytes, 10), kind: kmsg.ConfigTypeLong, mayChange: true},
		{name: retentionMillis, value: strconv.FormatInt(cfg.Retention.Milliseconds(), 10), kind: kmsg.ConfigTypeLong, mayChange: true},
	}
	for i := range list {
		s := &list[i]
		s.source = kmsg.ConfigSourceDefaultConfig
		if s.name == retentionBytes && bytes >= 0 || s.name == retentionMillis && cfg.Retention != hub.DefaultRetention {
			s.source = kmsg.ConfigSourceDynamicTopicConfig
		}
	}
	return list
}

// brokerSettings are those of the broker, none of which can be changed from here.
func (c *conn) brokerSettings() []setting {
	message, _ := c.s.broker.Limits()
	list := []setting{
		{name: "auto.create.topics.enable", value: strconv.FormatBool(c.s.o.AutoCreate), kind: kmsg.ConfigTypeBoolean},
		{name: "default.replication.factor", value: "1", kind: kmsg.ConfigTypeInt},
		{name: "log.message.timestamp.type", value: "LogAppendTime", kind: kmsg.ConfigTypeString},
		{name: "message.max.bytes", value: strconv.Itoa(message), kind: kmsg.ConfigTypeInt},
		{name: "num.partitions", value: strconv.Itoa(hub.DefaultPartitions), kind: kmsg.ConfigTypeInt},
	}
	for i := range list {
		list[i].source = kmsg.ConfigSourceStaticBrokerConfig
	}
	return list
}

// set changes the configuration of a hub by the name of a topic's setting; nil is its
// default.
func (s *Server) set(cfg *hub.Config, name string, value *string) error {
	number := func(def int64) (int64, error) {
		if value == nil {
			return def, nil
		}
		n, err := strconv.ParseInt(*value, 10, 64)
		if err != nil {
			return 0, refuse(errInvalidConfig, "%s %.40q is not a number", name, *value)
		}
		return n, nil
	}
	switch name {
	case retentionMillis:
		n, err := number(hub.DefaultRetention.Milliseconds())
		if err == nil && (n < 1 || n > int64(maxRetention/time.Millisecond)) {
			err = refuse(errInvalidConfig, "%s %d; it is 1 to %d: events do not stay for ever", name, n, maxRetention/time.Millisecond)
		}
		cfg.Retention = time.Duration(n) * time.Millisecond
		return err
	case retentionBytes:
		n, err := number(-1)
		if err == nil && n < -1 {
			err = refuse(errInvalidConfig, "%s %d; it is -1 for no bound, or a number of bytes", name, n)
		}
		cfg.RetentionBytes = max(n, 0)
		return err
	}
	same := map[string]string{"cleanup.policy": "delete", "min.insync.replicas": "1", "message.timestamp.type": "LogAppendTime", "compression.type": "uncompressed"}
	def, known := same[name]
	switch {
	case known && (value == nil || *value == def), name == "compression.type" && *value == "producer":
		return nil
	case known:
		return refuse(errInvalidConfig, "%s is always %s here", name, def)
	}
	return refuse(errInvalidConfig, "the setting %.80q cannot be given; %s and %s can", name, retentionMillis, retentionBytes)
}

// maxRetention is how long events may stay: the longest time that the clock has.
const maxRetention = 100 * 365 * 24 * time.Hour

func describeConfigs(_ context.Context, c *conn, q *kmsg.DescribeConfigsRequest, r *kmsg.DescribeConfigsResponse) error {
	for _, res := range q.Resources {
		rr := kmsg.NewDescribeConfigsResponseResource()
		rr.ResourceType, rr.ResourceName = res.ResourceType, res.ResourceName
		list, err := c.settingsOf(res.ResourceType, res.ResourceName)
		rr.ErrorCode, rr.ErrorMessage = codeOf(err)
		for _, s := range list {
			if res.ConfigNames != nil && !contains(res.ConfigNames, s.name) {
				continue
			}
			rc := kmsg.NewDescribeConfigsResponseResourceConfig()
			rc.Name, rc.Value, rc.ReadOnly, rc.ConfigType, rc.Source = s.name, kmsg.StringPtr(s.value), !s.mayChange, s.kind, s.source
			rc.IsDefault = s.source != kmsg.ConfigSourceDynamicTopicConfig
			rr.Configs = append(rr.Configs, rc)
		}
		r.Resources = append(r.Resources, rr)
	}
	return nil
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

func (c *conn) settingsOf(kind kmsg.ConfigResourceType, name string) ([]setting, error) {
	switch kind {
	case kmsg.ConfigResourceTypeTopic:
		h, err := c.s.broker.Hub(name)
		if err == nil {
			err = c.mayAny(h.Name())
		}
		if err != nil {
			return nil, err
		}
		return c.settings(h), nil
	case kmsg.ConfigResourceTypeBroker:
		if err := c.may(hub.Manage, ""); err != nil {
			return nil, refuse(errClusterAuthorization, "%s", err)
		}
		return c.brokerSettings(), nil
	}
	return nil, refuse(errInvalidRequest, "there are settings of topics and of the broker")
}

// alterConfigs changes the retention of topics.
func alterConfigs(_ context.Context, c *conn, q *kmsg.IncrementalAlterConfigsRequest, r *kmsg.IncrementalAlterConfigsResponse) error {
	for _, res := range q.Resources {
		rr := kmsg.NewIncrementalAlterConfigsResponseResource()
		rr.ResourceType, rr.ResourceName = res.ResourceType, res.ResourceName
		rr.ErrorCode, rr.ErrorMessage = codeOf(c.alter(&res, q.ValidateOnly))
		r.Resources = append(r.Resources, rr)
	}
	return nil
}

func (c *conn) alter(res *kmsg.IncrementalAlterConfigsRequestResource, validate bool) error {
	if res.ResourceType != kmsg.ConfigResourceTypeTopic {
		return refuse(errInvalidRequest, "only the settings of topics can be changed here")
	}
	h, err := c.s.broker.Hub(res.ResourceName)
	if err != nil {
		return err
	}
	if err := c.may(hub.Manage, h.Name()); err != nil {
		return err
	}
	cfg := h.Config()
	for _, s := range res.Configs {
		value := s.Value
		switch s.Op {
		case kmsg.IncrementalAlterConfigOpSet:
			if value == nil {
				return refuse(errInvalidConfig, "%.80q is set to nothing", s.Name)
			}
		case kmsg.IncrementalAlterConfigOpDelete:
			value = nil
		default:
			return refuse(errInvalidConfig, "%.80q is not a list", s.Name)
		}
		if err := c.s.set(&cfg, s.Name, value); err != nil {
			return err
		}
	}
	if validate {
		return nil
	}
	err = c.s.broker.Update(cfg)
	if errors.Is(err, hub.ErrBadConfig) {
		return refuse(errInvalidConfig, "%s", err)
	}
	return err
}
