package serve

import (
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"weir/internal/hub/amqp"
	"weir/internal/hub/eventhubs"
	"weir/internal/hub/fluent"
	"weir/internal/hub/kafka"
	"weir/internal/hub/mqtt"
	"weir/internal/hub/rest"
)

// wire puts the protocols behind their ports.
func (s *Server) wire() error {
	s.rest = rest.New(rest.Options{Broker: s.o.Broker, Log: s.log, Now: s.o.Now})
	s.amqp = eventhubs.New(eventhubs.Options{Broker: s.o.Broker, Limits: amqp.Limits{Handshake: s.o.HandshakeTime}, Log: s.log, Now: s.o.Now})
	sockets := s.amqp.WebSocket()
	s.web = newWebServer(s.o.HandshakeTime, s.guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.TrimSuffix(r.URL.Path, "/") == eventhubs.WebSocketPath {
			sockets.ServeHTTP(w, r)
			return
		}
		s.rest.ServeHTTP(w, r)
	})), s.log)
	s.handlers = map[string]handler{
		"https": {http: true},
		"amqp":  {protocol: s.amqp, http: true, secure: []byte(useTLS)},
	}
	devices := mqtt.New(mqtt.Options{Broker: s.o.Broker, Hub: s.o.DeviceHub, Limits: mqtt.Limits{Connections: s.o.MaxConnections, ConnectTime: s.o.HandshakeTime}, Log: s.log, Now: s.o.Now})
	s.handlers["mqtt"] = handler{protocol: devices}
	s.atClose(devices.Close)
	forward := fluent.New(fluent.Options{Broker: s.o.Broker, Hub: s.o.ForwardHub, SharedKey: s.o.ForwardKey, Limits: fluent.Limits{Connections: s.o.MaxConnections, HandshakeTime: s.o.HandshakeTime}, Log: s.log, Now: s.o.Now})
	s.handlers["forward"] = handler{protocol: forward}
	s.atClose(forward.Close)
	topics, err := kafka.New(kafka.Options{Broker: s.o.Broker, Advertise: s.o.KafkaAdvertise, AdvertiseTLS: s.o.KafkaAdvertise, Limits: kafka.Limits{Connections: s.o.MaxConnections, Login: s.o.HandshakeTime}, Log: s.log, Now: s.o.Now})
	if err != nil {
		return err
	}
	s.handlers["kafka"] = handler{protocol: topics}
	s.atClose(func() { _ = topics.Close() }) // it gives none
	s.clients = clients{topics, devices, forward}
	return nil
}

// useTLS is the header by which a server of AMQP asks for TLS (amqp-core 5.2.1).
const useTLS = "AMQP\x02\x01\x00\x00"

// guard is what every HTTP request passes. A browser says where its page comes from: a page of
// another site is refused, and so is one that has its name point at us. Other clients say
// nothing, and need a signature for whatever they do.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Cache-Control", "no-store")
		origin, site := r.Header.Get("Origin"), r.Header.Get("Sec-Fetch-Site")
		if origin != "" || site != "" {
			if !s.knownHost(r.Host) {
				http.Error(w, "this server does not go by the name that was asked for; name it with --host", http.StatusMisdirectedRequest)
				return
			}
			from, err := url.Parse(origin)
			if site == "cross-site" || origin != "" && (err != nil || !strings.EqualFold(from.Host, r.Host)) {
				http.Error(w, "this request comes from another site", http.StatusForbidden)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// knownHost reports whether a Host header names us: an address, localhost, or a name that we
// were given. A site that rebinds its name cannot have it be an address.
func (s *Server) knownHost(header string) bool {
	u := url.URL{Host: header}
	host := strings.TrimSuffix(u.Hostname(), ".")
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return strings.EqualFold(host, "localhost") || slices.ContainsFunc(s.o.Hosts, func(h string) bool { return strings.EqualFold(h, host) })
}

// DeviceKey is the own key of an MQTT device, derived from a key of the hub
// (mqtt.DeviceKey).
func DeviceKey(key, device string) string { return mqtt.DeviceKey(key, device) }
