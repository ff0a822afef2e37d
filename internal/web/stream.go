package web

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"weir/internal/job"
	"weir/internal/service"
)

// RowsEvent is some rows of a stream.
type RowsEvent struct {
	Time time.Time         `json:"time"`
	Rows []json.RawMessage `json:"rows"`
}

// DroppedEvent says that rows were left out since the last such event: they came faster than
// they were taken, or than the rate that was asked for.
type DroppedEvent struct {
	Dropped int64 `json:"dropped"`
}

// EndEvent says that no rows will follow.
type EndEvent struct {
	Reason string `json:"reason"`
}

// rowEvents are the kinds of events of streams of rows.
var rowEvents = map[string]any{"rows": RowsEvent{}, "dropped": DroppedEvent{}, "end": EndEvent{}}

type tapInput struct {
	JobName
	Step  string `path:"step" maxLength:"256" doc:"A WITH step, an output or an input."`
	Rate  int    `query:"rate" minimum:"0" maximum:"100000" default:"100" doc:"Rows a second at most; 0 is no limit."`
	Limit int    `query:"limit" minimum:"0" doc:"End after as many rows; 0 is no limit."`
}

type resultsInput struct {
	JobName
	Output string `path:"output" maxLength:"256"`
	Last   int    `query:"last" minimum:"0" maximum:"500" default:"20" doc:"How many of the rows that were are given first."`
	Live   bool   `query:"live" default:"true" doc:"Go on with new rows; else the stream ends behind the last ones."`
}

type eventsInput struct {
	After int64 `query:"after" minimum:"0" doc:"Events with larger ids."`
	// LastEventID is what a browser sends when it connects again.
	LastEventID int64  `header:"Last-Event-ID"`
	Job         string `query:"job" doc:"Of one job; all if absent."`
	Live        bool   `query:"live" default:"true" doc:"Go on with new events."`
}

// liveRoutes are the streams.
func (s *Server) liveRoutes() {
	const tag = "Streams"
	stream(s, op("GET", "/jobs/{job}/steps/{step}/tap", "tap-step", tag, "Rows of a step as they pass", 404, 409, http.StatusTooManyRequests), rowEvents,
		func(_ context.Context, in *tapInput) (func(context.Context, sender), error) {
			tap, err := s.svc.Tap(in.Job, in.Step, job.TapLimits{PerSecond: in.Rate})
			if err != nil {
				return nil, s.problem(err)
			}
			return func(ctx context.Context, send sender) {
				defer tap.Close()
				s.tap(ctx, tap, in.Limit, send)
			}, nil
		})
	stream(s, op("GET", "/jobs/{job}/outputs/{output}/rows", "output-rows", tag, "The last rows of an output, then new ones", 404, 409), rowEvents,
		func(_ context.Context, in *resultsInput) (func(context.Context, sender), error) {
			results, err := s.svc.Results(in.Job, in.Output, in.Last)
			if err != nil {
				return nil, s.problem(err)
			}
			return func(ctx context.Context, send sender) { s.results(ctx, results, in.Live, send) }, nil
		})
	stream(s, op("GET", "/events", "events", tag, "What was done and what happened"), map[string]any{"event": service.Event{}},
		func(_ context.Context, in *eventsInput) (func(context.Context, sender), error) {
			return func(ctx context.Context, send sender) { s.events(ctx, in, send) }, nil
		})
}

// tap sends the rows of a tap.
func (s *Server) tap(ctx context.Context, tap *service.Tap, limit int, send sender) {
	sent := 0
	for {
		got, err := tap.Next(ctx)
		if errors.Is(err, io.EOF) {
			_ = send(0, EndEvent{"the job has stopped, or the step is gone"})
			return
		}
		if err != nil {
			return
		}
		rows := RowsEvent{Time: time.Now().UTC()}
		for _, row := range got.Rows {
			rows.Rows = append(rows.Rows, row)
		}
		if limit > 0 && sent+len(rows.Rows) > limit {
			rows.Rows = rows.Rows[:limit-sent]
		}
		sent += len(rows.Rows)
		if !sendRows(send, rows, got.Dropped) {
			return
		}
		if limit > 0 && sent >= limit {
			_ = send(0, EndEvent{"as many rows as were asked for"})
			return
		}
	}
}

// sendRows sends rows and how many are missing before them. It reports whether somebody still
// listens.
func sendRows(send sender, rows RowsEvent, dropped int64) bool {
	if dropped > 0 && send(0, DroppedEvent{dropped}) != nil {
		return false
	}
	return len(rows.Rows) == 0 || send(0, rows) == nil
}

// results sends the rows that an output has given.
func (s *Server) results(ctx context.Context, r *service.Results, live bool, send sender) {
	for {
		got, more, ok := r.Next()
		if !sendRows(send, RowsEvent{time.Now().UTC(), got.Rows}, got.Dropped) {
			return
		}
		switch {
		case !ok:
			_ = send(0, EndEvent{"the job has stopped, or the output is gone"})
			return
		case !live:
			_ = send(0, EndEvent{"these are the last rows"})
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-more:
		}
	}
}

// events sends the audit log.
func (s *Server) events(ctx context.Context, in *eventsInput, send sender) {
	after := max(in.After, in.LastEventID)
	for {
		list, more := s.svc.Events(after)
		for _, e := range list {
			after = e.ID
			if in.Job != "" && e.Job != in.Job {
				continue
			}
			if send(e.ID, e) != nil {
				return
			}
		}
		if !in.Live {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-more:
		}
	}
}
