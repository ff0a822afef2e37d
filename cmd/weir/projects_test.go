package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// projectsDir has checkouts of public repositories, each in a folder of its name. Their files
// are read there, never copied; what came out stands in projectResults.
var projectsDir = flag.String("projects", "", "run the public projects below a folder, and write what came out")

const projectResults = "../../internal/caserun/testdata/projects.json"

// publicProject is a project of a public repository and what must come out of it.
type publicProject struct {
	Repo, Path string
	Form       string
	Args       []string // more of the command line; @ is the repository's folder
	Overlay    string   // text of an overlay; @ as above
	Want       string   // rows by output, as resultCounts gives it
	Refused    []string // what must be said instead
	Note       string
}

const sensors = "@/Samples/GettingStarted/HelloWorldASA-InputStream.json"

// publicProjects are the targets of asa-projects.md 1 and 2. Numbers of rows were worked out
// before, by other means, but for those of the last note.
var publicProjects = []publicProject{
	{Repo: "Fleid/asa.unittest", Path: "examples/ASAHelloWorld", Form: "VS Code", Want: "OutputAll 4, OutputHello 2, OutputOther 2",
		Note: "`weir test` of its three cases (TestPublicTests): 001 and 002 pass, 003 fails in OutputAll and OutputOther, as its README says"},
	{Repo: "ksivamuthu/device-telemetry-asa-demo", Path: ".", Form: "VS Code", Want: "alertHub 7, output 23"},
	{Repo: "AndreasHassing/ASAVsCodeReferenceDataIssueRepro", Path: ".", Form: "VS Code", Want: "Output 2"},
	{Repo: "Fleid/asa.adfCustomDeserializer", Path: ".", Form: "VS Code", Refused: []string{
		"adfActivityRuns\" is decoded by the C# class adfLogsCustomDeserializer.adfActivityRunDeserializer", "adfLogsCustomDeserializer.adfPipelineRunDeserializer",
		"adfLogsCustomDeserializer.adfTriggerRunDeserializer", "CROSS APPLY GetArrayElements(e.records)"},
		Note: "C# deserializers: the three inputs are refused by class, with the alternative in JSON"},
	{Repo: "Fleid/asa.adfCustomDeserializer", Path: ".", Form: "VS Code", Overlay: adfOverlay, Want: "adfActivityRunsOutEH 18, adfPipelineRunsOutEH 10, adfTriggerRunsOutEH 1",
		Note: "the same with that alternative in an overlay, over its own sample"},
	{Repo: "Azure/azure-stream-analytics", Path: "Samples/OnnxExample/ASAUDF", Form: "VS Code", Refused: []string{`function "predict" is in C# (method Score of class ASAUDF.onnxModel, onnxmodel.dll)`,
		`the start file "forrester-ASADemo.asaql" is not there; using onnx-example.asaql`}, Note: "a C# function, refused by class, method and file; the start file is misnamed"},
	{Repo: "Azure/azure-stream-analytics", Path: "Samples/OnnxExample/ASAUDF/StreamAnalyticsOnnxModel.asaproj", Form: "Visual Studio", Args: []string{"-i", "TaxiRide=%trips.jsonl", "-i", "RegionReferenceData=%region.json"},
		Overlay: "functions: {predict: {script: \"function predict(v, n, d) { return 2.5 + 2 * d }\"}}\n", Want: "output 12", Note: "the function replaced by one in JavaScript; two trips and a region of our own, the project lists samples that are not there"},
	{Repo: "Azure/azure-stream-analytics", Path: "Samples/TollApp/VSProjects/TollAppDeployment/azuredeploy.json", Form: "ARM template", Args: []string{"-i", "EntryStream=@/Sample Data/Entry.json"}, Want: "CosmosDB 15"},
	{Repo: "Azure/azure-stream-analytics", Path: "BuildApplications/ClickStream/ClickStream-Filter", Form: "ARM template", Args: []string{"-i", "ClickStream=%clicks.jsonl"}, Want: "BlobOutput 2", Note: "three clicks of our own"},
	{Repo: "Azure/azure-stream-analytics", Path: "BuildApplications/ClickStream/ClickStream-RefJoin/JobARMTemplate.json", Form: "ARM template",
		Args: []string{"-i", "ClickStream=%clicks.jsonl", "-i", "UserInfo=@/BuildApplications/ClickStream/ClickStream-RefJoin/user-info.csv"}, Want: "BlobOutput 3", Note: "the same clicks, the published table of users"},
	{Repo: "Azure/azure-stream-analytics", Path: "Samples/ASAOneClick/ASAOneClick/src/sensoralerts/ASAJob/asajob.json", Form: "ARM template", Args: []string{"-i", "EntryStream=" + sensors}, Want: "SQLSink 666", Note: "a job without a template around it; not worked out before"},
}

