package project

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/internal/connect"
	"weir/internal/plan"
)

// A project in the shape of those that are found in public: a byte order mark, backslashes,
// names in another case, null and misspelt keys, numbers as texts, placeholders that are empty.
var vsCodeFiles = []string{
	"asaproj.json", "\ufeff" + `{
  "name": "clicks", "startFile": "Clicks.asaql",
  "configurations": [
    {"filePath": "JobConfig.json", "subType": "jobconfig"},
    {"filePath": "Inputs\\Local_clicks.json", "subType": "InputMock"},
    {"filePath": "inputs\\clicks.json", "subType": "Input"},
    {"filePath": "Inputs/users.json", "subType": "Input"},
    {"filePath": "Inputs/local_users.json", "subType": "InputMock"},
    {"filePath": "Outputs/hourly.json", "subType": "Output"},
    {"filePath": "Outputs\gone.json", "subType": "Output"},
    {"filePath": "Outputs/empty.json", "subType": "Output"},
    {"filePath": "Functions/mask.js.json", "subType": "JSFunction"},
    {"filePath": "Functions/sum.js", "subType": "JSAggregateFunction"},
    {"filePath": "Functions/score.json", "subType": "CSharpFunction"},
    {"filePath": "readme.json", "subType": "Whatever"}
  ]
}`,
	"clicks.asaql", "\ufeffSELECT UDF.mask(a) AS a, udf.score(b) AS s INTO Hourly FROM CLICKS TIMESTAMP BY t",
	"JobConfig.json", `{"DataLocale": "de-DE", "OutputErrorPolicy": "retry", "EventsLateArrivalMaxDelayInSeconds": "21", "EventsOutOfOrderMaxDelayInSeconds": 3,
		"EventsOutOfOrderPolicy": "DROP", "Sku": {"Name": "StandardV2", "StreamingUnits": "1/3"}, "CompatibilityLevel": "1.0", "GlobalStorage": {"AccountKey": null}}`,
	"Inputs/Local_clicks.json", `{"InputAlias": "clicks", "Type": "Data Stream", "Format": "Csv", "FilePath": "..\\Data\\Clicks.csv", "ScriptType": "InputMock"}`,
	"data/clicks.csv", "a,t\n1,2\n",
	"Inputs/clicks.json", `{"Sample": null, "EventHubProperties": {"ServiceBusNamespace": "shop", "EventHubName": "clicks", "SharedAccessPolicyKey": null, "AuthenticationMode": "Msi"},
		"BlobStorageProperties": null, "Name": "Clicks", "Type": "data stream", "DataSourceType": "event hub", "Serialization": {"Type": "JSON", "Encoding": "UTF8"}, "CompresssionType": "GZip"}`,
	"Inputs/users.json", `{"Name": "users", "Type": "Reference data", "DataSourceType": "Blob Storage", "BlobReferenceProperties": {"Container": "ref", "PathPattern": "u.json", "StorageAccounts": [{"AccountName": "acc", "AccountKey": null}]}, "Serialization": {"Type": "Json"}}`,
	"Inputs/local_users.json", `{"Name": "users", "Type": "reference DATA", "DataSourceType": "Local Input", "Serialization": {"Type": "Json", "Encoding": "UTF8"}, "FilePath": "../data/users.json", "ScriptType": "InputMock"}`,
	"data/users.json", "[]",
	"Inputs/input.json", "",
	"Outputs/hourly.json", `{"Name": "hourly", "DataSourceType": "Power BI", "PowellBIProperties": {"Dataset": "d", "Table": "t"}, "Serialization": null}`,
	"Outputs/empty.json", "",
	"Functions/mask.js.json", `{"Name": "Mask", "Type": "Scalar"}`,
	"Functions/mask.js", "\ufefffunction mask(x) { return x; }",
	"Functions/sum.js", "function main() {}",
	"Functions/score.json", `{"Name": "score", "Type": "Scalar", "AssemblyName": "m.dll", "ClassName": "N.C", "MethodName": "Go"}`,
	"readme.json", `{"a": 1}`,
	"test/testConfig.json", `{}`,
}

