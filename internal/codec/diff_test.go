package codec

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// diffFields are the sets of fields that the decoders are compared with.
var diffFields = [][]string{
	{"TeamId", "@Date"},
	{"a", "b.c", "@d", "d"},
	{"*", "a"},
	{"a", "a", "@a", "A", "b", "b.c.d", "B.e"},
	{"StatusCode", "Status", "Date", "k"},
	{"A.b", "a.c", "aa"},
	{},
}

// compareDecoders decodes text with the generic decoder at once and with the fast one in
// pieces, and reports where they differ. The seed chooses fields, pieces and batches.
func compareDecoders(text []byte, seed uint64) error {
	rng := rand.New(rand.NewPCG(seed, 1))
	fields := fieldsOf(diffFields[rng.IntN(len(diffFields))]...)
	o := JSONOptions{}
	switch rng.IntN(3) {
	case 0:
		o.Lines = true
	case 1:
		o.Stream = true
	}
	if rng.IntN(3) == 0 {
		o.MaxEvent = 20 + rng.IntN(200)
	}
	size := 0
	if rng.IntN(2) == 0 {
		size = 1 + rng.IntN(300)
	}
	max := 1 + rng.IntN(60)
	want, err := dump(NewGenericJSON(fields, o), text, 0, 1000)
	if err != nil {
		return fmt.Errorf("generic: %w", err)
	}
	d := NewJSON(fields, o)
	d.least, d.marker = 0, marker{}
	if k := rng.IntN(len(markers) + 1); k > 0 {
		d.marker = markers[k-1]
	}
	got, err := dump(d, text, size, max)
	if err != nil {
		return fmt.Errorf("fast: %w", err)
	}
	if g, w := sortBad(got), sortBad(want); g != w {
		gl, wl := strings.Split(g, "\n"), strings.Split(w, "\n")
		i := 0
		for i < len(gl)-1 && i < len(wl)-1 && gl[i] == wl[i] {
			i++
		}
		return fmt.Errorf("fields %v, %+v, pieces of %d, %d rows at most: difference %d\n%s\nwant\n%s", fields, o, size, max, i, gl[i], wl[i])
	}
	return nil
}

// diffPieces are what random texts are made of: things that the decoders must tell apart.
var diffPieces = []string{
	`{"a":1,"b":{"c":2},"d":"2020-01-01T00:00:00.000Z"}`,
	`{"a":1,"b":{"c":"x","e":null},"d":"2020-01-01T00:00:59.999Z"}`,
	`{"a":"text","b":{"c":{"d":1},"e":[1,{"x":2}]},"d":5}`,
	`{"A":1,"B":{"C":2},"D":null}`,
	`{"a":1.5,"k":true}`, `{"a":true,"k":false}`, `{"a":null,"k":null}`,
	`{"a":123456789012,"k":-1}`, `{"a":-0,"k":0.0}`, `{"a":1e3,"k":1E-400}`,
	`{"a":"a longer text of more than sixteen bytes","k":12345678}`,
	`{"a":"","k":1234567}`, `{"a":"12345678","k":9223372036854775807}`,
	`{"a":"日本語","k":"\u00e9\n\"\\"}`, `{"a":"x\ud83d\ude00y\ud800z","k":[]}`,
	`{"a":1,"a":2}`, `{"a":1,"A":2,"a":3}`, `{"\u0061":1,"b":{"\u0063":2}}`,
	`{"a":{"b":1,"c":2},"A":{"b":3}}`, `{"A":{"b":3},"a":[]}`, `{"aa":1,"AA":2}`,
	`{ "a" : 1 , "b" : { "c" : 2 } }`, `{"b":{},"a":{}}`, `{}`, `{"b":[[[]]]}`, `{"b":3}`,
	`{"TeamId":"Team01","ServiceId":"Team01POI","Date":"2018-01-10T10:10:10.123Z","StatusCode":404,"Status":false}`,
	`{"TeamId":"Team02","ServiceId":"Team02Trip","Date":"2018-01-10T10:10:10.124Z","StatusCode":200,"Status":true}`,
	`{"TeamId":"Team02","Date":"2018-01-10T10:10:61.124Z","Status":true}`,
	`{"TeamId":"Team02","Date":"2018-01-10T10:11:01.5Z","Status":true}`,
	`{"TeamId":"Team02","Date":"2018-01-10T10:11:01","Status":"true"}`,
	`{"TeamId":"Team02","Date":"2018-01-10T10:11:01+01:00","Status":1}`,
	`{"TeamId":"Team02","Date":"2018-01-10T10:11:01.123z"}`,
	// Bad ones.
	`{"a":01}`, `{"a":1.}`, `{"a":.5}`, `{"a":+1}`, `{"a":tru}`, `{"a":nul}`, `{"a":falsy}`, `{"a":1e}`,
	`{"a":9223372036854775808,"k":1}`, `{"a":1,"k":9223372036854775808}`, `{"a":1,"k":1e999}`, `{"k":[1e999]}`,
	`{"a":1,}`, `{,"a":1}`, `{"a" 1}`, `{"a":}`, `{"a"}`, `{a:1}`, `{"a":'x'}`, `{"a":1 "b":2}`, `{"a":1,,"b":2}`,
	`{"a":"\x"}`, `{"a":"\u12"}`, `{"a":"\ud83d\uzzzz"}`, "{\"a\":\"\t\"}", "{\"a\":\"\xff\"}", "{\"a\":\"\xe6\x97\"}", `{"a":"x`,
	`{"a":[1,2}`, `{"a":{"b":1]}`, `{"a":[1,]}`, `{"a":1}}`, `{"a":1`, `[1]`, `5`, `"x"`, `null`, `x`, "\x00",
	`{"a":` + strings.Repeat("[", 126) + strings.Repeat("]", 126) + `}`,
	`{"a":` + strings.Repeat("[", 127) + strings.Repeat("]", 127) + `}`,
	`{"a":` + strings.Repeat("[", 128) + strings.Repeat("]", 128) + `}`,
	`{"b":{"c":` + strings.Repeat("[", 126) + strings.Repeat("]", 126) + `}}`,
	`{"b":{"c":` + strings.Repeat("[", 127) + strings.Repeat("]", 127) + `}}`,
	"{\"a\":\n1}", "{\"a\":[1,\n2],\"k\":3}", "{\n\"a\":1,\n\"b\":2\n}",
}

