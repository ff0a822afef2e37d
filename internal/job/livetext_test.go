package job

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"weir/internal/connect"
	"weir/internal/vec"
)

// textSource gives chunks of texts as they stand; a position is the number of a chunk.
type textSource struct {
	chunks []connect.Chunk
	heads  map[int]string // what a reader that begins there must see before
}

func (s *textSource) Partitions(context.Context) ([]string, error) { return []string{"0"}, nil }
func (s *textSource) Seek(context.Context, string, vec.Time) (connect.Position, error) {
	return "", nil
}
func (s *textSource) Open(_ context.Context, _ string, after connect.Position) (connect.Reader, error) {
	return &textReader{s: s, at: memIndex(after), entered: true}, nil
}
func (s *textSource) Done(context.Context, string, connect.Position) error { return nil }
func (s *textSource) Close() error                                         { return nil }

type textReader struct {
	s       *textSource
	at      int
	entered bool
}

func (r *textReader) Ready() <-chan struct{} { return nil }
func (r *textReader) Close() error           { return nil }
func (r *textReader) Read(_ context.Context, _ int, until connect.Position) (connect.Chunk, error) {
	if r.at == len(r.s.chunks) {
		return connect.Chunk{Next: memPosition(r.at)}, nil
	}
	c := r.s.chunks[r.at]
	if r.entered && !c.Fresh {
		c.Head = []byte(r.s.heads[r.at])
	}
	r.entered = false
	r.at++
	c.Next = connect.Position(strconv.Itoa(r.at))
	return c, nil
}

// TestLiveTexts: files in chunks, read through and read with a restart before each chunk, give
// the same rows.
func TestLiveTexts(t *testing.T) {
	chunk := func(object, data string, fresh, last bool) connect.Chunk {
		return connect.Chunk{Object: object, Data: []byte(data), Fresh: fresh, Last: last, Line: 1}
	}
	f := func(name string, s *textSource, rows string, dead ...string) {
		t.Helper()
		for _, restarts := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				c := newLiveCase(t, `SELECT k, n INTO o FROM e`)
				c.spec.Inputs[0].Open = func(connect.SourceEnv) (connect.Source, error) { return s, nil }
				all := s.chunks
				defer func() { s.chunks = all }()
				for i := range all {
					if !restarts && i+1 < len(all) {
						continue
					}
					s.chunks = all[:i+1]
					_, stop := c.start(t)
					time.Sleep(time.Second)
					if i%2 == 0 && restarts {
						c.disk.Crash() // the epoch is made again
					}
					stop()
				}
				l, stop := c.start(t)
				time.Sleep(time.Second)
				if got := strings.ReplaceAll(strings.Join(c.target.all(), ""), "\n", " "); got != rows {
					t.Errorf("%s, restarts %v:\n%s\nwant\n%s", name, restarts, got, rows)
				}
				list, _ := l.DeadLetters(0, 10)
				var got []string
				for _, d := range list {
					got = append(got, d.Name+" "+d.Object+" "+d.Payload)
				}
				if strings.Join(got, "|") != strings.Join(dead, "|") {
					t.Errorf("%s, restarts %v: dead letters %q", name, restarts, got)
				}
				mustStop(t, stop)
			})
		}
	}
	f("CSV", &textSource{heads: map[int]string{1: "k,n\n", 3: "n;k\n"}, chunks: []connect.Chunk{
		chunk("a.csv", "k,n\nx,1\n", true, false), chunk("a.csv", "y,2\nz,3,4\n", false, true),
		chunk("b.csv.gz", "n;k\n5;v\n", true, false), chunk("b.csv.gz", "6;w", false, true)}},
		`{"k":"x","n":"1"} {"k":"y","n":"2"} {"k":"v","n":"5"} {"k":"w","n":"6"} `,
		"InputDeserializerError.InvalidData a.csv z,3,4")
	f("lines", &textSource{chunks: []connect.Chunk{
		chunk("a.json", "{\"k\":1,\"n\":1}\n{\"k\":2", true, false), chunk("a.json", "{\"k\":3,\"n\":3}\n", false, false), chunk("a.json", "{\"k\":4}", false, true)}},
		`{"k":1,"n":1} {"k":3,"n":3} {"k":4,"n":null} `, `InputDeserializerError.InvalidData a.json {"k":2`)
	f("array", &textSource{heads: map[int]string{1: "[", 2: "["}, chunks: []connect.Chunk{
		chunk("a.json", "[{\"k\":1,\n\"n\":1},", true, false), chunk("a.json", "{\"k\":2},{\"k\":3}\n", false, false), chunk("a.json", ",{\"k\":4}]\n", false, true),
		chunk("b.json", "{\"k\":5}\n", true, true)}},
		`{"k":1,"n":1} {"k":2,"n":null} {"k":3,"n":null} {"k":4,"n":null} {"k":5,"n":null} `)
	f("header", &textSource{heads: map[int]string{1: "k,K,\"\n"}, chunks: []connect.Chunk{
		chunk("a.csv", "k,\"\nx,1\n", true, false), chunk("a.csv", "y,2\n", false, true), chunk("b.csv", "k,n\nz,3\n", true, true)}},
		`{"k":"z","n":"3"} `, "InputDeserializerError.InvalidHeader a.csv k,\"\nx,1\n", "InputDeserializerError.InvalidHeader a.csv y,2\n")
}

// TestLiveEventArrival: an input whose events bring their arrival drops and moves nothing, and
// its windows close when no event comes.
func TestLiveEventArrival(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newLiveCase(t, `SELECT COUNT(*) AS c, MAX(n) AS m INTO o FROM e TIMESTAMP BY at GROUP BY TumblingWindow(second, 10)`)
		c.spec.Inputs[0].EventArrival = true
		for i := range 25 { // of long ago
			c.source.add("p", memEvent{event(i, float64(i)-1e6).text, moment(0)})
		}
		l, stop := c.start(t)
		time.Sleep(30 * time.Second)
		s := l.Stats().Inputs[0]
		if got := strings.Join(c.target.all(), ""); got != "{\"c\":1,\"m\":0}\n{\"c\":10,\"m\":10}\n{\"c\":10,\"m\":20}\n{\"c\":4,\"m\":24}\n" || s.Late.Dropped+s.Late.Adjusted+s.Early != 0 {
			t.Errorf("%s, %+v", got, s)
		}
		mustStop(t, stop)
	})
}

// TestLiveManifestLimit: a manifest that is too long waits for checkpoints.
func TestLiveManifestLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newLiveCase(t, plainQuery)
		c.spec.Checkpoint = time.Hour
		l, err := OpenLive(t.Context(), c.disk.Boot(), c.spec)
		if err != nil {
			t.Fatal(err)
		}
		l.maxManifest = 2000
		ctx, cancel := context.WithCancel(t.Context())
		end := make(chan error, 1)
		go func() { end <- l.Run(ctx) }()
		for i := range 300 {
			c.source.add("p", event(i, float64(i)))
			time.Sleep(20 * time.Millisecond)
		}
		size := int64(0)
		files, _ := c.disk.ReadDir(manifestDir)
		for _, f := range files {
			size += f.Size
		}
		if n := l.Stats().Checkpoint.Count; size > 3000 || n < 5 || len(c.target.all()) != 300 {
			t.Errorf("%d bytes, %d checkpoints, %d rows", size, n, len(c.target.all()))
		}
		cancel()
		if err := <-end; err != nil {
			t.Error(err)
		}
	})
}
