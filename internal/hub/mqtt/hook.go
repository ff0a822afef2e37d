package mqtt

import (
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// hook is what mochi asks.
type hook struct {
	mochi.HookBase
	s    *Server
	next atomic.Uint64
}

// ID names the hook.
func (h *hook) ID() string { return "hub" }

// Provides says which of the methods are to be called.
func (h *hook) Provides(b byte) bool {
	switch b {
	case mochi.OnPacketRead, mochi.OnConnect, mochi.OnConnectAuthenticate, mochi.OnACLCheck, mochi.OnPublish,
		mochi.OnSubscribed, mochi.OnUnsubscribed, mochi.OnDisconnect:
		return true
	}
	return false
}

func sessionOf(cl *mochi.Client) *session { return cl.Net.Conn.(*socket).session }

// OnPacketRead takes from packets what mochi is not to deal with: the session and the will of
// CONNECT, acknowledgements of what subscribers were sent, and QoS 2.
func (h *hook) OnPacketRead(cl *mochi.Client, pk packets.Packet) (packets.Packet, error) {
	x := sessionOf(cl)
	switch pk.FixedHeader.Type {
	case packets.Connect:
		c := &pk.Connect
		c.Clean = c.Clean || c.ClientIdentifier != ""
		// An empty password may be sent (mqtt 3.1.1 3.1.3.5), and is none to us; mochi takes it for
		// a violation and answers with a code of MQTT 5.
		c.PasswordFlag = c.PasswordFlag && len(c.Password) > 0
		if c.WillFlag {
			x.will = &packets.Packet{TopicName: c.WillTopic, Payload: c.WillPayload,
				Properties: packets.Properties{User: c.WillProperties.User, ContentType: c.WillProperties.ContentType}}
			if c.WillQos > 1 || pk.ConnectValidate() != packets.CodeSuccess {
				return pk, nil // mochi refuses it
			}
			c.WillFlag, c.WillQos, c.WillRetain, c.WillTopic, c.WillPayload, c.WillProperties = false, 0, false, "", nil, packets.Properties{}
		}
	case packets.Publish:
		if pk.FixedHeader.Qos > 1 {
			h.s.disconnect(cl, packets.ErrQosNotSupported)
			return pk, packets.ErrRejectPacket
		}
	case packets.Puback:
		x.acked(pk.PacketID)
	}
	return pk, nil
}

// clip is at most 80 characters of what a client has sent, for the log, which quotes it.
func clip(text string) string { return fmt.Sprintf("%.80s", text) }

// OnConnect lets a client in or answers why not.
func (h *hook) OnConnect(cl *mochi.Client, pk packets.Packet) error {
	x := sessionOf(cl)
	if no := x.admit(cl, pk); no != nil {
		h.s.n.refused.Add(1)
		h.s.log.Warn("an MQTT client is refused", "client", clip(pk.Connect.ClientIdentifier), "remote", cl.Net.Remote, "error", no.err)
		code := no.v3
		if x.v5 {
			code = no.v5
		}
		return errors.Join(no.err, h.s.mochi.SendConnack(cl, code, false, nil))
	}
	h.s.n.accepted.Add(1)
	// mochi knows a connection by a name of its own, so that it never sees one taken over.
	cl.ID = strconv.FormatUint(h.next.Add(1), 10)
	return nil
}

// OnConnectAuthenticate agrees: OnConnect has done it.
func (h *hook) OnConnectAuthenticate(*mochi.Client, packets.Packet) bool { return true }

// OnACLCheck says whether a client may subscribe to a filter. Where it publishes to is looked
// at by OnPublish, whose answers are finer.
func (h *hook) OnACLCheck(cl *mochi.Client, topic string, write bool) bool {
	return write || sessionOf(cl).maySubscribe(topic)
}

// OnPublish puts a message into the queue of the connection. It is never mochi's to
// acknowledge: that is done when the message is in the log.
func (h *hook) OnPublish(cl *mochi.Client, pk packets.Packet) (packets.Packet, error) {
	x := sessionOf(cl)
	if x.answerTwin(cl, pk) {
		return pk, packets.CodeSuccessIgnore
	}
	x.publish(pk)
	return pk, packets.ErrRejectPacket
}

// OnSubscribed begins to watch what the client may.
func (h *hook) OnSubscribed(cl *mochi.Client, pk packets.Packet, codes []byte) {
	x := sessionOf(cl)
	for i, f := range pk.Filters {
		if codes[i] > 1 {
			continue
		}
		if err := x.watch(cl, f.Filter, codes[i]); err != nil {
			h.s.log.Warn("an MQTT subscription is refused", "filter", clip(f.Filter), "remote", cl.Net.Remote, "error", err)
			codes[i] = packets.ErrQuotaExceeded.Code
			if !x.v5 {
				codes[i] = packets.ErrUnspecifiedError.Code
			}
		}
	}
}

// OnUnsubscribed stops watching.
func (h *hook) OnUnsubscribed(cl *mochi.Client, pk packets.Packet) {
	for _, f := range pk.Filters {
		sessionOf(cl).stop(f.Filter)
	}
}

// OnDisconnect notes how the connection has ended.
func (h *hook) OnDisconnect(cl *mochi.Client, err error, _ bool) {
	x := sessionOf(cl)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.unclean = err != nil
}
