package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"weir/internal/web"
)

// serverFlags say which service a verb talks to.
type serverFlags struct {
	Server    string `short:"s" env:"WEIR_SERVER" default:"http://127.0.0.1:8484" placeholder:"URL" help:"The service. Default ${default}."`
	TokenFile string `placeholder:"FILE" help:"The token of the service. Or set $$WEIR_TOKEN."`
}

// client talks to a service.
type client struct {
	base  string
	token string
	http  http.Client
}

// client makes a client; it asks nothing yet.
func (f *serverFlags) client() (*client, error) {
	base := strings.TrimRight(f.Server, "/")
	if !strings.Contains(base, "://") {
		base = "http://" + base
	}
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, usage("--server %q is no URL; write http://127.0.0.1:8484", f.Server)
	}
	token, err := readToken(f.TokenFile)
	if err != nil {
		return nil, err
	}
	return &client{base: base, token: token.Expose()}, nil
}

// requestTimeout is how long a request that is no stream may take: a job is stopped after a
// last checkpoint.
const requestTimeout = time.Minute

// maxAnswer bounds an answer that is no stream.
const maxAnswer = 64 << 20

// path joins the parts of a path below /api/v1; what stands before a colon is escaped.
func apiPath(parts ...string) string {
	p := "/api/v1"
	for _, part := range parts {
		if strings.HasPrefix(part, ":") || strings.HasPrefix(part, "?") {
			p += part
			continue
		}
		p += "/" + url.PathEscape(part)
	}
	return p
}

// do asks for something. body, if it is not nil, is sent as JSON, and the answer is decoded
// into to, if that is not nil. An answer that is a problem is an error that draws it.
func (c *client) do(ctx context.Context, method, path string, body, to any) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	r, err := c.request(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if to == nil {
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(r.Body, maxAnswer)).Decode(to); err != nil {
		return fmt.Errorf("the answer of %s cannot be read: %w", c.base, err)
	}
	return nil
}

// request sends a request; an answer that is a problem is an error.
func (c *client) request(ctx context.Context, method, path string, body any) (*http.Response, error) {
	var text io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		text = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, text)
	if err != nil {
		return nil, usage("--server: %w", err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	r, err := c.http.Do(req)
	switch {
	case errors.Is(err, context.Canceled):
		return nil, errInterrupted
	case err != nil:
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err
		}
		return nil, &exitError{exitAway, fmt.Errorf("no service answers at %s: %w; start one with \"weir serve\", or name it with --server", c.base, err)}
	case r.StatusCode >= 300:
		defer r.Body.Close()
		return nil, problemOf(r)
	}
	return r, nil
}

// problemOf is the error of an answer that says no.
func problemOf(r *http.Response) error {
	b, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	p := web.Problem{}
	if json.Unmarshal(b, &p) != nil || p.Detail == "" {
		return &exitError{exitRuntime, fmt.Errorf("the service answered %s", r.Status)}
	}
	text := p.Detail
	for _, f := range p.Errors {
		text += fmt.Sprintf("\n  %s: %s", f.Location, f.Message)
	}
	code := exitRuntime
	switch r.StatusCode {
	case http.StatusUnprocessableEntity, http.StatusBadRequest, http.StatusNotFound, http.StatusUnauthorized, http.StatusForbidden,
		http.StatusConflict, http.StatusPreconditionFailed:
		code = exitUsage
	}
	return &exitError{code, errors.New(text)}
}

// streamed is a server-sent event.
type streamed struct {
	ID   string
	Name string
	Data []byte
}

// stream reads the events of a stream until it ends, f gives an error, or ctx ends, which is
// no error.
func (c *client) stream(ctx context.Context, path string, f func(e streamed) error) error {
	r, err := c.request(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	lines := bufio.NewReader(r.Body)
	var e streamed
	for {
		line, err := lines.ReadString('\n')
		switch {
		case ctx.Err() != nil || errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return &exitError{exitAway, fmt.Errorf("the stream of %s broke off: %w", c.base, err)}
		}
		field, value, _ := strings.Cut(strings.TrimRight(line, "\r\n"), ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "id":
			e.ID = value
		case "event":
			e.Name = value
		case "data":
			e.Data = append(e.Data, value...)
		case "":
			if e.Name != "" || len(e.Data) > 0 {
				if err := f(e); err != nil {
					return err
				}
			}
			e = streamed{}
		}
	}
}
