package suite

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir/internal/codec"
)

func TestJSONEvents(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		var got []string
		for _, e := range jsonEvents([]byte(text), "x") {
			got = append(got, fmt.Sprintf("%d %s", e.place.Line, e.text))
		}
		if strings.Join(got, "|") != want {
			t.Errorf("%q\ngot  %s\nwant %s", text, strings.Join(got, "|"), want)
		}
	}
	f("", "")
	f(`{"a":1}`, `1 {"a":1}`)
	f("{\"a\":1}\n{\"a\":2}\n", `1 {"a":1}|2 {"a":2}`)
	f("[{\"a\":1},\n{\"a\":2}]", `1 {"a":1}|2 {"a":2}`)
	f("{\"a\":1},\n{\"a\":2}", `1 {"a":1}|2 {"a":2}`) // version 2 of the original's runner
	f("{\"a\":1},{\"a\":2}", `1 {"a":1}|1 {"a":2}`)
	f(`{"a":1}{"a":2}`, `1 {"a":1}|1 {"a":2}`)
	f("{\n\"a\":1\n}\n{\n\"a\":2}", "1 {\n\"a\":1\n}|4 {\n\"a\":2}")
	f("{\"a\":1}\nnonsense\n{\"a\":3}\n", `1 {"a":1}|2 nonsense|3 {"a":3}`)
	f("{\"a\":1}\r\n\r\n{\"a\":3}\r\n", `1 {"a":1}|3 {"a":3}`)
}

func TestCSVEvents(t *testing.T) {
	f := func(text string, o codec.CSVOptions, want string) {
		t.Helper()
		events, err := csvEvents(text, "x", o, 1)
		var got []string
		for _, e := range events {
			got = append(got, fmt.Sprintf("%d %s", e.place.Line, e.text))
		}
		if err != nil {
			got = append(got, err.Error())
		}
		if strings.Join(got, "|") != want {
			t.Errorf("%q\ngot  %s\nwant %s", text, strings.Join(got, "|"), want)
		}
	}
	f("EventId,EventMessage\n1,\"Hello\"\n2,null", codec.CSVOptions{}, `2 {"EventId":"1","EventMessage":"Hello"}|3 {"EventId":"2","EventMessage":"null"}`)
	f("a;b\n1;2\n", codec.CSVOptions{Detect: true}, `2 {"a":"1","b":"2"}`)
	f("1,2\n", codec.CSVOptions{NoHeader: true}, `1 {"column1":"1","column2":"2"}`)
	f("", codec.CSVOptions{}, "")
}

// TestReadWhole: a file without a size ends at the limit, too.
func TestReadWhole(t *testing.T) {
	long := filepath.Join(t.TempDir(), "long")
	f, err := os.Create(long)
	if err == nil {
		err = errors.Join(f.Truncate(maxTestFileBytes+1), f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	files := []string{long}
	if _, err := os.Stat("/dev/zero"); err == nil {
		files = append(files, "/dev/zero")
	}
	for _, file := range files {
		if _, err := readWhole(file); err == nil || !strings.Contains(err.Error(), "longer than 8 MiB") {
			t.Errorf("%s: %v", file, err)
		}
	}
	if err := os.Truncate(long, 3); err != nil {
		t.Fatal(err)
	}
	if b, err := readWhole(long); len(b) != 3 || err != nil {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}
