package web_test

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weir/internal/service"
	"weir/internal/service/servicetest"
	"weir/internal/vec"
	"weir/internal/web"
)

// metricNames is what dashboards and alerts rely on: a name that goes or changes is a breaking
// change (ux.md 11.1).
const metricNames = `weir_build_info gauge goversion,version
weir_checkpoint_bytes gauge job
weir_checkpoint_failures_total counter job
weir_checkpoint_last_success_timestamp_seconds gauge job
weir_checkpoint_seconds gauge job
weir_deadletter_events_total counter job,type
weir_end_to_end_seconds histogram job,output
weir_events_early_total counter action,input,job
weir_events_late_total counter action,input,job
weir_events_out_of_order_total counter action,input,job
weir_input_bytes_total counter input,job
weir_input_errors_total counter input,job,kind
weir_input_events_total counter input,job,partition
weir_job_state gauge job,state
weir_log_messages_total counter level
weir_output_before_start_total counter job,output
weir_output_events_total counter job,output
weir_output_retries_total counter job,output
weir_runtime_errors_total counter code,job,step
weir_step_blocked_seconds_total counter job,step
weir_step_busy_seconds_total counter job,step
weir_step_filtered_total counter job,reason,step
weir_step_rows_total counter direction,job,step
weir_step_state_keys gauge job,step
weir_watermark_delay_seconds gauge job,partition,step
weir_watermark_timestamp_seconds gauge job,partition,step`

// now is the time in ticks.
func now() vec.Time {
	return vec.FromCivil(1970, 1, 1) + vec.Time(time.Now().UnixMicro()*10)
}

var sample = regexp.MustCompile(`^(\w+)\{(.*)\} `)

func TestMetrics(t *testing.T) {
	s := open(t, web.Options{Version: "v1"})
	s.Server.Config.Handler = web.New(s.svc, web.Options{Version: "v1",
		Collectors: []prometheus.Collector{web.LogMessages(func() map[string]int64 { return map[string]int64{"warn": 3} })}}).Handler()
	feed := servicetest.FeedOf("metrics")
	file := strings.Replace(servicetest.Job("metrics", "WITH step AS (SELECT n, CAST(v AS bigint) AS v FROM events TIMESTAMP BY t WHERE n > 1)\nSELECT n, v INTO rows FROM step"),
		"  name: metrics\n  query", "  name: metrics\n  on_query_error: drop\n  query", 1)
	s.want(201, nil, "PUT", "/api/v1/jobs/metrics?start=beginning", map[string]any{"files": map[string]string{"weir.yaml": file}})
	feed.AddAt(now(), `{"n":1,"t":"2026-01-01T00:00:00Z","v":"1"}`)
	feed.AddAt(now(), `nonsense`)
	feed.AddAt(now(), `{"n":2,"t":"2026-01-01T00:00:01Z","v":"no"}`)
	feed.AddAt(now(), `{"n":3,"t":"2026-01-01T00:00:02Z","v":"3"}`)
	s.rows("metrics", 1)
	s.want(200, nil, "POST", "/api/v1/jobs/metrics:checkpoint", nil)
	var h http.Header
	text := ""
	for !strings.Contains(text, `weir_output_events_total{job="metrics",output="rows"} 1`) { // the runner tells its counts ten times a second
		if _, h, text = s.ask("GET", "/metrics", nil); s.ctx.Err() != nil {
			t.Fatalf("the row was not counted: %s", text)
		}
	}
	if !strings.HasPrefix(h.Get("Content-Type"), "text/plain") {
		t.Errorf("content type %s", h.Get("Content-Type"))
	}
	kinds, labels := map[string]string{}, map[string]string{}
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) == 4 && f[1] == "TYPE" {
			kinds[f[2]] = f[3]
		}
		if m := sample.FindStringSubmatch(line); m != nil {
			name := m[1]
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				if base := strings.TrimSuffix(name, suffix); kinds[base] == "histogram" {
					name = base
				}
			}
			var names []string
			for _, l := range regexp.MustCompile(`(\w+)="`).FindAllStringSubmatch(m[2], -1) {
				if l[1] != "le" {
					names = append(names, l[1])
				}
			}
			slices.Sort(names)
			labels[name] = strings.Join(names, ",")
		}
	}
	var got []string
	for name, kind := range kinds {
		got = append(got, name+" "+kind+" "+labels[name])
	}
	slices.Sort(got)
	if want := strings.Split(metricNames, "\n"); !slices.Equal(got, want) {
		t.Errorf("metrics are\n%s\nand should be\n%s", strings.Join(got, "\n"), metricNames)
	}
	for _, want := range []string{
		`weir_output_events_total{job="metrics",output="rows"} 1`,
		`weir_input_errors_total{input="events",job="metrics",kind="InputDeserializerError.InvalidData"} 1`,
		`weir_runtime_errors_total{code="QueryError",job="metrics",step="step"} 1`,
		`weir_step_filtered_total{job="metrics",reason="filter",step="step"} 1`,
		`weir_step_rows_total{direction="out",job="metrics",step="rows"} 1`,
		`weir_job_state{job="metrics",state="running"} 1`,
		`weir_job_state{job="metrics",state="failed"} 0`,
		`weir_end_to_end_seconds_count{job="metrics",output="rows"} 1`,
		`weir_log_messages_total{level="warn"} 3`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("there is no %s in\n%s", want, text)
		}
	}
}

