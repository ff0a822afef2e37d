package web

import (
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"weir/internal/job"
	"weir/internal/service"
)

// Problem is an error as RFC 9457 has it, with what is wrong with a job or query inside.
type Problem struct {
	Type        string            `json:"type,omitempty" doc:"Absent: the status says it all."`
	Title       string            `json:"title" doc:"The status in words."`
	Status      int               `json:"status"`
	Detail      string            `json:"detail" doc:"What happened, for people."`
	Errors      []FieldProblem    `json:"errors,omitempty" doc:"What is wrong with the request."`
	Diagnostics []service.Finding `json:"diagnostics,omitempty" doc:"What is wrong with the job or query."`
	Steps       []string          `json:"steps,omitempty" doc:"Steps whose state cannot be kept; discard_state starts them empty."`
}

// FieldProblem is something wrong with a part of a request. The value is not repeated: it may
// be a secret.
type FieldProblem struct {
	Message  string `json:"message"`
	Location string `json:"location,omitempty" doc:"Such as body.files or query.start."`
}

// Error is the detail.
func (p *Problem) Error() string { return p.Detail }

// GetStatus is the HTTP status.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType is that of problems.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// newProblem replaces the errors of the framework.
func newProblem(status int, detail string, errs ...error) huma.StatusError {
	p := &Problem{Title: http.StatusText(status), Status: status, Detail: detail}
	for _, err := range errs {
		var own *Problem
		if errors.As(err, &own) {
			return own
		}
		if len(p.Errors) == maxFieldProblems {
			break
		}
		// The text of the framework's own error repeats the value, whatever its size.
		if d, ok := errors.AsType[*huma.ErrorDetail](err); ok {
			p.Errors = append(p.Errors, FieldProblem{short(d.Message), short(d.Location)})
		} else {
			p.Errors = append(p.Errors, FieldProblem{Message: short(err.Error())})
		}
	}
	if p.Detail == "" {
		p.Detail = p.Title
	}
	return p
}

// The limits of what is said about a request.
const (
	maxFieldProblems = 20
	maxFieldText     = 300 // bytes: parts of the request may stand in it
)

// short is the start of a text.
func short(text string) string {
	if len(text) <= maxFieldText {
		return text
	}
	return strings.ToValidUTF8(text[:maxFieldText], "") + "…"
}

func init() { huma.NewError = newProblem }

// problem gives an error of the service its status.
func (s *Server) problem(err error) error {
	if err == nil {
		return nil
	}
	p := &Problem{Status: statusOf(err), Detail: err.Error()}
	if invalid, ok := errors.AsType[*service.InvalidError](err); ok {
		p.Diagnostics = invalid.Found
	}
	if state, ok := errors.AsType[*service.StateError](err); ok {
		p.Steps = state.Steps
	}
	p.Title, p.Detail = http.StatusText(p.Status), s.svc.Scrub(p.Detail)
	for i := range p.Diagnostics {
		d := &p.Diagnostics[i]
		d.Message, d.Text, d.Hint = s.svc.Scrub(d.Message), s.svc.Scrub(d.Text), s.svc.Scrub(d.Hint)
	}
	if p.Status == http.StatusInternalServerError {
		s.log.Error("a request failed", "error", err)
	}
	return p
}

// statusOf is the HTTP status of an error of the service.
func statusOf(err error) int {
	var invalid *service.InvalidError
	var state *service.StateError
	var stopped *service.NotRunningError
	switch {
	case errors.As(err, &invalid):
		return http.StatusUnprocessableEntity
	case errors.As(err, &state), errors.As(err, &stopped), errors.Is(err, service.ErrConflict), errors.Is(err, job.ErrNotRunning):
		return http.StatusConflict
	case errors.Is(err, service.ErrNoJob), errors.Is(err, service.ErrNoPart):
		return http.StatusNotFound
	case errors.Is(err, service.ErrPrecondition):
		return http.StatusPreconditionFailed
	case errors.Is(err, service.ErrGone):
		return http.StatusGone
	case errors.Is(err, service.ErrBusy):
		return http.StatusTooManyRequests
	case errors.Is(err, service.ErrClosed), errors.Is(err, job.ErrBusy):
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}
