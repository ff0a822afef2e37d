package web

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"weir/internal/hub"
)

// Hub is the broker of the service, and where it is answered.
type Hub struct {
	Broker *hub.Broker
	Ports  []HubPort
	// CA is the file of the development CA, on the machine of the service; "" if the
	// certificate is another.
	CA string
	// ForwardHub is the hub of what comes by forward.
	ForwardHub string
	// Development says that the key of Azure's emulator is taken too.
	Development bool
}

// HubPort is where the hub is answered.
type HubPort struct {
	Protocol string `json:"protocol" enum:"amqp,https,kafka,mqtt,forward"`
	Address  string `json:"address" doc:"host:port"`
}

// HubKeyView is a key of a hub or of the namespace: a shared access policy.
type HubKeyView struct {
	Name      string              `json:"name"`
	Hub       string              `json:"hub,omitempty" doc:"Absent: the key is for all event hubs."`
	Rights    []string            `json:"rights"`
	Primary   string              `json:"primary"`
	Secondary string              `json:"secondary"`
	Connect   []HubConnectionView `json:"connect" doc:"What clients are given, with the primary key."`
}

// HubConnectionView is what a kind of clients is given to connect.
type HubConnectionView struct {
	For      string `json:"for" doc:"The clients."`
	Settings string `json:"settings" doc:"A connection string, or settings line by line. It has the key in it."`
}

type hubNamespace struct {
	Body struct {
		Enabled     bool      `json:"enabled" doc:"False: the service was started with --no-hub."`
		Namespace   string    `json:"namespace,omitempty"`
		Ports       []HubPort `json:"ports"`
		CA          string    `json:"ca,omitempty" doc:"The file of the development CA, on the machine of the service."`
		Development bool      `json:"development" doc:"The key of Azure's emulator is taken too."`
		MaxMessage  int       `json:"max_message_bytes,omitempty"`
	}
}

type keyList struct {
	Body struct {
		Keys []HubKeyView `json:"keys"`
	}
}

type keyAnswer struct{ Body HubKeyView }

// HubKeyName names a key in a path; - in place of a hub is the namespace.
type HubKeyName struct {
	Hub string `path:"hub" maxLength:"256" doc:"The name of an event hub, or - for the namespace."`
	Key string `path:"key" maxLength:"256" example:"RootManageSharedAccessKey"`
}

// hubKeyRoutes are the routes about keys. What they give is secret: the guard has them ask for
// the token of the service like all others, or be on loopback.
func (s *Server) hubKeyRoutes(tag string) {
	huma.Register(s.api, op("GET", "/hub", "get-hub-namespace", tag, "The hub as a whole: its namespace and its ports"), func(context.Context, *struct{}) (*hubNamespace, error) {
		out := &hubNamespace{}
		out.Body.Ports = []HubPort{}
		if h := s.o.Hub; h != nil {
			b := &out.Body
			b.Enabled, b.Namespace, b.Ports, b.CA, b.Development = true, h.Broker.Namespace(), append(b.Ports, h.Ports...), h.CA, h.Development
			b.MaxMessage, _ = h.Broker.Limits()
		}
		return out, nil
	})
	huma.Register(s.api, op("GET", "/hubs/{hub}/keys", "list-hub-keys", tag, "The keys that are good for an event hub, with connection strings", 404), func(_ context.Context, in *struct {
		Hub string `path:"hub" maxLength:"256" doc:"The name of an event hub, or - for the namespace."`
	}) (*keyList, error) {
		b, name, err := s.keyHub(in.Hub)
		if err != nil {
			return nil, err
		}
		out := &keyList{}
		out.Body.Keys = []HubKeyView{}
		rules := b.Rules(name)
		if name != "" {
			rules = append(rules, b.Rules("")...)
		}
		for _, r := range rules {
			out.Body.Keys = append(out.Body.Keys, s.keyView(r, name))
		}
		return out, nil
	})
	make := op("POST", "/hubs/{hub}/keys", "create-hub-key", tag, "Make a key", 404, 409)
	make.DefaultStatus = http.StatusCreated
	huma.Register(s.api, make, func(_ context.Context, in *struct {
		Hub  string `path:"hub" maxLength:"256" doc:"The name of an event hub, or - for the namespace."`
		Body struct {
			Name   string   `json:"name" minLength:"1" maxLength:"256"`
			Rights []string `json:"rights" minItems:"1" maxItems:"3" enum:"Send,Listen,Manage"`
		}
	}) (*keyAnswer, error) {
		b, name, err := s.keyHub(in.Hub)
		if err != nil {
			return nil, err
		}
		rights, err := hub.ParseRights(strings.Join(in.Body.Rights, ","))
		if err != nil {
			return nil, s.hubProblem(err)
		}
		r, err := b.AddRule(hub.Rule{Name: in.Body.Name, Hub: name, Rights: rights})
		if err != nil {
			return nil, s.hubProblem(err)
		}
		return &keyAnswer{s.keyView(r, name)}, nil
	})
	huma.Register(s.api, op("POST", "/hubs/{hub}/keys/{key}:regenerate", "regenerate-hub-key", tag, "Make one of the two keys anew: what the old one has signed is refused from then on", 404), func(_ context.Context, in *struct {
		HubKeyName
		Body struct {
			Which string `json:"which" enum:"primary,secondary"`
		}
	}) (*keyAnswer, error) {
		b, name, err := s.keyHub(in.Hub)
		if err != nil {
			return nil, err
		}
		which := hub.Primary
		if in.Body.Which == "secondary" {
			which = hub.Secondary
		}
		r, err := b.Regenerate(name, in.Key, which)
		if err != nil {
			return nil, s.hubProblem(err)
		}
		return &keyAnswer{s.keyView(r, name)}, nil
	})
	remove := op("DELETE", "/hubs/{hub}/keys/{key}", "delete-hub-key", tag, "Remove a key", 404)
	remove.DefaultStatus = http.StatusNoContent
	huma.Register(s.api, remove, func(_ context.Context, in *HubKeyName) (*struct{}, error) {
		b, name, err := s.keyHub(in.Hub)
		if err != nil {
			return nil, err
		}
		return nil, s.hubProblem(b.RemoveRule(name, in.Key))
	})
}

