package http

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"weir/internal/connect"
)

const (
	maxAnswer     = 64 << 10 // bytes of an answer that are read; the rest is left
	shownAnswer   = 200      // and of those shown in messages
	maxRetryAfter = 10 * time.Minute
	maxRedirects  = 3
)

// target is where rows are posted.
type target struct {
	url     *url.URL
	method  string
	header  http.Header
	secrets []string // that must not show in messages
	timeout time.Duration
	single  bool
	wrap    string // the member of an object that the array of rows is; "" for the array alone
	client  *http.Client
	now     func() time.Time
	until   time.Time // it asked not to be bothered before
}

func newTarget(c connect.Config) (*target, error) {
	u, err := url.Parse(c.Text("url"))
	if err != nil {
		return nil, errors.New("\"url\" is no address")
	}
	t := &target{url: u, method: c.Text("method"), header: http.Header{}, timeout: c.Duration("timeout"), now: time.Now}
	t.header.Set("User-Agent", "weir")
	for name, value := range c.Map("headers") {
		t.header.Set(name, value)
		t.hide(value)
	}
	if token := c.Secret("token").Expose(); token != "" {
		t.header.Set("Authorization", "Bearer "+token)
		t.hide(token)
	}
	if key := c.Secret("api_key").Expose(); key != "" {
		t.header.Set(c.Text("api_key_header"), key)
		t.hide(key)
	}
	for pair := range strings.SplitSeq(u.RawQuery, "&") {
		if _, value, ok := strings.Cut(pair, "="); ok {
			t.hide(value) // as it is written; a target may repeat the address
			if text, err := url.QueryUnescape(value); err == nil {
				t.hide(text)
			}
		}
	}
	slices.SortFunc(t.secrets, func(a, b string) int { return len(b) - len(a) }) // one may be part of another
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, DialContext: dialer.DialContext, TLSHandshakeTimeout: 10 * time.Second,
		MaxIdleConns: 2, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true, MaxResponseHeaderBytes: maxAnswer}
	if c.Text("egress") == "public" {
		dialer.Control = onlyPublic
		transport.Proxy = nil
	}
	t.client = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return t, nil
}

// onlyPublic refuses addresses that are not of the public network, after names have been
// looked up.
func onlyPublic(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if ip := at.Addr().Unmap(); !ip.IsGlobalUnicast() || ip.IsPrivate() || sharedNet.Contains(ip) {
		return fmt.Errorf("%s is no public address, and egress is public", ip)
	}
	return nil
}

// sharedNet is the space that providers use inside (RFC 6598).
var sharedNet = netip.MustParsePrefix("100.64.0.0/10")

// post is a request to be made.
type post struct {
	epoch int64
	key   string
	rows  [][]byte
	lines bool
}

// answer is what the target said to a request that it understood.
type answer struct {
	ok     bool
	status int
	text   string
}

func (a answer) String() string {
	s := fmt.Sprintf("the target answered %d %s", a.status, http.StatusText(a.status))
	if a.text != "" {
		s += ": " + a.text
	}
	return s
}

// retryError is an answer or a failure that trying again may heal.
type retryError struct{ text string }

func (e *retryError) Error() string { return e.text }

func (t *target) body(p post) ([]byte, string) {
	switch {
	case t.single:
		return p.rows[0], "application/json"
	case p.lines:
		return append(bytes.Join(p.rows, []byte("\n")), '\n'), "application/x-ndjson"
	}
	begin, end := "[", "]"
	if t.wrap != "" {
		begin, end = `{"`+t.wrap+`":[`, "]}"
	}
	b := append([]byte(begin), bytes.Join(p.rows, []byte(",\n"))...)
	return append(b, end...), "application/json"
}

// post makes a request. An error says that it has to be made again; an answer that is not ok
// is about its rows.
func (t *target) post(ctx context.Context, p post) (answer, error) {
	if wait := t.waits(); wait > 0 {
		return answer{}, &retryError{fmt.Sprintf("%s asked to be left alone for another %s", t.url.Host, wait.Round(time.Second))}
	}
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	body, kind := t.body(p)
	at := t.url
	for range maxRedirects + 1 {
		req, err := http.NewRequestWithContext(ctx, t.method, at.String(), bytes.NewReader(body))
		if err != nil {
			return answer{}, t.failed(err)
		}
		req.Header = t.header.Clone()
		req.Header.Set("Content-Type", kind)
		req.Header.Set("Idempotency-Key", p.key)
		req.Header.Set("Weir-Epoch", strconv.FormatInt(p.epoch, 10))
		resp, err := t.client.Do(req)
		if err != nil {
			return answer{}, t.failed(err)
		}
		a, next, err := t.judge(resp, at)
		if next == nil {
			return a, err
		}
		at = next
	}
	return answer{}, &retryError{fmt.Sprintf("%s redirects in a circle", t.url.Host)}
}

