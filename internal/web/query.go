package web

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"weir/internal/service"
)

// QueryBody is a query without its job.
type QueryBody struct {
	Query     string   `json:"query" maxLength:"1048576"`
	Level     string   `json:"level,omitempty" enum:"1.0,1.1,1.2" doc:"The compatibility level; default 1.2."`
	Reference []string `json:"reference,omitempty" doc:"Inputs that hold reference data."`
}

func (b QueryBody) query() service.Query {
	return service.Query{Text: b.Query, Level: b.Level, Reference: b.Reference}
}

type checkAnswer struct {
	Body struct {
		OK          bool              `json:"ok" doc:"There are no errors; there may be warnings."`
		Diagnostics []service.Finding `json:"diagnostics"`
	}
}

type textAnswer struct {
	Body struct {
		Text        string            `json:"text"`
		Diagnostics []service.Finding `json:"diagnostics"`
	}
}

// queryRoutes are the routes about queries that are no jobs.
func (s *Server) queryRoutes() {
	const tag = "Queries"
	huma.Register(s.api, op("POST", "/query:check", "check-query", tag, "Find errors in a query, or in the files of a job"), s.check)
	huma.Register(s.api, op("POST", "/query:format", "format-query", tag, "Lay a query out"), func(_ context.Context, in *struct {
		Body struct {
			Query string `json:"query" maxLength:"1048576"`
		}
	}) (*textAnswer, error) {
		out := &textAnswer{}
		var found service.Findings
		out.Body.Text, found = s.svc.FormatQuery(in.Body.Query)
		out.Body.Diagnostics = orEmpty(found)
		return out, nil
	})
	huma.Register(s.api, op("POST", "/query:explain", "explain-query", tag, "Say how a query is computed"), func(_ context.Context, in *struct{ Body QueryBody }) (*textAnswer, error) {
		out := &textAnswer{}
		var found service.Findings
		out.Body.Text, found = s.svc.ExplainQuery(in.Body.query())
		out.Body.Diagnostics = orEmpty(found)
		return out, nil
	})
	huma.Register(s.api, op("POST", "/runs", "run-samples", tag, "Run a query over samples", http.StatusTooManyRequests), s.run)
}

func (s *Server) check(ctx context.Context, in *struct {
	Body struct {
		Query     string            `json:"query,omitempty" maxLength:"1048576"`
		Level     string            `json:"level,omitempty" enum:"1.0,1.1,1.2"`
		Reference []string          `json:"reference,omitempty"`
		Files     map[string]string `json:"files,omitempty" doc:"In place of query: the files of a job."`
	}
}) (*checkAnswer, error) {
	out := &checkAnswer{}
	var found service.Findings
	if len(in.Body.Files) > 0 {
		var err error
		if found, err = s.svc.CheckJob(ctx, in.Body.Files); err != nil {
			return nil, s.problem(err)
		}
	} else {
		found = s.svc.CheckQuery(service.Query{Text: in.Body.Query, Level: in.Body.Level, Reference: in.Body.Reference})
	}
	out.Body.OK, out.Body.Diagnostics = found.Errors() == 0, orEmpty(found)
	return out, nil
}

func (s *Server) run(ctx context.Context, in *struct {
	Body struct {
		QueryBody
		Inputs     map[string]string `json:"inputs" doc:"The events of each input as text: JSON, or CSV."`
		Steps      bool              `json:"steps,omitempty" doc:"Give the rows of each WITH step too."`
		Late       *float64          `json:"late_seconds,omitempty" doc:"Switches the time policies on; negative is no limit."`
		OutOfOrder *float64          `json:"out_of_order_seconds,omitempty" doc:"Switches the time policies on; negative is no limit."`
		Policy     string            `json:"policy,omitempty" enum:"adjust,drop"`
	}
}) (*struct{ Body service.SampleResult }, error) {
	select {
	case s.runs <- struct{}{}:
		defer func() { <-s.runs }()
	default:
		return nil, newProblem(http.StatusTooManyRequests, "too many runs at a time; try again in a few seconds")
	}
	b := in.Body
	r := service.SampleRun{Query: b.query(), Inputs: b.Inputs, Steps: b.Steps, Drop: b.Policy == "drop",
		Policies: b.Late != nil || b.OutOfOrder != nil || b.Policy != "", Late: 5 * time.Second}
	if b.Late != nil {
		r.Late = time.Duration(*b.Late * float64(time.Second))
	}
	if b.OutOfOrder != nil {
		r.OutOfOrder = time.Duration(*b.OutOfOrder * float64(time.Second))
	}
	out, err := s.svc.RunSample(ctx, r)
	if err != nil {
		return nil, s.problem(err)
	}
	return &struct{ Body service.SampleResult }{out}, nil
}
