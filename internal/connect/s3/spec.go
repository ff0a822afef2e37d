package s3

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/minio/minio-go/v7/pkg/s3utils"

	"weir/internal/connect"
	"weir/internal/connect/files"
	"weir/internal/connect/objects"
)

// Spec declares the connector.
var Spec = &connect.Spec{
	Name:      "s3",
	Summary:   "Reads and writes objects in a bucket of Amazon S3 or of a store that speaks its protocol.",
	FormatsIn: connect.FileFormats, FormatsOut: connect.FileFormats,
	In:  "exactly once, as long as objects that were read stay as they are",
	Out: "exactly once, by the names of objects",
	Fields: slices.Concat([]connect.Field{
		{Name: "endpoint", Type: connect.Text, Default: "https://s3.amazonaws.com", Doc: "Where the service is. `http://` is without TLS."},
		{Name: "region", Type: connect.Text, Doc: "The region of the bucket. Default: the service is asked."},
		{Name: "bucket", Type: connect.Text, Required: true, Doc: "The bucket. It must be there."},
		{Name: "sign_in", Type: connect.Enum, Values: []string{signAuto, signKey, signEnvironment, signRole, signNobody}, Default: signAuto, Doc: "`key`: with `access_key` and `secret_key`. `environment`: with `AWS_ACCESS_KEY_ID` and its like, the files in `.aws`, or the role. `role`: as the machine, container or pod may. `anonymous`: without. `auto`: with a key if there is one, else as `environment`."},
		{Name: "access_key", Type: connect.Text, Doc: "The access key's id."},
		{Name: "secret_key", Type: connect.Secret, Doc: "Its secret."},
		{Name: "session_token", Type: connect.Secret, Doc: "The token that comes with temporary keys."},
		{Name: "path_style", Type: connect.Bool, Doc: "Put the bucket into the path of addresses, not before the host. Servers other than Amazon's mostly need it; for addresses that are no names it is always so."},
		{Name: "tls_ca", Type: connect.Path, Doc: "A PEM file of the authority that signed the server's certificate, if the system does not know it."},
	}, objects.SourceFields("object"), files.StoreFields()),
	Source:    newSource,
	Sink:      newSink,
	Reference: true,
	Check:     check,
	Probe:     probe,
	Claims:    claims,
	Example: `type: s3
endpoint: https://minio.example.com:9000
bucket: events
access_key: weir
secret_key: ${env:S3_SECRET}
path: "{date}/{time}/{n}{ext}"
`,
}

func init() { connect.Register(Spec) }

func check(c connect.Config, input bool) []connect.Problem {
	var list []connect.Problem
	problem := func(field, text, hint string) {
		list = append(list, connect.Problem{Field: field, Text: text, Hint: hint})
	}
	_, secure, err := endpointOf(c.Text("endpoint"))
	if err != nil {
		problem("endpoint", err.Error(), "write it like https://minio.example.com:9000")
	} else if c.Has("tls_ca") && !secure {
		problem("tls_ca", "is for TLS, and endpoint begins with http://", "")
	}
	if b := c.Text("bucket"); b != "" {
		if err := s3utils.CheckValidBucketName(b); err != nil {
			problem("bucket", fmt.Sprintf("%q is no name of a bucket: %s", b, strings.TrimSuffix(err.Error(), ".")), "")
		}
	}
	id, secret := c.Text("access_key") != "", c.Secret("secret_key").Expose() != ""
	switch sign := c.Text("sign_in"); {
	case sign == signKey && !(id && secret):
		problem("sign_in", "key needs access_key and secret_key", "")
	case id != secret:
		problem("access_key", "and secret_key go together", "give both, or none to sign in by the environment")
	case id && sign != signKey && sign != signAuto:
		problem("access_key", "is not used: sign_in is "+sign, "leave it out")
	case c.Secret("session_token").Expose() != "" && !id:
		problem("session_token", "goes with access_key and secret_key", "")
	}
	if input {
		return append(list, objects.CheckSource(c)...)
	}
	return append(list, files.Check(c)...)
}

func claims(c connect.Config, output string) []string {
	host, _, err := endpointOf(c.Text("endpoint"))
	if err != nil {
		return nil
	}
	return []string{files.Claims(c, output, host+"/"+c.Text("bucket"))}
}

// startTimeout is how long the service may take to answer before a job starts without.
const startTimeout = 15 * time.Second

func newSource(ctx context.Context, c connect.Config, env connect.SourceEnv) (connect.Source, error) {
	s, err := begin(ctx, c, env.Log)
	if err != nil {
		return nil, err
	}
	return objects.NewSource(s, objects.SettingsOf(c), env)
}

func newSink(ctx context.Context, c connect.Config, env connect.SinkEnv) (connect.Sink, error) {
	s, err := begin(ctx, c, env.Log)
	if err != nil {
		return nil, err
	}
	return files.OpenStore(ctx, s, c, env)
}

// begin opens a store for a job that starts. It looks whether the service lets us in; that
// another error than a lasting one comes is no reason not to start: files can wait, events too,
// and the right to list is not needed for writing.
func begin(ctx context.Context, c connect.Config, log *slog.Logger) (*store, error) {
	s, err := open(c)
	if err != nil {
		return nil, err
	}
	look, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	switch err := s.look(look); {
	case err != nil && lasting(err):
		return nil, errors.Join(connect.Permanent(err), s.Close())
	case err != nil:
		log.Info("the bucket cannot be looked at yet", "error", err)
	}
	return s, nil
}

// look asks the service for the first object of the bucket.
func (s *store) look(ctx context.Context) error {
	for _, err := range s.list(ctx, "", "", 1) {
		return err
	}
	return nil
}

// probe tries to list the bucket.
func probe(ctx context.Context, c connect.Config, env connect.ProbeEnv) []connect.Problem {
	s, err := open(c)
	if err != nil {
		return []connect.Problem{{Text: err.Error()}}
	}
	defer s.Close()
	err = s.look(ctx)
	if err == nil {
		return nil
	}
	p := connect.Problem{Text: err.Error()}
	if f, ok := err.(*fault); ok {
		p.Text, p.Hint = f.text, f.hint
		p.Field = map[string]string{"NoSuchBucket": "bucket", "InvalidAccessKeyId": "access_key", "SignatureDoesNotMatch": "secret_key",
			"AuthorizationHeaderMalformed": "region", "PermanentRedirect": "region"}[f.code]
	}
	return []connect.Problem{p}
}
