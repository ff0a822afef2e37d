package eventhubs

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"weir/internal/hub"
	"weir/internal/hub/amqp"
)

// The selector filter of AMQP's filter registry, by which clients say where to begin.
const (
	selectorName = "apache.org:selector-filter:string"
	selectorCode = 0x468C00000004
)

// MaxFilter bounds the text of a filter, in bytes.
const MaxFilter = 1024

// positionOf is where a receiver begins, by its filters. Without one it is the first event
// that is kept. The error is an *amqp.Error.
func positionOf(filters []amqp.Filter) (hub.Position, error) {
	at := hub.Position{Where: hub.Earliest}
	for i, f := range filters {
		named := f.Name == selectorName
		switch d := f.Descriptor.(type) {
		case uint64:
			named = d == selectorCode
		case amqp.Symbol:
			named = d == selectorName
		}
		text, ok := f.Value.(string)
		if !named || !ok || i > 0 {
			return at, &amqp.Error{Condition: condNotImplemented, Description: fmt.Sprintf("The filter %.80q is not supported: a receiver has one filter, %s, with a text.", f.Name, selectorName)}
		}
		var err error
		if at, err = parseSelector(text); err != nil {
			return at, err
		}
	}
	return at, nil
}

// parseSelector reads the expressions that Event Hubs takes (eventhubs.md 1.1, item 7):
//
//	amqp.annotation.x-opt-offset > '4096'
//	amqp.annotation.x-opt-sequence-number >= '12'
//	amqp.annotation.x-opt-enqueued-time > '1795312604789'
//
// An offset or number of -1 is before the first event, @latest behind the last one, with
// either comparison. Quotes may be left out. Times are milliseconds since 1970.
func parseSelector(text string) (hub.Position, error) {
	bad := func(why string) (hub.Position, error) {
		return hub.Position{}, &amqp.Error{Condition: condArgument, Description: fmt.Sprintf(
			"The filter %.200q cannot be used: %s. It is amqp.annotation.x-opt-offset, x-opt-sequence-number or x-opt-enqueued-time, then > or >=, then a value in single quotes.", text, why)}
	}
	if len(text) > MaxFilter {
		return bad("it is too long")
	}
	name, rest, ok := strings.Cut(text, ">")
	if !ok {
		return bad("it has no > or >=")
	}
	rest, inclusive := strings.CutPrefix(rest, "=")
	value, ok := unquote(strings.TrimSpace(rest))
	if !ok {
		return bad("its value is not one text in single quotes")
	}
	at := hub.Position{After: !inclusive}
	switch strings.ToLower(strings.TrimSpace(name)) {
	case "amqp.annotation.x-opt-offset":
		at.Where = hub.AtOffset
	case "amqp.annotation.x-opt-sequence-number":
		at.Where = hub.AtSequence
	case "amqp.annotation.x-opt-enqueued-time":
		at.Where = hub.AtTime
	default:
		return bad("there is no such annotation to begin by")
	}
	if value == "@latest" && at.Where != hub.AtTime {
		return hub.Position{Where: hub.Latest}, nil
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < -1 {
		return bad("its value is not a whole number from -1")
	}
	switch {
	case at.Where == hub.AtTime:
		// Clients see times cut to milliseconds, and compare with what they have seen.
		if at.After && n < 1<<62 {
			n++
		}
		return hub.Position{Where: hub.AtTime, Time: time.UnixMilli(n)}, nil
	case n == -1:
		return hub.Position{Where: hub.Earliest}, nil
	}
	at.Value = n
	return at, nil
}

// unquote takes a value out of its quotes, if it has some.
func unquote(s string) (string, bool) {
	if len(s) >= 2 && s[0] == '\'' && s[len(s)-1] == '\'' {
		s = s[1 : len(s)-1]
	}
	return s, s != "" && !strings.ContainsAny(s, "' \t\r\n")
}
