package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"slices"

	connecthub "weir/internal/connect/hub"
	"weir/internal/disk"
	"weir/internal/hub"
	hublog "weir/internal/hub/log"
	hubserve "weir/internal/hub/serve"
	"weir/internal/web"
)

// hubDir is the directory of the hub in the data directory, certsDir that of the development
// CA in it.
const (
	hubDir   = "hub"
	certsDir = "certs"
)

// hubFlags say how the hub is answered.
type hubFlags struct {
	NoHub          bool   `group:"hub" help:"No hub: no port of it, and no job that reads or writes one."`
	AMQP           string `name:"amqp" group:"hub" placeholder:"ADDR" help:"Where to answer AMQP, plain and TLS: addresses with commas between them, or off. Default 127.0.0.1:5672 and 5671."`
	HTTPS          string `name:"https" group:"hub" placeholder:"ADDR" help:"The same for HTTPS and WebSockets. Default 127.0.0.1:8443."`
	Kafka          string `group:"hub" placeholder:"ADDR" help:"The same for Kafka. Default 127.0.0.1:9092."`
	MQTT           string `name:"mqtt" group:"hub" placeholder:"ADDR" help:"The same for MQTT. Default 127.0.0.1:1883 and 8883."`
	Forward        string `group:"hub" placeholder:"ADDR" help:"The same for Fluentd's forward. Default 127.0.0.1:24224."`
	HubFsync       string `group:"hub" enum:"always,interval,none" default:"always" placeholder:"WHEN" help:"When events are forced to the disk: ${enum}. All but always lose acknowledged events when the power goes. Default ${default}."`
	HubCert        string `group:"hub" placeholder:"FILE" help:"Certificate of the ports, with its chain, in PEM. Default: one of a development CA; see weir hub certs."`
	HubKey         string `group:"hub" placeholder:"FILE" help:"Its key."`
	AllowPlaintext bool   `group:"hub" help:"Let other machines in without TLS: their keys are seen on the way."`
	Emulator       string `group:"hub" placeholder:"FILE" help:"Make the hubs of this Config.json of Azure's emulator, and take its key (as --dev-key)."`
	DevKey         bool   `group:"hub" help:"Take the key of Azure's emulator, SAS_KEY_VALUE. For ports on loopback only: everybody knows it."`
	KafkaAdvertise string `group:"hub" placeholder:"ADDR" help:"Where Kafka clients are told to connect to. Default: where they have connected to."`
	MQTTHub        string `name:"mqtt-hub" group:"hub" default:"iothub" placeholder:"HUB" help:"The hub of MQTT devices that name none. Default ${default}."`
	ForwardHub     string `group:"hub" default:"fluentd" placeholder:"HUB" help:"The hub of what comes by forward. Default ${default}."`
	ForwardKey     string `group:"hub" placeholder:"FILE" help:"The shared key of forward. Without it only this machine is served."`
	HubConnections int    `group:"hub" default:"20000" placeholder:"N" help:"How many connections a port has at a time. Default ${default}."`
	HubPerAddress  int    `group:"hub" default:"2000" placeholder:"N" help:"How many another machine has at a time. Default ${default}."`
}

// openedHub is a broker with its ports.
type openedHub struct {
	broker      *hub.Broker
	certs       *hubserve.Certificates
	options     hubserve.Options
	namespace   string           // "" is the usual one
	hubs        []hub.Config     // to be made
	development bool             // the key of the emulator is taken
	server      *hubserve.Server // nil until it listens
	stop        func()
}

// prepare checks the flags; nothing is opened yet.
func (f *hubFlags) prepare(hosts []string, log *slog.Logger) (*openedHub, error) {
	o := hubserve.Options{AllowPlain: f.AllowPlaintext, KafkaAdvertise: f.KafkaAdvertise, DeviceHub: f.MQTTHub, ForwardHub: f.ForwardHub,
		MaxConnections: f.HubConnections, MaxPerAddress: f.HubPerAddress, Hosts: hosts, Log: log}
	loopback := true
	for _, p := range []struct {
		name, flag string
		to         *hubserve.Ports
		def        []string
	}{{"amqp", f.AMQP, &o.AMQP, hubserve.DefaultAMQP}, {"https", f.HTTPS, &o.HTTPS, hubserve.DefaultHTTPS}, {"kafka", f.Kafka, &o.Kafka, hubserve.DefaultKafka},
		{"mqtt", f.MQTT, &o.MQTT, hubserve.DefaultMQTT}, {"forward", f.Forward, &o.Forward, hubserve.DefaultForward}} {
		ports, err := hubserve.ParsePorts(p.flag, p.def...)
		if err != nil {
			return nil, usage("--%s: %w", p.name, err)
		}
		*p.to = ports
		loopback = loopback && ports.Loopback()
	}
	h := &openedHub{options: o, development: f.DevKey || f.Emulator != ""}
	if f.Emulator != "" {
		var err error
		if h.namespace, h.hubs, err = readEmulator(f.Emulator); err != nil {
			return nil, usage("--emulator: %s: %w", f.Emulator, err)
		}
	}
	if f.ForwardKey != "" {
		key, err := secretFile("--forward-key", f.ForwardKey)
		if err != nil {
			return nil, err
		}
		h.options.ForwardKey = key.Expose()
	}
	if h.development && !loopback {
		return nil, usage("the key of the emulator is known to everybody: with --dev-key or --emulator the ports of the hub can be on loopback only")
	}
	return h, nil
}

