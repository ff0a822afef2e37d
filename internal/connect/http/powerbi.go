package http

import (
	"context"
	"fmt"
	"maps"
	"net/url"

	"weir/internal/connect"
)

// bodyRows is a body of the form that push datasets take: {"rows":[...]}.
const bodyRows = "rows"

// The limits of a push dataset: rows of a request, and bytes, which it does not say.
const (
	pushRows  = "10000"
	pushBytes = "1MiB"
)

var powerSpec = &connect.Spec{
	Name:    "powerbi",
	Aliases: []string{"power-bi"},
	Summary: "Rows for a streaming or push dataset of Power BI, and what takes rows as it does.",
	Sink: func(ctx context.Context, c connect.Config, env connect.SinkEnv) (connect.Sink, error) {
		if bad := checkPush(c, false); len(bad) > 0 {
			return nil, fmt.Errorf("output %s: %w", env.Output, connect.Permanent(fmt.Errorf("%s; %s", bad[0].Text, bad[0].Hint)))
		}
		return openSink(ctx, pushed(c), env)
	},
	Out:   "at least once: the dataset does not know rows that come again",
	Check: checkPush,
	Probe: func(ctx context.Context, c connect.Config, env connect.ProbeEnv) []connect.Problem {
		if bad := checkPush(c, false); len(bad) > 0 {
			return bad
		}
		return probe(ctx, pushed(c), env)
	},
	Example: `type: powerbi
push_url: ${env:POWERBI_PUSH_URL}
`,
	Fields: []connect.Field{
		{Name: "push_url", Type: connect.Secret, Required: true, Output: true,
			Doc: "The address that the dataset shows under API info, with its key: whoever has it can send rows."},
		{Name: "batch_rows", Type: connect.Int, Default: pushRows, Output: true, Doc: "The most rows of a request; Power BI takes 10,000."},
		{Name: "batch_bytes", Type: connect.Size, Default: pushBytes, Output: true, Doc: "The largest body of a request of several rows."},
		{Name: "timeout", Type: connect.Duration, Default: "30s", Output: true, Doc: "How long a request may take."},
		{Name: "attempts", Type: connect.Int, Default: "4", Output: true,
			Doc: "How often a request is tried before the job counts as degraded; it is tried until it succeeds all the same."},
	},
}

func init() { connect.Register(powerSpec) }

// pushed are the settings of an HTTP output that does what a push dataset wants.
func pushed(c connect.Config) connect.Config {
	values := maps.Clone(c.Values)
	values["url"] = c.Secret("push_url").Expose()
	values["method"], values["body"], values["api_key_header"] = "POST", bodyRows, "x-functions-key"
	return connect.Config{Values: values}
}

// checkPush finds what is wrong with the settings; it shows nothing of the address.
func checkPush(c connect.Config, _ bool) (out []connect.Problem) {
	for _, p := range checkOutput(pushed(c)) {
		if p.Field == "url" {
			p = connect.Problem{Field: "push_url", Text: "\"push_url\" is no http or https address", Hint: "copy it from the dataset, under API info"}
		}
		out = append(out, p)
	}
	if u, err := url.Parse(c.Secret("push_url").Expose()); err == nil && u.Host != "" && u.Scheme == "http" && !isLoopback(u.Hostname()) {
		out = append(out, connect.Problem{Field: "push_url", Text: "the key of the dataset would go over the network in the open", Hint: "write https://"})
	}
	if c.Int("batch_rows") > 10_000 {
		out = append(out, connect.Problem{Field: "batch_rows", Text: "Power BI takes 10,000 rows in a request at most", Hint: "remove it: there is a default"})
	}
	return out
}
