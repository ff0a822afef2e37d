package fluent

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"os"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/tinylib/msgp/msgp"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.NewReplacer("-", "", " ", "").Replace(s))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func toJSON(t testing.TB, b []byte) string {
	t.Helper()
	value, rest, err := cut(b)
	if err != nil || len(rest) > 0 {
		t.Fatalf("%x: %v, %d bytes left", b, err, len(rest))
	}
	out, rest := appendJSON(nil, value)
	if len(rest) > 0 || !json.Valid(out) {
		t.Fatalf("%x: %q is not JSON, or %d bytes are left", b, out, len(rest))
	}
	return string(out)
}

func TestJSON(t *testing.T) {
	f := func(bytes, want string) {
		t.Helper()
		if got := toJSON(t, unhex(t, bytes)); got != want {
			t.Errorf("%s: %s, want %s", bytes, got, want)
		}
	}
	f("c0", "null")
	f("c3", "true")
	f("cf ffffffffffffffff", "18446744073709551615")
	f("d3 8000000000000000", "-9223372036854775808")
	f("d0 80", "-128")
	f("cb 3ff0000000000000", "1.0")
	f("cb 7ff8000000000000", "null")
	f("cb fff0000000000000", "null")
	f("ca 3dcccccd", "0.10000000149011612")
	f("cb 7fefffffffffffff", "1.7976931348623157e+308")
	f("cb 8000000000000000", "-0.0")
	f("a0", `""`)
	f("a6 22 5c 0a 01 7f e2", `"\"\\\n\u0001\u007f`+"\uFFFD"+`"`)
	f("a3 e2 80 a8", "\"\u2028\"")
	f("c4 02 61 62", `"ab"`)
	f("c4 02 61 ff", `"Yf8="`)
	f("82 01 a1 78 c2 93 01 02 90", `{"1":"x","false":[1,2,[]]}`)
	f("81 91 01 80", `{"[1]":{}}`)
	f("81 a1 61 81 a1 62 c0", `{"a":{"b":null}}`)
	f("d7 00 5a4af6a5 00000001", `"2018-01-02T03:04:05.000000001Z"`)
	f("d6 ff 5a4af6a5", `"2018-01-02T03:04:05Z"`)
	f("d4 07 01", `"AQ=="`)
	f("c7 03 00 010203", `"AQID"`)
}

