package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"weir/internal/diag"
	"weir/internal/hub"
)

// HubName is the part of a path that names an event hub.
type HubName struct {
	Hub string `path:"hub" maxLength:"256" example:"telemetry" doc:"The name of an event hub."`
}

// HubView is an event hub.
type HubView struct {
	Name           string    `json:"name"`
	Partitions     int       `json:"partitions"`
	Retention      string    `json:"retention" example:"24h0m0s" doc:"How long events stay, read or not."`
	RetentionBytes int64     `json:"retention_bytes,omitempty" doc:"If set, the most bytes of a partition: the oldest events go first."`
	Groups         []string  `json:"groups" doc:"The consumer groups."`
	Created        time.Time `json:"created"`
	Events         int64     `json:"events" doc:"That are kept, at most: numbers may be left out."`
	Bytes          int64     `json:"bytes" doc:"On the disk."`
	EventsIn       int64     `json:"events_in" doc:"Since the service was started."`
	BytesIn        int64     `json:"bytes_in"`
	EventsOut      int64     `json:"events_out"`
	BytesOut       int64     `json:"bytes_out"`
}

// HubPartitionView is a partition of an event hub.
type HubPartitionView struct {
	Partition    int        `json:"partition"`
	First        int64      `json:"first" doc:"Sequence number of the first event that is kept."`
	Next         int64      `json:"next" doc:"Sequence number of the next event to come."`
	FirstOffset  string     `json:"first_offset" doc:"Byte offset of the first event that is kept."`
	NextOffset   string     `json:"next_offset"`
	LastEnqueued *time.Time `json:"last_enqueued,omitempty" doc:"When the last event came."`
	Bytes        int64      `json:"bytes"`
}

// HubGroupView is a consumer group.
type HubGroupView struct {
	Name       string         `json:"name"`
	Lag        int64          `json:"lag" doc:"Events that are kept and not committed, at most, of the partitions in which the group has a place."`
	Partitions []HubPlaceView `json:"partitions" doc:"The partitions in which the group has a place. SDKs of Event Hubs keep theirs in a checkpoint store, not here."`
}

// HubPlaceView is where a consumer group is in a partition.
type HubPlaceView struct {
	Partition int   `json:"partition"`
	Committed int64 `json:"committed" doc:"Sequence number of the next event that the group wants."`
	Lag       int64 `json:"lag"`
}

type hubList struct {
	Body struct {
		Namespace string    `json:"namespace"`
		Hubs      []HubView `json:"hubs"`
	}
}

type hubAnswer struct{ Body HubView }

type hubMadeAnswer struct {
	Location string `header:"Location"`
	Body     HubView
}

// HubMake is what an event hub is made with.
type HubMake struct {
	Name           string   `json:"name" minLength:"1" maxLength:"256"`
	Partitions     int      `json:"partitions,omitempty" minimum:"1" maximum:"1024" doc:"Default 4."`
	Retention      string   `json:"retention,omitempty" maxLength:"40" example:"24h" doc:"Default 24h."`
	RetentionBytes int64    `json:"retention_bytes,omitempty" minimum:"0"`
	Groups         []string `json:"groups,omitempty" maxItems:"1000" doc:"Consumer groups besides $Default."`
}

// HubChange is what can be changed of an event hub.
type HubChange struct {
	Partitions     *int    `json:"partitions,omitempty" minimum:"1" maximum:"1024" doc:"More than it has. Keys may belong to other partitions afterwards."`
	Retention      *string `json:"retention,omitempty" maxLength:"40" example:"24h"`
	RetentionBytes *int64  `json:"retention_bytes,omitempty" minimum:"0" doc:"0 is no bound."`
}