// TestDocsNameEveryMetric: docs/service.md is where people look for them.
func TestDocsNameEveryMetric(t *testing.T) {
	docs, err := os.ReadFile("../../docs/service.md")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(metricNames) {
		if name := strings.Fields(line)[0]; !strings.Contains(string(docs), "`"+name+"`") {
			t.Errorf("docs/service.md does not say %s", name)
		}
	}
}

// TestSecretsShowNowhere asks every route of the interface while a sink fails with its secret
// in its error, and looks for it in every form.
func TestSecretsShowNowhere(t *testing.T) {
	s := open(t, web.Options{})
	feed, target := servicetest.FeedOf("canary"), servicetest.TargetOf("canary")
	s.want(201, nil, "PUT", "/api/v1/jobs/canary?start=beginning", bundle("canary", passes))
	feed.Add(`{"n":1}`)
	s.rows("canary", 1)
	target.Fail(servicetest.ErrPermanent)
	feed.Add(`{"n":2}`)
	var v service.JobView
	for v.State != "failed" {
		if s.want(200, &v, "GET", "/api/v1/jobs/canary", nil); s.ctx.Err() != nil {
			t.Fatal("the job did not fail")
		}
	}
	var api struct{ Paths map[string]map[string]any }
	s.want(200, &api, "GET", "/openapi.json", nil)
	paths := strings.NewReplacer("{job}", "canary", "{version}", "1", "{step}", "rows", "{output}", "rows", "{table}", "canary.rows")
	asked := 0
	for path, methods := range api.Paths {
		for method := range methods {
			method, path := strings.ToUpper(method), paths.Replace(path)
			if method == "DELETE" {
				continue
			}
			if path == "/api/v1/events" {
				path += "?live=false"
			}
			var body any
			if method == "PUT" || method == "POST" {
				body = bundle("canary", "SELECT n, n + 1 AS m INTO rows FROM events")
			}
			_, _, text := s.ask(method, path, body)
			asked++
			secretFree(t, method+" "+path, text)
		}
	}
	if asked < 25 {
		t.Errorf("%d routes were asked", asked)
	}
	for _, path := range []string{"/metrics", "/readyz?verbose", "/"} {
		_, _, text := s.ask("GET", path, nil)
		secretFree(t, path, text)
	}
	status, _, text := s.ask("PUT", "/api/v1/jobs/canary", map[string]any{"files": map[string]string{
		"weir.yaml": strings.Replace(servicetest.Job("canary", passes), "${env:SECRET:-}", secret, 1)}})
	if status != 422 || !strings.Contains(text, "secrets are never kept") {
		t.Errorf("a secret in a file: %d %s", status, text)
	}
	secretFree(t, "a secret in a file", text)
}

func secretFree(t *testing.T, where, text string) {
	t.Helper()
	for _, form := range []string{secret, "CANARYk3y", fmt.Sprintf("%x", secret), "Q0FOQVJZ"} {
		if strings.Contains(text, form) {
			t.Errorf("%s shows the secret: %s", where, text)
		}
	}
}
