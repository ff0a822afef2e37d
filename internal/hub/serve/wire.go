package serve

import (
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"weir/internal/hub/rest"
)

// wire puts the protocols behind their ports.
func (s *Server) wire() {
	s.rest = rest.New(rest.Options{Broker: s.o.Broker, Log: s.log, Now: s.o.Now})
	s.web = newWebServer(s.guard(s.rest), s.log)
	s.handlers = map[string]handler{
		"https": {http: true},
	}
}

// webSocketPath is where AMQP over WebSockets is asked for; clients of .NET put a slash behind
// it (eventhubs.md 1.1).
const webSocketPath = "/$servicebus/websocket"

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
