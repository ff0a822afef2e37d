package service_test

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"weir/internal/job"
	"weir/internal/service"
)

// TestRedriveOnce: all letters that can be tried again are, and none twice; those that cannot
// stop nobody.
func TestRedriveOnce(t *testing.T) {
	dir := t.TempDir()
	h := open(t, t.TempDir())
	db, err := sql.Open("sqlite", filepath.Join(dir, "rows.db")+"?_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ask := func(statement string) (n int64) {
		t.Helper()
		if err := db.QueryRow(statement).Scan(&n); err != nil && !errors.Is(err, sql.ErrNoRows) {
			t.Fatal(err)
		}
		return n
	}
	ask("CREATE TABLE bound (most INTEGER); INSERT INTO bound VALUES (9)")
	ask("CREATE TABLE rows (n INTEGER)")
	ask("CREATE TRIGGER picky BEFORE INSERT ON rows WHEN NEW.n > (SELECT most FROM bound) BEGIN SELECT RAISE(ABORT, 'too much'); END")
	files := map[string]string{
		"events.jsonl": `{"n":1}` + "\n" + `{"n":20}` + "\n" + `{"n":"x"}` + "\n" + `{"n":21}` + "\n",
		"weir.yaml": `version: 1
job: {name: again, query: "SELECT CAST(n AS bigint) AS n INTO rows FROM events", on_query_error: drop}
inputs:
  events: {type: file, path: events.jsonl}
outputs:
  rows: {type: sqlite, path: rows.db, table: rows, on_error: deadletter}
`}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := h.Deploy(h.ctx, "again", service.Deployment{Path: dir, By: "test", Start: true, StartOptions: service.StartOptions{From: job.StartBeginning}}); err != nil {
		t.Fatal(err)
	}
	h.until("again", func(v service.JobView) bool { return v.DeadLetters == 3 && v.Rows == 1 })
	redrive := func(ids []int64, of, want string) {
		t.Helper()
		tried, refused, err := h.Redrive(h.ctx, "again", ids, of)
		if got := fmt.Sprintln(tried, refused, err); got != want+" <nil>\n" {
			t.Errorf("tried, refused: %s, want %s", got, want)
		}
	}
	redrive(nil, "QueryError", "0 1")
	redrive(nil, "", "2 1") // they fail again, and are new letters
	h.until("again", func(v service.JobView) bool { return v.DeadLetters == 5 })
	ask("UPDATE bound SET most = 99")
	redrive(nil, "", "2 1")
	redrive(nil, "", "0 1")
	if n := ask("SELECT COUNT(*) * 100 + SUM(n) FROM rows"); n != 300+42 {
		t.Errorf("rows and sum %d", n)
	}
	list, _, _, err := h.DeadLetters("again", "", 0, 10)
	if err != nil || len(list) != 5 {
		t.Fatalf("%v, %v", list, err)
	}
	for _, l := range list {
		if l.Redriven != (l.Name != "QueryError") {
			t.Errorf("letter %+v", l)
		}
	}
	redrive([]int64{list[4].ID}, "", "1 0") // who names one means it
	if _, _, err := h.Redrive(h.ctx, "again", []int64{99}, ""); err == nil {
		t.Error("there is no letter 99")
	}
}