// keyHub finds the hub of a path about keys; - is the namespace, "".
func (s *Server) keyHub(name string) (*hub.Broker, string, error) {
	b, err := s.broker()
	if err != nil || name == "-" {
		return b, "", err
	}
	h, err := b.Hub(name)
	if err != nil {
		return nil, "", s.hubProblem(nearHub(b, name, err))
	}
	return b, h.Name(), nil
}

func (s *Server) keyView(r hub.Rule, forHub string) HubKeyView {
	return HubKeyView{Name: r.Name, Hub: r.Hub, Rights: strings.Split(r.Rights.String(), ", "), Primary: r.Primary, Secondary: r.Secondary,
		Connect: s.o.Hub.connections(r.Name, r.Primary, forHub)}
}

// connections are what clients are given to connect with a key, to a hub or, with "", to the
// namespace.
func (h *Hub) connections(name, key, forHub string) []HubConnectionView {
	var list []HubConnectionView
	add := func(clients string, lines ...string) {
		list = append(list, HubConnectionView{clients, strings.Join(lines, "\n")})
	}
	secret := ";SharedAccessKeyName=" + name + ";SharedAccessKey=" + key
	entity := ""
	if forHub != "" {
		entity = ";EntityPath=" + forHub
	}
	shown := forHub
	if shown == "" {
		shown = "HUB"
	}
	if host, port, local := h.where("amqp", "5672"); host != "" && local {
		add("SDKs of Event Hubs on this machine", "Endpoint=sb://"+join(host, port, "5672")+secret+";UseDevelopmentEmulator=true"+entity)
	}
	if host, port, _ := h.where("amqp", "5671"); host != "" {
		add("SDKs of Event Hubs, with TLS", "Endpoint=sb://"+join(host, port, "5671")+"/"+secret+entity)
	}
	if host, port, _ := h.where("https", "8443"); host != "" {
		add("HTTPS", "https://"+join(host, port, "443")+"/"+shown+"/messages")
		// The plugin takes a string of exactly three parts (eventhubs.md 1.4).
		add("fluent-plugin-azureeventhubs", "Endpoint=sb://"+join(host, port, "443")+"/"+secret)
	}
	if host, port, local := h.where("kafka", "9092"); host != "" {
		protocol := "SASL_SSL"
		if local {
			protocol = "SASL_PLAINTEXT"
		}
		password := "Endpoint=sb://" + host + "/" + secret + entity
		add("Kafka", "bootstrap.servers="+join(host, port, ""), "security.protocol="+protocol, "sasl.mechanism=PLAIN", "sasl.username=$ConnectionString", "sasl.password="+password)
	}
	return append(list, h.devices(name, key, shown)...)
}

// devices are what MQTT clients and Fluentd are given.
func (h *Hub) devices(name, key, shown string) []HubConnectionView {
	var list []HubConnectionView
	if host, port, _ := h.where("mqtt", "8883"); host != "" {
		list = append(list, HubConnectionView{"MQTT", strings.Join([]string{"host=" + host, "port=" + port, "topic=hubs/" + shown + "/messages/", "username=" + name, "password=" + key}, "\n")})
	}
	// All that comes by forward goes to one hub, so other hubs have nothing to tell.
	if host, port, _ := h.where("forward", "24224"); host != "" && (shown == "HUB" || strings.EqualFold(shown, h.ForwardHub)) {
		list = append(list, HubConnectionView{"Fluentd and Fluent Bit", strings.Join([]string{"host=" + host, "port=" + port, "hub=" + h.ForwardHub}, "\n")})
	}
	return list
}

// where is the host and port of a protocol, with a preference for a port; local says that
// clients on this machine reach it, and plain text will do.
func (h *Hub) where(protocol, prefer string) (host, port string, local bool) {
	for _, p := range h.Ports {
		a, n, err := net.SplitHostPort(p.Address)
		if p.Protocol != protocol || err != nil || host != "" && n != prefer {
			continue
		}
		ip, err := netip.ParseAddr(a)
		switch {
		case err == nil && (ip == netip.AddrFrom4([4]byte{127, 0, 0, 1}) || ip == netip.IPv6Loopback()):
			host, port, local = "localhost", n, true
		case err == nil && ip.IsLoopback():
			host, port, local = a, n, true
		case err == nil && ip.IsUnspecified():
			host, port, local = machine(), n, false
		default:
			host, port, local = a, n, false
		}
	}
	return host, port, local
}

// machine is the name of this machine.
func machine() string {
	name, err := os.Hostname()
	if err != nil {
		return "localhost"
	}
	return name
}

// join is host:port, or the host if the port is the usual one.
func join(host, port, usual string) string {
	if port == usual {
		if strings.Contains(host, ":") {
			return "[" + host + "]"
		}
		return host
	}
	return net.JoinHostPort(host, port)
}
