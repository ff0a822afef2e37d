package project

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
)

// canary is in every name of a secret below.
const canary = "canary"

// leaks fails if a text has a secret in it.
func leaks(t *testing.T, what, text string) {
	t.Helper()
	if at := strings.Index(text, canary); at >= 0 {
		t.Errorf("%s shows a secret: ...%s", what, text[max(0, at-60):min(len(text), at+60)])
	}
}

// TestSecretsStayHidden looks for secrets in all that can be printed of a job, right or wrong.
func TestSecretsStayHidden(t *testing.T) {
	const head = "version: 1\njob: {query: q.saql}\n"
	f := func(o Options, files ...string) {
		t.Helper()
		j, err := Load(write(t, append(files, "q.saql", "SELECT a INTO o FROM i")...), o)
		if err != nil {
			leaks(t, "the error", err.Error())
			leaks(t, "the error", fmt.Sprintf("%+v %#v", err, err))
			b, _ := json.Marshal(err)
			leaks(t, "JSON of the error", string(b))
			var p *Problem
			if errors.As(err, &p) {
				var out strings.Builder
				p.Render(&out, true)
				leaks(t, "the drawing", out.String())
			}
			return
		}
		leaks(t, "the job", fmt.Sprintf("%v %+v %#v", j, *j, *j))
		b, err := json.Marshal(j.Inputs[0].Config)
		if err != nil {
			t.Error(err)
		}
		leaks(t, "JSON of the settings", string(b))
		var out strings.Builder
		slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "config", j.Inputs[0].Config, "notes", j.Notes)
		j.Render(&out, append(j.Notes, j.Refusals(true)...), false)
		leaks(t, "the log", out.String())
	}
	key := env("KEY", "canary-env", "Inputs_i_DataSource_SharedAccessPolicyKey", "canary-hub")
	f(key, "weir.yaml", head+"inputs:\n  i: {type: probe, address: x, password: canary-inline}\n")
	f(key, "weir.yaml", head+"inputs:\n  i: {type: probe, address: x, password: \"${env:KEY}\"}\n")
	f(key, "weir.yaml", head+"inputs:\n  i: {type: probe, address: x, password: \"${file:k}\"}\n", "k", "canary-file")
	f(key, "weir.yaml", head+"inputs:\n  i: {type: probe, password: canary-inline}\n")
	f(key, "weir.yaml", head+"inputs:\n  i: {type: probe, password: canary-inline, count: x}\n")
	f(key, "weir.yaml", head+"inputs:\n  i: {type: probe, address: x, passwrd: canary-inline}\n")
	f(key, "weir.yaml", head+"inputs:\n  i: {type: prob, password: canary-inline}\n")
	f(key, "weir.yaml", head+"inputs:\n  i: {type: probe, address: \"bad canary-inline\", password: canary-inline, count: \"${env:KEY}\"}\n")
	f(key, "weir.yaml", head+"inputs:\n  i: {type: probe, address: \"bad ${env:KEY}\"}\n")
	f(key, "weir.yaml", head+"inputs:\n  i:\n    password: canary-inline\n   type: probe\n")
	f(key, "weir.yaml", head+"inputs:\n  i: {type: probe, password: 'canary-inline}\n")
	f(key, "weir.yaml", head+"password: canary-inline\n")
	f(key, "weir.yaml", "version: 1\njob: {query: \"${env:KEY}\"}\n")
	f(key, "weir.yaml", "version: 1\njob: {query: q.saql, shards: \"${env:KEY}\", checkpoint: \"${env:KEY}\"}\n")
	hub := func(key string) string {
		return `{"Name": "i", "Type": "Data Stream", "DataSourceType": "Event Hub", "EventHubProperties": {"EventHubName": "h", "SharedAccessPolicyKey": ` + key + `}, "Serialization": {"Type": "Json"}}`
	}
	project := `{"startFile": "q.saql", "configurations": [{"filePath": "i.json", "subType": "Input"}]}`
	f(key, "asaproj.json", project, "i.json", hub(`"canary-inline"`))
	f(key, "asaproj.json", project, "i.json", hub("null"))
	f(key, "asaproj.json", project, "i.json", hub(`"canary-inline" "`))
	f(key, "t.json", strings.ReplaceAll(template, "clicks", "i"))
	f(key, "t.json", strings.ReplaceAll(strings.ReplaceAll(template, "clicks", "i"), `"1.1"`, `"9", "accountKey": "canary-inline"`))
}

