package codec

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"testing"
	"time"

	lib "github.com/parquet-go/parquet-go"
	libavro "github.com/twmb/avro"
	"github.com/twmb/avro/ocf"

	"weir/internal/codec/avro"
	"weir/internal/codec/parquet"
	"weir/internal/vec"
)

// benchRow is an event of makeEvents as a Go struct, as a program that uses a library alone has
// it.
type benchRow struct {
	TeamId     string `avro:"TeamId"`
	ServiceId  string `avro:"ServiceId"`
	Date       string `avro:"Date"`
	StatusCode int64  `avro:"StatusCode"`
	Status     bool   `avro:"Status"`
}

const benchRows = 100_000

var benchFields = fieldsOf("TeamId", "ServiceId", "Date", "StatusCode", "Status")

func benchFormat(kind string) PackFormat {
	s := vec.KindsOf(vec.String)
	return PackFormat{Type: kind, Names: []string{"TeamId", "ServiceId", "Date", "StatusCode", "Status"}, Kinds: []vec.Kinds{s, s, s, vec.KindsOf(vec.Int), vec.KindsOf(vec.Bit)}}
}

func benchFile(b *testing.B, kind string) []byte {
	b.Helper()
	var out bytes.Buffer
	if err := Pack(&out, bytes.NewReader(makeEvents(styleRegular, benchRows)), benchFormat(kind)); err != nil {
		b.Fatal(err)
	}
	return out.Bytes()
}

// report says how many rows a second there were.
func report(b *testing.B, began time.Time) {
	b.ReportMetric(float64(b.N)*benchRows/time.Since(began).Seconds(), "rows/s")
}

func loop(b *testing.B, do func() error) {
	b.Helper()
	b.ReportAllocs()
	began := time.Now()
	for b.Loop() {
		if err := do(); err != nil {
			b.Fatal(err)
		}
	}
	report(b, began)
}

// BenchmarkRead reads files: to lines of JSON, to batches, and beside that what the libraries do
// alone, in the ways that they offer.
func BenchmarkRead(b *testing.B) {
	file := benchFile(b, "avro")
	b.Run("avro/text", func(b *testing.B) {
		loop(b, func() error {
			r := avro.NewReader(bufio.NewReader(bytes.NewReader(file)), MaxEventBytes, InvalidData)
			defer r.Close()
			_, err := io.Copy(io.Discard, r)
			return err
		})
	})
	b.Run("avro/batches", func(b *testing.B) { batches(b, file) })
	b.Run("avro/library-structs", func(b *testing.B) { libraryAvro[benchRow](b, file) })
	b.Run("avro/library-any", func(b *testing.B) { libraryAvro[any](b, file) })

	file = benchFile(b, "parquet")
	b.Run("parquet/text", func(b *testing.B) {
		loop(b, func() error {
			return parquet.Decode(io.Discard, bytes.NewReader(file), int64(len(file)), parquet.Options{Limit: MaxEventBytes})
		})
	})
	b.Run("parquet/batches", func(b *testing.B) { batches(b, file) })
	b.Run("parquet/batches-child", func(b *testing.B) {
		inChild(b)
		batches(b, file)
	})
	b.Run("parquet/library-rows", func(b *testing.B) {
		rows := make([]lib.Row, 512)
		loop(b, func() error {
			f, err := lib.OpenFile(bytes.NewReader(file), int64(len(file)))
			if err != nil {
				return err
			}
			for _, g := range f.RowGroups() {
				r := g.Rows()
				for err == nil {
					_, err = r.ReadRows(rows)
				}
				r.Close()
				if err != io.EOF {
					return err
				}
			}
			return nil
		})
	})
	b.Run("parquet/library-structs", func(b *testing.B) {
		rows := make([]struct {
			TeamId, ServiceId, Date *string
			StatusCode              *int64
			Status                  *bool
		}, 512)
		loop(b, func() error {
			f, err := lib.OpenFile(bytes.NewReader(file), int64(len(file)))
			if err != nil {
				return err
			}
			r := lib.NewGenericReader[struct {
				TeamId, ServiceId, Date *string
				StatusCode              *int64
				Status                  *bool
			}](f)
			defer r.Close()
			for err == nil {
				_, err = r.Read(rows)
			}
			if err == io.EOF {
				err = nil
			}
			return err
		})
	})
}

func batches(b *testing.B, file []byte) {
	loop(b, func() error {
		text := Open(bytes.NewReader(file), Format{})
		defer text.Close()
		return drain(text, NewJSON(benchFields, JSONOptions{}), func(*vec.Batch) {}, nil)
	})
}

func libraryAvro[T any](b *testing.B, file []byte) {
	loop(b, func() error {
		r, err := ocf.NewReader(bytes.NewReader(file))
		if err != nil {
			return err
		}
		defer r.Close()
		for err == nil {
			var row T
			err = r.Decode(&row)
		}
		if err == io.EOF {
			err = nil
		}
		return err
	})
}

// BenchmarkWrite writes files of rows that are staged as JSON, and beside that what the libraries
// do alone with structs in memory.
func BenchmarkWrite(b *testing.B) {
	text := makeEvents(styleRegular, benchRows)
	var rows []benchRow
	for line := range bytes.Lines(text) {
		var r benchRow
		if err := json.Unmarshal(line, &r); err != nil {
			b.Fatal(err)
		}
		rows = append(rows, r)
	}
	for _, kind := range []string{"avro", "parquet"} {
		b.Run(kind+"/staged", func(b *testing.B) {
			loop(b, func() error { return Pack(io.Discard, bytes.NewReader(text), benchFormat(kind)) })
		})
	}
	b.Run("avro/library-structs", func(b *testing.B) {
		schema := libavro.MustSchemaFor[benchRow]()
		loop(b, func() error {
			w, err := ocf.NewWriter(io.Discard, schema, ocf.WithCodec(ocf.SnappyCodec()))
			for i := range rows {
				if err == nil {
					err = w.Encode(&rows[i])
				}
			}
			if err == nil {
				err = w.Close()
			}
			return err
		})
	})
	b.Run("parquet/library-structs", func(b *testing.B) {
		loop(b, func() error {
			w := lib.NewGenericWriter[benchRow](io.Discard, lib.Compression(&lib.Snappy))
			if _, err := w.Write(rows); err != nil {
				return err
			}
			return w.Close()
		})
	})
}
