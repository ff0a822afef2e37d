package job

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

const metadataQuery = `SELECT n, GetMetadataPropertyValue(e, 'BlobName') AS name, GetMetadataPropertyValue(e, 'BlobLastModifiedUtcTime') AS at,
	GetMetadataPropertyValue(e, 'PartitionId') AS part, GetMetadataPropertyValue(e, '[User].[x]') AS u, GetMetadataPropertyValue(e, 'EventHub') AS hub FROM e`

// TestMetadataOfFiles: a file is a blob in a run with policies, and has no metadata in a
// test run (saql.md 7.9).
func TestMetadataOfFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) Input {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		at := time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
		return Input{Name: "e", Path: path}
	}
	f := func(in Input, sample bool, want string) {
		t.Helper()
		for _, workers := range []int{1, 3} {
			got, _, _ := rowsOf(t, metadataQuery, Options{Sample: sample, Workers: workers, Start: time.Unix(0, 0)}, in)
			if got != want {
				t.Errorf("sample %v:\n%s\nwant\n%s", sample, got, want)
			}
		}
	}
	json := write("e.jsonl", "{\"n\":1}\n{\"n\":2,\"BlobName\":\"x\"}\n")
	rest := `,"name":"` + json.Path + `","at":"2024-05-06T07:08:09.0000000Z","part":0,"u":null,"hub":null}` + "\n"
	f(json, false, `{"n":1`+rest+`{"n":2`+rest)
	none := `,"name":null,"at":null,"part":null,"u":null,"hub":null}` + "\n"
	f(json, true, `{"n":1`+none+`{"n":2`+none)
	csv := write("e.csv", "n,m\n1,2\n")
	csv.Format.CSV = true
	f(csv, false, `{"n":"1"`+strings.Replace(rest, "e.jsonl", "e.csv", 1))
	f(csv, true, `{"n":"1"`+none)
	pipe := text("{\"n\":1}\n")
	got, _, _ := rowsOf(t, metadataQuery, Options{Start: time.Unix(0, 0)}, pipe)
	if want := `{"n":1,"name":null,"at":null,"part":0,"u":null,"hub":null}` + "\n"; got != want {
		t.Errorf("a pipe: %s", got)
	}
}

// TestEventIDs are the same each time the same event is read, and no two are equal.
func TestEventIDs(t *testing.T) {
	const query = "SELECT n, GetMetadataPropertyValue(e, 'EventId') AS id FROM e"
	const n = 30_000 // several blocks
	uuid := regexp.MustCompile(`"id":"[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"`)
	var first string
	for _, workers := range []int{1, 4} {
		rows, _, _ := rowsOf(t, query, Options{Workers: workers, Start: time.Unix(0, 0)}, text(many(n)))
		ids := map[string]bool{}
		for _, id := range uuid.FindAllString(rows, -1) {
			ids[id] = true
		}
		if len(ids) != n {
			t.Errorf("%d workers: %d different ids of %d", workers, len(ids), n)
		}
		if first == "" {
			first = rows
		} else if rows != first {
			t.Error("the number of workers shows")
		}
	}
	var p properties
	if id := p.eventID("hub", filePartition, 42, 0); id != "23c83593-a2f5-57db-9844-d2848ce7a7ae" {
		t.Errorf("the id of weir:hub/0/42/0 is %s", id)
	}
	if id := p.eventID("Hub", filePartition, 42, 0); id != p.eventID("hub", filePartition, 42, 0) || id == p.eventID("hub", filePartition, 43, 0) || id == p.eventID("bub", filePartition, 42, 0) {
		t.Error("the name of the input counts without case, the offset counts")
	}
}