// TestSecretsInFiles finds the places of secrets that stand in the files of a job.
func TestSecretsInFiles(t *testing.T) {
	f := func(want string, files ...string) {
		t.Helper()
		j := load(t, write(t, append(files, "q.saql", "SELECT a INTO o FROM i")...), env("KEY", "canary-env"))
		var got []string
		for _, at := range j.Secrets {
			got = append(got, fmt.Sprintf("%s:%d", filepath.Base(at.File), at.Line))
		}
		if text := strings.Join(got, " "); text != want {
			t.Errorf("%q, not %q, in %s", text, want, files[1])
		}
	}
	yaml := func(input string) string { return "version: 1\njob: {query: q.saql}\ninputs:\n  i: " + input + "\n" }
	post := func(output string) string {
		return yaml("{type: probe, address: x}") + "outputs:\n  o: " + output + "\n"
	}
	f("", "weir.yaml", yaml(`{type: probe, address: x, password: "${env:KEY}"}`))
	f("", "weir.yaml", yaml(`{type: probe, address: x, password: ""}`))
	f("weir.yaml:4", "weir.yaml", yaml(`{type: probe, address: x, password: abc}`))
	f("weir.yaml:4", "weir.yaml", yaml(`{type: probe, address: x, password: "a\x62c"}`))
	f("weir.yaml:4", "weir.yaml", yaml(`{type: probe, address: x, password: "$$abc"}`))
	f("weir.yaml:4", "weir.yaml", yaml(`{type: probe, address: x, headers: {Accept: text/plain, X-Auth: abc}}`))
	f("", "weir.yaml", yaml(`{type: probe, address: x, headers: {Accept: text/plain, X-Auth: "${env:KEY}"}}`))
	f("weir.yaml:6", "weir.yaml", post(`{type: http, url: "https://x/api?a=b&code=abc"}`))
	f("weir.yaml:6", "weir.yaml", post(`{type: http, url: "https://x/api?sig=abc"}`))
	f("", "weir.yaml", post(`{type: http, url: "https://x/api?a=b&code=${env:KEY}"}`))
	f("", "weir.yaml", post(`{type: http, url: "https://x/code?zipcode=1&codes=2&code="}`))
	f("weir.overlay.yaml:2", "weir.overlay.yaml", "inputs:\n  i: {password: abc}\n", "weir.yaml", yaml(`{type: probe, address: x, password: "${env:KEY}"}`))
	hub := func(key string) string {
		return "{\"Name\": \"i\", \"Type\": \"Data Stream\", \"DataSourceType\": \"Event Hub\", \"EventHubProperties\": {\"EventHubName\": \"h\",\n\"SharedAccessPolicyKey\": " + key + `, "PartitionKey": "device"}, "Serialization": {"Type": "Json"}}`
	}
	project := `{"startFile": "q.saql", "configurations": [{"filePath": "i.json", "subType": "Input"}]}`
	f("", "i.json", hub("null"), "asaproj.json", project)
	f("i.json:2", "i.json", hub(`"abc"`), "asaproj.json", project)
	// One that an overlay replaces is kept with the files all the same.
	f("i.json:2", "i.json", hub(`"abc"`), "asaproj.json", project, "weir.overlay.yaml", "inputs:\n  i: {type: probe, address: x}\n")
	f("t.json:6 t.json:30", "t.json", template)
}
