package http

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"weir/internal/connect"
	"weir/internal/connect/intake"
)

// Source is an input that takes posted events. Positions are numbers of events in its log.
type Source struct {
	*intake.Log
	in    *inlet
	route *route
}

func openSource(_ context.Context, c connect.Config, env connect.SourceEnv) (connect.Source, error) {
	switch {
	case env.Format.Type != "" && env.Format.Type != "json":
		return nil, connect.Permanent(fmt.Errorf("input %s: events come as JSON, also those posted as CSV; remove the format %q", env.Input, env.Format.Type))
	case env.Reference:
		return nil, connect.Permanent(fmt.Errorf("input %s: reference data cannot be posted", env.Input))
	}
	if problems := checkInput(c); len(problems) > 0 {
		return nil, connect.Permanent(fmt.Errorf("input %s: %s; %s", env.Input, problems[0].Text, problems[0].Hint))
	}
	logger := env.Log
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	s, err := openLog(c, env, logger)
	if err != nil {
		return nil, fmt.Errorf("input %s: %w", env.Input, err)
	}
	if s.route, err = listen(c.Text("listen"), c.Text("path"), c.Text("tls_cert"), c.Text("tls_key"), s.in, logger); err != nil {
		return nil, fmt.Errorf("input %s: %w", env.Input, errors.Join(err, s.Log.Close()))
	}
	return s, nil
}

// openLog opens the log of an input and reads the keys in it.
func openLog(c connect.Config, env connect.SourceEnv, logger *slog.Logger) (*Source, error) {
	if env.Now == nil {
		env.Now = time.Now
	}
	maxBody := c.Int("max_body")
	o := intake.FromConfig(c)
	o.MaxAppend, o.MaxPending = int(min(8*maxBody, o.MaxLog)), MaxIntake
	kept, err := intake.Open(env, o)
	if err != nil {
		return nil, err
	}
	in := &inlet{kept: kept, log: logger, now: env.Now, cross: http.NewCrossOriginProtection(),
		o: inletOptions{address: c.Text("listen"), token: c.Secret("token"), maxBody: maxBody, readTimeout: c.Duration("read_timeout"), lenient: c.Bool("lenient")}}
	in.budget.max = MaxIntake
	in.keys.keep = o.Keep
	if err := in.keys.load(kept, env.Now()); err != nil {
		return nil, errors.Join(fmt.Errorf("read the idempotency keys: %w", err), kept.Close())
	}
	return &Source{Log: kept, in: in}, nil
}

// Addr is where events can be posted, "" for an input without a listener: a port of 0 in the
// settings is one that the system chose.
func (s *Source) Addr() string { return s.route.l.addr() }

// Close frees the path, lets the requests that are under way end, and closes the log.
func (s *Source) Close() error {
	err := s.route.close()
	s.in.requests.Wait()
	return errors.Join(err, s.Log.Close())
}
