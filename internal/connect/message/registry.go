package message

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/sr"

	"weir/internal/codec"
)

// Limits of a registry.
const (
	registryTimeout = 5 * time.Second
	// maxReferences bounds the schemas that one refers to.
	maxReferences = 100
)

// registry asks a schema registry, as Confluent's, Redpanda's and Karapace's are.
type registry struct {
	client *sr.Client
	where  string // for people: without the user and the password
}

// newRegistry is the registry at a URL, which may have a user and a password.
func newRegistry(text string) (*registry, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		// The text may hold a password: it is not shown.
		return nil, errors.New("the URL of the schema registry is not one: https://host:port")
	}
	user := u.User
	u.User = nil
	o := []sr.ClientOpt{sr.URLs(strings.TrimRight(u.String(), "/")), sr.HTTPClient(&http.Client{Timeout: registryTimeout})}
	if user != nil {
		password, _ := user.Password()
		o = append(o, sr.BasicAuth(user.Username(), password))
	}
	c, err := sr.NewClient(o...)
	if err != nil {
		return nil, errors.New("the URL of the schema registry cannot be used")
	}
	return &registry{client: c, where: u.String()}, nil
}

// Schema implements codec.Registry.
func (r *registry) Schema(ctx context.Context, number uint32) (codec.RegisteredSchema, error) {
	ctx, cancel := context.WithTimeout(ctx, registryTimeout)
	defer cancel()
	s, err := r.client.SchemaByID(ctx, int(number))
	if err != nil {
		return codec.RegisteredSchema{}, r.explain(err)
	}
	out := codec.RegisteredSchema{Text: s.Schema, Type: strings.ToLower(s.Type.String())}
	return out, r.references(ctx, s.References, &out)
}

// references adds the schemas that are referred to, depth first.
func (r *registry) references(ctx context.Context, list []sr.SchemaReference, out *codec.RegisteredSchema) error {
	for _, ref := range list {
		if slices.Contains(out.Names, ref.Name) {
			continue
		}
		if len(out.Names) >= maxReferences {
			return fmt.Errorf("a schema of the registry at %s refers to more than %d others", r.where, maxReferences)
		}
		s, err := r.client.SchemaByVersion(ctx, ref.Subject, ref.Version)
		if err != nil {
			return r.explain(err)
		}
		// A circle ends at the number of references.
		if err := r.references(ctx, s.References, out); err != nil {
			return err
		}
		out.Names, out.Others = append(out.Names, ref.Name), append(out.Others, s.Schema.Schema)
	}
	return nil
}

// notFound are the codes of a registry for a schema that it does not have.
var notFound = []int{40401, 40402, 40403}

// explain says what an error means, without secrets.
func (r *registry) explain(err error) error {
	var said *sr.ResponseError
	if !errors.As(err, &said) {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err
		}
		return fmt.Errorf("the schema registry at %s cannot be reached: %w", r.where, err)
	}
	switch {
	case slices.Contains(notFound, said.ErrorCode):
		return codec.ErrNoSchema
	case said.StatusCode == http.StatusUnauthorized || said.StatusCode == http.StatusForbidden:
		return fmt.Errorf("the schema registry at %s does not let us in: %s; put user:password@ before the host in its URL", r.where, http.StatusText(said.StatusCode))
	}
	return fmt.Errorf("the schema registry at %s answers %d: %.200s", r.where, said.StatusCode, said.Message)
}
