package azureblob

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"weir/internal/connect"
	"weir/internal/connect/objects"
)

// scrubber takes secrets out of texts. The SDK's errors have addresses with signatures, and
// answers with what was signed.
type scrubber struct{ secrets []string }

// hide has secrets taken out, in the forms in which they can turn up.
func (s *scrubber) hide(secrets ...string) {
	for _, x := range secrets {
		if len(x) < 4 {
			continue
		}
		for _, form := range []string{x, url.QueryEscape(x), url.PathEscape(x), base64.StdEncoding.EncodeToString([]byte(x))} {
			if !slices.Contains(s.secrets, form) {
				s.secrets = append(s.secrets, form)
			}
		}
	}
	slices.SortFunc(s.secrets, func(a, b string) int { return len(b) - len(a) }) // one may be part of another
}

var (
	query  = regexp.MustCompile(`(https?://[^\s"?]+)\?[^\s"]*`)
	signed = regexp.MustCompile(`(?i)\b(sig|accountkey|sharedaccesssignature)=[^&;\s"']+`)
	bearer = regexp.MustCompile(`eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+`)
)

func (s *scrubber) text(t string) string {
	for _, x := range s.secrets {
		t = strings.ReplaceAll(t, x, "***")
	}
	t = query.ReplaceAllString(t, "$1")
	t = signed.ReplaceAllString(t, "${1}=***")
	return bearer.ReplaceAllString(t, "***")
}

// failure is an error of the service without secrets: what people read, and what can be told
// of it.
type failure struct {
	text   string
	is     error // context.Canceled, objects.ErrNotExist ...; nil
	status int   // of HTTP; 0 if there was no answer
	code   string
	cause  cause
}

// cause is what is wrong, as far as it can be told.
type cause uint8

const (
	unknownCause cause = iota
	noHost
	noContainer
	refused // we are not let in
	badTLS
	noSignIn // Entra gave no token
	noAnswer // nothing is reached there
)

func (f *failure) Error() string { return f.text }
func (f *failure) Unwrap() error { return f.is }

// error makes an error of the SDK one of ours.
func (s *scrubber) error(err error) error {
	if err == nil {
		return nil
	}
	f := &failure{text: s.text(err.Error())}
	for _, known := range []error{context.Canceled, context.DeadlineExceeded, objects.ErrNotExist, objects.ErrChanged, objects.ErrExists} {
		if errors.Is(err, known) {
			f.is = known
		}
	}
	var answer *azcore.ResponseError
	var dns *net.DNSError
	var cert *tls.CertificateVerificationError
	var token *azidentity.AuthenticationFailedError
	var dial *net.OpError
	switch {
	case errors.As(err, &token):
		f.cause, f.text = noSignIn, "Entra did not sign us in: "+s.text(firstLines(err.Error()))
	case errors.As(err, &answer):
		s.answer(f, answer)
	case errors.As(err, &dns) && dns.IsNotFound:
		f.cause, f.text = noHost, "there is no host "+dns.Name
	case errors.As(err, &dial) && dial.Op == "dial":
		f.cause, f.text = noAnswer, s.text(dial.Error())
	case errors.As(err, &cert):
		f.cause, f.text = badTLS, "its certificate is not trusted: "+s.text(cert.Err.Error())
	case strings.Contains(f.text, "DefaultAzureCredential") || strings.Contains(f.text, "ManagedIdentityCredential"):
		f.cause, f.text = noSignIn, "Entra did not sign us in: "+s.text(firstLines(err.Error()))
	}
	return f
}

// firstLines are the first lines of a long text, as one.
func firstLines(t string) string {
	lines := strings.FieldsFunc(t, func(r rune) bool { return r == '\n' || r == '\t' })
	return strings.Join(lines[:min(len(lines), 4)], " ")
}

// sentences say what codes of the service mean.
var sentences = map[string]string{
	"ContainerNotFound":                  "there is no such container",
	"ContainerBeingDeleted":              "the container is being deleted",
	"FilesystemNotFound":                 "there is no such file system",
	"AuthenticationFailed":               "the key or signature is wrong or has expired",
	"InvalidAuthenticationInfo":          "the way of signing in is not taken",
	"AuthorizationFailure":               "access is refused: the key or signature is wrong, or the account's firewall is in the way",
	"AuthorizationPermissionMismatch":    "the signature or role does not permit it",
	"AuthorizationServiceMismatch":       "the signature is not for blobs",
	"AuthorizationResourceTypeMismatch":  "the signature does not permit it for this kind of thing",
	"AuthorizationSourceIPMismatch":      "the signature does not permit it from this address",
	"AccountIsDisabled":                  "the account is disabled",
	"PublicAccessNotPermitted":           "the account does not permit public access",
	"KeyBasedAuthenticationNotPermitted": "the account does not permit keys; use sign_in: entra",
	"NoAuthenticationInformation":        "the container needs us to sign in",
	"ServerBusy":                         "the service is busy",
	"BlobArchived":                       "the blob is archived: it must be brought back to be read",
}

// answer says what an answer of the service means.
func (s *scrubber) answer(f *failure, a *azcore.ResponseError) {
	f.status, f.code = a.StatusCode, a.ErrorCode
	if len(f.code) > 80 || strings.ContainsAny(f.code, " \n?&=") {
		f.code = ""
	}
	what, ok := sentences[f.code]
	if !ok {
		what = "the service answered " + http.StatusText(f.status)
	}
	f.text = fmt.Sprintf("%s (HTTP %d %s)", what, f.status, f.code)
	if f.code == "" {
		f.text = fmt.Sprintf("%s (HTTP %d)", what, f.status)
	}
	switch {
	case f.code == "ContainerNotFound", f.code == "FilesystemNotFound":
		f.cause = noContainer
	case f.code == "BlobNotFound", f.code == "PathNotFound", f.status == http.StatusNotFound && f.code == "":
		f.is = objects.ErrNotExist
	case f.status == http.StatusPreconditionFailed:
		f.is = objects.ErrChanged
	case f.code == "BlobAlreadyExists":
		f.is = objects.ErrExists
	case f.status == http.StatusUnauthorized, f.status == http.StatusForbidden, f.code == "KeyBasedAuthenticationNotPermitted":
		f.cause = refused
	}
}

// atStart is an error of the first call of a job: what no retry heals ends it.
func atStart(err error) error {
	var f *failure
	if errors.As(err, &f) && (f.cause == noContainer || f.cause == refused || f.cause == noHost || f.cause == badTLS) {
		return connect.Permanent(err)
	}
	return err
}

// hint is what to do about an error.
func hint(err error, a *account, name string) string {
	var f *failure
	if !errors.As(err, &f) {
		return ""
	}
	switch f.cause {
	case noHost:
		return "look at the name of the account; in another cloud, give endpoint: https://HOST"
	case noContainer:
		return fmt.Sprintf("make it: az storage container create --account-name %s --name %s", or(a.name, "ACCOUNT"), name)
	case refused:
		if a.signIn != signInKey {
			return "give the identity the role Storage Blob Data Reader, or to write Storage Blob Data Contributor"
		}
		return "copy the key or the signature again; a signature needs read and list, and to write create, write and delete"
	case badTLS:
		return "give the PEM file of its authority as tls_ca, or look at the endpoint"
	case noAnswer:
		return "look at the name of the account or the endpoint, at the network, and at the account's firewall"
	case noSignIn:
		return "sign in with az login, or set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET"
	}
	return ""
}

func or(s, instead string) string {
	if s == "" {
		return instead
	}
	return s
}
