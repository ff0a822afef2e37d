package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"weir/internal/hub"
	"weir/internal/web"
)

// hubCmd are the verbs about the event hubs of a service: clients of its REST interface.
type hubCmd struct {
	Serve  hubServeCmd  `cmd:"" help:"Answer as Event Hubs do, without running jobs."`
	List   hubListCmd   `cmd:"" help:"All event hubs."`
	Create hubCreateCmd `cmd:"" help:"Make an event hub."`
	Show   hubShowCmd   `cmd:"" help:"An event hub: its partitions and consumer groups."`
	Update hubUpdateCmd `cmd:"" help:"Change how long events stay, or add partitions."`
	Rm     hubRmCmd     `cmd:"" help:"Remove an event hub with its events."`
	Keys   hubKeysCmd   `cmd:"" help:"Keys and connection strings; make, regenerate and remove keys."`
	Token  hubTokenCmd  `cmd:"" help:"A shared access signature for HTTPS posts."`
	Group  hubGroupCmd  `cmd:"" help:"Make or remove a consumer group."`
	Certs  hubCertsCmd  `cmd:"" help:"The development CA, and how clients come to trust it."`
}

// hubArg names an event hub of a service.
type hubArg struct {
	serverFlags `embed:""`
	Hub         string `arg:"" placeholder:"HUB" help:"The name of the event hub."`
}

type hubListCmd struct {
	serverFlags `embed:""`
}

// Run lists the hubs.
func (c *hubListCmd) Run(ctx context.Context, con *console) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	var list struct{ Hubs []web.HubView }
	if err := api.do(ctx, "GET", apiPath("hubs"), nil, &list); err != nil {
		return err
	}
	rows := newListing(con, "HUB", "PARTITIONS", "RETENTION", "EVENTS", "BYTES", "GROUPS", "CREATED")
	for _, h := range list.Hubs {
		if err := rows.add(h, h.Name, strconv.Itoa(h.Partitions), shortTimeOf(h.Retention), grouped(h.Events), grouped(h.Bytes), strconv.Itoa(len(h.Groups)), ago(h.Created)); err != nil {
			return err
		}
	}
	if len(list.Hubs) == 0 && con.outTTY {
		fmt.Fprintln(con.err, "there are no event hubs; make one with \"weir hub create NAME\"")
	}
	return rows.close()
}

// shortTimeOf is a duration without the parts that are zero at its end; whole days, if it is
// two of them or more.
func shortTimeOf(text string) string {
	if d, err := time.ParseDuration(text); err == nil && d >= 48*time.Hour && d%(24*time.Hour) == 0 {
		return strconv.Itoa(int(d/(24*time.Hour))) + "d"
	}
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-2]
		}
	}
	return text
}

// hubSettings are what a hub is made with.
type hubSettings struct {
	Partitions     *int   `placeholder:"N" help:"How many partitions, 1 to 1024. Default when it is made: 4. There can be more later, not fewer."`
	Retention      string `placeholder:"D" help:"How long events stay, such as 30m, 24h or 7d. Default when it is made: 24h."`
	RetentionBytes int64  `default:"-1" placeholder:"N" help:"The most bytes of a partition: the oldest events go first. 0 is no bound."`
}

// body is what the service is asked for.
func (s *hubSettings) body() (map[string]any, error) {
	body := map[string]any{}
	if p := s.Partitions; p != nil {
		if *p < 1 || *p > hub.MaxPartitions {
			return nil, usage("--partitions %d: an event hub has 1 to %d", *p, hub.MaxPartitions)
		}
		body["partitions"] = *p
	}
	if s.Retention != "" {
		body["retention"] = s.Retention
	}
	if s.RetentionBytes >= 0 {
		body["retention_bytes"] = s.RetentionBytes
	}
	return body, nil
}

type hubCreateCmd struct {
	hubArg      `embed:""`
	hubSettings `embed:""`
	Group       []string `placeholder:"NAME" help:"Consumer groups besides $$Default."`
}

// Run makes a hub.
func (c *hubCreateCmd) Run(ctx context.Context, con *console) error {
	body, err := c.body()
	if err != nil {
		return err
	}
	body["name"] = c.Hub
	if len(c.Group) > 0 {
		body["groups"] = c.Group
	}
	return c.change(ctx, con, "POST", apiPath("hubs"), body, "was made")
}

type hubUpdateCmd struct {
	hubArg      `embed:""`
	hubSettings `embed:""`
}

// Run changes a hub.
func (c *hubUpdateCmd) Run(ctx context.Context, con *console) error {
	body, err := c.body()
	if err != nil {
		return err
	}
	if len(body) == 0 {
		return usage("nothing is to be changed: give --partitions, --retention or --retention-bytes")
	}
	return c.change(ctx, con, "PATCH", apiPath("hubs", c.Hub), body, "was changed")
}

