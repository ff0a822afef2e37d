package eventhubs

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"weir/internal/hub"
	"weir/internal/hub/amqp"
)

// The nodes that are no hub.
const (
	cbsNode        = "$cbs"
	managementNode = "$management"
)

// MaxAddress bounds an address or audience, in bytes.
const MaxAddress = 2048

// address is what a link or an audience is about. Fields that it does not name are empty;
// the partition is -1 then.
type address struct {
	node      string // cbsNode or managementNode; "" is a hub
	hub       string
	group     string
	partition int
	publisher string
	path      string // lower case, without host: what audiences are compared by
}

// parseAddress reads the address of a link: hub, hub/Partitions/0, hub/Publishers/p and
// hub/ConsumerGroups/g/Partitions/0, without case. A scheme and a host before it, and
// slashes around it, are left out: Python sends amqps://host/hub, .NET /hub (eventhubs.md
// 1.2, 8). The error is an *amqp.Error.
func parseAddress(text string) (address, error) {
	a := address{partition: -1}
	path, err := pathOf(text)
	if err != nil {
		return a, err
	}
	a.path = strings.ToLower(path)
	s := strings.Split(path, "/")
	low := strings.Split(a.path, "/")
	switch n := len(s); {
	case n == 1 && (low[0] == cbsNode || low[0] == managementNode):
		a.node = low[0]
	case n == 2 && low[1] == managementNode:
		a.node, a.hub = low[1], s[0]
	case n == 1 && s[0] != "":
		a.hub = s[0]
	case n == 3 && low[1] == "partitions":
		a.hub = s[0]
		a.partition, err = parsePartition(s[2])
	case n == 3 && low[1] == "publishers" && s[2] != "":
		a.hub, a.publisher = s[0], s[2]
	case n == 5 && low[1] == "consumergroups" && low[3] == "partitions" && s[2] != "":
		a.hub, a.group = s[0], s[2]
		a.partition, err = parsePartition(s[4])
	default:
		return a, notFound(text)
	}
	return a, err
}

// pathOf is an address without scheme, host, query and slashes around it.
func pathOf(text string) (string, error) {
	if len(text) > MaxAddress {
		return "", &amqp.Error{Condition: condNotFound, Description: fmt.Sprintf("The address has %d bytes; %d is the most.", len(text), MaxAddress)}
	}
	path := text
	if _, rest, ok := strings.Cut(path, "://"); ok {
		if _, path, ok = strings.Cut(rest, "/"); !ok {
			path = ""
		}
	}
	path, _, _ = strings.Cut(path, "?")
	path = strings.Trim(path, "/")
	if strings.Contains(path, "%") {
		plain, err := url.PathUnescape(path)
		if err != nil {
			return "", notFound(text)
		}
		path = plain
	}
	return path, nil
}

// notFound has the words by which the SDK for JavaScript knows an entity that is missing.
func notFound(text string) *amqp.Error {
	return &amqp.Error{Condition: condNotFound, Description: fmt.Sprintf("The messaging entity '%.200s' could not be found.", text)}
}

func parsePartition(text string) (int, error) {
	i, err := strconv.Atoi(text)
	if err != nil || i < 0 || strconv.Itoa(i) != text {
		return -1, &amqp.Error{Condition: condOutOfRange, Description: fmt.Sprintf("The specified partition '%.40s' is invalid for an Event Hub partition sender or receiver: it is a number from 0.", text)}
	}
	return i, nil
}

// within is the path in the hub.
func (a address) within() string {
	_, rest, _ := strings.Cut(a.path, "/")
	return rest
}

// place is a hub and, if the address names one, a partition of it.
func (a address) place(b *hub.Broker) (*hub.Hub, *hub.Partition, error) {
	h, err := b.Hub(a.hub)
	if err != nil {
		return nil, nil, notFound(a.hub)
	}
	if a.partition < 0 {
		return h, nil, nil
	}
	if n := len(h.Partitions()); a.partition >= n {
		return nil, nil, &amqp.Error{Condition: condOutOfRange,
			Description: fmt.Sprintf("The specified partition is invalid for an Event Hub partition sender or receiver. It should be between 0 and %d.", n-1)}
	}
	return h, h.Partitions()[a.partition], nil
}
