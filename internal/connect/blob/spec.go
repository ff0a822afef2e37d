// Package blob writes finished files with predictable names to a directory. See package files.
package blob

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"weir/internal/connect"
	"weir/internal/connect/files"
)

// Spec declares the connector.
var Spec = &connect.Spec{
	Name:       "blob",
	Summary:    "Writes finished files with predictable names to a directory: a file appears when it is complete.",
	FormatsOut: connect.FileFormats,
	Out:        "exactly once",
	Fields: slices.Concat([]connect.Field{
		{Name: "directory", Type: connect.Path, Required: true, Output: true, Doc: "Where the files go, relative to the job file. It is made if it is not there."},
	}, files.Fields(), []connect.Field{
		{Name: "manifest", Type: connect.Text, Output: true, Default: "_manifest.jsonl", Doc: "The file that gets a line for every finished file, or none. Each output needs its own."},
	}),
	Sink: func(_ context.Context, c connect.Config, env connect.SinkEnv) (connect.Sink, error) {
		return files.OpenDirectory(c.Text("directory"), c, env)
	},
	Check: func(c connect.Config, _ bool) []connect.Problem { return files.Check(c) },
	Probe: func(_ context.Context, c connect.Config, _ connect.ProbeEnv) []connect.Problem {
		return files.ProbeDirectory(c.Text("directory"))
	},
	Claims: claims,
	Example: `type: blob
directory: out
path: "{date}/{time}/{n}{ext}"
`,
}

func init() { connect.Register(Spec) }

// claims are the names of the files and the manifest.
func claims(c connect.Config, output string) []string {
	d := filepath.Clean(c.Text("directory"))
	list := []string{files.Claims(c, output, d)}
	if m := c.Text("manifest"); !strings.EqualFold(m, "none") {
		list = append(list, fmt.Sprintf("the manifest %s (manifest: another-name.jsonl, or none)", filepath.Join(d, m)))
	}
	return list
}