func TestVSCodeProject(t *testing.T) {
	dir := write(t, vsCodeFiles...)
	j := load(t, dir, env())
	equal := func(name string, got, want any) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	equal("kind", j.Kind, VSCode)
	equal("query", filepath.Base(j.QueryFile), "clicks.asaql")
	equal("late", j.Late, 21*time.Second)
	equal("order", j.OutOfOrder, 3*time.Second)
	equal("drop", j.Drop, true)
	equal("policy", j.OutputErrors, Retry)
	equal("level", j.Level, plan.Level10)
	equal("tests", len(j.Tests), 1)
	if len(j.Inputs) != 2 || len(j.Outputs) != 1 || len(j.Functions) != 3 {
		t.Fatalf("%d inputs, %d outputs, %d functions", len(j.Inputs), len(j.Outputs), len(j.Functions))
	}
	in := j.Inputs[0]
	equal("sample", in.Sample, filepath.Join(dir, "data", "clicks.csv"))
	equal("sample format", in.SampleFormat, connect.Format{Type: "csv"})
	equal("format", in.Format, connect.Format{Type: "json", Compression: "gzip"})
	equal("azure", in.Azure, "Event Hub")
	equal("missing", in.Missing, "")
	equal("hub", fmt.Sprint(in.Connector.Name, " ", in.Config.Values), "hub map[create:true hub:clicks partitions:4]")
	equal("reference", j.Inputs[1].Reference, true)
	equal("reference sample", j.Inputs[1].Sample, filepath.Join(dir, "data", "users.json"))
	equal("output", j.Outputs[0].Azure, "Power BI")
	equal("script", j.Functions[0].Script, "function mask(x) { return x; }")
	equal("aggregate", j.Functions[1].Aggregate, true)
	if !strings.Contains(j.Functions[2].Refused, `function "score" is in C# (method Go of class N.C, m.dll)`) {
		t.Errorf("refused: %s", j.Functions[2].Refused)
	}
	var notes []string
	for _, n := range j.Notes {
		notes = append(notes, filepath.Base(n.File)+": "+n.Text)
	}
	want := []string{
		`asaproj.json: the project lists "Outputs\gone.json", which is not there`,
		`asaproj.json: the project lists "Outputs/empty.json", which is empty`,
		`asaproj.json: "readme.json" is of the unknown kind "Whatever"; it is not read`,
		`JobConfig.json: the culture "de-DE" is not applied`,
	}
	if strings.Join(notes, "\n") != strings.Join(want, "\n") {
		t.Errorf("notes:\n%s\nwant:\n%s", strings.Join(notes, "\n"), strings.Join(want, "\n"))
	}
	var refused []string
	for _, n := range j.Refusals(false) {
		refused = append(refused, n.Text[:20])
	}
	equal("refusals", strings.Join(refused, ";"), `function "score" is `)
	equal("live", len(j.Refusals(true)), 2) // hourly, score; users is not in the query
}

func TestVisualStudioProject(t *testing.T) {
	files := append([]string{"p.asaproj", "\ufeff" + `<Project xmlns="http://schemas.microsoft.com/developer/msbuild/2003">
  <PropertyGroup><Name>studio</Name></PropertyGroup>
  <ItemGroup><Configure Include="JobConfig.json"><SubType>JobConfig</SubType></Configure>
    <Configure Include="Inputs\Local_clicks.json"><SubType>InputMock</SubType></Configure></ItemGroup>
  <ItemGroup><Script Include="other.asaql" /></ItemGroup>
  <ItemGroup><ProjectReference Include="..\m.csproj"><Name>not this</Name></ProjectReference></ItemGroup>
</Project>`}, vsCodeFiles...)
	j := load(t, filepath.Join(write(t, files...), "p.asaproj"), env())
	if j.Kind != VisualStudio || j.Name != "studio" || j.Late != 21*time.Second || len(j.Inputs) != 1 || j.Inputs[0].Name != "clicks" {
		t.Errorf("%+v", j)
	}
	if len(j.Notes) == 0 || j.Notes[0].Text != `the start file "other.asaql" is not there; using clicks.asaql` || j.Notes[0].Line != 5 {
		t.Errorf("notes: %v", j.Notes)
	}
	for _, text := range []string{"<Project>", "no xml", "<a><b></a>", strings.Repeat("<a>", 100)} {
		_, err := Load(filepath.Join(write(t, "p.asaproj", text, "a.saql", "", "b.saql", ""), "p.asaproj"), env())
		if err == nil {
			t.Errorf("%.20q: no error", text)
		}
	}
}

