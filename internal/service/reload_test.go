package service_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"weir/internal/job"
	"weir/internal/service"
	"weir/internal/service/servicetest"
)

func TestHotReloadAndRollback(t *testing.T) {
	h := open(t, t.TempDir())
	feed := servicetest.FeedOf("hot")
	feed.Add(`{"n":1}`)
	h.deploy("hot", servicetest.Job("hot", passes), job.StartBeginning)
	h.rows("hot", 1)
	d := h.deploy("hot", servicetest.Job("hot", "SELECT n + 100 AS n INTO rows FROM events"), "")
	if d.Reload != "hot" || d.Version != 2 || d.Created {
		t.Errorf("reloaded: %+v", d)
	}
	feed.Add(`{"n":2}`)
	if got := h.rows("hot", 2)[1]; got != `{"n":102}` {
		t.Errorf("row of the new version: %s", got)
	}
	d, err := h.Rollback(h.ctx, "hot", 0, false)
	if err != nil || d.Version != 3 {
		t.Fatalf("rolled back: %+v, %v", d, err)
	}
	feed.Add(`{"n":3}`)
	if got := h.rows("hot", 3)[2]; got != `{"n":3}` {
		t.Errorf("row after the rollback: %s", got)
	}
	list, err := h.Versions("hot")
	if err != nil || len(list) != 3 || list[0].By != "rollback to 1" {
		t.Errorf("versions: %+v, %v", list, err)
	}
	_, files, err := h.VersionFiles("hot", 2)
	if err != nil || !strings.Contains(files["weir.yaml"], "n + 100") {
		t.Errorf("files of version 2: %v, %v", files, err)
	}
	if _, err := h.Rollback(h.ctx, "hot", 9, false); !errors.Is(err, service.ErrNoJob) {
		t.Errorf("a version that is not there: %v", err)
	}
	if v, _ := h.Job("hot"); v.Version != 3 || v.State != job.Running {
		t.Errorf("the job: %+v", v)
	}
}

func TestChangeThatCannotKeepStateIsRefused(t *testing.T) {
	h := open(t, t.TempDir())
	const one = "WITH step AS (SELECT COUNT(*) AS n FROM events TIMESTAMP BY t GROUP BY TumblingWindow(second, 10))\nSELECT n INTO rows FROM step"
	h.deploy("keep", servicetest.Job("keep", one), job.StartBeginning)
	servicetest.FeedOf("keep").Add(`{"t":"2026-01-01T00:00:01Z"}`)
	h.until("keep", func(v service.JobView) bool { return v.Events == 1 })
	two := service.Bundle{"weir.yaml": servicetest.Job("keep", strings.Replace(one, "second, 10", "second, 20", 1))}
	_, err := h.Deploy(h.ctx, "keep", service.Deployment{Files: two, By: "test"})
	var state *service.StateError
	if !errors.As(err, &state) || !slices.Contains(state.Steps, "step") {
		t.Fatalf("a window of another size: %v", err)
	}
	if v, _ := h.Job("keep"); v.Version != 1 || v.State != job.Running {
		t.Errorf("the job: %+v", v)
	}
	d, err := h.Deploy(h.ctx, "keep", service.Deployment{Files: two, By: "test", Discard: true})
	if err != nil || d.Version != 2 || len(d.Steps) != 2 || d.Steps[1].Step != "step" || d.Steps[1].Change != "lost" {
		t.Errorf("with its state discarded: %+v, %v", d, err)
	}
}

// TestChangeOfAStoppedJob: what the state does not survive is said before it is started.
func TestChangeOfAStoppedJob(t *testing.T) {
	h := open(t, t.TempDir())
	const one = "SELECT COUNT(*) AS n INTO rows FROM events TIMESTAMP BY t GROUP BY TumblingWindow(second, 10)"
	h.deploy("still", servicetest.Job("still", one), job.StartBeginning)
	servicetest.FeedOf("still").Add(`{"t":"2026-01-01T00:00:01Z"}`)
	h.until("still", func(v service.JobView) bool { return v.Events == 1 })
	if _, err := h.Stop(h.ctx, "still"); err != nil {
		t.Fatal(err)
	}
	two := service.Bundle{"weir.yaml": servicetest.Job("still", strings.Replace(one, "10", "20", 1))}
	var state *service.StateError
	for _, dry := range []bool{true, false} {
		if _, err := h.Deploy(h.ctx, "still", service.Deployment{Files: two, By: "test", DryRun: dry}); !errors.As(err, &state) {
			t.Errorf("dry %t: %v", dry, err)
		}
	}
	if _, err := h.Deploy(h.ctx, "still", service.Deployment{Files: two, By: "test", Discard: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Start(h.ctx, "still", service.StartOptions{}); err != nil {
		t.Fatal(err)
	}
	h.until("still", func(v service.JobView) bool { return v.State == job.Running })
	if d, err := h.Rollback(h.ctx, "still", 1, true); err != nil || d.Version != 3 {
		t.Errorf("rolled back: %+v, %v", d, err)
	}
}