// hubRoutes are the routes about event hubs.
func (s *Server) hubRoutes() {
	const tag = "Hubs"
	huma.Register(s.api, op("GET", "/hubs", "list-hubs", tag, "All event hubs"), func(context.Context, *struct{}) (*hubList, error) {
		out := &hubList{}
		out.Body.Hubs = []HubView{}
		if s.o.Hub == nil {
			return out, nil
		}
		out.Body.Namespace = s.o.Hub.Broker.Namespace()
		for _, h := range s.o.Hub.Broker.Hubs() {
			out.Body.Hubs = append(out.Body.Hubs, viewOf(h))
		}
		return out, nil
	})
	huma.Register(s.api, op("POST", "/hubs", "create-hub", tag, "Make an event hub", 404, 409), func(_ context.Context, in *struct{ Body HubMake }) (*hubMadeAnswer, error) {
		b := in.Body
		keep, err := retentionOf(b.Retention)
		if err != nil {
			return nil, err
		}
		broker, err := s.broker()
		if err != nil {
			return nil, err
		}
		h, err := broker.Create(hub.Config{Name: b.Name, Partitions: b.Partitions, Retention: keep, RetentionBytes: b.RetentionBytes, Groups: b.Groups})
		if err != nil {
			return nil, s.hubProblem(err)
		}
		return &hubMadeAnswer{base + "/hubs/" + h.Name(), viewOf(h)}, nil
	})
	huma.Register(s.api, op("GET", "/hubs/{hub}", "get-hub", tag, "An event hub", 404), func(_ context.Context, in *HubName) (*hubAnswer, error) {
		h, err := s.hub(in.Hub)
		if err != nil {
			return nil, err
		}
		return &hubAnswer{viewOf(h)}, nil
	})
	huma.Register(s.api, op("PATCH", "/hubs/{hub}", "update-hub", tag, "Change how long events stay, or add partitions", 404), s.changeHub)
	remove := op("DELETE", "/hubs/{hub}", "delete-hub", tag, "Remove an event hub with its events, groups and keys", 404)
	remove.DefaultStatus = http.StatusNoContent
	huma.Register(s.api, remove, func(_ context.Context, in *HubName) (*struct{}, error) {
		broker, err := s.broker()
		if err != nil {
			return nil, err
		}
		return nil, s.hubProblem(nearHub(broker, in.Hub, broker.Remove(in.Hub)))
	})
	huma.Register(s.api, op("GET", "/hubs/{hub}/partitions", "list-hub-partitions", tag, "The partitions of an event hub and what they keep", 404), func(_ context.Context, in *HubName) (*struct {
		Body struct {
			Partitions []HubPartitionView `json:"partitions"`
		}
	}, error) {
		h, err := s.hub(in.Hub)
		if err != nil {
			return nil, err
		}
		out := &struct {
			Body struct {
				Partitions []HubPartitionView `json:"partitions"`
			}
		}{}
		for _, p := range h.Partitions() {
			out.Body.Partitions = append(out.Body.Partitions, partitionView(p))
		}
		return out, nil
	})
	s.hubGroupRoutes(tag)
	s.hubEventRoutes(tag)
	s.hubKeyRoutes(tag)
}

func (s *Server) changeHub(_ context.Context, in *struct {
	HubName
	Body HubChange
}) (*hubAnswer, error) {
	h, err := s.hub(in.Hub)
	if err != nil {
		return nil, err
	}
	c := h.Config()
	if in.Body.Partitions != nil {
		c.Partitions = *in.Body.Partitions
	}
	if in.Body.Retention != nil {
		if c.Retention, err = retentionOf(*in.Body.Retention); err != nil {
			return nil, err
		}
	}
	if in.Body.RetentionBytes != nil {
		c.RetentionBytes = *in.Body.RetentionBytes
	}
	if err := s.o.Hub.Broker.Update(c); err != nil {
		return nil, s.hubProblem(err)
	}
	return &hubAnswer{viewOf(h)}, nil
}

// hubGroupRoutes are the routes about consumer groups.
func (s *Server) hubGroupRoutes(tag string) {
	type groupName struct {
		HubName
		Group string `path:"group" maxLength:"256" doc:"The name of a consumer group."`
	}
	huma.Register(s.api, op("GET", "/hubs/{hub}/groups", "list-hub-groups", tag, "The consumer groups of an event hub and how far behind they are", 404), func(_ context.Context, in *HubName) (*struct {
		Body struct {
			Groups []HubGroupView `json:"groups"`
		}
	}, error) {
		h, err := s.hub(in.Hub)
		if err != nil {
			return nil, err
		}
		out := &struct {
			Body struct {
				Groups []HubGroupView `json:"groups"`
			}
		}{}
		for _, name := range h.Groups() {
			if g, err := h.GroupStats(name); err == nil { // else it was removed just now
				out.Body.Groups = append(out.Body.Groups, groupView(g))
			}
		}
		return out, nil
	})
	make := op("POST", "/hubs/{hub}/groups", "create-hub-group", tag, "Make a consumer group", 404, 409)
	make.DefaultStatus = http.StatusCreated
	huma.Register(s.api, make, func(_ context.Context, in *struct {
		HubName
		Body struct {
			Name string `json:"name" minLength:"1" maxLength:"256"`
		}
	}) (*struct{ Body HubGroupView }, error) {
		h, err := s.hub(in.Hub)
		if err != nil {
			return nil, err
		}
		if err := h.CreateGroup(in.Body.Name); err != nil {
			return nil, s.hubProblem(err)
		}
		g, err := h.GroupStats(in.Body.Name)
		return &struct{ Body HubGroupView }{groupView(g)}, s.hubProblem(err)
	})
	remove := op("DELETE", "/hubs/{hub}/groups/{group}", "delete-hub-group", tag, "Remove a consumer group with its places", 404)
	remove.DefaultStatus = http.StatusNoContent
	huma.Register(s.api, remove, func(_ context.Context, in *groupName) (*struct{}, error) {
		h, err := s.hub(in.Hub)
		if err != nil {
			return nil, err
		}
		return nil, s.hubProblem(h.RemoveGroup(in.Group))
	})
}

