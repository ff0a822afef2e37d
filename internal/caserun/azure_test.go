package caserun

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"weir/internal/codec"
	"weir/internal/job"
	"weir/internal/plan"
	"weir/internal/saql"
	"weir/internal/udf"
	"weir/internal/vec"
)

// azureDir is a checkout of the public repository Azure/azure-stream-analytics. Its queries
// and data are read there, never copied; what came out stands in azureResults.
var azureDir = flag.String("azure", "", "run the queries of a checkout of Azure/azure-stream-analytics and write what came out")

const azureResults = "testdata/azure.json"

// azureQuery is a query of that repository and the data it is run on.
type azureQuery struct {
	What string
	File string
	// From and To cut the query out of a text; empty means the whole file. In JSON files the
	// query is the value of "query".
	From, To  string
	First     bool              // To is the first one behind From, not the last
	Vars      map[string]string // variables of a script, filled in
	Inputs    map[string]string // name -> file
	Reference map[string]string
	CSV       bool   // reference data is CSV
	Events    string // events of our own, where none are published
	Functions map[string]string
	Want      int // rows, worked out by hand or by a script from the data; -1: not known
	Note      string
}

const (
	azureSensors = "Samples/GettingStarted/HelloWorldASA-InputStream.json"
	azureEntry   = "Sample Data/Entry.json"
	azureExit    = "Sample Data/Exit.json"
	azureRegs    = "Samples/TollApp/VSProjects/TollApp/registration.json"
	azureClicks  = `{"EventTime":"2024-01-01T00:00:01Z","UserId":101,"Request":{"Method":"GET"},"Response":{"Code":200},"Browser":"Edge"}
{"EventTime":"2024-01-01T00:00:02Z","UserId":102,"Request":{"Method":"PUT"},"Response":{"Code":404},"Browser":"Edge"}
{"EventTime":"2024-01-01T00:00:03Z","UserId":999,"Request":{"Method":"POST"},"Response":{"Code":200},"Browser":"Opera"}`
	azureBadges = `{"Alias":"ann","TimeStamp":"2024-01-01T00:00:01Z"}
{"Alias":"ann","TimeStamp":"2024-01-01T00:00:04Z"}
{"Alias":"bob","TimeStamp":"2024-01-01T00:00:04Z"}`
	azureTrips = `{"VendorID":1,"pickupLat":"40.75","pickupLon":"-73.99","passengerCount":1,"TripTimeinSeconds":600,"tripDistanceInMiles":2.5,"pickupTime":"2020-03-04T07:00:01Z"}
{"VendorID":2,"pickupLat":"10.0","pickupLon":"10.0","passengerCount":1,"TripTimeinSeconds":600,"tripDistanceInMiles":2.5,"pickupTime":"2020-03-04T07:00:02Z"}`
	azureRegion = `{"Name":"Manhattan","geometry":{"type":"Polygon","coordinates":[[[-74.1,40.6],[-73.8,40.6],[-73.8,40.9],[-74.1,40.9],[-74.1,40.6]]]}}`
)

