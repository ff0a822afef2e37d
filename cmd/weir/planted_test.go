package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/internal/connect"
	"weir/internal/disk"
	"weir/internal/job"
	"weir/internal/service"
	"weir/internal/web"
)

// The secrets that are planted. The key is one in base64, as Azure's are; its last part tells
// one that was cut or escaped.
const (
	plantedKey  = "UExBTlRFRHNlY3JldEtFWTAxMjM0NTY3ODlhYmNkZWY="
	plantedWord = "planted/Pa55 w0rd+%&"
)

// planting is a connector that cannot reach its service, with all its secrets.
type planting struct {
	connector string
	settings  string // below the type; ${KEY} and ${WORD} are the secrets
	input     bool
	output    bool
	refused   bool // it cannot even be deployed
}

// nowhere is where nobody listens: the connection is refused at once.
const nowhere = "127.0.0.1:1"

var plantings = []planting{
	{connector: "http", output: true, settings: "url: http://" + nowhere + "/x\napi_key: ${KEY}"},
	{connector: "http", input: true, settings: "listen: 127.0.0.1:0\ntoken: ${KEY}"},
	{connector: "postgres", output: true, settings: "dsn: postgres://u:${WORD}@" + nowhere + "/db\ntable: t", refused: true},
	{connector: "postgres", output: true, settings: "dsn: postgres://u:${KEY}@" + nowhere + "/db\ntable: t"},
	{connector: "postgres", output: true, settings: "host: 127.0.0.1\nport: 1\nuser: u\npassword: ${WORD}\ndatabase: d\ntable: t"},
	{connector: "mysql", output: true, settings: "host: 127.0.0.1\nport: 1\nuser: u\npassword: ${WORD}\ndatabase: d\ntable: t"},
	{connector: "mysql", output: true, settings: "dsn: u:${KEY}@tcp(" + nowhere + ")/db\ntable: t"},
	{connector: "sqlserver", output: true, settings: "host: 127.0.0.1\nport: 1\nuser: u\npassword: ${WORD}\ndatabase: d\ntable: t"},
	{connector: "sqlserver", output: true, settings: "dsn: sqlserver://u:${KEY}@" + nowhere + "?database=d\ntable: t"},
	{connector: "kafka", input: true, output: true, settings: "brokers: [" + nowhere + "]\ntopic: t\nsasl: plain\nuser: u\npassword: ${WORD}"},
	{connector: "kafka", input: true, output: true, settings: "connection_string: Endpoint=sb://localhost:1/;SharedAccessKeyName=k;SharedAccessKey=${KEY};EntityPath=t"},
	{connector: "cosmos", input: true, settings: "connection_string: AccountEndpoint=https://" + nowhere + "/;AccountKey=${KEY};\ndatabase: d\ncontainer: c"},
	{connector: "cosmos", output: true, settings: "endpoint: https://" + nowhere + "/\nkey: ${KEY}\ndatabase: d\ncontainer: c\npartition_key: n"},
	{connector: "eventhub", input: true, output: true, settings: "connection_string: Endpoint=sb://localhost:1/;SharedAccessKeyName=k;SharedAccessKey=${KEY};EntityPath=t"},
	{connector: "eventhub", input: true, output: true, settings: "namespace: localhost\nhub: t\nkey_name: k\nkey: ${KEY}"},
	{connector: "iothub", input: true, settings: "connection_string: Endpoint=sb://localhost:1/;SharedAccessKeyName=k;SharedAccessKey=${KEY};EntityPath=t"},
	{connector: "iothub", input: true, settings: "namespace: localhost\nhub: t\nkey_name: k\nkey: ${KEY}"},
	{connector: "servicebus", output: true, settings: "connection_string: Endpoint=sb://localhost:1/;SharedAccessKeyName=k;SharedAccessKey=${KEY};EntityPath=t"},
	{connector: "servicebus", output: true, settings: "namespace: localhost\nqueue: t\nkey_name: k\nkey: ${KEY}"},
	{connector: "powerbi", output: true, settings: "push_url: https://" + nowhere + "/rows?key=${KEY}"},
	{connector: "azure-blob", input: true, settings: "connection_string: DefaultEndpointsProtocol=http;AccountName=a;AccountKey=${KEY};BlobEndpoint=http://" + nowhere + "/a;\ncontainer: c\npath: x/*"},
	{connector: "azure-blob", output: true, settings: "account: a\naccount_key: ${KEY}\nendpoint: http://" + nowhere + "/a\ncontainer: c\nmax_rows: 10"},
	{connector: "azure-blob", output: true, settings: "sas_token: sv=2024&sig=${KEY}\nendpoint: http://" + nowhere + "/a\ncontainer: c\nmax_rows: 10"},
	{connector: "s3", input: true, settings: "endpoint: http://" + nowhere + "\nbucket: bucket\naccess_key: a\nsecret_key: ${KEY}\nsession_token: ${WORD}\npath: x/*"},
	{connector: "s3", output: true, settings: "endpoint: http://" + nowhere + "\nbucket: bucket\naccess_key: a\nsecret_key: ${WORD}\nmax_rows: 10"},
	{connector: "mqtt", input: true, settings: "url: mqtt://" + nowhere + "\nuser: u\npassword: ${WORD}\ntopics: [t]"},
	{connector: "mqtt", output: true, settings: "url: mqtt://" + nowhere + "\nuser: u\npassword: ${WORD}\ntopic: t"},
	{connector: "redis", output: true, settings: "address: " + nowhere + "\nuser: u\npassword: ${WORD}\nmode: stream\nkey: k"},
}

