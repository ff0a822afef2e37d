package mqtt

import (
	"strings"

	"github.com/eclipse/paho.golang/packets"

	"weir/internal/connect/intake"
	"weir/internal/vec"
)

// The properties that a message has in the log. Those of its sender have a name with userPrefix.
const (
	topicName  = "t"
	qosName    = "q"
	retainName = "r"
	userPrefix = "u"
)

// recordOf is a message as the log has it.
func recordOf(pb *packets.Publish) intake.Record {
	r := intake.Record{Value: pb.Payload, Properties: make([]intake.Property, 1, 3)}
	r.Properties[0] = intake.Property{Name: topicName, Value: pb.Topic}
	if pb.QoS > 0 {
		r.Properties = append(r.Properties, intake.Property{Name: qosName, Value: string('0' + rune(pb.QoS))})
	}
	if pb.Retain {
		r.Properties = append(r.Properties, intake.Property{Name: retainName})
	}
	if pb.Properties != nil {
		for _, u := range pb.Properties.User {
			r.Properties = append(r.Properties, intake.Property{Name: userPrefix + u.Key, Value: u.Value})
		}
	}
	return r
}

// metaOf makes the metadata of messages that a query reads (saql.md 7.9): Mqtt.Topic, Mqtt.Qos,
// Mqtt.Retain, and User with the properties of the sender. wanted nil is all.
func metaOf(wanted []string) func(r *intake.Record) map[string]vec.Value {
	all := wanted == nil
	own, user := all, all
	for _, w := range wanted {
		group, _, _ := strings.Cut(w, ".")
		own, user = own || group == "Mqtt", user || group == "User"
	}
	if !own && !user {
		return nil
	}
	return func(r *intake.Record) map[string]vec.Value {
		m := map[string]vec.Value{}
		qos, retain := int64(0), false
		var rec *vec.Rec
		for _, p := range r.Properties {
			switch {
			case p.Name == topicName:
				m["Mqtt.Topic"] = vec.StringValue(p.Value)
			case p.Name == qosName && p.Value != "":
				qos = int64(p.Value[0] - '0')
			case p.Name == retainName:
				retain = true
			case user && strings.HasPrefix(p.Name, userPrefix):
				if rec == nil {
					rec = &vec.Rec{}
				}
				rec.Names, rec.Vals = append(rec.Names, p.Name[len(userPrefix):]), append(rec.Vals, vec.StringValue(p.Value))
			}
		}
		m["Mqtt.Qos"], m["Mqtt.Retain"] = vec.IntValue(qos), vec.BitValue(retain)
		if rec != nil {
			m["User"] = vec.RecordValue(rec)
		}
		return m
	}
}