// azureQueries are the queries that the repository publishes as text. Of those that stand
// in several places in the same words there is one.
var azureQueries = []azureQuery{
	{What: "GettingStarted: pass through", File: "Samples/GettingStarted/PassThrough.txt", Inputs: map[string]string{"InputStream": azureSensors}, Want: 1860},
	{What: "GettingStarted: filtering", File: "Samples/GettingStarted/Filtering.txt", Inputs: map[string]string{"InputStream": azureSensors}, Want: 389},
	{What: "GettingStarted: threshold alerting", File: "Samples/GettingStarted/ThresholdAlerting.txt", Inputs: map[string]string{"InputStream": azureSensors}, Want: 245},
	{What: "GettingStarted: absence of an event", File: "Samples/GettingStarted/AbsenseOfEvent.txt", Inputs: map[string]string{"InputStream": azureSensors}, Want: 582},
	{What: "TollApp: join of two streams", File: "Samples/TollApp/Queries/Join.txt", Inputs: map[string]string{"EntryStream": azureEntry, "ExitStream": azureExit}, Want: 23},
	{What: "TollApp: reference join", File: "Samples/TollApp/Queries/RefJoin.txt", Inputs: map[string]string{"EntryStream": azureEntry}, Reference: map[string]string{"Registration": azureRegs}, Want: 2},
	{What: "TollApp: tumbling count", File: "Samples/TollApp/Queries/TumblingCount.txt", Inputs: map[string]string{"EntryStream": azureEntry}, Want: 15},
	{What: "TollApp: partitioned tumbling count", File: "Samples/TollApp/Queries/TumblingCountPartitioned.txt", Inputs: map[string]string{"EntryStream": azureEntry}, Want: 15},
	{What: "TollApp: deployment template", File: "Samples/TollApp/VSProjects/TollAppDeployment/azuredeploy.json", Inputs: map[string]string{"EntryStream": azureEntry}, Want: 15},
	{What: "ClickStream: filter", File: "BuildApplications/ClickStream/ClickStream-Filter/JobARMTemplate.json", Inputs: map[string]string{"ClickStream": ""}, Events: azureClicks, Want: 2, Note: "three clicks of our own; the sample generates its data"},
	{What: "ClickStream: reference join", File: "BuildApplications/ClickStream/ClickStream-RefJoin/JobARMTemplate.json", Inputs: map[string]string{"ClickStream": ""}, Events: azureClicks,
		Reference: map[string]string{"UserInfo": "BuildApplications/ClickStream/ClickStream-RefJoin/user-info.csv"}, CSV: true, Want: 3, Note: "the same clicks, the published table of users"},
	{What: "ClickStream: clicks of an hour", File: "BuildApplications/README.md", From: "select System.Timestamp as Systime, count", To: "TumblingWindow(hour, 1)",
		Inputs: map[string]string{"clickstream": ""}, Events: azureClicks, Want: 1, Note: "the same clicks"},
	{What: "ClickStream: first click of a user", File: "BuildApplications/README.md", From: "SELECT *\n        FROM clickstream", To: "OVER(PARTITION BY userId) = 1",
		Inputs: map[string]string{"clickstream": ""}, Events: strings.ReplaceAll(azureClicks, "EventTime", "Time"), Want: 3, Note: "the same clicks, their time called Time as the query has it"},
	{What: "ASAOneClick: sensor alerts", File: "Samples/ASAOneClick/ASAOneClick/src/sensoralerts/ASAJob/asajob.json", Inputs: map[string]string{"EntryStream": azureSensors}, Want: -1},
	{What: "BCDRTests: counts of devices", File: "BCDRTests/Test 01 - 1 input - 2 jobs - 1 output/01-provision.ps1", From: "SELECT CAST(DeviceId", To: "HOPPING(second,60,10)", First: true,
		Vars: map[string]string{"$asaJobName1": "job", "$asaOutputName": "out", "$asaInputName": "devices"}, Inputs: map[string]string{"devices": ""}, Events: `{"DeviceId":7}`, Want: 6, Note: "one event of our own; variables of the script filled in"},
	{What: "OnnxExample: taxi fares by region", File: "Samples/OnnxExample/ASAUDF/onnx-example.asaql", Inputs: map[string]string{"TaxiRide": ""}, Events: azureTrips,
		Reference: map[string]string{"RegionReferenceData": "="}, Functions: map[string]string{"predict": "function predict(v, n, d) { return 2.5 + 2 * d }"}, Want: 12,
		Note: "two trips and a region of our own; the model, a .NET function, is replaced by one in JavaScript"},
	{What: "SecurityBadgeScan", File: "DataGenerators/SecurityBadgeScan/SecurityBadgeScan/Scenario/ReadMe.txt", From: "SELECT System.Timestamp", To: "HAVING Count(*)>1",
		Inputs: map[string]string{"BadgeEvent": ""}, Events: azureBadges, Want: 1, Note: "three scans of our own"},
	{What: "SensorEventGenerator", File: "DataGenerators/SensorEventGenerator/SensorEventGenerator/Scenario/ReadMe.txt", From: "WITH First AS", To: "INTO EventHub FROM First",
		Inputs: map[string]string{"EntryStream": ""}, Events: `{"SensorName":"a","temperature":20,"Timestamp":"2024-01-01T00:00:01Z"}`, Want: 2, Note: "one event of our own, two outputs"},
	{What: "TwitterClient", File: "Samples/TwitterClient/TwitterClient/Scenario/ReadMe.txt", From: "SELECT Topic", To: "TumblingWindow(second,5), Topic",
		Inputs: map[string]string{"TwitterInput": ""}, Events: `{"Topic":"x","SentimentScore":4,"CreatedAt":"2024-01-01T00:00:01Z"}`, Want: 1, Note: "one event of our own"},
	{What: "SensorDataAnalytics", File: "Samples/SensorDataAnalytics/README.md", From: "SELECT \n", To: ",dspl", Inputs: map[string]string{"Input": "Sample Data/SampleSensorData.json"}, Want: 0,
		Note: "its WHERE names a sensor to be filled in"},
}

// azureResult is what came out of a query.
type azureResult struct {
	What, Query, Result, Note string
}