// TestPlantedSecrets: nothing that people or programs see of a job has its secrets, when all is
// said and when all fails: checks, explanations, logs, errors, the interface and the metrics.
func TestPlantedSecrets(t *testing.T) {
	t.Setenv("PLANTED_KEY", plantedKey)
	t.Setenv("PLANTED_WORD", plantedWord)
	planted := map[string]bool{}
	for _, p := range plantings {
		for line := range strings.Lines(p.settings) {
			name, value, _ := strings.Cut(line, ":")
			if strings.Contains(value, "${") {
				planted[p.connector+"."+name] = true
			}
		}
		t.Run(p.connector, func(t *testing.T) { p.run(t) })
	}
	for _, s := range connect.All() {
		for _, f := range s.Fields {
			if f.Type == connect.Secret && !planted[s.Name+"."+f.Name] {
				t.Errorf("no planting has the secret %s of the connector %s", f.Name, s.Name)
			}
		}
	}
}

// run looks at everything that shows such a job.
func (p planting) run(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var block strings.Builder
	for line := range strings.Lines(p.settings) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		if strings.Contains(value, "${") {
			value = fmt.Sprintf("%q", strings.NewReplacer("${KEY}", "${env:PLANTED_KEY}", "${WORD}", "${env:PLANTED_WORD}").Replace(value))
		}
		fmt.Fprintf(&block, "    %s: %s\n", name, value)
	}
	typed := fmt.Sprintf("    type: %s\n%s", p.connector, block.String())
	in, out := "    type: file\n    path: in.jsonl\n", "    type: file\n    path: out.jsonl\n"
	if p.input {
		in = typed
	}
	if p.output && !p.input {
		out = typed
	}
	more := ""
	if p.output && p.input {
		more = "  p:\n" + typed
	}
	into := "SELECT n INTO o FROM e"
	if more != "" {
		into += "\n    SELECT n INTO p FROM e"
	}
	file("in.jsonl", "{\"n\":1}\n")
	file("weir.yaml", "version: 1\njob:\n  name: planted\n  query: |\n    "+into+"\ninputs:\n  e:\n"+in+"outputs:\n  o:\n"+out+more)

	var all textOf
	say := func(format string, args ...any) { fmt.Fprintf(&all, format+"\n", args...) }
	verb := func(limit time.Duration, args ...string) {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		say("== weir %s", strings.Join(args, " "))
		run(ctx, args, &console{in: strings.NewReader(""), out: &all, err: &all, width: 80})
	}
	verb(10*time.Second, "check", dir, "--live")
	verb(10*time.Second, "check", dir, "--connect", "--within", "500ms")
	verb(10*time.Second, "check", dir, "--connect", "--within", "500ms", "--json")
	verb(10*time.Second, "explain", dir)
	if p.input {
		verb(10*time.Second, "sample", dir, "e", "--for", "300ms")
	}
	verb(time.Second, "run", dir, "--live", "--log", "debug", "--state", filepath.Join(t.TempDir(), "s"))
	p.serve(t, dir, &all, say)

	text := all.String()
	if strings.Contains(text, "== GET /api/v1/jobs/planted 200") == p.refused {
		t.Errorf("the job was not looked at:\n%s", text)
	}
	for _, secret := range []string{plantedKey, plantedKey[8:24], plantedWord, "Pa55", "w0rd", strings.TrimSuffix(plantedKey, "=")} {
		for line := range strings.Lines(text) {
			if strings.Contains(line, secret) {
				t.Errorf("%s shows: %.600s", secret, line)
			}
		}
	}
}

// serve deploys and starts the job in a service and asks for everything that can be asked for.
func (p planting) serve(t *testing.T, dir string, all io.Writer, say func(string, ...any)) {
	fs, err := disk.At(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(all, &slog.HandlerOptions{Level: slog.LevelDebug}))
	env := func(name string) (string, bool) { return os.LookupEnv(name) }
	svc, err := service.Open(service.Options{FS: fs, Log: log, Env: env})
	if err != nil {
		t.Fatal(err)
	}
	svc.Resume()
	server := httptest.NewServer(web.New(svc, web.Options{}).Handler())
	defer func() {
		server.Close()
		svc.Close()
	}()
	if _, err := svc.Deploy(t.Context(), "planted", service.Deployment{Path: dir, By: "test", Start: true, StartOptions: service.StartOptions{From: job.StartBeginning}}); err != nil {
		say("deploy: %v", err)
	}
	reached := func() bool { // it has failed, waits, or reads
		v, err := svc.Job("planted")
		return err == nil && (v.State == job.Failed || v.State == job.Degraded || v.State == job.Running)
	}
	for end := time.Now().Add(3 * time.Second); !reached() && time.Now().Before(end); {
		pauseBriefly(t)
	}
	b, err := os.ReadFile("../../docs/api/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var api struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal(b, &api); err != nil {
		t.Fatal(err)
	}
	paths := []string{"/metrics", "/healthz"}
	for path, ways := range api.Paths {
		if _, ok := ways["get"]; ok && !strings.Contains(strings.ReplaceAll(path, "{job}", ""), "{") {
			paths = append(paths, "/api/v1"+strings.TrimPrefix(path, "/api/v1"))
		}
	}
	paths = append(paths, "/api/v1/jobs/{job}/versions/1")
	slices.Sort(paths)
	for _, path := range paths {
		path = strings.ReplaceAll(path, "{job}", "planted")
		ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond) // streams do not end
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			say("== GET %s: %v", path, err)
		} else {
			text, _ := io.ReadAll(a.Body)
			a.Body.Close()
			say("== GET %s %d\n%s", path, a.StatusCode, text)
		}
		cancel()
	}
}

func pauseBriefly(t *testing.T) {
	select {
	case <-time.After(10 * time.Millisecond):
	case <-t.Context().Done():
	}
}
