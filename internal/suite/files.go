package suite

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"weir/internal/codec"
	"weir/internal/connect"
	"weir/internal/diag"
	"weir/internal/project"
	"weir/internal/testkit"
	"weir/internal/vec"
)

// readData reads a file of events or rows, unpacked.
func readData(path string, format connect.Format) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text := codec.Open(f, codec.Format{Compression: codec.Compression(format.Compression), Type: format.Type})
	defer text.Close()
	b, err := io.ReadAll(io.LimitReader(text, maxDataFileBytes+1))
	if err == nil && len(b) > maxDataFileBytes {
		err = fmt.Errorf("%s is longer than %d MiB", path, maxDataFileBytes>>20)
	}
	return b, err
}

// readWhole reads a file of a job or of tests, which is not long. What has no size, such as a
// device, ends at the limit too.
func readWhole(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxTestFileBytes+1))
	if err == nil && len(b) > maxTestFileBytes {
		err = fmt.Errorf("%s is longer than %d MiB; put events into files of their own", path, maxTestFileBytes>>20)
	}
	return b, err
}

// csvNames are extensions of CSV files.
func isCSV(path string) bool {
	path = strings.ToLower(path)
	for _, packed := range []string{".gz", ".zst", ".sz"} {
		path = strings.TrimSuffix(path, packed)
	}
	ext := filepath.Ext(path)
	return ext == ".csv" || ext == ".tsv"
}

// fileEvents reads the events of a file. name is what messages call it.
func fileEvents(path, name string, format connect.Format) (events []event, csv bool, err error) {
	data, err := readData(path, format)
	if err != nil {
		return nil, false, err
	}
	csv = strings.EqualFold(format.Type, "csv") || format.Type == "" && isCSV(path)
	if csv {
		events, err = csvEvents(string(data), name, codec.CSVOptions{Delimiter: format.Delimiter, Detect: format.Delimiter == 0, NoHeader: format.NoHeader}, 1)
		return events, true, err
	}
	return jsonEvents(data, name), false, nil
}

// jsonEvents takes a JSON text apart: an array, lines, or objects one after another, with
// or without commas. What is no event stays one: it is bad data, which the run reports.
func jsonEvents(data []byte, name string) []event {
	var events []event
	take := func(line int64, text []byte) {
		if len(strings.TrimSpace(string(text))) > 0 {
			events = append(events, event{text: string(text), place: project.Place{File: name, Line: int(line), Col: 1}})
		}
	}
	lines := codec.LinesOf(data[:min(len(data), 64<<10)], len(data) <= 64<<10)
	d := codec.NewGenericJSON(nil, codec.JSONOptions{Lines: lines, Stream: !lines})
	for len(data) > 0 {
		var b vec.Batch
		type found struct {
			line int64
			text []byte
		}
		var bad []found
		n, err := d.Decode(&b, data, true, codec.MaxBatchRows, func(x codec.Bad) {
			bad = append(bad, found{x.Line, append([]byte(nil), x.Text...)})
		})
		for i := range b.N {
			_, line, text := d.Row(i)
			for len(bad) > 0 && bad[0].line <= line {
				take(bad[0].line, bad[0].text)
				bad = bad[1:]
			}
			take(line, text)
		}
		for _, x := range bad {
			take(x.line, x.text)
		}
		if err != nil || n == 0 {
			break
		}
		data = data[n:]
	}
	return events
}

// csvEvents reads CSV text: every value is a text (saql.md 3.10). line is that of its first
// line in the file name.
func csvEvents(text, name string, o codec.CSVOptions, line int) ([]event, error) {
	d := codec.NewCSV([]vec.Field{{}}, o)
	d.Begin(0, int64(line))
	var events []event
	data := []byte(text)
	for len(data) > 0 {
		var b vec.Batch
		n, err := d.Decode(&b, data, true, codec.MaxBatchRows, func(x codec.Bad) {
			events = append(events, event{text: strings.TrimSpace(string(x.Text)), place: project.Place{File: name, Line: int(x.Line), Col: 1}})
		})
		if err != nil {
			return nil, err
		}
		for i := range b.N {
			_, at, _ := d.Row(i)
			events = append(events, event{text: string(vec.AppendJSON(nil, b.Cols[0].At(i))), place: project.Place{File: name, Line: int(at), Col: 1}})
		}
		if n == 0 {
			break
		}
		data = data[n:]
	}
	return events, nil
}

// fileRows reads expected rows: an array, lines, objects one after another or joined by
// commas. A row that is no JSON object is an error with its line.
func fileRows(path, name string) ([]row, error) {
	data, err := readData(path, connect.Format{})
	if err != nil {
		return nil, err
	}
	var rows []row
	for _, e := range jsonEvents(data, name) {
		v, err := testkit.ParseValue([]byte(e.text))
		if err == nil && v.Kind != testkit.Object {
			err = errors.New("a row is a JSON object")
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, e.place.Line, err)
		}
		rows = append(rows, row{Value: v, place: e.place})
	}
	return rows, nil
}

// why says in words why a file cannot be read.
func why(err error) string {
	if errors.Is(err, fs.ErrNotExist) {
		return "there is no such file"
	}
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err.Error()
	}
	return err.Error()
}

// nearFile is a hint that names the file beside a missing one that was probably meant.
func nearFile(path string) string {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return ""
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return didYouMean(filepath.Base(path), names)
}

// didYouMean is a hint with the nearest of some names, or "" when none is near.
func didYouMean(name string, known []string) string {
	if near, ok := diag.Nearest(name, known); ok {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return ""
}