func TestStartFile(t *testing.T) {
	f := func(want string, files ...string) {
		t.Helper()
		_, err := Load(write(t, files...), env())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	f(`the start file "x.asaql" is not there; the folder has a.asaql, b.asaql`, "asaproj.json", `{"startFile": "x.asaql", "configurations": []}`, "a.asaql", "", "b.asaql", "")
	f(`the project names no start file, and the folder has no query`, "asaproj.json", `{"configurations": []}`)
	f(`a project file is an object`, "asaproj.json", `[]`)
}

func TestDetect(t *testing.T) {
	f := func(want Kind, message string, files ...string) {
		t.Helper()
		j, err := Load(write(t, files...), env())
		switch {
		case message != "" && (err == nil || !strings.Contains(err.Error(), message)):
			t.Errorf("got %v, want %s", err, message)
		case message == "" && err != nil:
			t.Error(err)
		case message == "" && j.Kind != want:
			t.Errorf("got %s, want %s", j.Kind, want)
		}
	}
	yaml := "version: 1\njob: {query: q.saql}\n"
	f(Weir, "", "weir.yaml", yaml, "asaproj.json", "{}", "q.saql", "")
	f(VSCode, "", "asaproj.json", `{"startFile": "q.saql"}`, "q.saql", "", "p.asaproj", "")
	f(ARM, "", "x.json", `{"resources": [{"type": "Microsoft.StreamAnalytics/StreamingJobs", "properties": {"transformation": {"properties": {"query": "a"}}}}]}`, "data.json", "[]")
	f(Query, "", "q.saql", "SELECT 1")
	f("", "the folder holds several jobs: a.saql, b.asaql", "a.saql", "", "b.asaql", "")
	f("", "the folder holds no job; a job is a weir.yaml", "a.txt", "")
	if _, err := Load(filepath.Join(t.TempDir(), "weir.yml"), env()); err == nil || !strings.Contains(err.Error(), "there is no such file") {
		t.Errorf("got %v", err)
	}
}

// TestSamples: a query finds events beside it by the names of its inputs.
func TestSamples(t *testing.T) {
	dir := write(t, "q.saql", "WITH s AS (SELECT * FROM Clicks) SELECT * INTO o FROM s JOIN [my users] u ON u.id = s.id", "clicks.jsonl", "", "samples/my users.csv.gz", "", "o.json", "", "s.json", "")
	j := load(t, dir, env())
	if len(j.Inputs) != 2 || j.Inputs[0].Sample != filepath.Join(dir, "clicks.jsonl") || j.Inputs[1].Sample != filepath.Join(dir, "samples", "my users.csv.gz") {
		t.Errorf("%+v", j.Inputs)
	}
}

func TestOverlay(t *testing.T) {
	overlay := `
job: {time: {late_arrival: 1m}, on_query_error: drop}
inputs:
  CLICKS: {type: probe, address: here, password: "${env:KEY}"}
  more: {sample: data/users.json}
outputs:
  hourly: {type: drain}
functions:
  score: {script: "function main(b) { return 1; }"}
`
	dir := write(t, append([]string{"weir.overlay.yaml", overlay}, vsCodeFiles...)...)
	j := load(t, dir, env("KEY", "canary-overlay"))
	if j.Late != time.Minute || j.OutOfOrder != 3*time.Second || j.QueryErrors != "drop" {
		t.Errorf("settings: %v %v %v", j.Late, j.OutOfOrder, j.QueryErrors)
	}
	in := j.Inputs[0]
	if in.Name != "Clicks" || in.Connector == nil || in.Config.Text("address") != "here" || in.Sample == "" || in.Missing != "" || in.Format.Type != "json" {
		t.Errorf("input: %+v", in)
	}
	if len(j.Inputs) != 3 || j.Outputs[0].Connector == nil || len(j.Functions) != 3 {
		t.Errorf("%d inputs, output %+v, %d functions", len(j.Inputs), j.Outputs[0], len(j.Functions))
	}
	if got := j.Refusals(true); len(got) != 0 {
		t.Errorf("refusals: %v", got)
	}
	// Another file takes the place of the one beside the job; a wrong one is an error.
	other := write(t, "o.yaml", "inputs: {clicks: {typ: probe}}")
	o := env()
	o.Overlay = filepath.Join(other, "o.yaml")
	j = load(t, write(t, vsCodeFiles...), env())
	if j.Inputs[0].Connector.Name != "hub" {
		t.Error("an overlay from nowhere")
	}
	if _, err := Load(dir, o); err == nil || !strings.Contains(err.Error(), `has no setting "typ"; did you mean "type"?`) {
		t.Errorf("got %v", err)
	}
	o.Overlay = filepath.Join(other, "p.yaml")
	if _, err := Load(dir, o); err == nil || !strings.Contains(err.Error(), "cannot read the overlay: there is no such file") {
		t.Errorf("got %v", err)
	}
	// Settings of our own job are completed one by one.
	dir = write(t, "weir.yaml", "version: 1\njob: {query: q.saql}\noutputs: {o: {type: probe, address: a, count: 1}}\n", "q.saql", "", "weir.overlay.yaml", "outputs: {o: {address: b}}\n")
	if c := load(t, dir, env()).Outputs[0].Config; c.Text("address") != "b" || c.Int("count") != 1 {
		t.Errorf("%v", c)
	}
	dir = write(t, "weir.yaml", "version: 1\njob: {query: q.saql}\noutputs: {result: {type: probe, address: a}}\n", "q.saql", "", "weir.overlay.yaml", "outputs: {reslt: {address: b}}\n")
	if _, err := Load(dir, env()); err == nil || !strings.Contains(err.Error(), `the job has no output "reslt"; did you mean "result"?`) {
		t.Errorf("got %v", err)
	}
}

// TestInlineQuery: messages about a query in a job file name the file's lines and columns.
func TestInlineQuery(t *testing.T) {
	f := func(query, want string) {
		t.Helper()
		dir := write(t, "weir.yaml", "version: 1\njob:\n  name: a\n  query: "+query+"\n")
		j := load(t, dir, env())
		_, text := j.Text()
		line, rest := 1, text
		for strings.HasPrefix(rest, "\n") {
			line++
			rest = rest[1:]
		}
		if got := strings.Repeat("\n", line-1) + rest; got != text || line != 5 && strings.HasPrefix(query, "|") {
			t.Errorf("line %d", line)
		}
		if rest != want {
			t.Errorf("%q, want %q", rest, want)
		}
	}
	f("|\n    SELECT ${env:X} $$\n      FROM b", "    SELECT ${env:X} $$\n      FROM b\n    ")
	f("|\n    SELECT 'two\n    lines'\n", "SELECT 'two\nlines'\n")
	f("SELECT a FROM b", "SELECT a FROM b")
}

// TestMapped: what talks to the very service of the original is mapped, the rest is not.
func TestMapped(t *testing.T) {
	level := ""
	job := func(outputs string) string {
		return `{"properties": {` + level + `"transformation": {"properties": {"query": "SELECT a INTO o FROM i"}}, "outputs": [{"name": "o", "properties": {"datasource": ` + outputs + `}}]}}`
	}
	f := func(source string, o Options, kind, missing string, settings ...string) {
		t.Helper()
		j := load(t, filepath.Join(write(t, "j.json", job(source)), "j.json"), o)
		out := j.Outputs[0]
		if got := ""; out.Connector != nil || kind != "" {
			if out.Connector != nil {
				got = out.Connector.Name
			}
			if got != kind {
				t.Errorf("%s: %q, want %q; %s", source, got, kind, out.Missing)
				return
			}
		}
		if !strings.Contains(out.Missing, missing) || (missing == "") != (out.Missing == "") {
			t.Errorf("%s: missing %q, want %q", source, out.Missing, missing)
		}
		for i := 0; i < len(settings); i += 2 {
			got := out.Config.Text(settings[i])
			if settings[i] == "password" || settings[i] == "api_key" || settings[i] == "key" {
				got = out.Config.Secret(settings[i]).Expose()
			}
			if got != settings[i+1] {
				t.Errorf("%s: %s is %q, want %q", source, settings[i], got, settings[i+1])
			}
		}
	}
	sql := func(more string) string {
		return `{"type": "Microsoft.Sql/Server/Database", "properties": {"server": "shop", "database": "d", "user": "u", "table": "t"` + more + `}}`
	}
	f(sql(`, "password": "p"`), env(), "sqlserver", "", "host", "shop.database.windows.net", "table", "t", "password", "p")
	f(sql(``), env("Outputs_o_DataSource_Password", "from-env"), "sqlserver", "", "password", "from-env")
	f(sql(``), env(), "", "leaves out part of what that needs\nwrite into weir.overlay.yaml:\noutputs:\n  o:\n    password: ${env:NAME}")
	f(sql(`, "password": "<password>"`), env(), "", "leaves out part")
	f(`{"type": "Microsoft.DBForPostgreSQL/servers/databases", "properties": {"server": "pg.example.org", "database": "d", "user": "u", "table": "t", "password": "p"}}`, env(), "postgres", "", "host", "pg.example.org")
	f(`{"type": "Microsoft.AzureFunction", "properties": {"functionAppName": "shop", "functionName": "take", "apiKey": "k", "maxBatchCount": 7}}`, env(), "http", "",
		"url", "https://shop.azurewebsites.net/api/take", "api_key", "k")
	f(`{"type": "Microsoft.Storage/Blob", "properties": {"container": "c", "pathPattern": "p/{date}"}}`, env(), "", "is written to Blob Storage (c), which this program does not connect to")
	bus := func(kind, more string) string {
		return `{"type": "Microsoft.ServiceBus/` + kind + `", "properties": {"serviceBusNamespace": "shop"` + more + `}}`
	}
	f(bus("Queue", `, "queueName": "q", "sharedAccessPolicyName": "send", "sharedAccessPolicyKey": "k", "propertyColumns": ["a"], "systemPropertyColumns": {"SessionId": "b"}`), env(), "servicebus", "",
		"namespace", "shop", "queue", "q", "topic", "", "key_name", "send", "key", "k")
	f(bus("Topic", `, "topicName": "t", "sharedAccessPolicyName": "send", "sharedAccessPolicyKey": null`), env("Outputs_o_DataSource_SharedAccessPolicyKey", "from-env"), "servicebus", "",
		"topic", "t", "queue", "", "key", "from-env")
	f(bus("Topic", `, "topicName": "t", "authenticationMode": "Msi"`), env(), "servicebus", "", "topic", "t", "sign_in", "entra", "key", "")
	f(bus("Queue", `, "queueName": "q", "sharedAccessPolicyName": "send"`), env(), "", "leaves out part of what that needs\nwrite into weir.overlay.yaml:\noutputs:\n  o:\n    key: ${env:NAME}")
	f(`{"type": "PowerBI", "properties": {"dataset": "d", "table": "t"}}`, env(), "", "is written to Power BI (t in d), which this program does not connect to\nwrite into weir.overlay.yaml where its rows go:\noutputs:\n  o:\n    type: powerbi\n    push_url: ${env:NAME}")
	cosmos := func(more string) string {
		return `{"type": "Microsoft.Storage/DocumentDB", "properties": {"accountId": "shop", "database": "d", "collectionNamePattern": "c"` + more + `}}`
	}
	f(cosmos(`, "accountKey": "k", "partitionKey": "team", "documentId": "id"`), env(), "cosmos", "",
		"account", "shop", "key", "k", "database", "d", "container", "c", "partition_key", "team", "document_id", "id", "mode", "")
	f(cosmos(`, "accountKey": null, "partitionKey": "", "documentId": null`), env("Outputs_o_DataSource_AccountKey", "from-env"), "cosmos", "", "key", "from-env", "partition_key", "", "document_id", "")
	f(cosmos(`, "authenticationMode": "Msi"`), env(), "cosmos", "", "sign_in", "entra", "key", "")
	f(strings.Replace(cosmos(`, "accountKey": "k"`), "shop", "shop.documents.azure.us", 1), env(), "cosmos", "", "endpoint", "https://shop.documents.azure.us")
	f(cosmos(``), env(), "", "leaves out part of what that needs\nwrite into weir.overlay.yaml:\noutputs:\n  o:\n    key: ${env:NAME}")
	f(strings.Replace(cosmos(`, "accountKey": "k"`), `"c"`, `"c{partition}"`, 1), env(), "", "which this program does not connect to")
	level = `"compatibilityLevel": "1.1", `
	f(cosmos(`, "accountKey": "k", "documentId": "id"`), env(), "cosmos", "", "mode", "merge")
	f(cosmos(`, "accountKey": "k"`), env(), "cosmos", "", "mode", "")
	level = ""
	f(`{"type": "Something.New"}`, env(), "", "which this program does not connect to")
}
