package service

import (
	"context"
	"encoding/base64"
	"log/slog"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	"weir/internal/connect"
	"weir/internal/project"
)

// Secrets are the secrets of jobs, to be taken out of texts. Secrets are connect.Hidden and do not show by
// themselves; this is for what other libraries put into their errors.
type Secrets struct {
	mu      sync.RWMutex
	known   map[string]bool
	replace *strings.Replacer
}

// minSecret is how long a secret must be to be looked for: shorter ones stand in any text.
const minSecret = 4

// Learn takes the secrets of a job, in the forms in which they turn up.
func (s *Secrets) Learn(j *project.Job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.known)
	add := func(text string) {
		if len(text) < minSecret || s.known[text] {
			return
		}
		if s.known == nil {
			s.known = map[string]bool{}
		}
		for _, form := range []string{text, url.QueryEscape(text), url.PathEscape(text), base64.StdEncoding.EncodeToString([]byte(text))} {
			s.known[form] = true
		}
	}
	look := func(c connect.Config) {
		for _, v := range c.Values {
			if h, ok := v.(connect.Hidden); ok {
				add(h.Expose())
				for _, part := range secretParts(h.Expose()) {
					add(part)
				}
			}
		}
	}
	for _, in := range j.Inputs {
		look(in.Config)
	}
	for _, out := range j.Outputs {
		look(out.Config)
	}
	if len(s.known) == before {
		return
	}
	var all []string
	for text := range s.known {
		all = append(all, text)
	}
	slices.SortFunc(all, func(a, b string) int { return len(b) - len(a) }) // the longest first
	var pairs []string
	for _, text := range all {
		pairs = append(pairs, text, "***")
	}
	s.replace = strings.NewReplacer(pairs...)
}

// secretPair is a name and a value in a connection string or in a query of a URL, whose value is
// a secret. The name may be written with blanks: "Account Key".
var secretPair = regexp.MustCompile(`(?i)(?:key|password|pwd|secret|token|signature|sig|sas)\s*=\s*([^;&\s]+)`)

// secretParts are the secrets within a secret: libraries name the key of a connection string,
// and the password of a URL, by themselves.
func secretParts(text string) (parts []string) {
	for _, m := range secretPair.FindAllStringSubmatch(text, -1) {
		parts = append(parts, m[1])
	}
	if u, err := url.Parse(text); err == nil && u.User != nil {
		if p, ok := u.User.Password(); ok {
			parts = append(parts, p)
		}
	}
	return parts
}

// SecretsOf are the secrets of a job.
func SecretsOf(j *project.Job) *Secrets {
	s := &Secrets{}
	s.Learn(j)
	return s
}

// Log is a log whose records lose the secrets.
func (s *Secrets) Log(log *slog.Logger) *slog.Logger { return slog.New(scrubbing{log.Handler(), s}) }

// Text takes the secrets out of a text.
func (s *Secrets) Text(t string) string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.replace == nil || t == "" {
		return t
	}
	return s.replace.Replace(t)
}

// Error is an error whose text has no secret. One that has none anyway stays as it is.
func (s *Secrets) Error(err error) error {
	if err == nil {
		return nil
	}
	if text := err.Error(); s.Text(text) != text {
		return &scrubbed{s.Text(text), err}
	}
	return err
}

// scrubbed is an error without its secrets.
type scrubbed struct {
	text string
	err  error
}

func (e *scrubbed) Error() string { return e.text }

func (e *scrubbed) Unwrap() error { return e.err }

// findings takes the secrets out of findings.
func (s *Secrets) findings(l Findings) Findings {
	out := slices.Clone(l)
	for i := range out {
		f := &out[i]
		f.Message, f.Hint, f.Text, f.Label = s.Text(f.Message), s.Text(f.Hint), s.Text(f.Text), s.Text(f.Label)
	}
	return out
}

// Scrub takes the secrets of all jobs that were ever loaded out of a text.
func (s *Service) Scrub(text string) string { return s.secrets.Text(text) }

// scrubbing is a log handler that takes secrets out of what it is given.
type scrubbing struct {
	slog.Handler
	s *Secrets
}

// Handle takes the secrets out of the message and the texts of the record.
func (h scrubbing) Handle(ctx context.Context, r slog.Record) error {
	out := slog.NewRecord(r.Time, r.Level, h.s.Text(r.Message), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		out.AddAttrs(h.attr(a))
		return true
	})
	return h.Handler.Handle(ctx, out)
}

func (h scrubbing) attr(a slog.Attr) slog.Attr {
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindString:
		return slog.String(a.Key, h.s.Text(v.String()))
	case slog.KindGroup:
		var list []any
		for _, x := range v.Group() {
			list = append(list, h.attr(x))
		}
		return slog.Group(a.Key, list...)
	case slog.KindAny:
		if err, ok := v.Any().(error); ok {
			return slog.String(a.Key, h.s.Text(err.Error()))
		}
	}
	return a
}

// WithAttrs and WithGroup keep the handler around the one within.
func (h scrubbing) WithAttrs(attrs []slog.Attr) slog.Handler {
	var list []slog.Attr
	for _, a := range attrs {
		list = append(list, h.attr(a))
	}
	return scrubbing{h.Handler.WithAttrs(list), h.s}
}

// WithGroup opens a group.
func (h scrubbing) WithGroup(name string) slog.Handler {
	return scrubbing{h.Handler.WithGroup(name), h.s}
}