// failed is an error of the network without the address, which may hold secrets.
func (t *target) failed(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return &retryError{fmt.Sprintf("%s did not answer in %s", t.url.Host, t.timeout)}
	}
	return &retryError{t.scrub(fmt.Sprintf("post to %s: %s", t.url.Host, err))}
}

// judge reads an answer. next is where the request has to be made again, nil if it need not.
func (t *target) judge(resp *http.Response, at *url.URL) (a answer, next *url.URL, err error) {
	defer resp.Body.Close()
	// An answer that is cut off has said all that matters in its status.
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	a = answer{status: resp.StatusCode, text: t.shown(text)}
	switch {
	case resp.StatusCode/100 == 2:
		a.ok = true
		return a, nil, nil
	case resp.StatusCode == http.StatusTemporaryRedirect || resp.StatusCode == http.StatusPermanentRedirect:
		to, err := at.Parse(resp.Header.Get("Location"))
		if err != nil || to.Scheme != t.url.Scheme || to.Host != t.url.Host || to.User != nil {
			return a, nil, &retryError{fmt.Sprintf("%s redirects to another place, which rows and secrets are not sent to; set url to where it should go", t.url.Host)}
		}
		return a, to, nil
	case rowStatus(resp.StatusCode):
		return a, nil, nil
	case resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable:
		t.until = t.now().Add(retryAfter(resp.Header.Get("Retry-After"), t.now()))
	}
	return a, nil, &retryError{t.url.Host + ": " + a.String() + hint(resp.StatusCode)}
}

// rowStatus tells the answers that are about the rows. Others, such as a wrong token or path,
// are for somebody to put right: the rows wait.
func rowStatus(status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity:
		return true
	}
	return false
}

func hint(status int) string {
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return "; check token, api_key and headers; the rows wait"
	case status/100 == 4 && status != http.StatusRequestTimeout && status != http.StatusTooManyRequests:
		return "; check url and method; the rows wait"
	case status/100 == 3:
		return "; redirects are followed to the same host only, with 307 and 308; the rows wait"
	}
	return ""
}

// retryAfter reads the header: seconds or a date.
func retryAfter(s string, now time.Time) time.Duration {
	d := time.Duration(0)
	if n, err := strconv.ParseUint(strings.TrimSpace(s), 10, 31); err == nil {
		d = time.Duration(n) * time.Second
	} else if at, err := http.ParseTime(s); err == nil {
		d = at.Sub(now)
	}
	return min(max(d, 0), maxRetryAfter)
}

// waits is how long the target still wants to be left alone.
func (t *target) waits() time.Duration { return max(0, t.until.Sub(t.now())) }

// pause waits before a further try.
func (t *target) pause(ctx context.Context, try int) error {
	d := min(firstPause<<(try-1), longestPause)
	d = max(d+rand.N(d), t.waits())
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// shown is the start of an answer, for messages.
func (t *target) shown(text []byte) string {
	s := t.scrub(strings.ToValidUTF8(string(text), "?"))
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.TrimSpace(s))
	if r := []rune(s); len(r) > shownAnswer {
		s = string(r[:shownAnswer]) + "…"
	}
	return s
}

// hide has a secret taken out of messages, in the forms in which it can turn up there.
func (t *target) hide(secret string) {
	quoted, err := json.Marshal(secret)
	if err != nil {
		panic("http: " + err.Error())
	}
	for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret), base64.StdEncoding.EncodeToString([]byte(secret)), string(quoted[1 : len(quoted)-1])} {
		if len(form) >= 4 && !slices.Contains(t.secrets, form) {
			t.secrets = append(t.secrets, form)
		}
	}
}

// scrub takes secrets out of a text.
func (t *target) scrub(s string) string {
	for _, secret := range t.secrets {
		s = strings.ReplaceAll(s, secret, "***")
	}
	return s
}
