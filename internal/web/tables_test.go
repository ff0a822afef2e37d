package web_test

import (
	"strings"
	"testing"

	"weir/internal/service"
	"weir/internal/service/servicetest"
	"weir/internal/web"
)

func TestTables(t *testing.T) {
	s := open(t, web.Options{})
	feed := servicetest.FeedOf("tabled")
	file := servicetest.Job("tabled", "SELECT team, n INTO rows FROM events")
	at := strings.Index(file, "outputs:")
	file = file[:at] + "outputs:\n  rows:\n    type: table\n    key: [team]\n"
	body := map[string]any{"files": map[string]string{"weir.yaml": file}}
	s.want(201, nil, "PUT", "/api/v1/jobs/tabled", body)
	s.want(404, nil, "GET", "/api/v1/tables/tabled.rows/docs", nil)
	var list struct{ Tables []service.TableView }
	s.want(200, &list, "GET", "/api/v1/tables", nil)
	if len(list.Tables) != 1 || list.Tables[0].Name != "tabled.rows" || list.Tables[0].Documents != 0 {
		t.Errorf("tables: %+v", list)
	}
	s.want(200, nil, "POST", "/api/v1/jobs/tabled:start", map[string]any{"from": "beginning"})
	feed.Add(`{"team":"a","n":1}`, `{"team":"b","n":2}`, `{"team":"a","n":3}`)
	var changes struct {
		Changes []service.DocumentView
		Next    int64
	}
	for changes.Next < 3 { // each answer waits for a change
		status, _, text := s.ask("GET", "/api/v1/tables/tabled.rows/feed?wait=5", nil)
		if v, err := s.svc.Job("tabled"); err != nil || v.State != "running" && v.State != "starting" {
			t.Fatalf("the job: %+v, %v", v, err)
		}
		if status == 404 && s.ctx.Err() == nil {
			continue // the table is made with the first row
		}
		if status != 200 {
			t.Fatalf("%d %s", status, text)
		}
		s.want(200, &changes, "GET", "/api/v1/tables/tabled.rows/feed?after=0", nil)
	}
	if len(changes.Changes) != 3 || string(changes.Changes[2].Doc) != `{"team":"a","n":3}` {
		t.Errorf("feed: %+v", changes)
	}
	var docs struct{ Documents []service.DocumentView }
	s.want(200, &docs, "GET", "/api/v1/tables/tabled.ROWS/docs", nil)
	if len(docs.Documents) != 2 || docs.Documents[0].ID == "" || string(docs.Documents[0].Doc) != `{"team":"a","n":3}` {
		t.Errorf("documents: %+v", docs)
	}
	s.want(404, nil, "GET", "/api/v1/tables/tabled.none/docs", nil)
}
