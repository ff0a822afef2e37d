package codec

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"weir/internal/vec"
)

// eventStyle is a shape of synthetic events.
type eventStyle int

const (
	styleRegular eventStyle = iota
	styleOptional
	styleShuffled
	styleWide
	styleEscapes
	styleJapanese
)

// makeEvents is n JSON lines, the same in every run.
func makeEvents(style eventStyle, n int) []byte {
	rng := rand.New(rand.NewPCG(1, uint64(style)))
	services := []string{"POI", "User", "Trip"}
	codes := []int{200, 201, 204, 301, 400, 404, 500, 501, 502, 503}
	var out strings.Builder
	for i := range n {
		team := fmt.Sprintf("Team%02d", rng.IntN(100))
		ms := i/10 + rng.IntN(50)
		code := codes[rng.IntN(len(codes))]
		fields := []string{
			fmt.Sprintf(`"TeamId":"%s"`, team),
			fmt.Sprintf(`"ServiceId":"%s%s"`, team, services[rng.IntN(3)]),
			fmt.Sprintf(`"Date":"2018-01-10T10:%02d:%02d.%03dZ"`, 10+ms/60000%50, ms/1000%60, ms%1000),
			fmt.Sprintf(`"StatusCode":%d`, code),
			fmt.Sprintf(`"Status":%t`, code < 500),
		}
		switch style {
		case styleOptional:
			for k, name := range []string{"Region", "Build", "Note"} {
				if rng.IntN(2) == 0 {
					at := k + 1
					fields = append(fields[:at:at], append([]string{fmt.Sprintf(`"%s":"v%d"`, name, rng.IntN(20))}, fields[at:]...)...)
				}
			}
		case styleShuffled:
			rng.Shuffle(len(fields), func(i, j int) { fields[i], fields[j] = fields[j], fields[i] })
		case styleWide:
			for k := range 35 {
				fields = append(fields, fmt.Sprintf(`"Attribute%02d":"some value %d"`, k, rng.IntN(1000)))
			}
		case styleEscapes:
			fields = append(fields, fmt.Sprintf(`"Path":"C:\\data\\file%d \"x\""`, rng.IntN(1000)))
		case styleJapanese:
			fields = append(fields, fmt.Sprintf(`"Place":"東京都渋谷区道玄坂%d丁目"`, rng.IntN(30)))
		}
		out.WriteString("{" + strings.Join(fields, ",") + "}\n")
	}
	return []byte(out.String())
}

// decodeAll decodes text in pieces as the runner does, into one batch, and gives the rows.
func decodeAll(d Decoder, b *vec.Batch, text []byte) (rows int) {
	for len(text) > 0 {
		piece := text[:min(len(text), 256<<10)]
		n, err := d.Decode(b, piece, len(piece) == len(text), MaxBatchRows, nil)
		if err != nil || n == 0 {
			panic(fmt.Sprint("stuck: ", err))
		}
		rows += b.N
		text = text[n:]
	}
	return rows
}

func BenchmarkJSON(b *testing.B) {
	const n = 50_000
	f := func(name string, style eventStyle, open func([]vec.Field, JSONOptions) *JSONDecoder, o JSONOptions, specs ...string) {
		b.Run(name, func(b *testing.B) {
			text := makeEvents(style, n)
			d := open(fieldsOf(specs...), o)
			var batch vec.Batch
			decodeAll(d, &batch, text)
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if rows := decodeAll(d, &batch, text); rows != n {
					b.Fatal(rows)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/event")
		})
	}
	lines := JSONOptions{Lines: true}
	f("two", styleRegular, NewJSON, lines, "TeamId", "@Date")
	f("twoPlain", styleRegular, NewJSON, lines, "TeamId", "StatusCode")
	f("three", styleRegular, NewJSON, lines, "TeamId", "@Date", "StatusCode")
	f("five", styleRegular, NewJSON, lines, "TeamId", "ServiceId", "@Date", "StatusCode", "Status")
	f("textTime", styleRegular, NewJSON, lines, "ServiceId", "@Date", "Date")
	f("stream", styleRegular, NewJSON, JSONOptions{Stream: true}, "TeamId", "@Date")
	f("optional", styleOptional, NewJSON, lines, "TeamId", "@Date", "Region")
	f("shuffled", styleShuffled, NewJSON, lines, "TeamId", "@Date")
	f("wide", styleWide, NewJSON, lines, "TeamId", "@Date")
	f("escapes", styleEscapes, NewJSON, lines, "TeamId", "@Date", "Path")
	f("japanese", styleJapanese, NewJSON, lines, "TeamId", "@Date", "Place")
	f("record", styleRegular, NewJSON, lines, "*", "@Date")
	f("generic", styleRegular, NewGenericJSON, lines, "TeamId", "@Date")
}

func BenchmarkCSV(b *testing.B) {
	const n = 50_000
	text := []byte("TeamId,ServiceId,Date,StatusCode,Status\n")
	for line := range strings.Lines(string(makeEvents(styleRegular, n))) {
		line = strings.NewReplacer(`"TeamId":"`, "", `","ServiceId":"`, ",", `","Date":"`, ",", `","StatusCode":`, ",", `"Status":`, "", "{", "", "}", "").Replace(line)
		text = append(text, line...)
	}
	var batch vec.Batch
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if rows := decodeAll(NewCSV(fieldsOf("TeamId", "@Date"), CSVOptions{}), &batch, text); rows != n {
			b.Fatal(rows)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/event")
}

func BenchmarkEncode(b *testing.B) {
	const n = 2000
	text := makeEvents(styleRegular, n)
	f := func(name string, kind OutputKind, row bool, specs ...string) {
		b.Run(name, func(b *testing.B) {
			var batch vec.Batch
			NewJSON(fieldsOf(specs...), JSONOptions{Lines: true}).Decode(&batch, text, true, n, nil)
			e := NewEncoder(kind, specs, row)
			dst := e.Encode(nil, &batch)
			b.SetBytes(int64(len(dst)))
			b.ReportAllocs()
			for b.Loop() {
				dst = e.Encode(dst[:0], &batch)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/event")
		})
	}
	f("lines", JSONLines, false, "TeamId", "ServiceId", "StatusCode")
	f("linesTime", JSONLines, false, "TeamId", "@Date", "StatusCode")
	f("csv", CSV, false, "TeamId", "ServiceId", "StatusCode")
	f("row", JSONLines, true, "*")
}
