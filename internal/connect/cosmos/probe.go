package cosmos

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"weir/internal/connect"
)

// probe reads what the container is: whether it is reached, lets us in, is there, and has the
// partition key that the rows are written with.
func probe(ctx context.Context, c connect.Config, env connect.ProbeEnv) []connect.Problem {
	problem := func(field, text, hint string) []connect.Problem {
		return []connect.Problem{{Field: field, Text: text, Hint: hint}}
	}
	if _, bad := addressOf(c); len(bad) > 0 {
		return bad
	}
	target, err := dial(ctx, c, 1)
	if err != nil {
		return probeError(ctx, c, err)
	}
	defer target.Close()
	if env.Input {
		if _, err := target.ReadFeedRanges(ctx, nil); err != nil {
			return problem("container", fmt.Sprintf("%s: its change feed cannot be read: %s", target.where, target.fault(err)), "the key or identity needs the right to read it")
		}
		return nil
	}
	key, err := keyField(c, target)
	if err != nil {
		field := "container"
		if c.Text("partition_key") != "" {
			field = "partition_key"
		}
		return problem(field, fmt.Sprintf("%s: %s", target.where, err), "")
	}
	_, err = newDocuments(connect.SinkEnv{Columns: env.Columns}, c.Text("document_id"), key)
	if err != nil {
		return problem("", fmt.Sprintf("%s: %s", target.where, err), "select it in the query")
	}
	return nil
}

// probeError tells what keeps us from the container.
func probeError(ctx context.Context, c connect.Config, err error) []connect.Problem {
	one := func(field, text, hint string) []connect.Problem {
		return []connect.Problem{{Field: field, Text: text, Hint: hint}}
	}
	var f *fault
	if !errors.As(err, &f) {
		return one("", err.Error(), "")
	}
	where := fmt.Sprintf("container %s of database %s", c.Text("container"), c.Text("database"))
	field := "endpoint"
	for _, name := range []string{"connection_string", "account"} {
		if c.Text(name) != "" || c.Secret(name).Expose() != "" {
			field = name
		}
	}
	key := "key"
	if field == "connection_string" {
		key = field
	}
	a, _ := addressOf(c)
	text := fmt.Sprintf("the account at %s: %s", a.endpoint, f.text)
	switch f.status {
	case 0:
		return one(field, text, "look at the name of the account, at the network, and at the account's firewall")
	case http.StatusUnauthorized:
		return one(key, text, "the key is not one of this account, or the clock of this machine is wrong: az cosmosdb keys list")
	case http.StatusForbidden:
		return one("", text, "allow this machine in the account's firewall, and give the identity a data role: az cosmosdb sql role assignment create")
	case http.StatusNotFound:
		if !hasDatabase(ctx, c) {
			return one("database", fmt.Sprintf("there is no database %s", c.Text("database")),
				fmt.Sprintf("az cosmosdb sql database create --account-name ACCOUNT --resource-group GROUP --name %s", c.Text("database")))
		}
		key := strings.TrimPrefix(c.Text("partition_key"), "/")
		if key == "" {
			key = "id"
			if c.Text("document_id") != "" {
				key = c.Text("document_id")
			}
		}
		return one("container", fmt.Sprintf("there is no %s", where),
			fmt.Sprintf("az cosmosdb sql container create --account-name ACCOUNT --resource-group GROUP --database-name %s --name %s --partition-key-path /%s", c.Text("database"), c.Text("container"), key))
	}
	return one("", fmt.Sprintf("%s: %s", where, f.text), "")
}

// hasDatabase reports whether the database is there, as far as can be told.
func hasDatabase(ctx context.Context, c connect.Config) bool {
	target, err := reach(c, 1)
	if err != nil {
		return true
	}
	defer target.Close()
	db, err := target.client.NewDatabase(c.Text("database"))
	if err != nil {
		return true
	}
	_, err = db.Read(ctx, nil)
	f := target.fault(err)
	return f == nil || f.status != http.StatusNotFound
}
