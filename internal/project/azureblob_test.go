package project

import (
	"fmt"
	"strings"
	"testing"
)

// TestAzureBlobs: inputs, reference data and outputs of Blob Storage are blobs of the same
// account, if the key is there.
func TestAzureBlobs(t *testing.T) {
	template := func(kind, in, out, more string) string {
		source := func(p string) string {
			return `"datasource": {"type": "Microsoft.Storage/Blob", "properties": {` + p + `}}, "serialization": {"type": "Json"}`
		}
		return `{"resources": [{"type": "Microsoft.StreamAnalytics/streamingjobs", "name": "j", "properties": {
			"transformation": {"name": "t", "properties": {"query": "SELECT a INTO o FROM i"}},
			"inputs": [{"name": "i", "properties": {"type": "` + kind + `", ` + source(in) + `}}],
			"outputs": [{"name": "o", "properties": {` + source(out) + more + `}}]}}]}`
	}
	const shop = `"storageAccounts": [{"accountName": "shop", "accountKey": "a-key-of-shop"}], "container": "c"`
	f := func(kind, in, out, more, wantIn, wantOut string) {
		t.Helper()
		j := load(t, write(t, "t.json", template(kind, in, out, more)), env())
		i, o := j.Inputs[0], j.Outputs[0]
		gotIn, gotOut := i.Missing, o.Missing
		if i.Connector != nil {
			gotIn = fmt.Sprint(i.Connector.Name, " ", i.Config.Values)
		}
		if o.Connector != nil {
			gotOut = fmt.Sprint(o.Connector.Name, " ", o.Config.Values)
		}
		if !strings.Contains(gotIn, wantIn) || strings.Contains(gotIn, "a-key-of") {
			t.Errorf("input: %s, want %s", gotIn, wantIn)
		}
		if !strings.Contains(gotOut, wantOut) || strings.Contains(gotOut, "a-key-of") {
			t.Errorf("output: %s, want %s", gotOut, wantOut)
		}
	}
	f("Stream", shop+`, "pathPattern": "logs/{date}/{time}", "dateFormat": "YYYY/MM/DD", "timeFormat": "HH"`, shop+`, "pathPattern": "/out/{date}"`, "",
		"azure-blob map[account:shop account_key:*** container:c date_format:yyyy/MM/dd path:logs/{date}/{time} time_format:HH]",
		"azure-blob map[account:shop account_key:*** container:c max_age:1m0s path:out/{date}/{output}-{n}{ext}]")
	f("Stream", shop+`, "pathPattern": "{partition}/{date}", "sourcePartitionCount": 16`, shop, `, "timeWindow": "00:05:00", "sizeWindow": 2000`,
		"partitions:16 path:{partition}/{date}]", "max_age:5m0s max_rows:2000 path:{output}-{n}{ext}]")
	f("Stream", shop+`, "sourcePartitionCount": 16`, shop+`, "pathPattern": "x/{date}/{time}", "blobWriteMode": "Once"`, `, "timeWindow": "00:05:00"`,
		"azure-blob map[account:shop account_key:*** container:c]", "container:c path:x/{date}/{time}/{output}-{n}{ext}]")
	f("Reference", shop+`, "pathPattern": "ref/{date}/{time}", "blobName": "p.csv"`, shop+`, "blobWriteMode": "Once"`, `, "timeWindow": "tomorrow"`,
		"path:ref/{date}/{time}/p.csv]", "max_age:1m0s path:{output}-{n}{ext}]")
	f("Reference", `"authenticationMode": "Msi", "storageAccounts": [{"accountName": "shop"}], "container": "c", "pathPattern": "ref/p.csv"`, `"authenticationMode": "Msi", `+shop, "",
		"azure-blob map[account:shop container:c path:ref/p.csv sign_in:entra]", "sign_in:entra]")
	f("Stream", `"storageAccounts": [{"accountName": "shop", "accountKey": null}], "container": "c"`, `"storageAccounts": [{"accountName": "<account>"}], "container": "c"`, "",
		"inputs:\n  i:\n    account_key: ${env:NAME}", "which this program does not connect to")
	got := load(t, write(t, "t.json", template("Stream", `"storageAccounts": [{"accountName": "shop", "accountKey": null}], "container": "c"`, shop, "")),
		env("Inputs_i_DataSource_AccountKey", "a-key-of-env")).Inputs[0]
	if got.Connector == nil || got.Config.Secret("account_key").Expose() != "a-key-of-env" {
		t.Error(got.Missing)
	}
}
