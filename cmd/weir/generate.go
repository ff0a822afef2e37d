package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"weir/internal/generate"
)

type generateCmd struct {
	What         string         `arg:"" help:"downtime (health reports of teams' services), accesslog (requests of a web server), nexmark (the auctions of that benchmark), or a pattern file FILE.yaml."`
	Events       *int64         `short:"n" placeholder:"N" help:"How many events. Default 1000, or no end with --rate."`
	Rate         string         `placeholder:"R" help:"Pace in real time: events a second, such as 500 or 30/s or 10/m. Event time then starts now."`
	EventRate    *int           `placeholder:"N" help:"Events per second of event time. Default ${event_rate}, or the rate."`
	Seed         *uint64        `placeholder:"S" help:"The same seed gives the same events. Default 1."`
	Jitter       *time.Duration `placeholder:"D" help:"Move each event back by 0 to D, such as 2s."`
	LateFraction *float64       `placeholder:"F" help:"Move this share of events back by 10 to 20 seconds."`
	Start        *time.Time     `placeholder:"TIME" help:"Event time of the first event, such as 2018-01-10T10:10:10Z."`
	Teams        int            `default:"100" help:"How many teams downtime has."`
	Outages      bool           `help:"Services of downtime fail in outages only, not at random."`
	Output       string         `short:"o" placeholder:"FILE" help:"Write to FILE, not to standard output."`
}

// Help shows examples before the flags.
func (generateCmd) Help() string {
	return `Examples:
  weir generate downtime --events 5000000 --jitter 2s -o events.jsonl
  weir generate accesslog --rate 100/s
  weir generate nexmark -n 100000 -o auctions.jsonl
  weir generate pattern.yaml -n 20

A pattern file:
  rate: 10
  fields:
    Device: {choice: [a, b, c], weights: [5, 2, 1]}
    Load: {uniform: {min: 0, max: 100, decimals: 1}}
    Temp: {normal: {mean: 20, sd: 2.5, decimals: 2}}
    N: {sequence: {from: 1, step: 1}}
    At: {time: iso}
    Note: {text: "{Device} at {Load} %"}`
}

// Run writes the events.
func (g *generateCmd) Run(ctx context.Context, con *console) error {
	rate, err := parseRate(g.Rate)
	if err != nil {
		return err
	}
	stream, err := g.stream(rate)
	if err != nil {
		return err
	}
	events := int64(1000)
	switch {
	case g.Events != nil && *g.Events < 0:
		return usage("--events is %d; it must not be negative", *g.Events)
	case g.Events != nil:
		events = *g.Events
	case rate > 0:
		events = -1
	}
	return g.write(con, func(w io.Writer) error {
		if rate > 0 {
			return pace(ctx, w, stream, events, rate)
		}
		_, err := io.Copy(w, untilDone{ctx, generate.NewReader(stream, events)})
		return err
	})
}

// write gives f the output file.
func (g *generateCmd) write(con *console, f func(io.Writer) error) error {
	if g.Output == "" || g.Output == "-" {
		return f(con.out)
	}
	file, err := os.Create(g.Output)
	if err != nil {
		return usage("cannot write the output: %w", err)
	}
	return errors.Join(f(file), file.Close())
}

// stream is the stream that the flags describe.
func (g *generateCmd) stream(rate float64) (generate.Stream, error) {
	set := generate.Settings{Seed: 1, Start: generate.DefaultStart, Rate: generate.DefaultRate}
	switch ext := strings.ToLower(filepath.Ext(g.What)); {
	case g.What == "downtime":
		d := generate.Downtime{Settings: g.settings(set, rate), Teams: g.Teams, Outages: g.Outages}
		if err := d.Check(); err != nil {
			return nil, usage("%w", err)
		}
		return d.Stream(), nil
	case g.What == "accesslog":
		a := generate.AccessLog{Settings: g.settings(set, rate)}
		if err := a.Check(); err != nil {
			return nil, usage("%w", err)
		}
		return a.Stream(), nil
	case g.What == "nexmark":
		x := generate.Nexmark{Settings: g.settings(set, rate)}
		if err := x.Check(); err != nil {
			return nil, usage("%w", err)
		}
		return x.Stream(), nil
	case ext == ".yaml" || ext == ".yml":
		src, err := os.ReadFile(g.What)
		if err != nil {
			return nil, usage("cannot read the pattern: %w", err)
		}
		p, err := generate.ParsePattern(g.What, src)
		if err != nil {
			return nil, usage("%w", err)
		}
		p.Settings = g.settings(p.Settings, rate)
		if err := p.Check(); err != nil {
			return nil, usage("%w", err)
		}
		return p.Stream(), nil
	}
	hint := didYouMean(g.What, []string{"downtime", "accesslog", "nexmark"})
	if hint == "" {
		hint = "."
	}
	return nil, usage("cannot generate %q%s Give downtime, accesslog, nexmark, or a pattern file that ends in .yaml",
		g.What, hint)
}

// settings are s with what the flags say.
func (g *generateCmd) settings(s generate.Settings, rate float64) generate.Settings {
	if rate > 0 {
		s.Start = time.Now().UTC()
		s.Rate = max(1, int(rate))
	}
	if g.EventRate != nil {
		s.Rate = *g.EventRate
	}
	if g.Seed != nil {
		s.Seed = *g.Seed
	}
	if g.Jitter != nil {
		s.Jitter = *g.Jitter
	}
	if g.LateFraction != nil {
		s.LateFraction = *g.LateFraction
	}
	if g.Start != nil {
		s.Start = *g.Start
	}
	return s
}

// parseRate reads a number of events per second, minute or hour; "" is 0: no pacing.
func parseRate(s string) (float64, error) {
	if s == "" {
		return 0, nil
	}
	number, unit, _ := strings.Cut(s, "/")
	x, err := strconv.ParseFloat(number, 64)
	per := map[string]float64{"": 1, "s": 1, "m": 60, "h": 3600}[unit]
	if err != nil || per == 0 || !(x > 0) || x > 1e9 {
		return 0, usage("--rate %q is no rate; write events a second such as 500, or 30/s, 10/m, 5/h", s)
	}
	return x / per, nil
}

// pace writes n events (or without end, if n is negative) at a rate per second, and
// stops without an error when ctx ends.
func pace(ctx context.Context, w io.Writer, s generate.Stream, n int64, rate float64) error {
	const tick = 10 * time.Millisecond
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	out := bufio.NewWriter(w)
	begin := time.Now()
	var buf []byte
	for done := int64(0); n < 0 || done < n; {
		due := int64(time.Since(begin).Seconds()*rate) + 1
		if n >= 0 {
			due = min(due, n)
		}
		for ; done < due; done++ {
			buf = s.Append(buf[:0])
			if _, err := out.Write(buf); err != nil {
				return fmt.Errorf("write events: %w", err)
			}
		}
		if err := out.Flush(); err != nil {
			return fmt.Errorf("write events: %w", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
	return nil
}
