package project

import (
	"strings"
	"testing"
	"time"

	"weir/internal/plan"
)

// template has what templates of the field have: expressions, names in any case, raw line
// breaks in the query, child resources, comments.
const template = `{
  // made by hand
  "parameters": {
    "jobName": {"type": "string", "defaultValue": "clicks"},
    "hub": {"type": "String"},
    "key": {"type": "securestring", "defaultValue": "canary-default-key"},
    "unset": {"type": "string"}
  },
  "variables": {"ns": "[concat(parameters('jobName'), '-events')]", "o": {"deep": ["x", "[toUpper('results')]"]}, "loop": "[variables('loop')]"},
  "resources": [
    {"type": "Microsoft.Storage/storageAccounts", "name": "[parameters('unset')]"},
    {
      "type": "Microsoft.StreamAnalytics/StreamingJobs",
      "name": "[parameters('jobName')]",
      "properties": {
        "sku": {"name": "StandardV2"}, "compatibilityLevel": "1.1",
        "EventsOutOfOrderPolicy": "drop", "eventsOutOfOrderMaxDelayInSeconds": "2", "eventsLateArrivalMaxDelayInSeconds": -1,
        "transformation": {"name": "t", "properties": {"streamingUnits": 3, "query": "SELECT udf.mask(a) AS a
INTO hourly
	FROM clicks\r\n-- done [not an expression]"}},
        "inputs": [{"name": "clicks", "properties": {"type": "stream",
          "datasource": {"type": "Microsoft.ServiceBus/EventHub", "properties": {"EventHubName": "[parameters('hub')]", "ServiceBusNamespace": "[variables('ns')]",
            "SharedAccessPolicyKey": "[listKeys(resourceId('a', 'b'), '2017-04-01').primaryKey]"}},
          "compression": {"type": "GZip"}, "serialization": {"type": "JSON", "properties": {"encoding": "UTF8"}}}}],
        "functions": [{"name": "mask", "properties": {"type": "Scalar", "properties": {"binding": {"type": "Microsoft.StreamAnalytics/JavascriptUdf",
          "properties": {"script": "function main(x) { return x; }"}}}}},
          {"name": "score", "properties": {"type": "Scalar", "properties": {"binding": {"type": "Microsoft.MachineLearning/WebService"}}}}]
      },
      "resources": [{"type": "inputs", "name": "users", "properties": {"type": "Reference", "serialization": {"type": "Csv", "properties": {"fieldDelimiter": "\t"}},
         "datasource": {"type": "Microsoft.Storage/Blob", "properties": {"container": "[variables('o').deep[1]]", "storageAccounts": [{"accountName": "shop", "accountKey": "canary-account-key"}]}}}}]
    },
    {"type": "Microsoft.StreamAnalytics/streamingjobs/outputs", "name": "[format('{0}/{1}', parameters('jobName'), 'hourly')]",
     "properties": {"serialization": {"type": "Json", "properties": {"format": "Array"}}, "datasource": {"type": "PowerBI", "properties": {"dataset": "d", "table": "t"}}}},
    {"type": "Microsoft.StreamAnalytics/streamingjobs/outputs", "condition": false, "name": "[concat(parameters('jobName'), '/never')]", "properties": {}}
  ]
}`

func TestTemplate(t *testing.T) {
	dir := write(t, "t.json", "\ufeff"+template, "t.parameters.json", `{"parameters": {"hub": {"value": "from-file"}, "key": {"reference": {"keyVault": {}}}}}`)
	j := load(t, dir, env())
	if j.Kind != ARM || j.Name != "clicks" || j.Level != plan.Level11 || !j.Drop || j.OutOfOrder != 2*time.Second || j.Late != -1 || j.OutputErrors != Stop {
		t.Errorf("settings: %+v", j)
	}
	if want := "SELECT udf.mask(a) AS a\nINTO hourly\n\tFROM clicks\r\n-- done [not an expression]"; j.Query != want {
		t.Errorf("query %q", j.Query)
	}
	if len(j.Inputs) != 2 || len(j.Outputs) != 1 || len(j.Functions) != 2 {
		t.Fatalf("%d inputs, %d outputs, %d functions", len(j.Inputs), len(j.Outputs), len(j.Functions))
	}
	contains := func(what, text, want string) {
		t.Helper()
		if !strings.Contains(text, want) {
			t.Errorf("%s: %q lacks %q", what, text, want)
		}
	}
	contains("hub", j.Inputs[0].Config.Text("hub"), "from-file")
	contains("blob", j.Inputs[1].Connector.Name, "azure-blob")
	contains("nested", j.Inputs[1].Config.Text("container"), "RESULTS")
	contains("ml", j.Functions[1].Refused, "machine learning")
	if in := j.Inputs[0]; in.Format.Compression != "gzip" || in.Format.Type != "json" {
		t.Errorf("format %+v", in.Format)
	}
	if in := j.Inputs[1]; !in.Reference || in.Format.Delimiter != '\t' {
		t.Errorf("reference %+v", in)
	}
	if !j.Outputs[0].Format.Array || j.Outputs[0].Name != "hourly" {
		t.Errorf("output %+v", j.Outputs[0])
	}
	// The environment and the overlay come before the file.
	j = load(t, dir, env("hub", "from-env"))
	contains("env", j.Inputs[0].Config.Text("hub"), "from-env")
	dir = write(t, "t.json", template, "weir.overlay.yaml", "parameters: {hub: from-overlay, jobName: \"[concat('a', 'b')]\"}\n")
	j = load(t, dir, env("hub", "from-env"))
	contains("overlay", j.Inputs[0].Config.Text("hub"), "from-overlay")
	if j.Name != "[concat('a', 'b')]" {
		t.Errorf("a value from the overlay was taken as an expression: %q", j.Name)
	}
}

