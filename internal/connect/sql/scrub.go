package sql

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"weir/internal/connect"
)

// errDSN is all that is said of a connection string that cannot be read: what parsers say of one
// has parts of it, and where its password ends is just what is not known.
var errDSN = errors.New("dsn cannot be read: characters of the user or password may have to be written as %XX; or give host, user and password in its place")

// secrets are texts that no message may have: drivers put connection strings into errors.
type secrets []string

// secretsOf collects the secrets of a Config, in the forms in which they can show up.
func secretsOf(d *dialect, c connect.Config) secrets {
	var s secrets
	add := func(text string) {
		for _, form := range []string{text, url.QueryEscape(text), url.PathEscape(text), url.UserPassword("", text).String()[1:],
			quoted.Replace(text), fmt.Sprintf("%q", text)[1 : len(fmt.Sprintf("%q", text))-1]} {
			if form != "" && !slices.Contains(s, form) {
				s = append(s, form)
			}
		}
	}
	for _, text := range d.secrets(c) {
		if text != "" {
			add(text)
		}
	}
	// The longest first: one may be part of another.
	slices.SortFunc(s, func(a, b string) int { return len(b) - len(a) })
	return s
}

// quoted writes a text as it stands in the quotes of a connection string of libpq.
var quoted = strings.NewReplacer(`\`, `\\`, `'`, `\'`)

// clean puts *** in the place of every secret.
func (s secrets) clean(text string) string {
	for _, secret := range s {
		text = strings.ReplaceAll(text, secret, "***")
	}
	return text
}

// wrap is an error with the text of another one, clean. Of what the other one wraps, only the
// ends of contexts can be told from it.
func (s secrets) wrap(err error) error {
	if err == nil {
		return nil
	}
	c := &cleaned{text: s.clean(err.Error())}
	for _, end := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, end) {
			c.end = end
		}
	}
	return c
}

type cleaned struct {
	text string
	end  error
}

func (c *cleaned) Error() string { return c.text }
func (c *cleaned) Unwrap() error { return c.end }

// passwordIn finds what may be a password in a connection string of any form: behind the
// first colon of the user part of a URL or of user:password@..., and behind password= and
// pwd=. It must find them in strings that no parser takes, too.
func passwordIn(dsn string) []string {
	var found []string
	add := func(s string) {
		if s == "" {
			return
		}
		found = append(found, s)
		if u, err := url.QueryUnescape(s); err == nil && u != s {
			found = append(found, u)
		}
		if u, err := url.PathUnescape(s); err == nil && u != s {
			found = append(found, u)
		}
	}
	rest := dsn
	if _, after, ok := strings.Cut(dsn, "://"); ok {
		rest = after
	}
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		if _, password, ok := strings.Cut(rest[:at], ":"); ok {
			add(password)
		}
		// A password with a raw @ in it: parsers disagree about which one ends it.
		if user := rest[:strings.IndexByte(rest, '@')]; strings.Contains(user, ":") {
			_, password, _ := strings.Cut(user, ":")
			add(password)
		}
	}
	lower := strings.ToLower(dsn)
	for _, word := range []string{"password", "pwd", "accesstoken"} {
		for from := 0; ; {
			at := strings.Index(lower[from:], word)
			if at < 0 {
				break
			}
			from += at + len(word)
			value, ok := strings.CutPrefix(strings.TrimLeft(dsn[from:], " "), "=")
			if ok {
				add(valueOf(strings.TrimLeft(value, " ")))
			}
		}
	}
	return found
}

// valueOf is the value at the start of a text: quoted, in braces, or up to what ends it.
func valueOf(s string) string {
	if s == "" {
		return ""
	}
	closing := map[byte]byte{'\'': '\'', '"': '"', '{': '}'}[s[0]]
	if closing == 0 {
		if end := strings.IndexAny(s, " ;&"); end >= 0 {
			return s[:end]
		}
		return s
	}
	if end := strings.IndexByte(s[1:], closing); end >= 0 {
		return s[1 : 1+end]
	}
	return s[1:]
}
