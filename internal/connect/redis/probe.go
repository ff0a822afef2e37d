package redis

import (
	"context"
	"fmt"
	"strings"

	"weir/internal/connect"
)

// probe connects, and looks at what the key holds if it has no columns.
func probe(ctx context.Context, c connect.Config, _ connect.ProbeEnv) []connect.Problem {
	client, err := open(c)
	if err != nil {
		return []connect.Problem{{Text: err.Error()}}
	}
	defer client.Close()
	if err := client.Ping(ctx).Err(); err != nil {
		hint := hintOf(err)
		if hint == "" {
			hint = "see that Redis runs, and that address names it"
		}
		return []connect.Problem{{Field: "address", Text: fmt.Sprintf("%s: %s", where(c), err), Hint: hint}}
	}
	key := c.Text("key")
	if c.Text("mode") == modePublish || strings.ContainsAny(key, "{}") {
		return nil
	}
	is, err := client.Type(ctx, key).Result()
	switch {
	case err != nil:
		return []connect.Problem{{Text: fmt.Sprintf("%s: look at the key %q: %s", where(c), key, err), Hint: hintOf(err)}}
	case is != "none" && is != c.Text("mode"):
		return []connect.Problem{{Field: "key", Text: fmt.Sprintf("%s: the key %q holds a %s, and the output writes a %s", where(c), key, is, c.Text("mode")), Hint: "write another key"}}
	}
	return nil
}
