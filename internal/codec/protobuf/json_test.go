package protobuf

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/bufbuild/protocompile/protoutil"
)

const everything = `
syntax = "proto3";
package t;
import "google/protobuf/timestamp.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/wrappers.proto";
import "google/protobuf/struct.proto";
enum Color { RED = 0; BLUE = 1; }
message Inner { int32 x = 1; string s = 2; Inner in = 3; }
message All {
  int32 i32 = 1; int64 i64 = 2; uint32 u32 = 3; uint64 u64 = 4;
  sint32 s32 = 5; sint64 s64 = 6; fixed32 f32 = 7; fixed64 f64 = 8; sfixed32 sf32 = 9; sfixed64 sf64 = 10;
  float fl = 11; double db = 12; bool b = 13; string s = 14; bytes by = 15; Color c = 16;
  Inner m = 17; repeated int32 list = 18; repeated string texts = 19; repeated Inner ms = 20;
  map<string, int64> names = 21; map<int32, Inner> byNumber = 22;
  oneof one { string a = 23; int32 z = 24; }
  optional int32 maybe = 25;
  google.protobuf.Timestamp at = 26; google.protobuf.Duration took = 27;
  google.protobuf.Int64Value boxed = 28; google.protobuf.Struct free = 29;
  repeated sint64 more = 140;
}
`

// TestTypes is the table of docs/formats.md, line by line: the JSON of protobuf goes in, by the
// library's own encoder, and ours comes out.
func TestTypes(t *testing.T) {
	s, err := FromText(everything, nil, "t.All")
	if err != nil {
		t.Fatal(err)
	}
	f := func(in, field, want string) {
		t.Helper()
		m := dynamicpb.NewMessage(messageIn(s.file, "All"))
		if err := protojson.Unmarshal([]byte(in), m); err != nil {
			t.Fatalf("%s: %v", in, err)
		}
		b, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		got, bad, err := s.NewDecoder().AppendJSON(nil, b, 1<<20)
		if bad != "" {
			got = []byte("! " + bad)
		} else if i := strings.Index(string(got), `"`+field+`":`); i >= 0 {
			got = got[i+len(field)+3:]
		}
		if err != nil || !strings.HasPrefix(string(got), want) {
			t.Errorf("%s: %s, %v, want %s", in, got, err, want)
		}
	}
	f(`{"i32":-5}`, "i32", `-5,`)
	f(`{"i64":"9223372036854775807"}`, "i64", `9223372036854775807,`)
	f(`{"i64":"-9223372036854775808"}`, "i64", `-9223372036854775808,`)
	f(`{"u32":4294967295}`, "u32", `4294967295,`)
	f(`{"u64":"9223372036854775807"}`, "u64", `9223372036854775807,`)
	f(`{"u64":"9223372036854775808"}`, "u64", `! u64: the number 9223372036854775808 is no bigint`)
	f(`{"s32":-7}`, "s32", `-7,`)
	f(`{"s64":-7}`, "s64", `-7,`)
	f(`{"f32":7}`, "f32", `7,`)
	f(`{"f64":7}`, "f64", `7,`)
	f(`{"sf32":-7}`, "sf32", `-7,`)
	f(`{"sf64":-7}`, "sf64", `-7,`)
	f(`{"fl":0.5}`, "fl", `0.5,`)
	f(`{"db":422}`, "db", `422.0,`)
	f(`{"db":"NaN"}`, "db", `null,`)
	f(`{"db":"-Infinity"}`, "db", `null,`)
	f(`{"b":true}`, "b", `true,`)
	f(`{"s":"a\"東"}`, "s", `"a\"東",`)
	f(`{"by":"AAH/"}`, "by", `"AAH/",`)
	f(`{"c":"BLUE"}`, "c", `"BLUE",`)
	f(`{"c":9}`, "c", `9,`)
	f(`{}`, "c", `"RED",`)
	f(`{}`, "i64", `0,`)
	f(`{}`, "s", `"",`)
	f(`{}`, "db", `0.0,`)
	f(`{}`, "m", `null,`)
	f(`{}`, "maybe", `null,`)
	f(`{"maybe":0}`, "maybe", `0,`)
	f(`{"m":{"x":1,"in":{"s":"y"}}}`, "m", `{"x":1,"s":"","in":{"x":0,"s":"y","in":null}},`)
	f(`{"list":[1,-2,3]}`, "list", `[1,-2,3],`)
	f(`{"more":[1,-2,3]}`, "more", `[1,-2,3]}`)
	f(`{}`, "list", `[],`)
	f(`{"texts":["a","b"]}`, "texts", `["a","b"],`)
	f(`{"ms":[{"x":1},{}]}`, "ms", `[{"x":1,"s":"","in":null},{"x":0,"s":"","in":null}],`)
	f(`{"names":{"k":"5"}}`, "names", `{"k":5},`)
	f(`{"byNumber":{"7":{"x":2}}}`, "byNumber", `{"7":{"x":2,"s":"","in":null}},`)
	f(`{"a":"q"}`, "a", `"q","z":null,`)
	f(`{"z":0}`, "a", `null,"z":0,`)
	f(`{"at":"2020-03-05T16:42:35.123456789Z"}`, "at", `"2020-03-05T16:42:35.1234567Z",`)
	f(`{"at":"1969-12-31T23:59:59.5Z"}`, "at", `"1969-12-31T23:59:59.5000000Z",`)
	f(`{"took":"3.500s"}`, "took", `3.5,`)
	f(`{"boxed":"5"}`, "boxed", `5,`)
	f(`{}`, "boxed", `null,`)
	f(`{"free":{"a":[1,"x",null,true],"b":{"c":2.5}}}`, "free", `{"`)
	f(`{"free":{"a":[1,"x",null,true]}}`, "free", `{"a":[1.0,"x",null,true]},`)
}