func readEmulator(name string) (namespace string, hubs []hub.Config, err error) {
	f, err := os.Open(name)
	if err != nil {
		return "", nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, hub.MaxEmulatorConfig+1))
	if err != nil {
		return "", nil, err
	}
	return hub.ReadEmulatorConfig(text)
}

// open opens the broker in the data directory. It gives nil if there is to be no hub.
func (f *hubFlags) open(data disk.FS, hosts []string, log *slog.Logger) (*openedHub, error) {
	if f.NoHub {
		return nil, nil
	}
	h, err := f.prepare(hosts, log)
	if err != nil {
		return nil, err
	}
	dir, err := data.Sub(hubDir)
	if err != nil {
		return nil, err
	}
	o := hub.Options{FS: dir, Namespace: h.namespace, Fsync: hublog.Fsync(f.HubFsync), DevelopmentKey: h.development, Log: log}
	if h.broker, err = hub.Open(o); err != nil {
		if errors.Is(err, disk.ErrLocked) {
			return nil, usage("the directory %s is in use by another weir", dir.Path("."))
		}
		return nil, fmt.Errorf("open the hub: %w", err)
	}
	if err := f.openRest(h, dir, log); err != nil {
		return nil, errors.Join(err, h.broker.Close())
	}
	return h, nil
}

// openRest makes the hubs of the emulator and opens the certificates.
func (f *hubFlags) openRest(h *openedHub, dir disk.FS, log *slog.Logger) error {
	notes, err := h.broker.Apply(h.hubs)
	for _, n := range notes {
		log.Warn("--emulator: "+n, "file", f.Emulator)
	}
	if err != nil {
		return usage("--emulator: %s: %w", f.Emulator, err)
	}
	certs, err := dir.Sub(certsDir)
	if err != nil {
		return err
	}
	hosts := slices.Clone(h.options.Hosts)
	for _, p := range []hubserve.Ports{h.options.AMQP, h.options.HTTPS, h.options.Kafka, h.options.MQTT, h.options.Forward} {
		hosts = append(hosts, p.Hosts()...)
	}
	h.certs, err = hubserve.OpenCertificates(hubserve.CertificateOptions{CertFile: f.HubCert, KeyFile: f.HubKey, FS: certs, Hosts: hosts, Log: log})
	if err != nil {
		return usage("--hub-cert: %w", err)
	}
	h.options.Broker, h.options.Certificates = h.broker, h.certs
	return nil
}

// context gives jobs the broker.
func (h *openedHub) context(ctx context.Context) context.Context {
	if h == nil {
		return ctx
	}
	return connecthub.With(ctx, h.broker)
}

// listen opens the ports.
func (h *openedHub) listen(log *slog.Logger) error {
	if h == nil {
		return nil
	}
	s, err := hubserve.Start(h.options)
	if err != nil {
		return usage("%w", err)
	}
	h.server = s
	for _, a := range s.Addresses() {
		log.Info("the hub is listening", "protocol", a.Protocol, "address", a.Address)
	}
	hangup, done := make(chan os.Signal, 1), make(chan struct{})
	signals := hangups()
	if len(signals) > 0 {
		signal.Notify(hangup, signals...)
	}
	go func() {
		defer close(done)
		for range hangup {
			if err := h.certs.Reload(); err != nil {
				log.Error("the certificate could not be read again; the one before stays in force", "error", err)
			}
		}
	}()
	h.stop = func() {
		signal.Stop(hangup)
		close(hangup)
		<-done
	}
	return nil
}

// show has the REST interface show the hub.
func (h *openedHub) show(o *web.Options) {
	if h == nil {
		return
	}
	o.Hub = &web.Hub{Broker: h.broker, Development: h.development, CA: h.certs.CA(), ForwardHub: h.options.ForwardHub}
	for _, a := range h.server.Addresses() {
		o.Hub.Ports = append(o.Hub.Ports, web.HubPort{Protocol: a.Protocol, Address: a.Address})
	}
	o.Collectors = append(o.Collectors, h.server)
}

// close closes the ports and then the broker.
func (h *openedHub) close() error {
	if h == nil {
		return nil
	}
	var err error
	if h.stop != nil {
		h.stop()
		h.stop = nil
	}
	if h.server != nil {
		err = h.server.Close()
	}
	return errors.Join(err, h.broker.Close())
}

// hubServeCmd is weir serve without jobs.
type hubServeCmd struct {
	serveBase `embed:""`
}

// Help shows examples before the flags.
func (hubServeCmd) Help() string {
	return `Examples:
  weir hub serve
  weir hub serve --emulator Config.json
  weir hub serve --data /var/lib/weir --amqp 0.0.0.0:5671 --https 0.0.0.0:8443 --host hub.example.org

The ports of the hub take plain text and TLS alike; other machines need TLS. Whoever sends or
receives needs a key of the hub: weir hub keys. The data directory is that of weir serve; jobs
in it are left as they are.`
}

// Run serves until it is interrupted.
func (h *hubServeCmd) Run(ctx context.Context, con *console) error {
	return (&serveCmd{serveBase: h.serveBase, From: "now", idle: true}).Run(ctx, con)
}
