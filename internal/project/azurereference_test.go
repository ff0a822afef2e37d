package project

import (
	"fmt"
	"strings"
	"testing"
)

// TestAzureReferences: reference data of a SQL Database is read by its queries, as often as the
// project says; snapshots that are changed by blobs are refused.
func TestAzureReferences(t *testing.T) {
	f := func(datasource, properties, want string, notes ...string) {
		t.Helper()
		j := load(t, write(t, "t.json", `{"resources": [{"type": "Microsoft.StreamAnalytics/streamingjobs", "name": "j", "properties": {
			"transformation": {"name": "t", "properties": {"query": "SELECT a INTO o FROM i"}},
			"inputs": [{"name": "i", "properties": {"type": "Reference", "datasource": {"type": "`+datasource+`", "properties": {`+properties+`}}}}]}}]}`), env())
		i := j.Inputs[0]
		got := i.Refused + i.Missing
		if i.Connector != nil {
			got = fmt.Sprint(i.Connector.Name, " ", i.Config.Values)
		}
		if !strings.Contains(got, want) || !i.Reference {
			t.Errorf("%s\n got %s\nwant %s", properties, got, want)
		}
		var text []string
		for _, n := range j.Notes {
			text = append(text, n.Text)
		}
		if fmt.Sprint(text) != fmt.Sprint(notes) {
			t.Errorf("%s\n notes %q\nwant %q", properties, text, notes)
		}
	}
	sql := func(properties, want string, notes ...string) {
		t.Helper()
		f("Microsoft.Sql/Server/Database", `"server": "shop", "database": "d", "user": "u", "password": "p", `+properties, want, notes...)
	}
	sql(`"table": "dbo.names"`, "host:shop.database.windows.net password:*** table:dbo.names user:u]")
	sql(`"table": "names", "refreshType": "Static", "refreshRate": "00:05:00", "fullSnapshotQuery": "SELECT k FROM names"`, "query:SELECT k FROM names user:u]")
	sql(`"refreshType": "RefreshPeriodicallyWithFull", "refreshRate": "00:05:00", "fullSnapshotQuery": "SELECT k FROM names"`, "query:SELECT k FROM names refresh:5m0s user:u]")
	sql(`"refreshType": "refreshPeriodicallyWithDelta", "refreshRate": "1.00:00:30", "fullSnapshotQuery": "SELECT 1 AS k", "deltaSnapshotQuery": "SELECT @deltaStartTime, @deltaEndTime"`,
		"delta_query:SELECT @deltaStartTime, @deltaEndTime host:shop.database.windows.net password:*** query:SELECT 1 AS k refresh:24h0m30s")
	sql(`"refreshType": "RefreshPeriodicallyWithFull", "refreshRate": "daily", "fullSnapshotQuery": "SELECT 1 AS k"`, "query:SELECT 1 AS k user:u]",
		`input "i": the refresh rate "daily" is not known; the data is read when the job starts`)
	sql(`"refreshType": "Often", "fullSnapshotQuery": "SELECT 1 AS k"`, "query:SELECT 1 AS k user:u]",
		`input "i": the refresh type "Often" is not known; the data is read when the job starts`)
	const shop = `"storageAccounts": [{"accountName": "shop", "accountKey": "k"}], "container": "c", "pathPattern": "r/{date}/{time}.json"`
	f("Microsoft.Storage/Blob", shop+`, "fullSnapshotRefreshRate": "00:10:00"`, "path:r/{date}/{time}.json refresh:10m0s]")
	f("Microsoft.Storage/Blob", shop+`, "deltaPathPattern": "d/{date}"`, `input "i" changes its snapshots by blobs of changes (deltaPathPattern), which are not read here`)
}
