package service_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"weir/internal/disk"
	"weir/internal/job"
	"weir/internal/service"
	"weir/internal/service/servicetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// passes is a query that gives every event on.
const passes = "SELECT n INTO rows FROM events"

const secret = "CANARYk3y/with+signs"

// harness is a service over a directory of its own.
type harness struct {
	t   *testing.T
	dir string
	*service.Service
	ctx context.Context
}

func open(t *testing.T, dir string) *harness {
	t.Helper()
	fs, err := disk.At(dir)
	if err != nil {
		t.Fatal(err)
	}
	env := func(name string) (string, bool) { return secret, name == "SECRET" }
	s, err := service.Open(service.Options{FS: fs, Env: env, Backoff: func(int) time.Duration { return time.Millisecond }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	h := &harness{t, dir, s, ctx}
	s.Resume()
	t.Cleanup(func() {
		cancel()
		h.close()
	})
	return h
}

func (h *harness) close() {
	h.t.Helper()
	if err := h.Close(); err != nil {
		h.t.Error(err)
	}
}

// deploy sends a job of one file and starts it.
func (h *harness) deploy(name, file string, from job.StartMode) service.Deployed {
	h.t.Helper()
	d, err := h.Deploy(h.ctx, name, service.Deployment{Files: service.Bundle{"weir.yaml": file}, By: "test", Start: true, StartOptions: service.StartOptions{From: from}})
	if err != nil {
		h.t.Fatal(err)
	}
	return d
}

func (h *harness) rows(name string, n int) []string {
	h.t.Helper()
	rows, err := servicetest.TargetOf(name).Wait(h.ctx, n)
	if err != nil {
		v, _ := h.Job(name)
		h.t.Fatalf("%v; the job: %+v", err, v)
	}
	return rows
}

// until waits for a state of a job, on its events.
func (h *harness) until(name string, f func(v service.JobView) bool) service.JobView {
	h.t.Helper()
	for {
		v, err := h.Job(name)
		if err != nil {
			h.t.Fatal(err)
		}
		if f(v) {
			return v
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-h.ctx.Done():
			h.t.Fatalf("the job never came to be as expected: %+v", v)
		}
	}
}

func TestDeployRunStopStart(t *testing.T) {
	h := open(t, t.TempDir())
	feed := servicetest.FeedOf("basic")
	feed.Add(`{"n":1}`, `{"n":2}`)
	d := h.deploy("basic", servicetest.Job("basic", passes), job.StartBeginning)
	if !d.Created || !d.Changed || d.Version != 1 || d.Job.Desired != service.Run {
		t.Errorf("deployed: %+v", d)
	}
	if got := h.rows("basic", 2); strings.Join(got, "") != `{"n":1}{"n":2}` {
		t.Errorf("rows: %v", got)
	}
	again := h.deploy("basic", servicetest.Job("basic", passes), "")
	if again.Changed || again.Version != 1 {
		t.Errorf("the same again: %+v", again)
	}
	v, err := h.Stop(h.ctx, "basic")
	if err != nil || v.State != job.Stopped || v.Desired != service.Stop {
		t.Fatalf("stopped: %+v, %v", v, err)
	}
	feed.Add(`{"n":3}`)
	if _, err := h.Start(h.ctx, "basic", service.StartOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := h.rows("basic", 3); strings.Join(got, "") != `{"n":1}{"n":2}{"n":3}` {
		t.Errorf("rows after a stop: %v", got)
	}
	if v, err := h.Start(h.ctx, "basic", service.StartOptions{}); err != nil || v.Restarts != 0 {
		t.Errorf("started twice: %+v, %v", v, err)
	}
	runs, err := h.History("basic")
	if err != nil || len(runs) != 1 || runs[0].State != "stopped" || runs[0].Rows != 2 {
		t.Errorf("history: %+v, %v", runs, err)
	}
}

func TestStartFromElsewhereAsksToForget(t *testing.T) {
	h := open(t, t.TempDir())
	servicetest.FeedOf("forget").Add(`{"n":1}`)
	h.deploy("forget", servicetest.Job("forget", passes), job.StartBeginning)
	h.rows("forget", 1)
	if _, err := h.Start(h.ctx, "forget", service.StartOptions{From: job.StartBeginning}); !errors.Is(err, service.ErrConflict) {
		t.Errorf("a job that runs was started elsewhere: %v", err)
	}
	if _, err := h.Stop(h.ctx, "forget"); err != nil {
		t.Fatal(err)
	}
	_, err := h.Start(h.ctx, "forget", service.StartOptions{From: job.StartBeginning})
	var state *service.StateError
	if !errors.As(err, &state) || !strings.Contains(err.Error(), "--discard-state") {
		t.Errorf("a job with state was started elsewhere: %v", err)
	}
	if _, err := h.Start(h.ctx, "forget", service.StartOptions{From: job.StartBeginning, Discard: true}); err != nil {
		t.Fatal(err)
	}
	h.rows("forget", 2) // the event again: the state was forgotten
	for _, bad := range []service.StartOptions{{From: "yesterday"}, {From: job.StartTime}, {From: job.StartNow, At: time.Now()}} {
		if err := func() error { _, err := h.Stop(h.ctx, "forget"); return err }(); err != nil {
			t.Fatal(err)
		}
		var invalid *service.InvalidError
		if _, err := h.Start(h.ctx, "forget", bad); !errors.As(err, &invalid) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

func TestRestartOfTheServiceKeepsWhatIsWanted(t *testing.T) {
	dir := t.TempDir()
	h := open(t, dir)
	feed := servicetest.FeedOf("wanted")
	feed.Add(`{"n":1}`)
	h.deploy("wanted", servicetest.Job("wanted", passes), job.StartBeginning)
	h.deploy("unwanted", servicetest.Job("unwanted", passes), job.StartBeginning)
	h.rows("wanted", 1)
	if _, err := h.Stop(h.ctx, "unwanted"); err != nil {
		t.Fatal(err)
	}
	h.close()
	feed.Add(`{"n":2}`)
	h = open(t, dir)
	if got := h.rows("wanted", 2); strings.Join(got, "") != `{"n":1}{"n":2}` {
		t.Errorf("rows over two lives of the service: %v", got)
	}
	if v, _ := h.Job("unwanted"); v.State != job.Stopped || v.Desired != service.Stop {
		t.Errorf("a job that was stopped: %+v", v)
	}
	if _, err := service.Open(service.Options{FS: must(disk.At(dir))}); !errors.Is(err, disk.ErrLocked) {
		t.Errorf("a second service on the directory: %v", err)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestBadDeploymentChangesNothing(t *testing.T) {
	h := open(t, t.TempDir())
	feed := servicetest.FeedOf("bad")
	feed.Add(`{"n":1}`)
	h.deploy("bad", servicetest.Job("bad", passes), job.StartBeginning)
	h.rows("bad", 1)
	before := tree(t, h.dir)
	f := func(files service.Bundle, want string) {
		t.Helper()
		_, err := h.Deploy(h.ctx, "bad", service.Deployment{Files: files, By: "test"})
		var invalid *service.InvalidError
		if !errors.As(err, &invalid) {
			t.Fatalf("%v: %v", files, err)
		}
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error is\n%v\nand has no\n%s", err, want)
		}
		if strings.Contains(err.Error(), h.dir) {
			t.Errorf("the error names the data directory: %v", err)
		}
	}
	f(nil, "at least one file")
	f(service.Bundle{"../x.yaml": ""}, `"../x.yaml" cannot be the name of a file`)
	f(service.Bundle{"weir.yaml": "version: 2\n"}, "weir.yaml:1:")
	f(service.Bundle{"weir.yaml": servicetest.Job("bad", "SELECT nn( INTO rows FROM events")}, "weir.yaml:5:")
	f(service.Bundle{"weir.yaml": servicetest.Job("bad", "SELECT n INTO other FROM events")}, `"other"`)
	f(service.Bundle{"weir.yaml": strings.Replace(servicetest.Job("bad", passes), "type: memory", "type: memmory", 1)}, `did you mean "memory"`)
	f(service.Bundle{"weir.yaml": strings.Replace(servicetest.Job("bad", passes), "${env:SECRET:-}", "hunter2-hunter2", 1)}, "stands in the file")
	f(service.Bundle{"weir.yaml": strings.Replace(servicetest.Job("bad", passes), "${env:SECRET:-}", `hunter2\x2dhunter2`, 1)}, "stands in the file")
	long := strings.Repeat("x", 300)
	f(service.Bundle{"weir.yaml": servicetest.Job("bad", passes), long: ""}, "cannot be the name of a file")
	f(service.Bundle{"weir.yaml": servicetest.Job("bad", passes), "a\nb": ""}, "cannot be the name of a file")
	f(service.Bundle{"weir.yaml": servicetest.Job("bad", passes), "weir.yaml/x/y": ""}, `"weir.yaml" is a file`)
	if after := tree(t, h.dir); !slices.Equal(before, after) {
		t.Errorf("on the disk was\n%s\nand is\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
	}
	feed.Add(`{"n":2}`)
	h.rows("bad", 2)
	if v, _ := h.Job("bad"); v.Version != 1 || v.State != job.Running {
		t.Errorf("the job: %+v", v)
	}
	if _, err := h.Deploy(h.ctx, "Bad Name", service.Deployment{}); err == nil || !strings.Contains(err.Error(), `"bad-name"`) {
		t.Errorf("a name that is none: %v", err)
	}
}

// tree lists the files below a directory, state apart.
func tree(t *testing.T, dir string) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !strings.Contains(path, "/state") && path != dir {
			list = append(list, strings.TrimPrefix(path, dir))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestDryRunChangesNothing(t *testing.T) {
	h := open(t, t.TempDir())
	d, err := h.Deploy(h.ctx, "dry", service.Deployment{Files: service.Bundle{"weir.yaml": servicetest.Job("dry", passes)}, DryRun: true})
	if err != nil || !d.Changed || !d.Created {
		t.Fatalf("%+v, %v", d, err)
	}
	if _, err := h.Job("dry"); !errors.Is(err, service.ErrNoJob) {
		t.Errorf("the job is there: %v", err)
	}
	for _, name := range tree(t, h.dir) {
		if strings.Contains(name, "dry") {
			t.Errorf("%s is on the disk", name)
		}
	}
}

func TestFailureOfTheOutsideIsTriedAgain(t *testing.T) {
	h := open(t, t.TempDir())
	feed, target := servicetest.FeedOf("again"), servicetest.TargetOf("again")
	feed.Add(`{"n":1}`)
	h.deploy("again", servicetest.Job("again", passes), job.StartBeginning)
	h.rows("again", 1)
	target.Fail(errors.New("connection refused"))
	feed.Add(`{"n":2}`)
	v := h.until("again", func(v service.JobView) bool { return v.State == job.Degraded })
	if strings.Contains(v.Reason, secret) || !strings.Contains(v.Reason, "connection refused") {
		t.Errorf("reason: %s", v.Reason)
	}
	target.Fail(nil)
	h.rows("again", 2)
	h.until("again", func(v service.JobView) bool { return v.State == job.Running })
}

func TestPermanentFailureEndsTheJob(t *testing.T) {
	h := open(t, t.TempDir())
	feed, target := servicetest.FeedOf("perm"), servicetest.TargetOf("perm")
	h.deploy("perm", servicetest.Job("perm", passes), job.StartBeginning)
	target.Fail(servicetest.ErrPermanent)
	feed.Add(`{"n":1}`)
	v := h.until("perm", func(v service.JobView) bool { return v.State == job.Failed })
	if strings.Contains(v.Reason, secret) || !strings.Contains(v.Reason, "no such table") || v.Desired != service.Run {
		t.Errorf("the job: %+v", v)
	}
	runs, _ := h.History("perm")
	if len(runs) != 1 || runs[0].State != "failed" || strings.Contains(runs[0].Reason, secret) {
		t.Errorf("history: %+v", runs)
	}
	target.Fail(nil)
	if _, err := h.Start(h.ctx, "perm", service.StartOptions{}); err != nil {
		t.Fatal(err)
	}
	h.rows("perm", 1)
}

// TestChangeOfAFailedJobStartsIt: a job that was given up is wanted all the same, and goes on
// where it was.
func TestChangeOfAFailedJobStartsIt(t *testing.T) {
	h := open(t, t.TempDir())
	feed, target := servicetest.FeedOf("mended"), servicetest.TargetOf("mended")
	h.deploy("mended", servicetest.Job("mended", passes), job.StartBeginning)
	target.Fail(servicetest.ErrPermanent)
	feed.Add(`{"n":1}`)
	h.until("mended", func(v service.JobView) bool { return v.State == job.Failed })
	target.Fail(nil)
	if _, err := h.Deploy(h.ctx, "mended", service.Deployment{Files: service.Bundle{"weir.yaml": servicetest.Job("mended", passes+" WHERE n < 10")}, By: "test"}); err != nil {
		t.Fatal(err)
	}
	h.rows("mended", 1)
	h.until("mended", func(v service.JobView) bool { return v.State == job.Running })
	if _, err := h.Stop(h.ctx, "mended"); err != nil {
		t.Fatal(err)
	}
	runs, _ := h.History("mended")
	if len(runs) != 2 || runs[0].From != "last" || runs[1].From != "beginning" {
		t.Errorf("history: %+v", runs)
	}
}

func TestJobThatFailsIsStartedAgain(t *testing.T) {
	h := open(t, t.TempDir())
	feed, target := servicetest.FeedOf("bug"), servicetest.TargetOf("bug")
	h.deploy("bug", servicetest.Job("bug", passes), job.StartBeginning)
	target.Fail(servicetest.ErrBug)
	feed.Add(`{"n":1}`)
	v := h.until("bug", func(v service.JobView) bool { return v.Restarts >= 3 })
	if v.Desired != service.Run {
		t.Errorf("the job: %+v", v)
	}
	target.Fail(nil)
	if got := h.rows("bug", 1); got[0] != `{"n":1}` {
		t.Errorf("rows: %v", got)
	}
	h.until("bug", func(v service.JobView) bool { return v.State == job.Running && v.Reason == "" })
	if v, err := h.Stop(h.ctx, "bug"); err != nil || v.State != job.Stopped {
		t.Errorf("stopped: %+v, %v", v, err)
	}
}

func TestJobThatWaitsCanBeStoppedAndChanged(t *testing.T) {
	h := open(t, t.TempDir())
	feed, target := servicetest.FeedOf("waits"), servicetest.TargetOf("waits")
	target.Fail(servicetest.ErrBug)
	feed.Add(`{"n":1}`)
	h.deploy("waits", servicetest.Job("waits", passes), job.StartBeginning)
	h.until("waits", func(v service.JobView) bool { return v.Restarts >= 1 })
	if v, err := h.Stop(h.ctx, "waits"); err != nil || v.State == job.Running || v.Desired != service.Stop {
		t.Fatalf("stopped: %+v, %v", v, err)
	}
	target.Fail(nil)
	d := h.deploy("waits", servicetest.Job("waits", passes+" WHERE n < 10"), "")
	if d.Version != 2 {
		t.Errorf("deployed: %+v", d)
	}
	h.rows("waits", 1)
}

func TestDeployingAgainIsNoNewStart(t *testing.T) {
	h := open(t, t.TempDir())
	servicetest.FeedOf("ci").Add(`{"n":1}`)
	h.deploy("ci", servicetest.Job("ci", passes), job.StartBeginning)
	h.rows("ci", 1)
	h.deploy("ci", servicetest.Job("ci", passes), job.StartBeginning)
	if _, err := h.Stop(h.ctx, "ci"); err != nil {
		t.Fatal(err)
	}
	h.deploy("ci", servicetest.Job("ci", passes), job.StartBeginning)
	servicetest.FeedOf("ci").Add(`{"n":2}`)
	if got := h.rows("ci", 2); strings.Join(got, "") != `{"n":1}{"n":2}` {
		t.Errorf("rows: %v", got)
	}
}

// TestCrashBetweenReloadAndRecord: the state is of the version behind the one in the record.
func TestCrashBetweenReloadAndRecord(t *testing.T) {
	dir := t.TempDir()
	h := open(t, dir)
	window := "SELECT COUNT(*) AS n INTO rows FROM events TIMESTAMP BY t GROUP BY TumblingWindow(second, 10)"
	h.deploy("torn", servicetest.Job("torn", window), job.StartBeginning)
	servicetest.FeedOf("torn").Add(`{"t":"2026-01-01T00:00:01Z"}`)
	h.until("torn", func(v service.JobView) bool { return v.Events == 1 })
	record := filepath.Join(dir, "jobs/torn/job.json")
	before := must(os.ReadFile(record))
	two := service.Bundle{"weir.yaml": servicetest.Job("torn", strings.Replace(window, "10", "20", 1))}
	if _, err := h.Deploy(h.ctx, "torn", service.Deployment{Files: two, By: "test", Discard: true}); err != nil {
		t.Fatal(err)
	}
	h.close()
	if err := os.WriteFile(record, before, 0o600); err != nil {
		t.Fatal(err)
	}
	h = open(t, dir)
	v := h.until("torn", func(v service.JobView) bool { return v.State == job.Running || v.State == job.Failed })
	if v.State != job.Running || v.Version != 2 {
		t.Errorf("the job: %+v", v)
	}
	d := h.deploy("torn", servicetest.Job("torn", strings.Replace(window, "10", "20", 1)+" HAVING COUNT(*) > 0"), "")
	if d.Version != 3 {
		t.Errorf("the next version: %+v", d)
	}
}

func TestEndOfInputsCompletes(t *testing.T) {
	h := open(t, t.TempDir())
	feed := servicetest.FeedOf("done")
	feed.Add(`{"n":1}`)
	feed.End()
	h.deploy("done", servicetest.Job("done", passes), job.StartBeginning)
	h.rows("done", 1)
	h.until("done", func(v service.JobView) bool { return v.State == job.Completed })
}

func TestDeleteForgetsAll(t *testing.T) {
	h := open(t, t.TempDir())
	servicetest.FeedOf("gone").Add(`{"n":1}`)
	h.deploy("gone", servicetest.Job("gone", passes), job.StartBeginning)
	h.rows("gone", 1)
	if err := h.Delete(h.ctx, "gone"); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Job("gone"); !errors.Is(err, service.ErrNoJob) {
		t.Errorf("the job is there: %v", err)
	}
	if _, err := os.Stat(filepath.Join(h.dir, "jobs", "gone")); !os.IsNotExist(err) {
		t.Errorf("its directory is there: %v", err)
	}
	h.deploy("gone", servicetest.Job("gone", passes), job.StartBeginning)
	h.rows("gone", 2) // from the beginning again
}

func TestConditions(t *testing.T) {
	h := open(t, t.TempDir())
	h.deploy("cond", servicetest.Job("cond", passes), job.StartNow)
	v, _ := h.Job("cond")
	f := func(d service.Deployment, ok bool) {
		t.Helper()
		d.Files = service.Bundle{"weir.yaml": servicetest.Job("cond", passes)}
		if _, err := h.Deploy(h.ctx, "cond", d); (err == nil) != ok || !ok && !errors.Is(err, service.ErrPrecondition) {
			t.Errorf("%+v: %v", d, err)
		}
	}
	f(service.Deployment{Match: v.ETag()}, true)
	f(service.Deployment{Match: "*"}, true)
	f(service.Deployment{Match: `"9-running"`}, false)
	f(service.Deployment{None: true}, false)
}

func TestModesOfTheDataDirectory(t *testing.T) {
	h := open(t, t.TempDir()+"/data")
	servicetest.FeedOf("modes").Add(`{"n":1}`)
	h.deploy("modes", servicetest.Job("modes", passes), job.StartBeginning)
	h.rows("modes", 1)
	err := filepath.WalkDir(h.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %s", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
