package file

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"strconv"
	"testing"

	"weir/internal/connect"
	"weir/internal/connect/connecttest"
	"weir/internal/disk"
)

// readAll is a file's content, nothing if it is not there.
func readAll(d disk.FS, name string) ([]byte, error) {
	f, err := d.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

func jsonRows(b []byte) (rows []connecttest.Row, err error) {
	for d := json.NewDecoder(bytes.NewReader(b)); ; {
		var r connecttest.Row
		if err := d.Decode(&r); err == io.EOF {
			return rows, nil
		} else if err != nil {
			return nil, err
		}
		rows = append(rows, r)
	}
}

func csvRows(b []byte) (rows []connecttest.Row, err error) {
	r := csv.NewReader(bytes.NewReader(bytes.ReplaceAll(b, []byte("\r\n"), []byte("\\r\\n"))))
	all, err := r.ReadAll()
	if err != nil || len(all) == 0 {
		return nil, err
	}
	for _, cells := range all[1:] {
		id, err := strconv.ParseInt(cells[0], 10, 64)
		if err != nil {
			return nil, err
		}
		text := bytes.ReplaceAll([]byte(cells[1]), []byte("\\r\\n"), []byte("\r\n"))
		rows = append(rows, connecttest.Row{ID: id, Text: string(text)})
	}
	return rows, nil
}

// TestSinkSuite runs the conformance suite.
func TestSinkSuite(t *testing.T) {
	for format, rows := range map[string]func([]byte) ([]connecttest.Row, error){"json": jsonRows, "csv": csvRows} {
		t.Run(format, func(t *testing.T) {
			connecttest.Sinks{
				Format: connect.Format{Type: format},
				New: func(t testing.TB) *connecttest.Target {
					m := disk.NewMem(7)
					return &connecttest.Target{
						Disk: m,
						Open: func(env connect.SinkEnv) (connect.Sink, error) {
							return openSink(m.Boot(), "out", env)
						},
						Rows: func() ([]connecttest.Row, error) {
							b, err := readAll(m, "out")
							if err != nil {
								return nil, err
							}
							return rows(b)
						},
					}
				},
			}.Run(t)
		})
	}
}
