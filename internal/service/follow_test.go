package service_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/internal/job"
	"weir/internal/service"
	"weir/internal/service/servicetest"
)

// put writes a file below a directory.
func put(t *testing.T, dir, name, text string) {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// withQueryFile is a job file whose query lies beside it.
func withQueryFile(name string) string {
	return strings.Replace(servicetest.Job(name, "X"), "  query: |\n    X\n", "  query: ./q.saql\n", 1)
}

func TestJobsOfADirectory(t *testing.T) {
	jobs, data := t.TempDir(), t.TempDir()
	put(t, jobs, "one/weir.yaml", withQueryFile("dir-one"))
	put(t, jobs, "one/q.saql", passes)
	put(t, jobs, "two.yaml", servicetest.Job("Dir Two", passes))
	put(t, jobs, "notes/readme.txt", "no job")
	put(t, jobs, ".hidden/weir.yaml", "no job")
	h := open(t, data)
	f := h.Follow(jobs, service.StartOptions{From: job.StartBeginning})
	if err := f.Sync(h.ctx); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, v := range h.Jobs() {
		names = append(names, v.Name)
	}
	if strings.Join(names, " ") != "dir-one dir-two" {
		t.Fatalf("jobs: %v", names)
	}
	feed := servicetest.FeedOf("dir-one")
	feed.Add(`{"n":1}`)
	h.rows("dir-one", 1)
	// A bad change leaves the version that runs.
	put(t, jobs, "one/q.saql", "SELECT LEN() INTO rows FROM events")
	if err := f.Sync(h.ctx); err == nil || !strings.Contains(err.Error(), filepath.Join(jobs, "one/q.saql")+":1:8") {
		t.Errorf("a bad change: %v", err)
	}
	v, _ := h.Job("dir-one")
	if v.Version != 1 || v.State != job.Running || v.Error == "" || len(v.Diagnostics) == 0 {
		t.Errorf("after a bad change: %+v", v)
	}
	if err := f.Sync(h.ctx); err != nil {
		t.Errorf("what was said is said again: %v", err)
	}
	// A good one goes into force.
	put(t, jobs, "one/q.saql", "SELECT n + 100 AS n INTO rows FROM events")
	if err := f.Sync(h.ctx); err != nil {
		t.Fatal(err)
	}
	feed.Add(`{"n":2}`)
	if got := h.rows("dir-one", 2)[1]; got != `{"n":102}` {
		t.Errorf("row of the new version: %s", got)
	}
	if v, _ = h.Job("dir-one"); v.Version != 2 || v.Error != "" {
		t.Errorf("after a good change: %+v", v)
	}
	// A rollback stays, although the directory says otherwise, until the files change.
	if _, err := h.Rollback(h.ctx, "dir-one", 0, false); err != nil {
		t.Fatal(err)
	}
	f.Again()
	if err := f.Sync(h.ctx); err != nil {
		t.Fatal(err)
	}
	if v, _ = h.Job("dir-one"); v.Version != 3 {
		t.Errorf("after a rollback: %+v", v)
	}
	// The service begins again with bad files: the version that was kept runs.
	put(t, jobs, "one/q.saql", "nonsense")
	h.close()
	h = open(t, data)
	if err := h.Follow(jobs, service.StartOptions{}).Sync(h.ctx); err == nil {
		t.Error("bad files were taken")
	}
	feed.Add(`{"n":3}`)
	if got := h.rows("dir-one", 3)[2]; got != `{"n":3}` {
		t.Errorf("row of the version that was kept: %s", got)
	}
	// Two jobs of one name.
	put(t, jobs, "three.yaml", servicetest.Job("dir-two", passes))
	if err := h.Follow(jobs, service.StartOptions{}).Sync(h.ctx); err == nil || !strings.Contains(err.Error(), `there is a job "dir-two" already`) {
		t.Errorf("two jobs of one name: %v", err)
	}
}

func TestPathsOfAJobThatLiesElsewhere(t *testing.T) {
	jobs := t.TempDir()
	file := servicetest.Job("paths", passes)
	at := strings.Index(file, "outputs:")
	put(t, jobs, "weir.yaml", file[:at]+"outputs:\n  rows:\n    type: file\n    path: out/rows.jsonl\n")
	h := open(t, t.TempDir())
	servicetest.FeedOf("paths").Add(`{"n":1}`)
	servicetest.FeedOf("paths").End()
	d := service.Deployment{Path: jobs, By: "test", Start: true, StartOptions: service.StartOptions{From: job.StartBeginning}}
	if _, err := h.Deploy(h.ctx, "paths", d); err != nil {
		t.Fatal(err)
	}
	h.until("paths", func(v service.JobView) bool { return v.State == job.Completed })
	b, err := os.ReadFile(filepath.Join(jobs, "out/rows.jsonl"))
	if err != nil || string(b) != "{\"n\":1}\n" {
		t.Errorf("%q, %v", b, err)
	}
	// The same files, sent: their relative paths lead into the data directory.
	text := file[:at] + "outputs:\n  rows:\n    type: file\n    path: out/rows.jsonl\n"
	h.deploy("sent", text, job.StartBeginning)
	h.until("sent", func(v service.JobView) bool { return v.State == job.Completed })
	if b, err = os.ReadFile(filepath.Join(h.dir, "jobs/sent/home/out/rows.jsonl")); err != nil || string(b) != "{\"n\":1}\n" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestSecretInAFileIsNotKept(t *testing.T) {
	jobs := t.TempDir()
	put(t, jobs, "weir.yaml", strings.Replace(servicetest.Job("literal", passes), "${env:SECRET:-}", "hunter2-hunter2", 1))
	h := open(t, t.TempDir())
	d := service.Deployment{Path: jobs, By: "test", Start: true, StartOptions: service.StartOptions{From: job.StartBeginning}}
	if _, err := h.Deploy(h.ctx, "literal", d); err != nil {
		t.Fatal(err)
	}
	servicetest.FeedOf("literal").Add(`{"n":1}`)
	h.rows("literal", 1)
	list, _ := h.Versions("literal")
	if len(list) != 1 || !strings.Contains(list[0].Note, "secret") || len(list[0].Files) != 0 {
		t.Errorf("versions: %+v", list)
	}
	if _, err := h.Stop(h.ctx, "literal"); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(h.dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			if b, err := os.ReadFile(path); err != nil || strings.Contains(string(b), "hunter2") {
				t.Errorf("%s has the secret, or %v", path, err)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Start(h.ctx, "literal", service.StartOptions{}); err != nil {
		t.Errorf("started again from where it lies: %v", err)
	}
}

func TestStartAt(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	f := func(text string, want service.StartOptions) {
		t.Helper()
		got, err := service.StartAt(text, now)
		if err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	f("", service.StartOptions{})
	f("now", service.StartOptions{From: job.StartNow})
	f("last", service.StartOptions{From: job.StartLast})
	f("beginning", service.StartOptions{From: job.StartBeginning})
	f("-10m", service.StartOptions{From: job.StartTime, At: now.Add(-10 * time.Minute)})
	f("2026-01-02T12:00:00+09:00", service.StartOptions{From: job.StartTime, At: now.Truncate(time.Hour)})
	f("2026-01-02", service.StartOptions{From: job.StartTime, At: now.Truncate(24 * time.Hour)})
	for _, bad := range []string{"tomorrow", "10m", "12:00"} {
		if _, err := service.StartAt(bad, now); err == nil || !strings.Contains(err.Error(), "write now, last, beginning") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestNames(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		if got := service.NameOf(text); got != want || want != "" && !service.ValidName(got) {
			t.Errorf("%q is %q, not %q", text, got, want)
		}
	}
	f("downtime", "downtime")
	f("Team Downtime", "team-downtime")
	f("  x_y  ", "x-y")
	f("日本", "")
	f(strings.Repeat("a", 100), strings.Repeat("a", 63))
	f(strings.Repeat("a", 62)+"--b", strings.Repeat("a", 62))
	for _, bad := range []string{"", "-a", "A", "a.b", "a/b", "..", strings.Repeat("a", 64), "ä"} {
		if service.ValidName(bad) {
			t.Errorf("%q is taken for a name", bad)
		}
	}
}
