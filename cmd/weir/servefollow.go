package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"weir/internal/service"
	"weir/internal/udf"
)

// functionLimits bound the calls of user functions of jobs that are served.
type functionLimits struct {
	FunctionTime   time.Duration `default:"1s" placeholder:"D" help:"How long one call of a function may take. Default ${default}."`
	FunctionMemory int64         `default:"64" placeholder:"MIB" help:"How much memory one call of a function may take. Default ${default} MiB."`
}

func (f *functionLimits) limits() udf.Limits {
	return udf.Limits{Time: f.FunctionTime, Memory: f.FunctionMemory << 20}
}

// follow keeps the jobs of a directory in force until ctx ends: at once, after a hang-up
// signal, and with --watch when a file changes.
func (s *serveCmd) follow(ctx context.Context, svc *service.Service, from service.StartOptions, log *slog.Logger) {
	dir, err := filepath.Abs(s.Jobs)
	if err != nil {
		log.Error("the directory of jobs cannot be found", "dir", s.Jobs, "error", err)
		return
	}
	f := svc.Follow(dir, from)
	hangup := make(chan os.Signal, 1)
	if signals := hangups(); len(signals) > 0 {
		signal.Notify(hangup, signals...)
		defer signal.Stop(hangup)
	}
	var tick <-chan time.Time
	if s.Watch {
		t := time.NewTicker(lookEvery)
		defer t.Stop()
		tick = t.C
	}
	for {
		if err := f.Sync(ctx); err != nil && ctx.Err() == nil {
			log.Error("jobs of the directory were refused; what runs stays as it is", "dir", dir, "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick:
		case <-hangup:
			f.Again()
		}
	}
}
