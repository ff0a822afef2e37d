package azureblob

import (
	"context"
	"errors"
	"strings"
	"time"

	"weir/internal/connect"
	"weir/internal/connect/files"
	"weir/internal/connect/objects"
	"weir/internal/vec"
)

// Spec declares the connector.
var Spec = &connect.Spec{
	Name:      "azure-blob",
	Aliases:   []string{"azureblob", "adls"},
	Summary:   "Reads blobs of Azure Blob Storage and Data Lake Storage Gen2 as they come; writes finished blobs with predictable names.",
	Reference: true,
	FormatsIn: connect.FileFormats, FormatsOut: connect.FileFormats,
	In:     "exactly once, as long as blobs that were read stay as they are",
	Out:    "exactly once: the name of a blob says which rows are in it",
	Fields: append(append(accountFields(), objects.SourceFields("blob")...), files.StoreFields()...),
	Source: newSource,
	Sink:   newSink,
	Check:  check,
	Probe:  probe,
	Claims: func(c connect.Config, output string) []string {
		a, bad := readAccount(c)
		if len(bad) > 0 {
			return nil
		}
		return []string{files.Claims(c, output, a.url)}
	},
	Example: `type: azure-blob
account: shopdata
account_key: ${env:SHOPDATA_KEY}
container: events
`,
}

func init() { connect.Register(Spec) }

func check(c connect.Config, input bool) []connect.Problem {
	_, list := readAccount(c)
	if input {
		return append(list, objects.CheckSource(c)...)
	}
	return append(list, files.Check(c)...)
}

// open opens the store of a configuration, and asks whether the container is there and lets us
// in.
func open(ctx context.Context, c connect.Config) (*store, error) {
	a, bad := readAccount(c)
	if len(bad) > 0 {
		return nil, connect.Permanent(errors.New(bad[0].Field + ": " + bad[0].Text))
	}
	s, err := a.open()
	if err != nil {
		return nil, err
	}
	if err := s.ask(ctx); err != nil {
		s.close()
		return nil, atStart(&located{s.where, err})
	}
	return s, nil
}

// located is an error with where it came from.
type located struct {
	where string
	error
}

func (l *located) Error() string { return l.where + ": " + l.error.Error() }
func (l *located) Unwrap() error { return l.error }

// source closes its connections in the end.
type source struct {
	connect.Source
	s *store
}

func (s *source) Close() error {
	err := s.Source.Close()
	s.s.close()
	return err
}

// versioned is a source with versions.
type versioned struct {
	source
	of connect.Versions
}

// Versions implements connect.Versions.
func (v *versioned) Versions(ctx context.Context, from vec.Time) ([]connect.Version, error) {
	return v.of.Versions(ctx, from)
}

// Every implements connect.Versions.
func (v *versioned) Every() time.Duration { return v.of.Every() }

func newSource(ctx context.Context, c connect.Config, env connect.SourceEnv) (connect.Source, error) {
	st, err := open(ctx, c)
	if err != nil {
		return nil, err
	}
	src, err := objects.NewSource(st, objects.SettingsOf(c), env)
	if err != nil {
		st.close()
		return nil, err
	}
	if v, ok := src.(connect.Versions); ok {
		return &versioned{source{src, st}, v}, nil
	}
	return &source{src, st}, nil
}

// sink closes its connections in the end.
type sink struct {
	connect.Sink
	s *store
}

func (s *sink) Close() error {
	err := s.Sink.Close()
	s.s.close()
	return err
}

// Ailing implements connect.Ailing.
func (s *sink) Ailing() error {
	if a, ok := s.Sink.(connect.Ailing); ok {
		return a.Ailing()
	}
	return nil
}

func newSink(ctx context.Context, c connect.Config, env connect.SinkEnv) (connect.Sink, error) {
	st, err := open(ctx, c)
	if err != nil {
		return nil, err
	}
	out, err := files.OpenStore(ctx, st, c, env)
	if err != nil {
		st.close()
		return nil, err
	}
	return &sink{out, st}, nil
}

// probe tries to list the container.
func probe(ctx context.Context, c connect.Config, _ connect.ProbeEnv) []connect.Problem {
	a, bad := readAccount(c)
	if len(bad) > 0 {
		return bad
	}
	s, err := a.open()
	if err != nil {
		return []connect.Problem{{Text: err.Error()}}
	}
	defer s.close()
	if err := s.ask(ctx); err != nil {
		return []connect.Problem{{Text: s.where + ": " + strings.ReplaceAll(err.Error(), "\n", " "), Hint: hint(err, a, c.Text("container"))}}
	}
	return nil
}
