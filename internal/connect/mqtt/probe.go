package mqtt

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/eclipse/paho.golang/paho/session/state"

	"weir/internal/connect"
)

// probe connects under a name of its own, so that a job that runs keeps its session, and tries
// the subscriptions without their groups: others in a group keep their messages. Whether we may
// publish on a topic is told by a message only, and none is sent.
func probe(ctx context.Context, c connect.Config, env connect.ProbeEnv) []connect.Problem {
	b, err := newBroker(c, "")
	if err != nil {
		return []connect.Problem{{Text: err.Error()}}
	}
	b.clientID = "weirprobe" + strconv.FormatInt(time.Now().UnixNano(), 36)
	l, err := b.connect(ctx, options{session: state.NewInMemory(), receive: 1, packet: MaxPacket, cleanStart: true})
	if err != nil {
		return []connect.Problem{{Field: "url", Text: err.Error(), Hint: hintOf(err)}}
	}
	defer l.bye()
	qos := c.Text("qos")[0] - '0'
	if !env.Input {
		p := &publisher{broker: b, qos: qos, retain: c.Bool("retain")}
		if err := p.fits(l); err != nil {
			return []connect.Problem{{Text: err.Error(), Hint: hintOf(err)}}
		}
		return nil
	}
	var out []connect.Problem
	for _, t := range c.List("topics") {
		if rest, ok := strings.CutPrefix(t, "$share/"); ok {
			_, t, _ = strings.Cut(rest, "/")
		}
		if err := l.subscribe(ctx, []string{t}, qos, retainNone); err != nil {
			out = append(out, connect.Problem{Field: "topics", Text: err.Error(), Hint: hintOf(err)})
		}
	}
	return out
}

// hintOf is what to do about an error.
func hintOf(err error) string {
	var r *refused
	if !errors.As(err, &r) {
		return "see that the broker runs, and that url names it"
	}
	switch r.code {
	case 0x84:
		return "take a broker of MQTT 5, such as Mosquitto from 1.6 on"
	case 0x85:
		return "write client_id: NAME"
	case 0x86, 0x8c:
		return "see user and password"
	case 0x87:
		return "give the user the right to connect and to the topics, in the broker's access list"
	case 0x9a:
		return "remove retain"
	case 0x9b:
		return "write a smaller qos"
	case 0x9e, 0xa2:
		return "name the topics one by one"
	}
	return ""
}