func TestTemplateErrors(t *testing.T) {
	f := func(text, name, want string) {
		t.Helper()
		dir := write(t, "t.json", text)
		_, err := Load(dir+"/t.json"+name, env())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	two := `{"resources": {"a": {"type": "Microsoft.StreamAnalytics/streamingjobs", "name": "one", "properties": {"transformation": {"properties": {"query": "SELECT 1"}}}},
		"b": {"type": "Microsoft.StreamAnalytics/streamingjobs", "name": "two", "properties": {"transformation": {"properties": {"query": "SELECT 2"}}}}}}`
	f(two, "", "the template holds several jobs: one, two; name one")
	f(two, "#thre", `the template has no job "thre"; it has one, two`)
	f(two, "#twoo", `did you mean "two"?`)
	f(`{"resources": []}`, "", "the file holds no job of Azure Stream Analytics")
	f(`{"a": `, "", "t.json:1:7: error: this is no JSON: the text ends too early")
	f(`{"properties": {"transformation": {"properties": {"query": "[parameters('q')]"}}}}`, "", "is an expression that has no value here; write it into weir.overlay.yaml")
	f(`{"properties": {"transformation": {}}}`, "", "has no query")
	f(`{"properties": {"eventsOutOfOrderPolicy": "maybe", "compatibilityLevel": "2.0", "eventsLateArrivalMaxDelayInSeconds": "x", "transformation": {"properties": {"query": "q"}}}}`, "", "EventsOutOfOrderPolicy cannot be \"maybe\"; it is Adjust or Drop")
	dir := write(t, "t.json", two)
	if j := load(t, dir+"/t.json#TWO", env()); j.Query != "SELECT 2" {
		t.Errorf("query %q", j.Query)
	}
	dir = write(t, "j.bicep", "resource x")
	if _, err := Load(dir+"/j.bicep", env()); err == nil || !strings.Contains(err.Error(), "az bicep build") {
		t.Errorf("bicep: %v", err)
	}
}

// TestExpressions works single expressions out.
func TestExpressions(t *testing.T) {
	scope := &armScope{parameters: map[string]*node{"p": {kind: textNode, text: "v"}}, variables: map[string]*node{
		"a": {kind: textNode, text: "[variables('b')]"}, "b": {kind: textNode, text: "[variables('a')]"}, "n": {kind: numberNode, text: "3"}}}
	f := func(text, want string) {
		t.Helper()
		n := &node{kind: textNode, text: text}
		steps := 1000
		scope.evaluate(n, &steps)
		got := n.text
		if n.open {
			got = "?"
		}
		if got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	f("plain", "plain")
	f("[[literal]", "[literal]")
	f("[parameters('p')]", "v")
	f("[PARAMETERS( 'P' )]", "v")
	f("[concat('it''s ', parameters('p'), variables('n'), 4)]", "it's v34")
	f("[format('{0}-{1}-{0}', 'a', 'b')]", "a-b-a")
	f("[toLower(trim(' AbC '))]", "abc")
	f("[replace('a.b', '.', '-')]", "a-b")
	f("[string(variables('n'))]", "3")
	f("[variables('a')]", "?")
	f("[resourceGroup().location]", "?")
	f("[parameters('none')]", "?")
	f("[parameters('p'", "[parameters('p'")
	f("[parameters('p') 'x']", "?")
	f("["+strings.Repeat("concat(", 200)+"'x'"+strings.Repeat(")", 200)+"]", "?")
}
