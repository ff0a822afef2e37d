package mqtt

import (
	"net/url"
	"strings"
	"unicode/utf8"
)

// device is who a user name of IoT Hub's shape speaks of.
type device struct {
	host   string
	id     string
	module string // "" is the device itself
}

// client is the client id that the device must have.
func (d device) client() string {
	if d.module != "" {
		return d.id + "/" + d.module
	}
	return d.id
}

// resource is the path of the device under its host.
func (d device) resource() string {
	if d.module != "" {
		return "devices/" + d.id + "/modules/" + d.module
	}
	return "devices/" + d.id
}

// parseDevice reads a user name {host}/{device}[/{module}]/?api-version=...; false is another
// shape.
func parseDevice(user string) (d device, ok bool) {
	path, query, ok := strings.Cut(user, "?")
	if !ok || !strings.Contains("&"+query, "&api-version=") {
		return device{}, false
	}
	parts := strings.Split(strings.TrimSuffix(path, "/"), "/")
	switch len(parts) {
	case 2:
		d = device{host: parts[0], id: parts[1]}
	case 3:
		d = device{host: parts[0], id: parts[1], module: parts[2]}
	default:
		return device{}, false
	}
	ok = d.host != "" && isID(d.id) && (len(parts) == 2 || isID(d.module))
	return d, ok
}

// isID reports whether a text is an id that IoT Hub allows and a topic can carry: IoT Hub
// allows # too, which topics do not.
func isID(s string) bool {
	if s == "" || len(s) > 128 {
		return false
	}
	for _, c := range []byte(s) {
		alnum := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !alnum && !strings.ContainsRune("-.%_*?!(),:=@$'", rune(c)) {
			return false
		}
	}
	return true
}

// label is the first label of a host name, which may name a hub.
func label(host string) string {
	if i := strings.IndexAny(host, ".:"); i >= 0 {
		return host[:i]
	}
	return host
}

// telemetry is the property bag of a topic that a device sends its telemetry to; false is
// another topic, or another device's.
func (d device) telemetry(topic string) (bag string, ok bool) {
	rest, ok := strings.CutPrefix(topic, "devices/")
	if !ok {
		return "", false
	}
	rest, ok = cutID(rest, d.id)
	if !ok {
		return "", false
	}
	if d.module != "" {
		if rest, ok = strings.CutPrefix(rest, "modules/"); !ok {
			return "", false
		}
		if rest, ok = cutID(rest, d.module); !ok {
			return "", false
		}
	}
	if rest, ok = strings.CutPrefix(rest, "messages/events"); !ok {
		return "", false
	}
	return cutBag(rest)
}

// cutID cuts an id and a slash off, as it is or URL-encoded, as some SDKs have it.
func cutID(s, id string) (rest string, ok bool) {
	got, rest, ok := strings.Cut(s, "/")
	if !ok || got == id {
		return rest, ok
	}
	plain, err := url.PathUnescape(got)
	return rest, err == nil && plain == id
}

// cutBag cuts the slash before a property bag off; nothing and a slash alone are an empty one.
func cutBag(s string) (bag string, ok bool) {
	if s == "" {
		return "", true
	}
	return strings.CutPrefix(s, "/")
}

// hubTopic reads hubs/{hub}/{what}[/{rest}].
func hubTopic(topic, what string) (hub, rest string, ok bool) {
	t, ok := strings.CutPrefix(topic, "hubs/")
	if !ok {
		return "", "", false
	}
	hub, t, ok = strings.Cut(t, "/")
	if !ok || hub == "" {
		return "", "", false
	}
	if t, ok = strings.CutPrefix(t, what); !ok {
		return "", "", false
	}
	rest, ok = cutBag(t)
	return hub, rest, ok
}

// deaf reports whether a filter is one that the SDKs of IoT Hub subscribe to and that
// nothing comes to here but answers about the twin: messages, method calls and changes that
// a cloud sends to its devices.
func (d device) deaf(filter string) bool {
	switch filter {
	case "$iothub/twin/res/#", "$iothub/methods/POST/#", "$iothub/twin/PATCH/properties/desired/#":
		return true
	}
	rest, ok := strings.CutPrefix(filter, "devices/")
	if !ok {
		return false
	}
	if rest, ok = cutID(rest, d.id); !ok {
		return false
	}
	if d.module == "" {
		return rest == "messages/devicebound/#"
	}
	if rest, ok = strings.CutPrefix(rest, "modules/"); !ok {
		return false
	}
	rest, ok = cutID(rest, d.module)
	return ok && (rest == "messages/devicebound/#" || rest == "inputs/#" || rest == "#")
}

// pair is a property of a bag.
type pair struct{ name, value string }

// parseBag reads a property bag: name=value joined by &, both URL-encoded.
func parseBag(bag string) ([]pair, bool) {
	bag = strings.TrimPrefix(bag, "?")
	bag = strings.TrimSuffix(bag, "/")
	var list []pair
	for part := range strings.SplitSeq(bag, "&") {
		if part == "" {
			continue
		}
		n, v, _ := strings.Cut(part, "=")
		name, err := url.PathUnescape(n)
		if err != nil {
			return nil, false
		}
		value, err := url.PathUnescape(v)
		if err != nil || !utf8.ValidString(name) || !utf8.ValidString(value) {
			return nil, false
		}
		list = append(list, pair{name, value})
	}
	return list, true
}