// TestWire: what bytes may be that no encoder writes.
func TestWire(t *testing.T) {
	s, err := FromText(`syntax = "proto3"; message M { int32 a = 1; repeated int32 l = 2; M m = 3; string s = 4; oneof o { int32 p = 5; int32 q = 6; } repeated fixed32 x = 7; }`, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	f := func(in, want string) {
		t.Helper()
		got, bad, err := s.NewDecoder().AppendJSON(nil, []byte(in), 1000)
		switch {
		case err != nil:
			got = []byte("error: " + err.Error())
		case bad != "":
			got = []byte("! " + bad)
		}
		if g := strings.ReplaceAll(string(got), "\u00a0", " "); g != want {
			t.Errorf("%q:\n got %s\nwant %s", in, g, want)
		}
	}
	none := `{"a":0,"l":[],"m":null,"s":"","p":null,"q":null,"x":[]}`
	f("", none)
	f("\x08\x01\x08\x02", `{"a":2,"l":[],"m":null,"s":"","p":null,"q":null,"x":[]}`)                        // the last counts
	f("\x10\x01\x12\x02\x02\x03\x10\x04", `{"a":0,"l":[1,2,3,4],"m":null,"s":"","p":null,"q":null,"x":[]}`) // packed and not
	f("\x3a\x04\x01\x00\x00\x00", `{"a":0,"l":[],"m":null,"s":"","p":null,"q":null,"x":[1]}`)
	f("\x1a\x02\x08\x05\x1a\x02\x10\x06", `{"a":0,"l":[],"m":{"a":5,"l":[6],"m":null,"s":"","p":null,"q":null,"x":[]},"s":"","p":null,"q":null,"x":[]}`) // parts
	f("\x28\x01\x30\x02", `{"a":0,"l":[],"m":null,"s":"","p":null,"q":2,"x":[]}`)                                                                        // of a oneof the last
	f("\xf8\x07\x01\xfa\x07\x01x", none)                                                                                                                 // unknown fields
	f("\x0a\x01x", none)                                                                                                                                 // another wire type
	f("\x22\x01\xff", `{"a":0,"l":[],"m":null,"s":"`+"\ufffd"+`","p":null,"q":null,"x":[]}`)
	f("\x08", "error: unexpected EOF")
	f("\x1a\x05x", "error: unexpected EOF")
	f("\x0f", "error: field 1 has the wire type 7")
	f("\x00\x01", "error: proto: invalid field number")
	f("\x12\x01\x80", "error: l: unexpected EOF")
	f("\x22\xe9\x07"+strings.Repeat("x", 1001), "! s: the event is too long")
	deep := ""
	for range 200 {
		deep = "\x1a" + string(protoLen(len(deep))) + deep
	}
	if _, _, err := s.NewDecoder().AppendJSON(nil, []byte(deep), 1<<20); err == nil || !strings.HasSuffix(err.Error(), "nested too deeply") {
		t.Errorf("deep: %v", err)
	}
}

func protoLen(n int) []byte {
	if n < 128 {
		return []byte{byte(n)}
	}
	return []byte{byte(n) | 128, byte(n >> 7)}
}

// TestLoad: a .proto file with imports, a descriptor set, and what is said of wrong ones.
func TestLoad(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("other/b.proto", `syntax = "proto3"; package o; message B { int32 n = 1; }`)
	a := write("a.proto", `syntax = "proto3"; package p; import "other/b.proto"; message A { o.B b = 1; } message C { message D { int32 y = 1; } }`)
	f := func(path, name, want string) {
		t.Helper()
		s, err := Load(path, name)
		got := ""
		if err != nil {
			got = strings.ReplaceAll(err.Error(), dir, "")
		} else {
			b, _, _ := s.NewDecoder().AppendJSON(nil, nil, 100)
			got = string(b)
		}
		if got != want {
			t.Errorf("%s %s: %s\nwant %s", path, name, got, want)
		}
	}
	f(a, "p.A", `{"b":null}`)
	f(a, "A", `{"b":null}`)
	f(a, "p.C.D", `{"y":0}`)
	f(a, "", "which message events are is not said; there are p.A, p.C")
	f(a, "X", `there is no message "X"; there are p.A, p.C`)
	f(filepath.Join(dir, "none.proto"), "", `the .proto file is wrong: open /none.proto: no such file or directory`)
	f(write("bad.proto", "message {"), "", `the .proto file is wrong: bad.proto:1:9: syntax error: unexpected '{'`)
	f(write("x.bin", "hello"), "", "the file is neither a .proto file nor a set of file descriptors, as protoc --descriptor_set_out --include_imports writes it")
	s, err := Load(a, "A")
	if err != nil {
		t.Fatal(err)
	}
	var set descriptorpb.FileDescriptorSet
	imports := s.file.Imports()
	for i := range imports.Len() {
		set.File = append(set.File, protoutil.ProtoFromFileDescriptor(imports.Get(i)))
	}
	set.File = append(set.File, protoutil.ProtoFromFileDescriptor(s.file))
	b, err := proto.Marshal(&set)
	if err != nil {
		t.Fatal(err)
	}
	p := write("set.pb", string(b))
	f(p, "p.A", `{"b":null}`)
	f(p, "o.B", `{"n":0}`)
	d, err := s.Indexed([]int{1, 0})
	if err != nil {
		t.Fatal(err)
	}
	if got, _, _ := d.NewDecoder().AppendJSON(nil, []byte("\x08\x03"), 100); string(got) != `{"y":3}` {
		t.Errorf("indexed: %s", got)
	}
	if _, err := s.Indexed([]int{1, 7}); err == nil {
		t.Error("there is no such message")
	}
}

// unmarshal is the library's, which has a panic for some entries of maps.
func unmarshal(m proto.Message, b []byte) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	return proto.UnmarshalOptions{AllowPartial: true}.Unmarshal(b, m)
}

func FuzzMessage(f *testing.F) {
	s, err := FromText(everything, nil, "t.All")
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte("\x08\x01\x8a\x01\x02\x08\x05"))
	f.Add([]byte("\xaa\x01\x05\x0a\x01k\x10\x05\xd2\x01\x02\x08\x05"))
	m := messageIn(s.file, "All")
	f.Fuzz(func(t *testing.T, b []byte) {
		text, bad, err := s.NewDecoder().AppendJSON(nil, b, 1<<20)
		want := unmarshal(dynamicpb.NewMessage(m), b)
		if err == nil && bad == "" && !json.Valid(text) {
			t.Errorf("%q: %s", b, text)
		}
		// What the library reads, we read; it is stricter about texts.
		if want == nil && err != nil && !strings.Contains(err.Error(), "too") {
			t.Errorf("%q: %v", b, err)
		}
	})
}