// randomText is a text of pieces, some of them damaged.
func randomText(rng *rand.Rand) []byte {
	var out bytes.Buffer
	style := rng.IntN(3)
	few := rng.IntN(len(diffPieces)) + 1
	from := rng.IntN(few)
	if style == 2 {
		out.WriteByte('[')
	}
	for i := range 5 + rng.IntN(100) {
		piece := diffPieces[from+rng.IntN(min(few-from, 8))]
		if rng.IntN(8) == 0 {
			piece = diffPieces[rng.IntN(len(diffPieces))]
		}
		if rng.IntN(12) == 0 {
			piece = damage(rng, piece)
		}
		switch {
		case style == 2 && i > 0:
			out.WriteByte(',')
		case style == 1 && rng.IntN(6) == 0:
			out.WriteString([]string{" ", "\r", ",", "\n\n", "", "  \n"}[rng.IntN(6)])
		}
		out.WriteString(piece)
		if style != 1 || rng.IntN(3) > 0 {
			out.WriteByte('\n')
		}
	}
	if style == 2 && rng.IntN(4) > 0 {
		out.WriteByte(']')
	}
	return out.Bytes()
}

// damage changes a byte or two of s.
func damage(rng *rand.Rand, s string) string {
	b := []byte(s)
	for range 1 + rng.IntN(2) {
		if len(b) == 0 {
			return ""
		}
		i := rng.IntN(len(b))
		switch rng.IntN(4) {
		case 0:
			b[i] = "{}[]\",:\\0123456789.eE+- \n\r\t\x00\x7f\x80\xff"[rng.IntN(31)]
		case 1:
			b = append(b[:i], b[i+1:]...)
		case 2:
			b = append(b[:i], append([]byte{"{}[]\",:\\09.eEtfn "[rng.IntN(17)]}, b[i:]...)...)
		case 3:
			b[i] ^= 1 << rng.IntN(8)
		}
	}
	return string(b)
}

func TestDecodersAgree(t *testing.T) {
	for seed := range uint64(1000) {
		rng := rand.New(rand.NewPCG(seed, 2))
		text := randomText(rng)
		if err := compareDecoders(text, seed); err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, text)
		}
	}
}

func TestDecodersAgreeOnEvents(t *testing.T) {
	for style := styleRegular; style <= styleJapanese; style++ {
		text := makeEvents(style, 2000)
		for seed := range uint64(4) {
			if err := compareDecoders(text, seed); err != nil {
				t.Fatalf("style %d: %v", style, err)
			}
		}
	}
}

func FuzzDecodersAgree(f *testing.F) {
	for i, piece := range diffPieces {
		f.Add([]byte(strings.Repeat(piece+"\n", 3)), uint64(i))
	}
	f.Fuzz(func(t *testing.T, text []byte, seed uint64) {
		if err := compareDecoders(text, seed); err != nil {
			t.Fatal(err)
		}
	})
}
