package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"

	"weir/internal/connect"
	connecthub "weir/internal/connect/hub"
	"weir/internal/disk"
	"weir/internal/hub"
	hubserve "weir/internal/hub/serve"
	"weir/internal/project"
)

// hubsOf are the settings of the inputs and outputs of a job that are event hubs of this
// process.
func hubsOf(j *project.Job) (list []connect.Config) {
	add := func(s *connect.Spec, c connect.Config) {
		if s != nil && s.Name == connecthub.Name {
			list = append(list, c)
		}
	}
	for _, in := range j.Inputs {
		add(in.Connector, in.Config)
	}
	for _, out := range j.Outputs {
		add(out.Connector, out.Config)
	}
	return list
}

// openHub opens the hubs of a job that has any, for the time of a run: with the ports of AMQP
// and HTTPS on this machine, and the key of Azure's emulator, which everybody knows.
func (r *runCmd) openHub(con *console, j *project.Job, log *slog.Logger) (*openedHub, error) {
	hubs := hubsOf(j)
	if len(hubs) == 0 {
		return nil, nil
	}
	dir := r.Hub
	if dir == "" {
		dir = filepath.Join(j.Dir, ".weir-hub")
	}
	fs, err := disk.At(dir)
	if err != nil {
		return nil, usage("--hub: %w", err)
	}
	f := hubFlags{AMQP: r.AMQP, HTTPS: r.HTTPS, Kafka: "off", MQTT: "off", Forward: "off", HubFsync: "always", DevKey: true,
		HubConnections: hubserve.DefaultMaxConnections, HubPerAddress: hubserve.DefaultMaxPerAddress}
	h, err := f.open(fs, nil, log)
	if err != nil {
		return nil, err
	}
	for _, c := range hubs { // clients may come before the job has opened them
		if _, err := connecthub.Ensure(h.broker, c); err != nil {
			return nil, errors.Join(usage("%w", err), h.close())
		}
	}
	if err := h.listen(log); err != nil {
		return nil, errors.Join(err, h.close())
	}
	if !r.Quiet {
		for _, a := range h.server.Addresses() {
			fmt.Fprintln(con.err, con.paint(con.errColor, dim, hubLine(a)))
		}
	}
	return h, nil
}

// hubLine says how clients come to a port.
func hubLine(a hubserve.Address) string {
	_, port, err := net.SplitHostPort(a.Address)
	if err != nil {
		return a.Address
	}
	if a.Protocol == "amqp" {
		return fmt.Sprintf("the hub answers AMQP: Endpoint=sb://localhost:%s;SharedAccessKeyName=%s;SharedAccessKey=SAS_KEY_VALUE;UseDevelopmentEmulator=true;", port, hub.RootRule)
	}
	return fmt.Sprintf("the hub answers HTTPS: https://localhost:%s/HUB/messages, with the key SAS_KEY_VALUE of %s", port, hub.RootRule)
}