// TestAzureSamples runs the queries of the public repository. The rows must be as many as
// worked out before.
func TestAzureSamples(t *testing.T) {
	if *azureDir == "" {
		return // TestCompatibilityPage shows what the last run wrote
	}
	var results []azureResult
	for _, q := range azureQueries {
		rows, err := q.run(*azureDir)
		r := azureResult{q.What, q.File, fmt.Sprintf("%d rows", rows), q.Note}
		if rows == 1 {
			r.Result = "1 row"
		}
		switch {
		case err != nil:
			t.Errorf("%s: %v", q.What, err)
		case q.Want >= 0 && rows != q.Want:
			t.Errorf("%s: %d rows; want %d", q.What, rows, q.Want)
		}
		results = append(results, r)
	}
	if t.Failed() {
		return
	}
	b, err := json.MarshalIndent(results, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(azureResults, append(b, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

// azureTable is the part of the compatibility page about these queries.
func azureTable(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(azureResults)
	if err != nil {
		t.Fatal(err)
	}
	var results []azureResult
	if err := json.Unmarshal(b, &results); err != nil {
		t.Fatal(err)
	}
	if len(results) != len(azureQueries) {
		t.Errorf("%s has %d queries of %d; run go test ./internal/caserun -azure DIR", azureResults, len(results), len(azureQueries))
	}
	var out strings.Builder
	for _, r := range results {
		fmt.Fprintf(&out, "| %s | `%s` | %s | %s |\n", r.What, r.Query, r.Result, r.Note)
	}
	return out.String()
}

// jsonQuery is the query in a template. The files have raw line ends in it.
var jsonQuery = regexp.MustCompile(`"query"\s*:\s*"((?:[^"\\]|\\.)*)"`)

func (q *azureQuery) text(dir string) (string, error) {
	b, err := os.ReadFile(filepath.Join(dir, q.File))
	if err != nil {
		return "", err
	}
	text := string(b)
	if filepath.Ext(q.File) == ".json" {
		m := jsonQuery.FindStringSubmatch(text)
		if m == nil {
			return "", errors.New("no query in it")
		}
		raw := strings.NewReplacer("\r", `\r`, "\n", `\n`, "\t", `\t`).Replace(m[1])
		err := json.Unmarshal([]byte(`"`+raw+`"`), &text)
		return text, err
	}
	if q.From != "" {
		start := strings.Index(text, q.From)
		if start < 0 {
			return "", fmt.Errorf("no %q in it", q.From)
		}
		end := strings.LastIndex(text, q.To)
		if q.First {
			end = start + strings.Index(text[start:], q.To)
		}
		if end < start {
			return "", fmt.Errorf("no %q in it", q.To)
		}
		text = text[start : end+len(q.To)]
	}
	for name, value := range q.Vars {
		text = strings.ReplaceAll(text, name, value)
	}
	return text, nil
}

func (q *azureQuery) run(dir string) (rows int, err error) {
	text, err := q.text(dir)
	if err != nil {
		return 0, err
	}
	env := plan.Env{AnyOutput: true}
	for name := range q.Inputs {
		env.Inputs = append(env.Inputs, plan.InputDecl{Name: name})
	}
	for name := range q.Reference {
		env.Inputs = append(env.Inputs, plan.InputDecl{Name: name, Reference: true})
	}
	for name, script := range q.Functions {
		f, err := udf.Scalar(udf.Source{Name: name, Script: script})
		if err != nil {
			return 0, err
		}
		env.Functions = append(env.Functions, plan.Function{Name: name, Scalar: f})
	}
	script, list := saql.Parse(text)
	if list.HasErrors() {
		return 0, rendered(text, list)
	}
	p, list := plan.Compile(script, env)
	if list.HasErrors() {
		return 0, rendered(text, list)
	}
	var inputs []job.Input
	for _, in := range p.Inputs {
		inputs = append(inputs, q.input(dir, in.Name))
	}
	result, err := job.Run(context.Background(), p, inputs, job.Options{Sample: true, Start: time.Unix(0, 0), Workers: 1,
		OnRows: func(int, *vec.Batch) error { return nil }})
	if err != nil {
		return 0, err
	}
	if n := result.DroppedTotal(); n > 0 {
		return 0, fmt.Errorf("%d events were dropped", n)
	}
	for _, n := range result.Rows {
		rows += int(n)
	}
	return rows, nil
}

// input is the data of an input: a file, or events of our own.
func (q *azureQuery) input(dir, name string) job.Input {
	in := job.Input{Name: name}
	file, ok := q.Reference[name]
	switch {
	case ok && file == "=":
		in.Reader = strings.NewReader(azureRegion)
		return in
	case ok && q.CSV:
		in.Format.CSV = true
		in.Format.Options = codec.CSVOptions{}
	case !ok:
		if file = q.Inputs[name]; file == "" {
			in.Reader = strings.NewReader(q.Events)
			return in
		}
	}
	in.Path = filepath.Join(dir, file)
	return in
}
