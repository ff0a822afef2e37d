package namespace

import (
	"context"
	"encoding/base64"
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"weir/internal/connect"
)

// signature is what proves who made a token, and secretKey a key in a connection string.
var (
	signature = regexp.MustCompile(`(?i)(sig=|SharedAccessKey=|SharedAccessSignature=)[^&;\s"']+`)
	bearer    = regexp.MustCompile(`eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+`)
)

// hide has secrets taken out of texts, in the forms in which they can turn up there.
func (r *Reach) hide(secrets ...string) {
	for _, s := range secrets {
		if s == "" {
			continue
		}
		for _, form := range []string{s, url.QueryEscape(s), url.PathEscape(s), base64.StdEncoding.EncodeToString([]byte(s))} {
			if !slices.Contains(r.secrets, form) {
				r.secrets = append(r.secrets, form)
			}
		}
	}
	slices.SortFunc(r.secrets, func(a, b string) int { return len(b) - len(a) }) // one may be part of another
}

// Text is a text without secrets.
func (r *Reach) Text(s string) string {
	for _, secret := range r.secrets {
		s = strings.ReplaceAll(s, secret, "***")
	}
	return bearer.ReplaceAllString(signature.ReplaceAllString(s, "${1}***"), "***")
}

// Error is an error without secrets. Of what it wraps only the ends of contexts, ErrGone and
// connect.Permanent can be told.
func (r *Reach) Error(err error) error {
	if err == nil {
		return nil
	}
	c := &cleaned{text: r.Text(err.Error())}
	for _, known := range []error{context.Canceled, context.DeadlineExceeded, connect.ErrGone} {
		if errors.Is(err, known) {
			c.is = known
		}
	}
	if connect.IsPermanent(err) {
		return connect.Permanent(c)
	}
	return c
}

type cleaned struct {
	text string
	is   error
}

func (c *cleaned) Error() string { return c.text }
func (c *cleaned) Unwrap() error { return c.is }
