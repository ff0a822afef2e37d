package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"weir/internal/hub/sas"
	"weir/internal/web"
)

type hubTokenCmd struct {
	serverFlags `embed:""`
	Hub         string        `arg:"" optional:"" placeholder:"HUB" help:"The name of the event hub. Default: a token for all of them, made with a key of the namespace."`
	Key         string        `placeholder:"NAME" help:"The key to sign with. Default: the first of weir hub keys that may send."`
	For         time.Duration `default:"1h" placeholder:"D" help:"How long the token is good, such as 10m. Default ${default}."`
	Path        string        `placeholder:"PATH" help:"A place in the event hub, such as publishers/dev1: the token is good for that only."`
	Secondary   bool          `help:"Sign with the secondary key."`
}

// Help shows examples before the flags.
func (hubTokenCmd) Help() string {
	return `Examples:
  curl --cacert ca.pem -H "Authorization: $(weir hub token telemetry)" -d '{"n":1}' https://localhost:8443/telemetry/messages
  weir hub token telemetry --key devices --for 10m
  weir hub token telemetry --path publishers/dev1 --for 720h

What is printed is a shared access signature: whoever has it may do what the key may, until it
ends, or the key is made anew or removed.`
}

// Run makes a token.
func (c *hubTokenCmd) Run(ctx context.Context, con *console) error {
	path := strings.Trim(c.Path, "/")
	switch {
	case c.For < time.Second:
		return usage("--for %s: a token is good for a second or more", c.For)
	case path != "" && c.Hub == "":
		return usage("--path is a place in an event hub: name the hub")
	}
	api, err := c.client()
	if err != nil {
		return err
	}
	var list struct{ Keys []web.HubKeyView }
	if err := api.do(ctx, "GET", apiPath("hubs", cmp.Or(c.Hub, "-"), "keys"), nil, &list); err != nil {
		return err
	}
	k, err := c.pick(list.Keys)
	if err != nil {
		return err
	}
	key := k.Primary
	if c.Secondary {
		key = k.Secondary
	}
	if key == "" {
		return usage("%s has no such key; \"weir hub keys\" shows what it has", k.Name)
	}
	resource := strings.TrimRight("sb://"+hostOf(k)+"/"+c.Hub+"/"+path, "/")
	if c.Hub == "" {
		resource += "/"
	}
	expires := time.Now().Add(c.For)
	if con.outTTY {
		fmt.Fprintln(con.err, con.paint(con.errColor, dim, fmt.Sprintf("signed with %s for %s, good until %s", k.Name, resource, expires.Format(time.DateTime))))
	}
	text := sas.Sign(resource, k.Name, key, expires)
	if len(text) > sas.MaxToken {
		return usage("--path: it is too long: the token has %d bytes; %d is the most", len(text), sas.MaxToken)
	}
	_, err = fmt.Fprintln(con.out, text)
	return err
}

// pick finds the key to sign with.
func (c *hubTokenCmd) pick(keys []web.HubKeyView) (web.HubKeyView, error) {
	var names []string
	for _, k := range keys {
		if c.Key == k.Name || c.Key == "" && (slices.Contains(k.Rights, "Send") || slices.Contains(k.Rights, "Manage")) {
			return k, nil
		}
		names = append(names, k.Name)
	}
	if c.Key == "" {
		return web.HubKeyView{}, usage("no key has the right to send; make one: weir hub keys HUB --add devices --rights Send")
	}
	return web.HubKeyView{}, usage("there is no key %q; there are %s", c.Key, strings.Join(names, ", "))
}

// hostOf is the host that clients are given with a key, without a port.
func hostOf(k web.HubKeyView) string {
	for _, s := range k.Connect {
		if c, err := sas.ParseConnectionString(s.Settings); err == nil {
			return c.Hostname()
		}
	}
	return "localhost"
}
