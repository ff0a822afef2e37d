package web

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"weir/internal/job"
	"weir/internal/service"
)

// base is where the interface is.
const base = "/api/v1"

// op describes an operation. Its id is made of the method and the path unless it is given.
func op(method, path, id, tag, summary string, errs ...int) huma.Operation {
	return huma.Operation{Method: method, Path: base + path, OperationID: id, Summary: summary, Tags: []string{tag},
		Errors: append([]int{http.StatusUnauthorized, http.StatusForbidden, http.StatusUnprocessableEntity, http.StatusInternalServerError}, errs...),
		// The guard has read the body; see readBody.
		BodyReadTimeout: -1, MaxBodyBytes: maxRequestBytes}
}

// JobName is the part of a path that names a job.
type JobName struct {
	Job string `path:"job" pattern:"^[a-z0-9][a-z0-9-]{0,62}$" maxLength:"63" example:"downtime" doc:"The name of a job."`
}

type jobList struct {
	Body struct {
		Jobs []service.JobView `json:"jobs"`
	}
}

type jobAnswer struct {
	ETag string `header:"ETag" doc:"The version and what is wanted of the job."`
	Body service.JobView
}

type deployedAnswer struct {
	Status   int
	ETag     string `header:"ETag"`
	Location string `header:"Location"`
	Body     service.Deployed
}

type deployInput struct {
	JobName
	DryRun      bool   `query:"dry_run" doc:"Only say what is wrong; nothing changes."`
	Discard     bool   `query:"discard_state" doc:"Steps whose state cannot be kept start empty."`
	Start       string `query:"start" doc:"Start the job if it does not run: now, last, beginning, time (with at), or no. Default no."`
	At          string `query:"at" doc:"The time to start from, RFC 3339."`
	IfMatch     string `header:"If-Match" doc:"The ETag that the job must have; * for any."`
	IfNoneMatch string `header:"If-None-Match" doc:"With *, the job must not exist."`
	Body        struct {
		Files map[string]string `json:"files,omitempty" doc:"The files of the job by their names below its directory, such as weir.yaml and downtime.saql."`
		Path  string            `json:"path,omitempty" doc:"In place of files: a directory or file on the machine of the service."`
	}
}

type startBody struct {
	From    string `json:"from,omitempty" enum:"now,time,last,beginning" doc:"Default: where the job was, or now if it never ran."`
	At      string `json:"at,omitempty" doc:"The time to start from, RFC 3339, with from time."`
	Discard bool   `json:"discard_state,omitempty" doc:"Begin anew although there is state."`
}

type checkpointAnswer struct {
	Body struct {
		Epoch          int64   `json:"epoch"`
		Bytes          int64   `json:"bytes"`
		PauseSeconds   float64 `json:"pause_seconds"`
		ElapsedSeconds float64 `json:"elapsed_seconds"`
	}
}

