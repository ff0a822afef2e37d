package web

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/net/netutil"

	"weir/internal/connect"
	"weir/internal/service"
)

// Options say how a server answers.
type Options struct {
	// Token, if set, is what requests must carry: Authorization: Bearer TOKEN.
	Token connect.Hidden
	// Hosts are the names that the server goes by, besides localhost and addresses.
	Hosts   []string
	Version string // of the program
	Log     *slog.Logger
	// Handlers are further routes, by pattern of http.ServeMux, behind the same guard: what
	// inputs listen on.
	Handlers map[string]http.Handler
	// Collectors are further metrics.
	Collectors []prometheus.Collector
	// Hub is the broker of the service; nil if it has none.
	Hub *Hub
}

// Server is the HTTP interface of a service.
type Server struct {
	svc *service.Service
	o   Options
	log *slog.Logger
	api huma.API
	mux *actionMux
	// runs holds one for each run over samples that is under way.
	runs chan struct{}
	// bodies is how many bytes of request bodies are held.
	bodies atomic.Int64
}

// maxRuns is how many runs over samples there may be at a time.
const maxRuns = 4

// New is the HTTP interface of a service.
func New(svc *service.Service, o Options) *Server {
	s := &Server{svc: svc, o: o, log: o.Log, runs: make(chan struct{}, maxRuns), mux: &actionMux{ServeMux: http.NewServeMux(), actions: map[string]map[string]http.HandlerFunc{}}}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	config := huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{Title: "Weir", Version: "v1",
				Description: "Jobs of the Azure Stream Analytics language that are left running: deploy, start, stop and look at them."},
			Components: &huma.Components{
				Schemas:         huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer),
				SecuritySchemes: map[string]*huma.SecurityScheme{"token": {Type: "http", Scheme: "bearer", Description: "Needed unless the service listens on loopback without a token."}},
			},
			Security: []map[string][]string{{}, {"token": {}}},
		},
		OpenAPIPath:                  "/openapi",
		Formats:                      huma.DefaultFormats,
		DefaultFormat:                "application/json",
		RejectUnknownQueryParameters: true,
	}
	s.api = humago.New(s.mux, config)
	s.jobRoutes()
	s.lookRoutes()
	s.liveRoutes()
	s.queryRoutes()
	s.tableRoutes()
	s.hubRoutes()
	s.mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "ok\n") })
	s.mux.HandleFunc("GET /readyz", s.ready)
	s.mux.Handle("GET /metrics", s.metrics())
	for pattern, h := range o.Handlers {
		s.mux.Handle(pattern, h)
	}
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" && r.Method == http.MethodGet {
			plain(w, http.StatusOK, "weir "+o.Version+"\n\nThe interface is described at /openapi.json; jobs are at /api/v1/jobs.\n")
			return
		}
		refuse(w, http.StatusNotFound, "there is nothing at "+r.Method+" "+r.URL.Path+"; /openapi.json says what there is")
	})
	return s
}

// Handler is what serves requests, with all its guards.
func (s *Server) Handler() http.Handler { return s.guard(s.mux) }

// OpenAPI is the description of the interface, as JSON.
func (s *Server) OpenAPI() ([]byte, error) { return s.api.OpenAPI().MarshalJSON() }

// Serve answers on a listener until ctx ends; then streams end, and requests have a little
// time to. The service is not closed.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	base, cancel := context.WithCancel(context.Background())
	defer cancel()
	srv := &http.Server{Handler: s.Handler(), ReadHeaderTimeout: headTimeout, WriteTimeout: answerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
		BaseContext: func(net.Listener) context.Context { return base }, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug)}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(netutil.LimitListener(l, maxConnections)) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	cancel() // streams end
	grace, stop := context.WithTimeout(context.Background(), shutdownTime)
	defer stop()
	if err := srv.Shutdown(grace); err != nil {
		srv.Close()
	}
	<-done
	return nil
}

// shutdownTime is how long requests may take to end when the server does.
const shutdownTime = 3 * time.Second

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text))
}

// actionMux is a ServeMux that takes patterns such as "POST /jobs/{job}:start": the last
// segment is a name and an action.
type actionMux struct {
	*http.ServeMux
	actions map[string]map[string]http.HandlerFunc // by pattern without action
}

// HandleFunc adds a handler.
func (m *actionMux) HandleFunc(pattern string, h func(http.ResponseWriter, *http.Request)) {
	base, action, ok := strings.Cut(pattern, "}:")
	if !ok {
		m.ServeMux.HandleFunc(pattern, h)
		return
	}
	base += "}"
	if m.actions[base] == nil {
		m.actions[base] = map[string]http.HandlerFunc{}
		name := base[strings.LastIndexByte(base, '{')+1 : len(base)-1]
		m.ServeMux.HandleFunc(base, func(w http.ResponseWriter, r *http.Request) {
			value := r.PathValue(name)
			at := strings.LastIndexByte(value, ':')
			h := m.actions[base][value[at+1:]]
			if at < 0 || h == nil {
				refuse(w, http.StatusNotFound, "there is nothing at "+r.Method+" "+r.URL.Path+"; /openapi.json says what there is")
				return
			}
			r.SetPathValue(name, value[:at])
			h(w, r)
		})
	}
	m.actions[base][action] = h
}
