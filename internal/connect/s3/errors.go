package s3

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"

	"github.com/minio/minio-go/v7"

	"weir/internal/connect/objects"
)

// fault is an error of the service, in words for people and without secrets.
type fault struct {
	code  string // of S3; "" if no answer came
	text  string
	hint  string
	cause error // objects.ErrNotExist ..., a context's; nil otherwise
}

func (f *fault) Error() string {
	if f.hint == "" {
		return f.text
	}
	return f.text + ": " + f.hint
}

func (f *fault) Unwrap() error { return f.cause }

// codeOf is the code that S3 has for an error; "" if it did not answer.
func codeOf(err error) string {
	var r minio.ErrorResponse
	if errors.As(err, &r) {
		return r.Code
	}
	return ""
}

// explain says what was done, where, and what can be done about an error of the library.
func (s *store) explain(what, name string, err error) error {
	for _, end := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, end) {
			return fmt.Errorf("%s %s: %w", what, s.place(name), end)
		}
	}
	f := &fault{code: codeOf(err)}
	text := ""
	if f.code != "" {
		text, f.hint, f.cause = s.answer(err)
	} else {
		text, f.hint = s.silence(err)
	}
	f.text = s.scrub(fmt.Sprintf("%s %s: %s", what, s.place(name), text))
	return f
}

// answer explains an error that the service gave.
func (s *store) answer(err error) (text, hint string, cause error) {
	var r minio.ErrorResponse
	errors.As(err, &r)
	text = r.Code
	if m := strings.TrimSuffix(strings.TrimSpace(r.Message), "."); m != "" && m != r.Code {
		text = fmt.Sprintf("%s (%s)", m, r.Code)
	}
	switch r.Code {
	case minio.NoSuchKey:
		return objects.ErrNotExist.Error(), "", objects.ErrNotExist
	case minio.PreconditionFailed:
		return objects.ErrChanged.Error(), "", objects.ErrChanged
	case minio.NoSuchBucket:
		return fmt.Sprintf("there is no bucket %q", s.bucket), "make it, or correct the setting bucket", nil
	case minio.AccessDenied, "AllAccessDisabled", "AccountProblem":
		return text, "let the key do s3:ListBucket on the bucket, and on its objects s3:GetObject and, for outputs, s3:PutObject and s3:AbortMultipartUpload", nil
	case "InvalidAccessKeyId":
		return text, "correct access_key", nil
	case "SignatureDoesNotMatch":
		return text, "secret_key does not belong to access_key, or something on the way changes requests", nil
	case "ExpiredToken", "InvalidToken", "InvalidClientTokenId", "TokenRefreshRequired":
		return text, "get new credentials, or sign in by role", nil
	case "RequestTimeTooSkewed":
		return text, "set the clock of this machine", nil
	case "AuthorizationHeaderMalformed", "PermanentRedirect", "MovedPermanently", "TemporaryRedirect", "IllegalLocationConstraintException", "InvalidRegion":
		hint = "set region to that of the bucket"
		if r.Region != "" {
			hint = "set region: " + r.Region
		}
		return text, hint, nil
	}
	switch r.StatusCode {
	case http.StatusForbidden:
		return text, "correct access_key and secret_key, or what the key may do", nil
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		return text, "the service has too much to do; it is tried again", nil
	}
	return text, "", nil
}

// silence explains an error without an answer.
func (s *store) silence(err error) (text, hint string) {
	for e := (*url.Error)(nil); errors.As(err, &e); e = nil {
		err = e.Err // its URL may have more than people should see
	}
	var dns *net.DNSError
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return fmt.Sprintf("there is no host %q", dns.Name), "correct endpoint; if the bucket's name came before the host's, set path_style: true"
	case errors.As(err, &authority):
		return err.Error(), "name the authority's certificate with tls_ca"
	case errors.As(err, &host):
		return err.Error(), "the certificate is for another name: correct endpoint, or set path_style: true"
	case errors.As(err, &record), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return err.Error(), "the server speaks no TLS there: write http:// before the endpoint, or correct the port"
	case strings.Contains(err.Error(), "Connection closed by foreign host"): // the library's words for io.EOF
		return "the server closed the connection", ""
	case errors.Is(err, syscall.ECONNREFUSED):
		return err.Error(), "nothing listens there: start the server, or correct endpoint"
	}
	return err.Error(), ""
}

// scrub takes the secrets out of a text.
func (s *store) scrub(text string) string {
	for _, secret := range s.secrets {
		text = strings.ReplaceAll(text, secret, "***")
		text = strings.ReplaceAll(text, url.QueryEscape(secret), "***")
	}
	return text
}

// lasting reports whether an error at the start of a job is one that no retry heals: wrong
// settings, no such bucket, a sign-in that is refused.
func lasting(err error) bool {
	f := (*fault)(nil)
	if !errors.As(err, &f) {
		return false
	}
	switch f.code {
	case minio.NoSuchBucket, "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "InvalidBucketName",
		"AuthorizationHeaderMalformed", "PermanentRedirect", "MovedPermanently":
		return true
	}
	return false
}
