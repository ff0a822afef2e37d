package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weir/internal/connect"
	intake "weir/internal/connect/http"
	"weir/internal/connect/pipe"
	"weir/internal/disk"
	"weir/internal/service"
	"weir/internal/web"
)

// lookEvery is how often the directory of jobs is looked at.
const lookEvery = 2 * time.Second

// serveGrace is how long jobs may take to make their last checkpoints.
const serveGrace = 30 * time.Second

// serveBase is what verbs that serve have in common.
type serveBase struct {
	Data      string   `placeholder:"DIR" help:"Where jobs, their versions, their state and the events of the hub are kept. Default: $$XDG_STATE_HOME/weir, or ~/.local/state/weir."`
	Listen    string   `default:"127.0.0.1:8484" placeholder:"ADDR" help:"Where to answer. Default ${default}. Any other machine can come in only with a token."`
	TokenFile string   `placeholder:"FILE" help:"The token that requests must carry (Authorization: Bearer TOKEN). Or set $$WEIR_TOKEN."`
	Host      []string `placeholder:"NAME" help:"Names that the service goes by, besides localhost and addresses."`
	Pprof     string   `placeholder:"ADDR" help:"Answer to Go's profiler on this loopback address."`
	Ready     string   `placeholder:"FILE" help:"Write the URL of the service to FILE once it answers."`

	hubFlags `embed:""`
	logFlags `embed:""`
}

type serveCmd struct {
	Jobs  string `placeholder:"DIR" help:"Run every job in this directory: folders and files that describe one."`
	From  string `default:"now" placeholder:"WHERE" help:"Where a new job of --jobs starts: now, beginning, or a time. Default ${default}."`
	Watch bool   `help:"Look every 2 seconds whether a job of --jobs has changed. Without it, SIGHUP makes it look."`

	AllowCommands bool `help:"Jobs may run programs (the connector pipe): all who can deploy jobs then can."`

	serveBase      `embed:""`
	functionLimits `embed:""`

	idle bool // jobs are left as they are
}

// Help shows examples before the flags.
func (serveCmd) Help() string {
	return `Examples:
  weir serve --jobs ./jobs --watch
  weir serve --data /var/lib/weir --listen 0.0.0.0:8484 --token-file /run/credentials/weir/token
  weir serve --amqp 0.0.0.0:5671 --kafka off --mqtt off --host hub.example.org
  curl http://127.0.0.1:8484/api/v1/jobs

Jobs come from the directory and over the REST interface (weir job deploy). What is wanted
of a job, running or stopped, survives the service. A changed job is checked first: one
that is wrong leaves the version that runs as it is. SIGTERM makes a last checkpoint of
each job and ends with status 0.

The service is a hub too: event hubs for the clients of Azure Event Hubs, of Kafka, MQTT and
Fluentd, and for jobs. Its ports need no token, as clients bring a key of the hub (weir hub
keys). They take plain text and TLS; other machines need TLS, unless --allow-plaintext is
given. --no-hub leaves it all out.`
}

