package servicebus

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"

	"weir/internal/connect/message"
	"weir/internal/vec"
)

// maxID is the longest message id, session id and partition key, in characters.
const maxID = 128

// settable are the properties of Service Bus that columns can set.
var settable = []string{"MessageId", "SessionId", "CorrelationId", "Subject", "Label", "To", "ReplyTo", "ReplyToSessionId", "ContentType",
	"PartitionKey", "TimeToLive", "ScheduledEnqueueTimeUtc"}

// setters set a property of a message, by its name in lower case. They say what is wrong with
// the value.
var setters = map[string]func(m *azservicebus.Message, v vec.Value) error{
	"messageid":        short(func(m *azservicebus.Message, s *string) { m.MessageID = s }),
	"sessionid":        short(func(m *azservicebus.Message, s *string) { m.SessionID = s }),
	"partitionkey":     short(func(m *azservicebus.Message, s *string) { m.PartitionKey = s }),
	"replytosessionid": short(func(m *azservicebus.Message, s *string) { m.ReplyToSessionID = s }),
	"correlationid":    text(func(m *azservicebus.Message, s *string) { m.CorrelationID = s }),
	"subject":          text(func(m *azservicebus.Message, s *string) { m.Subject = s }),
	"label":            text(func(m *azservicebus.Message, s *string) { m.Subject = s }),
	"to":               text(func(m *azservicebus.Message, s *string) { m.To = s }),
	"replyto":          text(func(m *azservicebus.Message, s *string) { m.ReplyTo = s }),
	"contenttype":      text(func(m *azservicebus.Message, s *string) { m.ContentType = s }),
	"timetolive": func(m *azservicebus.Message, v vec.Value) error {
		d, err := span(v)
		m.TimeToLive = &d
		return err
	},
	"scheduledenqueuetimeutc": schedule,
	"scheduledenqueuetime":    schedule,
}

func text(set func(*azservicebus.Message, *string)) func(*azservicebus.Message, vec.Value) error {
	return func(m *azservicebus.Message, v vec.Value) error {
		s := textOf(v)
		set(m, &s)
		return nil
	}
}

// short is a text that the service wants to be short.
func short(set func(*azservicebus.Message, *string)) func(*azservicebus.Message, vec.Value) error {
	return func(m *azservicebus.Message, v vec.Value) error {
		s := textOf(v)
		if n := len([]rune(s)); n > maxID {
			return fmt.Errorf("it has %d characters; %d is the most", n, maxID)
		}
		set(m, &s)
		return nil
	}
}

func textOf(v vec.Value) string {
	if v.Kind == vec.String {
		return v.Str
	}
	return v.String()
}

func schedule(m *azservicebus.Message, v vec.Value) error {
	t, err := time.Parse(time.RFC3339Nano, textOf(v))
	if err != nil {
		return fmt.Errorf("%.40q is no datetime", textOf(v))
	}
	m.ScheduledEnqueueTime = &t
	return nil
}

// span is a time span: seconds, or [d.]hh:mm:ss.
func span(v vec.Value) (time.Duration, error) {
	bad := fmt.Errorf("%.40q is no time span: seconds, or hh:mm:ss", textOf(v))
	seconds := 0.0
	switch v.Kind {
	case vec.Int:
		seconds = float64(v.Int)
	case vec.Float:
		seconds = v.Float
	case vec.String:
		days, rest, ok := strings.Cut(v.Str, ".")
		if !ok || strings.Contains(days, ":") { // the dot is of a fraction of a second
			days, rest = "0", v.Str
		}
		parts := strings.Split(rest, ":")
		if len(parts) != 3 {
			return 0, bad
		}
		for i, p := range append([]string{days}, parts...) {
			n, err := strconv.ParseFloat(p, 64)
			if err != nil || n < 0 || i < 3 && strings.Contains(p, ".") {
				return 0, bad
			}
			seconds += n * []float64{86400, 3600, 60, 1}[i]
		}
	default:
		return 0, bad
	}
	if !(seconds > 0 && seconds < 1e9) {
		return 0, bad
	}
	return time.Duration(seconds * float64(time.Second)), nil
}

// columns say which columns become which properties.
type columns struct {
	application []string
	system      []systemColumn
}

type systemColumn struct {
	property, column string
	set              func(*azservicebus.Message, vec.Value) error
	place            bool // messages of one value stay together
}

// all are the columns that leave the payload.
func (c *columns) all() []string {
	list := append([]string{}, c.application...)
	for _, s := range c.system {
		found := false
		for _, l := range list {
			found = found || strings.EqualFold(l, s.column)
		}
		if !found {
			list = append(list, s.column)
		}
	}
	return list
}

// apply sets the properties of a message. What is wrong is said with its column.
func (c *columns) apply(to *azservicebus.Message, from []message.Property) (column, reason string) {
	for _, p := range from {
		for _, s := range c.system {
			if !strings.EqualFold(s.column, p.Name) {
				continue
			}
			if err := s.set(to, p.Value); err != nil {
				return s.column, fmt.Sprintf("%s: %v", s.property, err)
			}
		}
		for _, name := range c.application {
			if !strings.EqualFold(name, p.Name) {
				continue
			}
			if to.ApplicationProperties == nil {
				to.ApplicationProperties = make(map[string]any, len(from))
			}
			to.ApplicationProperties[p.Name] = p.Any()
		}
	}
	if to.SessionID != nil && to.PartitionKey != nil && *to.SessionID != *to.PartitionKey {
		for _, s := range c.system {
			if strings.EqualFold(s.property, "PartitionKey") {
				column = s.column
			}
		}
		return column, "PartitionKey: it must be the SessionId, if there are both"
	}
	return "", ""
}