// change makes or changes a hub and tells what it is now.
func (c *hubArg) change(ctx context.Context, con *console, method, path string, body any, done string) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	var h web.HubView
	if err := api.do(ctx, method, path, body, &h); err != nil {
		return err
	}
	if !con.outTTY {
		return json.NewEncoder(con.out).Encode(h)
	}
	fmt.Fprintf(con.out, "%s %s: %s, events stay %s\n", h.Name, done, plural(int64(h.Partitions), "partition"), shortTimeOf(h.Retention))
	return nil
}

type hubShowCmd struct {
	hubArg `embed:""`
}

// Run shows a hub.
func (c *hubShowCmd) Run(ctx context.Context, con *console) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	var v struct {
		web.HubView
		Parts struct {
			Partitions []web.HubPartitionView `json:"partitions"`
		} `json:"-"`
		Groups struct {
			Groups []web.HubGroupView `json:"groups"`
		} `json:"-"`
	}
	for path, to := range map[string]any{apiPath("hubs", c.Hub): &v.HubView, apiPath("hubs", c.Hub, "partitions"): &v.Parts, apiPath("hubs", c.Hub, "groups"): &v.Groups} {
		if err := api.do(ctx, "GET", path, nil, to); err != nil {
			return err
		}
	}
	if !con.outTTY {
		return json.NewEncoder(con.out).Encode(struct {
			Hub        web.HubView            `json:"hub"`
			Partitions []web.HubPartitionView `json:"partitions"`
			Groups     []web.HubGroupView     `json:"groups"`
		}{v.HubView, v.Parts.Partitions, v.Groups.Groups})
	}
	h := v.HubView
	fmt.Fprintf(con.out, "%s  %s, events stay %s  made %s\n", con.paint(con.outColor, bold, h.Name), plural(int64(h.Partitions), "partition"), shortTimeOf(h.Retention), ago(h.Created))
	fmt.Fprintf(con.out, "%s events kept, %s bytes; since the service started %s events in and %s out\n", grouped(h.Events), grouped(h.Bytes), grouped(h.EventsIn), grouped(h.EventsOut))
	rows := newListing(con, "PARTITION", "FIRST", "NEXT", "BYTES", "LAST EVENT")
	for _, p := range v.Parts.Partitions {
		last := ""
		if p.LastEnqueued != nil {
			last = ago(*p.LastEnqueued)
		}
		if err := rows.add(p, strconv.Itoa(p.Partition), grouped(p.First), grouped(p.Next), grouped(p.Bytes), last); err != nil {
			return err
		}
	}
	if err := rows.close(); err != nil {
		return err
	}
	rows = newListing(con, "GROUP", "LAG", "PARTITIONS")
	for _, g := range v.Groups.Groups {
		if err := rows.add(g, g.Name, grouped(g.Lag), strconv.Itoa(len(g.Partitions))); err != nil {
			return err
		}
	}
	return rows.close()
}

type hubRmCmd struct {
	hubArg `embed:""`
	Yes    bool `help:"Do not ask."`
}

// Run removes a hub.
func (c *hubRmCmd) Run(ctx context.Context, con *console) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	if !c.Yes {
		var h web.HubView // what is not there needs no question
		if err := api.do(ctx, "GET", apiPath("hubs", c.Hub), nil, &h); err != nil {
			return err
		}
		fmt.Fprintf(con.err, "%s and its events will be removed. Type its name to go on: ", c.Hub)
		var answer string
		if _, err := fmt.Fscanln(con.in, &answer); err != nil || answer != c.Hub {
			return usage("nothing was removed; --yes does not ask")
		}
	}
	if err := api.do(ctx, "DELETE", apiPath("hubs", c.Hub), nil, nil); err != nil {
		return err
	}
	fmt.Fprintf(con.err, "%s was removed\n", c.Hub)
	return nil
}

// hubGroupCmd are the verbs about consumer groups.
type hubGroupCmd struct {
	Create hubGroupCreateCmd `cmd:"" help:"Make a consumer group."`
	Rm     hubGroupRmCmd     `cmd:"" help:"Remove a consumer group with its places."`
}

type hubGroupArg struct {
	hubArg `embed:""`
	Group  string `arg:"" placeholder:"GROUP" help:"The name of the consumer group."`
}

type hubGroupCreateCmd struct {
	hubGroupArg `embed:""`
}

// Run makes a group.
func (c *hubGroupCreateCmd) Run(ctx context.Context, con *console) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	var g web.HubGroupView
	if err := api.do(ctx, "POST", apiPath("hubs", c.Hub, "groups"), map[string]any{"name": c.Group}, &g); err != nil {
		return err
	}
	if !con.outTTY {
		return json.NewEncoder(con.out).Encode(g)
	}
	fmt.Fprintf(con.out, "%s was made\n", g.Name)
	return nil
}

type hubGroupRmCmd struct {
	hubGroupArg `embed:""`
}

// Run removes a group.
func (c *hubGroupRmCmd) Run(ctx context.Context, con *console) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	if err := api.do(ctx, "DELETE", apiPath("hubs", c.Hub, "groups", c.Group), nil, nil); err != nil {
		return err
	}
	fmt.Fprintf(con.err, "%s was removed\n", c.Group)
	return nil
}
