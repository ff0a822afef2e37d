package http

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/net/netutil"
)

// NoListener is the listen setting of inputs that are reached by Mounted only.
const NoListener = "none"

// Inputs of one process with the same address share a listener, whichever job they belong
// to. open guards it: the listener comes with the first and goes with the last.
var open = struct {
	sync.Mutex
	listeners map[string]*listener
}{listeners: map[string]*listener{}}

// listener is an address and the inputs behind it, by path.
type listener struct {
	address string
	cert    string // path of the certificate; "" is plain HTTP
	net     net.Listener
	server  *http.Server
	served  chan struct{} // closed when the server has ended

	mu    sync.RWMutex
	paths map[string]*inlet
}

// route is the place of an input at a listener.
type route struct {
	l    *listener
	path string
}

// listen gives an input its place. An address whose port is 0 is not shared.
func listen(address, path, cert, key string, in *inlet, log *slog.Logger) (*route, error) {
	open.Lock()
	defer open.Unlock()
	l := open.listeners[address]
	if l == nil {
		var err error
		if l, err = start(address, cert, key, in.o.readTimeout, log); err != nil {
			return nil, err
		}
		if _, port, _ := net.SplitHostPort(address); port != "0" {
			open.listeners[address] = l
		}
	}
	if l.cert != cert {
		return nil, fmt.Errorf("listen on %s: another input listens there with another certificate; inputs that share an address have the same", address)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.paths[path] != nil {
		return nil, fmt.Errorf("listen on %s%s: another input takes events there; give one of them another path", address, path)
	}
	l.paths[path] = in
	return &route{l, path}, nil
}

func start(address, cert, key string, readTimeout time.Duration, log *slog.Logger) (*listener, error) {
	l := &listener{address: address, cert: cert, paths: map[string]*inlet{}, served: make(chan struct{})}
	if address == NoListener {
		close(l.served)
		return l, nil
	}
	var config *tls.Config
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("load the certificate of %s: %w", address, err)
		}
		config = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	}
	n, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	l.net = netutil.LimitListener(n, MaxConnections)
	l.server = &http.Server{Handler: l, TLSConfig: config, ReadHeaderTimeout: min(headerTimeout, readTimeout), ReadTimeout: readTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	go func() {
		defer close(l.served)
		serve := func() error { return l.server.Serve(l.net) }
		if config != nil {
			serve = func() error { return l.server.ServeTLS(l.net, "", "") }
		}
		if err := serve(); !errors.Is(err, http.ErrServerClosed) {
			log.Error("the listener has ended", "listen", address, "error", err)
		}
	}()
	log.Info("listening for events", "listen", n.Addr().String(), "tls", config != nil)
	return l, nil
}

// addr is where the listener can be reached; "" if it has no port.
func (l *listener) addr() string {
	if l.net == nil {
		return ""
	}
	return l.net.Addr().String()
}

// close frees the path: later requests to it get 404. The listener goes with its last path,
// after its requests.
func (r *route) close() error {
	open.Lock()
	defer open.Unlock()
	r.l.mu.Lock()
	delete(r.l.paths, r.path)
	left := len(r.l.paths)
	r.l.mu.Unlock()
	if left > 0 {
		return nil
	}
	if open.listeners[r.l.address] == r.l {
		delete(open.listeners, r.l.address)
	}
	if r.l.server == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	err := r.l.server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) { // what has not arrived by now was not promised
		err = r.l.server.Close()
	}
	<-r.l.served
	return err
}

// ServeHTTP hands a request to the input of its path.
func (l *listener) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.RLock()
	in := l.paths[r.URL.Path]
	if in != nil {
		in.requests.Add(1)
	}
	l.mu.RUnlock()
	if in == nil {
		refuse(w, http.StatusNotFound, "no input takes events at this path")
		return
	}
	defer in.requests.Done()
	in.ServeHTTP(w, r)
}

// Mounted serves the inputs whose listen setting is none, by their paths: another server can
// take them in. Its own limits of headers and connections then hold.
func Mounted() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		open.Lock()
		l := open.listeners[NoListener]
		open.Unlock()
		if l == nil {
			refuse(w, http.StatusNotFound, "no input takes events at this path")
			return
		}
		l.ServeHTTP(w, r)
	})
}