// TestSuiteOfMessagePack runs the values of kawanet/msgpack-test-suite (MIT).
func TestSuiteOfMessagePack(t *testing.T) {
	file, err := os.Open("../../../../shared/corpora/malformed-corpora.tar.gz")
	if os.IsNotExist(err) {
		t.Log("the archive of malformed inputs is not here")
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	zip, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	var suite map[string][]map[string]json.RawMessage
	for tr := tar.NewReader(zip); suite == nil; {
		h, err := tr.Next()
		if err != nil {
			t.Fatal(err)
		}
		if path.Base(h.Name) == "msgpack-test-suite.json" {
			if err := json.NewDecoder(tr).Decode(&suite); err != nil {
				t.Fatal(err)
			}
		}
	}
	count := 0
	for group, cases := range suite {
		for _, c := range cases {
			var forms []string
			if err := json.Unmarshal(c["msgpack"], &forms); err != nil {
				t.Fatal(err)
			}
			for _, form := range forms {
				checkSuite(t, group, c, form)
				count++
			}
		}
	}
	t.Logf("%d forms of values", count)
	if count < 200 {
		t.Errorf("only %d", count)
	}
}

func checkSuite(t *testing.T, group string, c map[string]json.RawMessage, form string) {
	t.Helper()
	got := toJSON(t, unhex(t, form))
	var want string
	switch {
	case c["binary"] != nil:
		var text string
		if err := json.Unmarshal(c["binary"], &text); err != nil {
			t.Fatal(err)
		}
		want = string(appendBinary(nil, unhex(t, text)))
	case c["timestamp"] != nil:
		var at [2]int64
		if err := json.Unmarshal(c["timestamp"], &at); err != nil {
			t.Fatal(err)
		}
		want = `"` + time.Unix(at[0], at[1]).UTC().Format(time.RFC3339Nano) + `"`
	case c["ext"] != nil:
		var ext []any
		if err := json.Unmarshal(c["ext"], &ext); err != nil {
			t.Fatal(err)
		}
		want = `"` + base64.StdEncoding.EncodeToString(unhex(t, ext[1].(string))) + `"`
	case c["number"] != nil || c["bignum"] != nil:
		text := string(c["number"])
		if c["bignum"] != nil {
			text = strings.Trim(string(c["bignum"]), `"`)
		}
		w, _, err := big.ParseFloat(text, 10, 200, big.ToNearestEven)
		if err != nil {
			t.Fatal(err)
		}
		g, _, err := big.ParseFloat(got, 10, 200, big.ToNearestEven)
		if err != nil || g.Cmp(w) != 0 {
			t.Errorf("%s %s: %s, want %s", group, form, got, text)
		}
		return
	default:
		for name, v := range c {
			if name != "msgpack" {
				want = string(v)
			}
		}
	}
	var a, b any
	if json.Unmarshal([]byte(got), &a) != nil || json.Unmarshal([]byte(want), &b) != nil || fmt.Sprint(a) != fmt.Sprint(b) {
		t.Errorf("%s %s: %s, want %s", group, form, got, want)
	}
}

func TestScan(t *testing.T) {
	f := func(what string, b []byte, limit int, want error) {
		t.Helper()
		var s scanner
		ok, err := s.scan(b, limit)
		if !errors.Is(err, want) || ok && want != nil {
			t.Errorf("%s: %v %v", what, ok, err)
		}
	}
	f("array of 2^32-1", unhex(t, "ddffffffff"), 1<<20, errTooLarge)
	f("map of 2^32-1", unhex(t, "dfffffffff"), 1<<20, errTooLarge)
	f("binary of 2^32-1", unhex(t, "c6ffffffff"), 1<<20, errTooLarge)
	f("text of 2^32-1", unhex(t, "dbffffffff"), 1<<20, errTooLarge)
	f("ext of 2^32-1", unhex(t, "c9ffffffff00"), 1<<20, errTooLarge)
	f("a million arrays", bytes.Repeat([]byte{0x91}, 1<<20), 1<<21, errDeep)
	f("a million maps", bytes.Repeat([]byte{0x81, 0xa0}, 1<<20), 1<<22, errDeep)
	f("0xc1", []byte{0x92, 1, 0xc1}, 100, errMalformed)
	f("one byte too many", []byte{0xa3, 1, 2, 3}, 3, errTooLarge)
	f("fits", []byte{0xa3, 1, 2, 3}, 4, nil)
	deep := append(bytes.Repeat([]byte{0x91}, maxDepth), 0xc0)
	f("as deep as may be", deep, 1000, nil)
	f("deeper", append([]byte{0x91}, deep...), 1000, errDeep)
	// Byte by byte gives the same as at once.
	value := unhex(t, "93 a161 92 01 c403000102 82 a161 cb3ff0000000000000 d9026262 c7020501ff")
	var s scanner
	for i := range value {
		if ok, err := s.scan(value[:i], 1000); ok || err != nil {
			t.Fatalf("after %d bytes: %v %v", i, ok, err)
		}
	}
	if ok, err := s.scan(append(value, 0xff), 1000); !ok || err != nil || s.pos != len(value) {
		t.Errorf("%v %v, %d of %d bytes", ok, err, s.pos, len(value))
	}
}

func TestTimes(t *testing.T) {
	f := func(bytes, want string) {
		t.Helper()
		at, ok := parseTime(unhex(t, bytes))
		got := "none"
		if ok {
			got = at.Format(time.RFC3339Nano)
		}
		if got != want {
			t.Errorf("%s: %s, want %s", bytes, got, want)
		}
	}
	f("ce 537262b0", "2014-05-13T18:21:36Z")
	f("d7 00 537262b0 075bcd15", "2014-05-13T18:21:36.123456789Z")
	f("c7 08 00 537262b0 075bcd15", "2014-05-13T18:21:36.123456789Z")
	f("92 d7 00 537262b0 00000000 80", "2014-05-13T18:21:36Z")
	f("92 92 01 80 80", "none")
	f("ff", "1969-12-31T23:59:59Z")
	f("cb 3ff8000000000000", "1970-01-01T00:00:01.5Z")
	f("cb bff8000000000000", "1969-12-31T23:59:58.5Z")
	f("cb 7ff8000000000000", "none")
	f("cb 7fefffffffffffff", "none")
	f("cf ffffffffffffffff", "none")
	f("d3 8000000000000000", "none")
	f("d7 00 537262b0 ffffffff", "none")
	f("a1 61", "none")
}

func FuzzRecordJSON(f *testing.F) {
	rec, err := msgp.AppendIntf(nil, map[string]any{"a": int64(1), "b": []any{"x", 1.5, nil, true}, "c": []byte{1, 255}, "d": time.Unix(1, 2)})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(rec)
	for _, s := range []string{"ddffffffff", "dfffffffff", "c6ffffffff", "d7005a4af6a500000001", "8201a178c2930102c0", "81c702ff0000c0", "cbfff0000000000000"} {
		b, _ := hex.DecodeString(s)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		value, _, err := cut(b)
		if err != nil {
			return
		}
		out, rest := appendJSON(nil, value)
		if len(rest) > 0 || !json.Valid(out) {
			t.Errorf("%x: %q", value, out)
		}
		h, _ := readHead(value)
		if h.kind != kindMap {
			return
		}
		o := &Options{IncludeTag: "a", IncludeTime: "time"}
		e := newEncoder(o, "t", &room{})
		if out := e.appendRecord(nil, time.Unix(1, 2), value); !json.Valid(out) {
			t.Errorf("%x: %q", value, out)
		}
		field(value, "a")
	})
}

func TestRecord(t *testing.T) {
	rec, err := msgp.AppendIntf(nil, map[string]any{"time": "old"})
	if err != nil {
		t.Fatal(err)
	}
	f := func(at time.Time, want string) {
		t.Helper()
		e := newEncoder(&Options{IncludeTag: "tag", IncludeTime: "time"}, "app.x", &room{})
		if got := string(e.appendRecord(nil, at, rec)); got != want {
			t.Errorf("%s", got)
		}
	}
	f(time.Unix(1400000000, 0), `{"tag":"app.x","time":1400000000}`)
	f(time.Unix(1400000000, 5e6), `{"tag":"app.x","time":1400000000.005000000}`)
	f(time.Unix(-2, 5e8), `{"tag":"app.x","time":-1.500000000}`)
	f(time.Unix(-2, 0), `{"tag":"app.x","time":-2}`)
	if got := appendSeconds(nil, time.Unix(0, math.MaxInt32)); string(got) != "2.147483647" {
		t.Errorf("%s", got)
	}
}
