package web

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"weir/internal/job"
	"weir/internal/service"
)

type versionInput struct {
	JobName
	Version int `path:"version" minimum:"1"`
}

type versionAnswer struct {
	Body struct {
		service.Version
		Texts map[string]string `json:"texts" doc:"The files of the version by name. Secrets are references in them."`
	}
}

type statsAnswer struct{ Body service.StatsView }

type lettersAnswer struct {
	Body struct {
		Total     int64            `json:"total" doc:"Of all that there have been."`
		Counts    map[string]int64 `json:"counts" doc:"Of all that there have been, by name of the error."`
		Forgotten int64            `json:"forgotten" doc:"How many of them are no longer kept."`
		Letters   []job.DeadLetter `json:"letters"`
	}
}

type redriveAnswer struct {
	Body struct {
		Redriven int `json:"redriven"`
		Refused  int `json:"refused" doc:"Of those that name or all mean, how many cannot be tried: their payload was cut, their input or output is gone, or a step has failed on them."`
	}
}

// lookRoutes are the routes that look at jobs.
func (s *Server) lookRoutes() {
	const tag = "Look"
	huma.Register(s.api, op("GET", "/jobs/{job}/versions", "list-versions", tag, "The versions of a job, newest first", 404), func(_ context.Context, in *JobName) (*struct {
		Body struct {
			Versions []service.Version `json:"versions"`
		}
	}, error) {
		list, err := s.svc.Versions(in.Job)
		if err != nil {
			return nil, s.problem(err)
		}
		out := &struct {
			Body struct {
				Versions []service.Version `json:"versions"`
			}
		}{}
		out.Body.Versions = orEmpty(list)
		return out, nil
	})
	huma.Register(s.api, op("GET", "/jobs/{job}/versions/{version}", "get-version", tag, "A version with its files", 404), func(_ context.Context, in *versionInput) (*versionAnswer, error) {
		v, files, err := s.svc.VersionFiles(in.Job, in.Version)
		if err != nil {
			return nil, s.problem(err)
		}
		out := &versionAnswer{}
		out.Body.Version, out.Body.Texts = v, map[string]string{}
		for name, text := range files {
			out.Body.Texts[name] = s.svc.Scrub(text)
		}
		return out, nil
	})
	huma.Register(s.api, op("GET", "/jobs/{job}/history", "get-history", tag, "The runs of a job that have ended, newest first", 404), func(_ context.Context, in *JobName) (*struct {
		Body struct {
			Runs []service.Past `json:"runs"`
		}
	}, error) {
		list, err := s.svc.History(in.Job)
		if err != nil {
			return nil, s.problem(err)
		}
		out := &struct {
			Body struct {
				Runs []service.Past `json:"runs"`
			}
		}{}
		out.Body.Runs = orEmpty(list)
		return out, nil
	})
	huma.Register(s.api, op("GET", "/jobs/{job}/stats", "get-stats", tag, "What a job has done and is doing", 404), func(_ context.Context, in *JobName) (*statsAnswer, error) {
		v, err := s.svc.Stats(in.Job)
		if err != nil {
			return nil, s.problem(err)
		}
		return &statsAnswer{v}, nil
	})
	huma.Register(s.api, op("GET", "/jobs/{job}/topology", "get-topology", tag, "The plan of a job as a graph", 404), func(_ context.Context, in *JobName) (*struct{ Body service.Topology }, error) {
		v, err := s.svc.Topology(in.Job)
		if err != nil {
			return nil, s.problem(err)
		}
		return &struct{ Body service.Topology }{v}, nil
	})
	huma.Register(s.api, op("GET", "/jobs/{job}/metrics", "get-series", tag, "Rates of the last seconds, a point a second", 404), func(_ context.Context, in *struct {
		JobName
		Since int `query:"since" minimum:"1" maximum:"3600" default:"60" doc:"Seconds."`
	}) (*struct{ Body service.Series }, error) {
		v, err := s.svc.Series(in.Job, in.Since)
		if err != nil {
			return nil, s.problem(err)
		}
		return &struct{ Body service.Series }{v}, nil
	})
	huma.Register(s.api, op("GET", "/jobs/{job}/why", "why", tag, "Where the rows of an output went", 404, 409), func(_ context.Context, in *struct {
		JobName
		Output string `query:"output" doc:"May be left out if there is one."`
	}) (*struct{ Body service.Why }, error) {
		v, err := s.svc.Why(in.Job, in.Output)
		if err != nil {
			return nil, s.problem(err)
		}
		return &struct{ Body service.Why }{v}, nil
	})
	huma.Register(s.api, op("GET", "/jobs/{job}/deadletters", "list-dead-letters", tag, "Events and rows that did not go where they should have, oldest first", 404, 409), s.letters)
	huma.Register(s.api, op("POST", "/jobs/{job}/deadletters:redrive", "redrive-dead-letters", tag, "Try dead letters again", 404, 409, http.StatusTooManyRequests), s.redrive)
}

// orEmpty makes an absent list an empty one.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func (s *Server) letters(_ context.Context, in *struct {
	JobName
	Name  string `query:"name" doc:"Of the error; all if absent."`
	After int64  `query:"after" minimum:"0" doc:"Those with larger ids."`
	Limit int    `query:"limit" minimum:"0" maximum:"1000" default:"100"`
}) (*lettersAnswer, error) {
	list, counts, forgotten, err := s.svc.DeadLetters(in.Job, in.Name, in.After, in.Limit)
	if err != nil {
		return nil, s.problem(err)
	}
	out := &lettersAnswer{}
	out.Body.Letters, out.Body.Counts, out.Body.Forgotten = orEmpty(list), counts, forgotten
	for _, n := range counts {
		out.Body.Total += n
	}
	return out, nil
}

func (s *Server) redrive(ctx context.Context, in *struct {
	JobName
	Body struct {
		IDs  []int64 `json:"ids,omitempty" maxItems:"1000"`
		Name string  `json:"name,omitempty" doc:"In place of ids: all of an error that were not tried again yet, a thousand at once."`
		All  bool    `json:"all,omitempty" doc:"In place of ids: all that were not tried again yet, a thousand at once."`
	}
}) (*redriveAnswer, error) {
	b := in.Body
	if len(b.IDs) == 0 && b.Name == "" && !b.All {
		return nil, newProblem(http.StatusUnprocessableEntity, "say which dead letters: ids, name or all")
	}
	n, refused, err := s.svc.Redrive(ctx, in.Job, b.IDs, b.Name)
	if err != nil {
		return nil, s.problem(err)
	}
	out := &redriveAnswer{}
	out.Body.Redriven, out.Body.Refused = n, refused
	return out, nil
}
