package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	hubserve "weir/internal/hub/serve"
	"weir/internal/web"
)

type hubKeysCmd struct {
	serverFlags `embed:""`
	Hub         string   `arg:"" optional:"" placeholder:"HUB" help:"The name of the event hub. Default: the keys of the namespace, which are good for all."`
	Device      string   `placeholder:"ID" xor:"what" help:"The connection string of an MQTT device."`
	Add         string   `placeholder:"NAME" xor:"what" help:"Make a key with the rights of --rights."`
	Rights      []string `placeholder:"RIGHT" help:"With --add: Send, Listen, Manage."`
	Regenerate  string   `placeholder:"NAME" xor:"what" help:"Make the key of --which anew: what the old one has signed is refused from then on."`
	Which       string   `enum:"primary,secondary" default:"primary" placeholder:"KEY" help:"With --regenerate: ${enum}. Default ${default}."`
	Rm          string   `placeholder:"NAME" xor:"what" help:"Remove a key."`
}

// Help shows examples before the flags.
func (hubKeysCmd) Help() string {
	return `Examples:
  weir hub keys telemetry
  weir hub keys telemetry --add devices --rights Send
  weir hub keys iothub --device dev1
  weir hub keys telemetry --regenerate devices --which secondary

What is printed is secret. To replace a key without a gap, move the clients to the secondary
key, regenerate the primary, move them back, and regenerate the secondary.`
}

// Run shows keys, or changes one.
func (c *hubKeysCmd) Run(ctx context.Context, con *console) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	where := c.Hub
	if where == "" {
		where = "-" // the namespace
	}
	var one web.HubKeyView
	switch {
	case c.Add != "":
		if len(c.Rights) == 0 {
			return usage("a key needs rights: --rights Send,Listen")
		}
		for _, r := range c.Rights {
			if !slices.Contains(keyRights, strings.ToLower(r)) {
				return usage("--rights %q: it is Send, Listen or Manage", r)
			}
		}
		err = api.do(ctx, "POST", apiPath("hubs", where, "keys"), map[string]any{"name": c.Add, "rights": titles(c.Rights)}, &one)
	case c.Regenerate != "":
		err = api.do(ctx, "POST", apiPath("hubs", where, "keys", c.Regenerate, ":regenerate"), map[string]any{"which": c.Which}, &one)
	case c.Rm != "":
		if err := api.do(ctx, "DELETE", apiPath("hubs", where, "keys", c.Rm), nil, nil); err != nil {
			return err
		}
		fmt.Fprintf(con.err, "%s was removed\n", c.Rm)
		return nil
	default:
		var list struct{ Keys []web.HubKeyView }
		if err := api.do(ctx, "GET", apiPath("hubs", where, "keys"), nil, &list); err != nil {
			return err
		}
		if c.Device != "" {
			return c.showDevice(con, list.Keys)
		}
		for _, k := range list.Keys {
			if err := showKey(con, k); err != nil {
				return err
			}
		}
		return nil
	}
	if err != nil {
		return err
	}
	return showKey(con, one)
}

// showDevice shows what a device is given: its key is derived from the first that may send.
func (c *hubKeysCmd) showDevice(con *console, keys []web.HubKeyView) error {
	for _, k := range keys {
		if !slices.Contains(k.Rights, "Send") && !slices.Contains(k.Rights, "Manage") {
			continue
		}
		for _, s := range k.Connect {
			if s.For != "MQTT" {
				continue
			}
			host, _, _ := strings.Cut(strings.TrimPrefix(s.Settings, "host="), "\n")
			text := fmt.Sprintf("HostName=%s;DeviceId=%s;SharedAccessKey=%s", host, c.Device, hubserve.DeviceKey(k.Primary, c.Device))
			if con.outTTY {
				_, err := fmt.Fprintln(con.out, text)
				return err
			}
			e := json.NewEncoder(con.out)
			e.SetEscapeHTML(false)
			return e.Encode(map[string]string{"device": c.Device, "key": k.Name, "connection_string": text})
		}
		return usage("the service does not answer MQTT; start it without --mqtt off")
	}
	return usage("no key of the hub has the right to send; make one: weir hub keys HUB --add devices --rights Send")
}

// keyRights are the rights of keys.
var keyRights = []string{"send", "listen", "manage"}

// titles are words that begin with a capital.
func titles(words []string) []string {
	var list []string
	for _, w := range words {
		if w != "" {
			list = append(list, strings.ToUpper(w[:1])+strings.ToLower(w[1:]))
		}
	}
	return list
}

// showKey shows a key and what clients are given.
func showKey(con *console, k web.HubKeyView) error {
	if !con.outTTY {
		e := json.NewEncoder(con.out)
		e.SetEscapeHTML(false)
		return e.Encode(k)
	}
	of := "the namespace"
	if k.Hub != "" {
		of = k.Hub
	}
	fmt.Fprintf(con.out, "%s  of %s: %s\n  primary    %s\n  secondary  %s\n", con.paint(con.outColor, bold, k.Name), of, strings.Join(k.Rights, ", "), k.Primary, k.Secondary)
	for _, s := range k.Connect {
		fmt.Fprintf(con.out, "\n  %s\n", s.For)
		for line := range strings.SplitSeq(s.Settings, "\n") {
			fmt.Fprintf(con.out, "    %s\n", line)
		}
	}
	fmt.Fprintln(con.out)
	return nil
}