// broker is the broker, or a problem if there is none.
func (s *Server) broker() (*hub.Broker, error) {
	if s.o.Hub == nil {
		return nil, newProblem(http.StatusNotFound, "this service has no hub; it was started with --no-hub")
	}
	return s.o.Hub.Broker, nil
}

func (s *Server) hub(name string) (*hub.Hub, error) {
	b, err := s.broker()
	if err != nil {
		return nil, err
	}
	h, err := b.Hub(name)
	return h, s.hubProblem(nearHub(b, name, err))
}

// nearHub adds to the error about a hub that is not there the name that may have been meant.
// Who asks may see all names: the service is its own, or the token was right.
func nearHub(b *hub.Broker, name string, err error) error {
	if !errors.Is(err, hub.ErrNoHub) {
		return err
	}
	var names []string
	for _, h := range b.Hubs() {
		names = append(names, h.Name())
	}
	if near, ok := diag.Nearest(name, names); ok {
		return fmt.Errorf("%w; did you mean %q?", err, near)
	}
	return err
}

// hubProblem gives an error of the broker its status.
func (s *Server) hubProblem(err error) error {
	if err == nil {
		return nil
	}
	p := &Problem{Status: hubStatus(err), Detail: err.Error()}
	p.Title = http.StatusText(p.Status)
	if p.Status == http.StatusInternalServerError {
		s.log.Error("a request about the hub failed", "error", err)
	}
	return p
}

func hubStatus(err error) int {
	switch {
	case errors.Is(err, hub.ErrNoHub), errors.Is(err, hub.ErrNoPartition), errors.Is(err, hub.ErrNoGroup), errors.Is(err, hub.ErrNoRule):
		return http.StatusNotFound
	case errors.Is(err, hub.ErrExists), errors.Is(err, hub.ErrGroupExists), errors.Is(err, hub.ErrRuleExists):
		return http.StatusConflict
	case errors.Is(err, hub.ErrBadName), errors.Is(err, hub.ErrBadConfig), errors.Is(err, hub.ErrTooMany):
		return http.StatusUnprocessableEntity
	case errors.Is(err, hub.ErrTooLarge):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, hub.ErrClosed):
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// retentionOf reads a duration, which may begin with days; an empty one is the default.
func retentionOf(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	days, rest, ok := strings.Cut(text, "d")
	if !ok {
		days, rest = "0", text
	}
	var d time.Duration
	n, err := strconv.ParseUint(days, 10, 16)
	if err == nil && rest != "" {
		d, err = time.ParseDuration(rest)
	}
	total := time.Duration(n)*24*time.Hour + d
	if err != nil || d < 0 || total <= 0 {
		return 0, newProblem(http.StatusUnprocessableEntity, strconv.Quote(short(text))+" is no time for events to stay; write such as 30m, 24h or 7d")
	}
	return total, nil
}

func viewOf(h *hub.Hub) HubView {
	s := h.Stats()
	return HubView{Name: s.Config.Name, Partitions: len(s.Partitions), Retention: s.Config.Retention.String(), RetentionBytes: s.Config.RetentionBytes, Groups: h.Groups(),
		Created: s.Created, Events: s.Events, Bytes: s.Bytes, EventsIn: s.In.Events, BytesIn: s.In.Bytes, EventsOut: s.Out.Events, BytesOut: s.Out.Bytes}
}

func partitionView(p *hub.Partition) HubPartitionView {
	rg := p.Range()
	v := HubPartitionView{Partition: p.ID(), First: rg.First, Next: rg.Next, FirstOffset: strconv.FormatInt(rg.FirstOffset, 10), NextOffset: strconv.FormatInt(rg.NextOffset, 10), Bytes: rg.Bytes}
	if !rg.LastEnqueued.IsZero() {
		t := rg.LastEnqueued.UTC()
		v.LastEnqueued = &t
	}
	return v
}

func groupView(g hub.GroupStats) HubGroupView {
	v := HubGroupView{Name: g.Name, Lag: g.Lag, Partitions: []HubPlaceView{}}
	for _, p := range g.Partitions {
		v.Partitions = append(v.Partitions, HubPlaceView{p.Partition, p.Commit.Seq, p.Lag})
	}
	return v
}
