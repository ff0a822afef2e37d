package cosmos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

	"weir/internal/connect"
)

// statusRetry is the answer of the service that says: do the same again.
const statusRetry = 449

// fault is an error of a request, for people and without secrets.
type fault struct {
	status int           // of HTTP; 0 if there was no answer
	after  time.Duration // what the service wants us to wait; 0 if it does not say
	text   string
	err    error
	// culprit is the operation of a batch that failed; -1 if it is not about one.
	culprit int
	split   bool // fewer documents at a time may be taken
}

func (f *fault) Error() string { return f.text }

// Unwrap gives the errors of contexts; those of the library may hold more than people should see.
func (f *fault) Unwrap() error {
	for _, e := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(f.err, e) {
			return e
		}
	}
	return nil
}

// throttled reports whether the same request will be taken later.
func (f *fault) throttled() bool {
	return f.status == http.StatusTooManyRequests || f.status == statusRetry
}

// fault makes one of an error of the library; nil of nil.
func (c *container) fault(err error) *fault {
	if err == nil {
		return nil
	}
	f := &fault{err: err, culprit: -1}
	var answer *azcore.ResponseError
	if errors.As(err, &answer) {
		f.status = answer.StatusCode
		f.after = retryAfter(answer.RawResponse)
		f.text = c.clean.Replace(answerText(answer))
		return f
	}
	text := err.Error()
	var of *url.Error
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		text = fmt.Sprintf("there is no host %s", dns.Name)
	case errors.As(err, &of):
		text = of.Err.Error()
	}
	f.text = c.clean.Replace(firstLine(text))
	return f
}

// answerText is what an answer says: "HTTP 404 NotFound: Resource Not Found".
func answerText(e *azcore.ResponseError) string {
	text := fmt.Sprintf("HTTP %d", e.StatusCode)
	var body struct{ Code, Message string }
	if e.RawResponse != nil && e.RawResponse.Body != nil {
		if b, err := runtime.Payload(e.RawResponse); err == nil && json.Unmarshal(b, &body) != nil {
			body.Message = string(b)
		}
	}
	if body.Code == "" {
		body.Code = http.StatusText(e.StatusCode)
	}
	if body.Code != "" {
		text += " " + body.Code
	}
	// The first sentence is for people, the rest for support: {"Errors":["..."]} and ids.
	message := strings.TrimPrefix(strings.TrimSpace(body.Message), "Message: ")
	if message = firstLine(message); message != "" {
		text += ": " + message
	}
	return text
}

func firstLine(s string) string {
	const most = 300
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	if s = strings.TrimSpace(s); len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// retryAfter is what an answer wants us to wait.
func retryAfter(r *http.Response) time.Duration {
	if r == nil {
		return 0
	}
	n, err := strconv.ParseFloat(r.Header.Get("x-ms-retry-after-ms"), 64)
	if err != nil || n < 0 {
		return 0
	}
	return time.Duration(min(n, 60_000) * float64(time.Millisecond))
}

// failed is the error of a request that was not done, for the runner, which tries again.
func (c *container) failed(err error) error {
	if f := c.fault(err); f != nil {
		return fmt.Errorf("%s: %w", c.where, f)
	}
	return nil
}

// startError is the error of the first request. What no retry heals is permanent: wrong settings,
// a refused key, a container that is not there.
func (c *container) startError(err error) error {
	f := c.fault(err)
	out := fmt.Errorf("%s: %w%s", c.where, f, c.hint(f))
	switch f.status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound:
		return connect.Permanent(out)
	}
	return out
}

// hint is what to do about an error, with "; " before it; "" if there is nothing to say.
func (c *container) hint(f *fault) string {
	switch f.status {
	case http.StatusUnauthorized:
		return "; the key is not one of this account, or the clock of this machine is wrong"
	case http.StatusForbidden:
		return "; allow this machine in the account's firewall, and give the identity a data role: az cosmosdb sql role assignment create"
	case http.StatusNotFound:
		return "; make the container: az cosmosdb sql container create --partition-key-path /KEY"
	case http.StatusTooManyRequests:
		return "; the container has too little throughput: raise its RU/s"
	}
	return ""
}