// jobRoutes are the routes that change jobs and list them.
func (s *Server) jobRoutes() {
	const tag = "Jobs"
	huma.Register(s.api, op("GET", "/jobs", "list-jobs", tag, "All jobs"), func(context.Context, *struct{}) (*jobList, error) {
		out := &jobList{}
		out.Body.Jobs = s.svc.Jobs()
		return out, nil
	})
	huma.Register(s.api, op("GET", "/jobs/{job}", "get-job", tag, "A job", 404), func(_ context.Context, in *JobName) (*jobAnswer, error) {
		return s.job(s.svc.Job(in.Job))
	})
	huma.Register(s.api, op("PUT", "/jobs/{job}", "deploy-job", tag, "Deploy a job: make it, or go over to a new version", 409, 412, 413), s.deploy)
	remove := op("DELETE", "/jobs/{job}", "delete-job", tag, "Stop a job and remove it with its state", 404)
	remove.DefaultStatus = http.StatusNoContent
	huma.Register(s.api, remove, func(ctx context.Context, in *JobName) (*struct{}, error) {
		return nil, s.problem(s.svc.Delete(ctx, in.Job))
	})
	huma.Register(s.api, op("POST", "/jobs/{job}:start", "start-job", tag, "Start a job", 404, 409), func(ctx context.Context, in *struct {
		JobName
		Body *startBody
	}) (*jobAnswer, error) {
		o := service.StartOptions{}
		if b := in.Body; b != nil {
			var err error
			if o, err = startOptions(b.From, b.At); err != nil {
				return nil, err
			}
			o.Discard = b.Discard
		}
		return s.job(s.svc.Start(ctx, in.Job, o))
	})
	huma.Register(s.api, op("POST", "/jobs/{job}:stop", "stop-job", tag, "Stop a job after a last checkpoint", 404), func(ctx context.Context, in *JobName) (*jobAnswer, error) {
		return s.job(s.svc.Stop(ctx, in.Job))
	})
	huma.Register(s.api, op("POST", "/jobs/{job}:checkpoint", "checkpoint-job", tag, "Make a checkpoint now", 404, 409), func(ctx context.Context, in *JobName) (*checkpointAnswer, error) {
		c, epoch, err := s.svc.Checkpoint(ctx, in.Job)
		if err != nil {
			return nil, s.problem(err)
		}
		out := &checkpointAnswer{}
		out.Body.Epoch, out.Body.Bytes, out.Body.PauseSeconds, out.Body.ElapsedSeconds = epoch, c.Bytes, c.PauseSeconds, c.ElapsedSeconds
		return out, nil
	})
	huma.Register(s.api, op("POST", "/jobs/{job}:rollback", "rollback-job", tag, "Put an older version into force again, as a new version", 404, 409), func(ctx context.Context, in *struct {
		JobName
		Body *struct {
			Version int  `json:"version,omitempty" minimum:"1" doc:"Default: the one before."`
			Discard bool `json:"discard_state,omitempty"`
		}
	}) (*deployedAnswer, error) {
		version, discard := 0, false
		if in.Body != nil {
			version, discard = in.Body.Version, in.Body.Discard
		}
		return s.deployed(s.svc.Rollback(ctx, in.Job, version, discard))
	})
	huma.Register(s.api, op("POST", "/jobs/{job}:reload", "reload-job", tag, "Read the files of a job that lies on the service's machine again", 404, 409), func(ctx context.Context, in *struct {
		JobName
		Discard bool `query:"discard_state"`
	}) (*deployedAnswer, error) {
		return s.deployed(s.svc.Reload(ctx, in.Job, in.Discard))
	})
}

func (s *Server) job(v service.JobView, err error) (*jobAnswer, error) {
	if err != nil {
		return nil, s.problem(err)
	}
	return &jobAnswer{ETag: v.ETag(), Body: v}, nil
}

func (s *Server) deployed(d service.Deployed, err error) (*deployedAnswer, error) {
	if err != nil {
		return nil, s.problem(err)
	}
	out := &deployedAnswer{Status: http.StatusOK, ETag: d.Job.ETag(), Body: d}
	if d.Created {
		out.Status, out.Location = http.StatusCreated, base+"/jobs/"+d.Job.Name
	}
	return out, nil
}

// deploy takes files or a path.
func (s *Server) deploy(ctx context.Context, in *deployInput) (*deployedAnswer, error) {
	if (len(in.Body.Files) > 0) == (in.Body.Path != "") {
		return nil, newProblem(http.StatusUnprocessableEntity, `send either {"files": {"weir.yaml": "..."}} or {"path": "/directory"}`)
	}
	d := service.Deployment{Files: in.Body.Files, Path: in.Body.Path, By: "rest", DryRun: in.DryRun, Discard: in.Discard,
		Match: in.IfMatch, None: strings.TrimSpace(in.IfNoneMatch) == "*"}
	if in.Start != "" && in.Start != "no" {
		o, err := startOptions(in.Start, in.At)
		if err != nil {
			return nil, err
		}
		o.Discard = in.Discard
		d.Start, d.StartOptions = true, o
	}
	out, err := s.deployed(s.svc.Deploy(ctx, in.Job, d))
	if err == nil && in.DryRun {
		out.Status, out.Location = http.StatusOK, ""
	}
	return out, err
}

// startOptions reads where to start from.
func startOptions(from, at string) (service.StartOptions, error) {
	o := service.StartOptions{From: job.StartMode(from)}
	if at == "" {
		return o, nil
	}
	t, err := time.Parse(time.RFC3339Nano, at)
	if err != nil {
		return o, newProblem(http.StatusUnprocessableEntity, fmt.Sprintf("%q is no time; write 2026-01-31T12:00:00Z", at))
	}
	o.At = t.UTC()
	if o.From == "" {
		o.From = job.StartTime
	}
	return o, nil
}