const adfOverlay = `job:
  query: |
    WITH a AS (SELECT r.ArrayValue AS x FROM adfActivityRuns e CROSS APPLY GetArrayElements(e.records) AS r),
    p AS (SELECT r.ArrayValue AS x FROM adfPipelineRuns e CROSS APPLY GetArrayElements(e.records) AS r),
    t AS (SELECT r.ArrayValue AS x FROM adfTriggerRuns e CROSS APPLY GetArrayElements(e.records) AS r)
    SELECT x.runId INTO adfActivityRunsOutEH FROM a WHERE x.category = 'ActivityRuns'
    SELECT x.runId INTO adfPipelineRunsOutEH FROM p WHERE x.category = 'PipelineRuns'
    SELECT x.runId INTO adfTriggerRunsOutEH FROM t WHERE x.category = 'TriggerRuns'
inputs:
  adfActivityRuns: {format: json, sample: "@/Inputs/sample_adflogs.json"}
  adfPipelineRuns: {format: json, sample: "@/Inputs/sample_adflogs.json"}
  adfTriggerRuns: {format: json, sample: "@/Inputs/sample_adflogs.json"}
`

// ourEvents are events of ours for projects that publish none.
var ourEvents = map[string]string{
	"clicks.jsonl": `{"EventTime":"2024-01-01T00:00:01Z","UserId":101,"Request":{"Method":"GET"},"Response":{"Code":200},"Browser":"Edge"}
{"EventTime":"2024-01-01T00:00:02Z","UserId":102,"Request":{"Method":"PUT"},"Response":{"Code":404},"Browser":"Edge"}
{"EventTime":"2024-01-01T00:00:03Z","UserId":999,"Request":{"Method":"POST"},"Response":{"Code":200},"Browser":"Opera"}
`,
	"trips.jsonl": `{"VendorID":1,"pickupLat":"40.75","pickupLon":"-73.99","passengerCount":1,"TripTimeinSeconds":600,"tripDistanceInMiles":2.5,"pickupTime":"2020-03-04T07:00:01Z"}
{"VendorID":2,"pickupLat":"10.0","pickupLon":"10.0","passengerCount":1,"TripTimeinSeconds":600,"tripDistanceInMiles":2.5,"pickupTime":"2020-03-04T07:00:02Z"}
`,
	"region.json": `{"Name":"Manhattan","geometry":{"type":"Polygon","coordinates":[[[-74.1,40.6],[-73.8,40.6],[-73.8,40.9],[-74.1,40.9],[-74.1,40.6]]]}}`,
}

// projectResult is a line of the table of projects.
type projectResult struct{ Project, Path, Form, Result, Note string }

// TestPublicProjects runs the public projects as they are.
func TestPublicProjects(t *testing.T) {
	if *projectsDir == "" {
		return // the compatibility page shows what the last run wrote
	}
	var results []projectResult
	for _, p := range publicProjects {
		r := projectResult{p.Repo, p.Path, p.Form, p.run(t), p.Note}
		results = append(results, r)
	}
	if t.Failed() {
		return
	}
	b, err := json.MarshalIndent(results, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(projectResults, append(b, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

// run runs a project and gives its result in words.
func (p publicProject) run(t *testing.T) string {
	t.Helper()
	_, name, _ := strings.Cut(p.Repo, "/")
	root, err := filepath.Abs(filepath.Join(*projectsDir, name))
	if err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	for file, text := range ourEvents {
		if err := os.WriteFile(filepath.Join(out, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	fill := strings.NewReplacer("@", root, "%", out+"/")
	args := []string{"run", filepath.Join(root, p.Path), "--results", filepath.Join(out, "results")}
	for _, a := range p.Args {
		args = append(args, fill.Replace(a))
	}
	if p.Overlay != "" {
		file := filepath.Join(out, "overlay.yaml")
		if err := os.WriteFile(file, []byte(strings.ReplaceAll(p.Overlay, "@", root)), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--overlay", file)
	}
	var said bytes.Buffer
	code := run(context.Background(), args, &console{in: strings.NewReader(""), out: &said, err: &said, width: 80})
	if len(p.Refused) > 0 {
		for _, want := range p.Refused {
			if code != exitUsage || !strings.Contains(said.String(), want) {
				t.Errorf("%s/%s: status %d, and not said: %s\n%s", p.Repo, p.Path, code, want, said.String())
			}
		}
		return "refused"
	}
	got := resultCounts(t, filepath.Join(out, "results"))
	if code != exitOK || got != p.Want {
		t.Errorf("%s/%s: status %d, %s; want %s\n%s", p.Repo, p.Path, code, got, p.Want, said.String())
	}
	return got
}

// resultCounts are the rows of result files: "name rows, name rows".
func resultCounts(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, fmt.Sprintf("%s %d", strings.TrimSuffix(filepath.Base(f), ".json"), bytes.Count(b, []byte("\n"))))
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}
