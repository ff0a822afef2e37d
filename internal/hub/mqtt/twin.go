package mqtt

import (
	"bytes"
	"net/url"
	"strings"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// emptyTwin is what a device is told of its twin: nothing is desired, nothing was reported.
const emptyTwin = `{"desired":{"$version":1},"reported":{"$version":1}}`

// answerTwin answers what a device publishes about its twin and its methods. There are no
// twins here: reading gives an empty one, so that programs that read theirs at the start go
// on; writing is answered with 501 and an errorCode, which is what the SDKs look at, because
// nothing is kept. It is false for other topics.
func (x *session) answerTwin(cl *mochi.Client, pk packets.Packet) bool {
	if x.device.id == "" {
		return false
	}
	topic, ok := strings.CutPrefix(pk.TopicName, "$iothub/")
	if !ok {
		return false
	}
	path, query, _ := strings.Cut(topic, "?")
	if strings.HasPrefix(path, "methods/res/") {
		return true // the answer to a call that nobody has made
	}
	status, body := "404", `{"errorCode":404000,"message":"the hub keeps no device twins"}`
	switch strings.TrimSuffix(path, "/") {
	case "twin/GET":
		status, body = "200", emptyTwin
	case "twin/PATCH/properties/reported":
		status, body = "501", `{"errorCode":501000,"message":"the hub keeps no device twins: what is reported is lost"}`
	}
	if !strings.HasPrefix(path, "twin/") {
		return false
	}
	rid := requestID(query)
	if rid == "" {
		return false
	}
	answer := packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish}, ProtocolVersion: pk.ProtocolVersion,
		TopicName: "$iothub/twin/res/" + status + "/?$rid=" + rid, Payload: []byte(body),
	}
	var b bytes.Buffer
	if err := answer.PublishEncode(&b); err != nil || b.Len() > x.most {
		return true
	}
	_, _ = x.sock.Write(b.Bytes()) // it closes the connection if it fails
	return true
}

// requestID is the $rid of a query, encoded.
func requestID(query string) string {
	for part := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(part, "=")
		if n, err := url.PathUnescape(name); err == nil && n == "$rid" && len(value) <= 256 {
			return value
		}
	}
	return ""
}