// Run serves until it is interrupted.
func (s *serveCmd) Run(ctx context.Context, con *console) (closed error) {
	grace.Store(int64(serveGrace))
	token, err := readToken(s.TokenFile)
	if err != nil {
		return err
	}
	if err := web.CheckListen(s.Listen, token); err != nil {
		return usage("%w", err)
	}
	from, err := service.StartAt(s.From, time.Now())
	if err != nil {
		return usage("--from: %w", err)
	}
	if s.Jobs != "" {
		if _, err := os.ReadDir(s.Jobs); err != nil {
			return usage("--jobs: %w", err)
		}
	}
	log, lines := s.logger(con)
	data, err := s.data()
	if err != nil {
		return err
	}
	h, err := s.hubFlags.open(data, s.hosts(), log)
	if err != nil {
		return err
	}
	defer func() { closed = errors.Join(closed, h.close()) }() // after the jobs
	life := h.context(context.Background())
	if s.AllowCommands {
		life = pipe.Allow(life)
	}
	svc, err := service.Open(service.Options{FS: data, Env: os.LookupEnv, Functions: s.limits(), Log: log, Context: life})
	if errors.Is(err, disk.ErrLocked) {
		return usage("the data directory %s is in use by another weir", data.Path("."))
	}
	if err != nil {
		return err
	}
	defer svc.Close()
	l, err := net.Listen("tcp", s.Listen)
	if errors.Is(err, syscall.EADDRINUSE) {
		return usage("--listen: another program, perhaps another weir, answers on %s already; give another address with --listen", s.Listen)
	}
	if err != nil {
		return usage("--listen: %w", err)
	}
	if err := h.listen(log); err != nil {
		return errors.Join(err, l.Close())
	}
	o := web.Options{Token: token, Hosts: s.hosts(), Version: programVersion(), Log: log,
		Handlers:   map[string]http.Handler{"/in/": http.StripPrefix("/in", intake.Mounted())},
		Collectors: []prometheus.Collector{web.LogMessages(lines.Counts)}}
	h.show(&o)
	server := web.New(svc, o)
	if err := s.profiler(ctx); err != nil {
		return errors.Join(err, l.Close())
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, l) }()
	log.Info("listening", "url", "http://"+l.Addr().String(), "data", s.Data)
	if !s.idle {
		svc.Resume()
	}
	followed := make(chan struct{})
	go func() {
		defer close(followed)
		if s.Jobs != "" {
			s.follow(ctx, svc, from, log)
		}
	}()
	if s.Ready != "" {
		if err := os.WriteFile(s.Ready, []byte("http://"+l.Addr().String()+"\n"), 0o600); err != nil {
			cancel()
			return errors.Join(usage("--ready: %w", err), <-served)
		}
		defer os.Remove(s.Ready)
	}
	select {
	case <-ctx.Done():
		log.Info("stopping")
	case err = <-served:
		served <- err
	}
	cancel()
	<-followed
	err = errors.Join(<-served, svc.Close())
	log.Info("stopped")
	return err
}

// hosts are the names that the service goes by: those given, that of the address that it
// listens on and, if other machines can reach it, that of this machine.
func (s *serveBase) hosts() []string {
	list := slices.Clone(s.Host)
	host, _, _ := net.SplitHostPort(s.Listen) // CheckListen has looked at it
	if host != "" {
		list = append(list, host)
	}
	if name, err := os.Hostname(); err == nil && !web.IsLoopback(host) {
		list = append(list, name)
	}
	return list
}

// data is the data directory.
func (s *serveBase) data() (disk.FS, error) {
	dir, err := dataHome(s.Data)
	if err != nil {
		return nil, err
	}
	s.Data = dir
	fs, err := disk.At(dir)
	if err != nil {
		return nil, usage("--data: %w", err)
	}
	return fs, nil
}

// dataHome is the data directory that was given, or the usual one.
func dataHome(dir string) (string, error) {
	if dir != "" {
		return dir, nil
	}
	dir, err := stateHome()
	if err != nil {
		return "", usage("--data is missing: %w", err)
	}
	return dir, nil
}

// stateHome is where programs of this user keep what they must not lose.
func stateHome() (string, error) {
	if dir := os.Getenv("XDG_STATE_HOME"); dir != "" {
		return filepath.Join(dir, "weir"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(home, ".local", "state", "weir"), nil
}

// profiler answers to Go's profiler, on loopback only.
func (s *serveBase) profiler(ctx context.Context) error {
	if s.Pprof == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(s.Pprof)
	if err != nil || !web.IsLoopback(host) {
		return usage("--pprof is for loopback only, such as 127.0.0.1:6060; it shows what is in memory")
	}
	l, err := net.Listen("tcp", s.Pprof)
	if err != nil {
		return usage("--pprof: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	context.AfterFunc(ctx, func() { srv.Close() })
	go srv.Serve(l)
	return nil
}

// maxTokenBytes bounds the file of a token.
const maxTokenBytes = 4096

// readToken gives the token of a file or of the environment; it may be empty.
func readToken(file string) (connect.Hidden, error) {
	if file == "" {
		return connect.NewHidden(os.Getenv("WEIR_TOKEN")), nil
	}
	return secretFile("--token-file", file)
}

// secretFile gives the secret in the file that a flag names.
func secretFile(flag, file string) (connect.Hidden, error) {
	f, err := os.Open(file)
	if err != nil {
		return connect.Hidden{}, usage("%s: %w", flag, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxTokenBytes+1)) // a pipe or a device has no size
	if err == nil && len(b) > maxTokenBytes {
		err = fmt.Errorf("%s is too long for a token", file)
	}
	if err != nil {
		return connect.Hidden{}, usage("%s: %w", flag, err)
	}
	text := strings.TrimSpace(string(b))
	if text == "" {
		return connect.Hidden{}, usage("%s: %s is empty", flag, file)
	}
	return connect.NewHidden(text), nil
}
