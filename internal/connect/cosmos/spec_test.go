package cosmos

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"weir/internal/connect"
	"weir/internal/connect/connecttest"
)

// TestMain finds goroutines that are left. The client asks for the ranges of a container on one
// of its own, which goes on for its tries when nobody waits any more.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/Azure/azure-sdk-for-go/sdk/data/azcosmos.(*partitionKeyRangeCache).runRefresh"))
}

// TestManual: the page of the manual has the example and the settings as they are declared.
func TestManual(t *testing.T) {
	connecttest.Manual(t, spec, "../../../docs/connectors/cosmos.md")
}

// TestCheck: what settings say together, of the address and the rest.
func TestCheck(t *testing.T) {
	secret := connect.NewHidden
	f := func(input bool, want string, values map[string]any) {
		t.Helper()
		if got := problemText(check(configOf(input, map[string]any{"database": "d", "container": "c"}, values), input)); got != want {
			t.Errorf("%s\nand must be\n%s", got, want)
		}
	}
	f(false, "", map[string]any{"connection_string": secret("AccountEndpoint=https://x.documents.azure.com:443/;AccountKey=YWJj;Database=y;")})
	f(false, "", map[string]any{"account": "shop", "key": secret("YWJj")})
	f(false, "", map[string]any{"account": "shop", "sign_in": "entra"})
	f(true, "", map[string]any{"endpoint": "http://localhost:8081", "key": secret("YWJj")})
	f(false, ": it is not set where the account is [set connection_string, or account and key]", nil)
	f(false, "key: key is not set [set key, or sign_in: entra]", map[string]any{"account": "shop"})
	f(false, "account: the key of the account is no base64 [copy it again: az cosmosdb keys list]", map[string]any{"account": "shop", "key": secret("?")})
	f(false, `account: "shop.documents.azure.com" is no name of an account [write account: shop, or endpoint: https://shop.documents.azure.com:443/]`, map[string]any{"account": "shop.documents.azure.com", "key": secret("YWJj")})
	f(false, "endpoint: account and endpoint say both where the account is [remove one of them]", map[string]any{"account": "shop", "endpoint": "https://x", "key": secret("YWJj")})
	f(false, `endpoint: "endpoint" has no address of an account [write endpoint: https://ACCOUNT.documents.azure.com:443/]`, map[string]any{"endpoint": "x.documents.azure.com", "key": secret("YWJj")})
	f(false, "endpoint: sign_in: entra needs https [set endpoint: to an https address, or use a key]", map[string]any{"endpoint": "http://x", "sign_in": "entra"})
	f(false, "connection_string: connection_string says where the account is and has its key [remove account, endpoint and key, or connection_string]",
		map[string]any{"connection_string": secret("AccountEndpoint=https://x/;AccountKey=YWJj"), "account": "shop"})
	f(false, "connection_string: connection_string has no AccountEndpoint or no AccountKey [copy it from the account: az cosmosdb keys list --type connection-strings]",
		map[string]any{"connection_string": secret("AccountEndpoint=https://x/")})
	ok := map[string]any{"account": "shop", "key": secret("YWJj")}
	with := func(values map[string]any) map[string]any {
		for k, v := range ok {
			values[k] = v
		}
		return values
	}
	f(false, `container: "a/b" is no name of a container [names have at most 255 characters, none of / \ ? #, and no blank at the end]`, with(map[string]any{"container": "a/b"}))
	f(false, "mode: merge needs a document_id [set document_id: to the column that tells documents apart; document_id: id takes that of the rows]", with(map[string]any{"mode": "merge"}))
	f(false, "batch_rows: 101 is not between 1 and 100 [remove it: there is a default]\nwriters: 0 is not between 1 and 256 [remove it: there is a default]", with(map[string]any{"batch_rows": int64(101), "writers": int64(0)}))
	f(true, "max_log: \"max_log\" is too small [the least is 20MiB]\npoll: \"poll\" is not between 1ms and 1h [write poll: 1s]", with(map[string]any{"max_log": int64(1), "poll": time.Duration(0)}))
}

// TestProbe: one line for each thing that is wrong, and nothing is made.
func TestProbe(t *testing.T) {
	fake := newFake(t)
	fake.container("shop", "teams", "/Team")
	where := "container teams of database shop at " + fake.URL
	f := func(want string, env connect.ProbeEnv, values map[string]any) {
		t.Helper()
		if got := problemText(probe(t.Context(), fake.config(env.Input, values), env)); got != want {
			t.Errorf("%s\nand must be\n%s", got, want)
		}
	}
	out := connect.ProbeEnv{Columns: connect.Columns{Names: []string{"team", "n"}}}
	in := connect.ProbeEnv{Input: true}
	f("", out, nil)
	f("", in, nil)
	f("database: there is no database none [az cosmosdb sql database create --account-name ACCOUNT --resource-group GROUP --name none]", in, map[string]any{"database": "none"})
	f("container: there is no container none of database shop [az cosmosdb sql container create --account-name ACCOUNT --resource-group GROUP --database-name shop --name none --partition-key-path /n]", out, map[string]any{"container": "none", "document_id": "n"})
	f("partition_key: "+where+": the partition key of the container is /Team, not /n; remove partition_key, or make a container with that key []", out, map[string]any{"partition_key": "n"})
	f(": "+where+`: the rows have no column "Team", which is the partition key of the container [select it in the query]`, connect.ProbeEnv{Columns: connect.Columns{Names: []string{"n"}}}, nil)
	f("key: the account at "+fake.URL+`/: HTTP 401 Unauthorized: {"Errors":["The input authorization token can't serve the request."]} [the key is not one of this account, or the clock of this machine is wrong: az cosmosdb keys list]`, out, map[string]any{"key": connect.NewHidden("YWJj")})
	f("endpoint: the account at http://nowhere.invalid/: there is no host nowhere.invalid [look at the name of the account, at the network, and at the account's firewall]", out, map[string]any{"endpoint": "http://nowhere.invalid"})
	if n := fake.count("create") + fake.count("upsert") + fake.count("batch"); n != 0 {
		t.Errorf("%d writes", n)
	}
}
