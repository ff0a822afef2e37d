package eventhubs

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"weir/internal/hub"
	"weir/internal/hub/amqp"
)

// The types of what $management can be asked about.
const (
	typeHub       = "com.microsoft:eventhub"
	typePartition = "com.microsoft:partition"
)

// read answers a request to $management: READ of a hub or a partition (eventhubs.md 1.1,
// item 5). Any right on the hub will do, by the token in the request or, without one, by
// those of the connection.
func (c *conn) read(r request) reply {
	if op := r.text("operation"); !strings.EqualFold(op, "READ") {
		return failed(&amqp.Error{Condition: condArgument, Description: fmt.Sprintf("The operation %.80q is not known; $management has READ.", op)})
	}
	a, err := parseAddress(r.text("name"))
	if err == nil && (a.hub == "" || a.node != "" || a.path != strings.ToLower(a.hub)) {
		err = notFound(r.text("name"))
	}
	if err != nil {
		return failed(err)
	}
	if err := c.mayRead(a, r.text("security_token")); err != nil {
		return failed(err)
	}
	h, err := c.s.broker.Hub(a.hub)
	if err != nil {
		return failed(notFound(a.hub))
	}
	switch kind := r.text("type"); kind {
	case typeHub:
		return reply{status: 200, text: "OK", body: describeHub(h)}
	case typePartition:
		id := r.text("partition")
		i, err := strconv.Atoi(id)
		if err != nil || i < 0 || i >= len(h.Partitions()) || strconv.Itoa(i) != id {
			return failed(&amqp.Error{Condition: condOutOfRange,
				Description: fmt.Sprintf("The partition '%.40s' is invalid. It should be between 0 and %d.", id, len(h.Partitions())-1)})
		}
		return reply{status: 200, text: "OK", body: describePartition(h, h.Partitions()[i])}
	default:
		return failed(&amqp.Error{Condition: condArgument, Description: fmt.Sprintf("The type %.80q is not known; it is %s or %s.", kind, typeHub, typePartition)})
	}
}

// mayRead says why a hub may not be asked about.
func (c *conn) mayRead(a address, token string) error {
	any := hub.Send | hub.Listen | hub.Manage
	if token == "" {
		return c.may(any, a)
	}
	if isJWT(token) {
		return errJWT
	}
	g, err := checkToken(c.s.broker, token, a.hub)
	if err != nil {
		return err
	}
	return g.May(any, a.hub, c.s.now())
}

func describeHub(h *hub.Hub) []amqp.Pair {
	ids := make(amqp.Array, len(h.Partitions()))
	for i := range ids {
		ids[i] = strconv.Itoa(i)
	}
	return []amqp.Pair{
		{Key: "name", Value: h.Name()},
		{Key: "type", Value: typeHub},
		{Key: "created_at", Value: h.Created()},
		{Key: "partition_count", Value: int32(len(ids))},
		{Key: "partition_ids", Value: ids}, // an array of strings, not a list: Go and Python read nothing else
		{Key: "georeplication_factor", Value: int32(1)},
	}
}

func describePartition(h *hub.Hub, p *hub.Partition) []amqp.Pair {
	rg := p.Range()
	end := endOf(p)
	return []amqp.Pair{
		{Key: "name", Value: h.Name()},
		{Key: "type", Value: typePartition},
		{Key: "partition", Value: strconv.Itoa(p.ID())},
		{Key: "begin_sequence_number", Value: rg.First},
		{Key: "last_enqueued_sequence_number", Value: end.seq},
		{Key: "last_enqueued_offset", Value: end.offset}, // a string (eventhubs.md 1.2, 11)
		{Key: "last_enqueued_time_utc", Value: end.enqueued},
		{Key: "is_partition_empty", Value: rg.First == rg.Next},
	}
}

// noTime is the enqueued time of an event that never was, as the service has it: the first
// day of year 1. Its nanosecond makes it another time than Go's zero, which is sent as null.
var noTime = time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC)

// endOf is the last event of a partition: -1 as number and offset if there never was one.
// The offset of an event that is no longer kept is that of the end.
func endOf(p *hub.Partition) runtime {
	rg := p.Range()
	e := runtime{seq: rg.Next - 1, offset: "-1", enqueued: rg.LastEnqueued}
	if rg.Next == 0 {
		e.enqueued = noTime
		return e
	}
	e.offset = strconv.FormatInt(rg.NextOffset-1, 10)
	if rg.First == rg.Next {
		return e
	}
	r, err := p.Read(rg.Next - 1)
	if err != nil {
		return e
	}
	defer r.Close()
	if b, err := r.Next(); err == nil && b != nil && b.Seq == e.seq {
		e.offset = strconv.FormatInt(b.Records[0].Offset, 10)
	}
	return e
}
