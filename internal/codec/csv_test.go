package codec

import (
	"errors"
	"strings"
	"testing"
)

func TestCSVDecode(t *testing.T) {
	f := func(o CSVOptions, fields, text, want string) {
		t.Helper()
		for _, size := range []int{0, 1, 2, 3, 7} {
			for _, max := range []int{1, 2, 100} {
				got, err := dump(NewCSV(fieldsOf(strings.Fields(fields)...), o), []byte(text), size, max)
				if err != nil || sortBad(got) != sortBad(want) {
					t.Errorf("%q in pieces of %d, %d rows at most: %v\n%swant\n%s", text, size, max, err, got, want)
				}
			}
		}
	}
	std := CSVOptions{}
	row := func(place string, texts ...string) string {
		var b strings.Builder
		b.WriteString(place)
		for _, s := range texts {
			b.WriteString(" nvarchar(max):" + s)
		}
		return b.String() + "\n"
	}
	f(std, "a b", "a,b\n1,x\n", row("2:4 3", `"1"`, `"x"`))
	f(std, "a b", "a,b\r\n1,x", row("2:5 3", `"1"`, `"x"`))
	f(std, "a b", "a,b\r\n1,x\r\n", row("2:5 3", `"1"`, `"x"`))
	f(std, "a b", "a,b\n\n1,x\n\r\n2,\n", row("3:5 3", `"1"`, `"x"`)+row("5:11 2", `"2"`, `""`))
	f(std, "B A", "a,b\n1,x\n", row("2:4 3", `"x"`, `"1"`))
	f(std, "c a.b", "a,b\n1,x\n", "2:4 3 missing:null missing:null\n")
	f(std, "*", "a,b\n1,x\n2\n", "2:4 3 record:{\"a\":\"1\",\"b\":\"x\"}\n3:8 1 record:{\"a\":\"2\",\"b\":null}\n")
	f(std, "b", "a,b\n1\n2,x,3\n4,y\n", "2:4 1 null:null\n"+row("4:12 3", `"y"`)+"bad 3:6 InputDeserializerError.InvalidData\n")
	f(std, "@t t", "t\n2020-01-01\nx\n", "2:2 10 datetime:\"2020-01-01T00:00:00.0000000Z\""+row("", `"2020-01-01"`)+"3:13 1 null:null"+row("", `"x"`))
	// Quotes.
	f(std, "a b", "a,b\n\"1,2\",\"x\ny\"\n3,z\n", row("2:4 11", `"1,2"`, `"x\ny"`)+row("4:16 3", `"3"`, `"z"`))
	f(std, "a b", "a,b\r\n\"say \"\"hi\"\"\",\"\"\r\n\"\"\"\",\"a\r\nb\"\r\n", row("2:5 15", `"say \"hi\""`, `""`)+row("3:22 11", `"\""`, `"a\r\nb"`))
	f(std, "a b", "a,b\n5\"1,x\"\n", row("2:4 6", `"5\"1"`, `"x\""`))
	f(std, "a", "\"a\"\n\"x\"", row("2:4 3", `"x"`))
	f(std, "a b", "a,b\n\"1\"x,2\n3,4\n", row("3:11 3", `"3"`, `"4"`)+"bad 2:4 InputDeserializerError.InvalidData\n")
	f(std, "a b", "a,b\n\"1,2\n3,4\n", row("3:9 3", `"3"`, `"4"`)+"bad 2:4 InputDeserializerError.InvalidData\n")
	f(std, "a b", "a,b\n\"1\",\"2\n", "bad 2:4 InputDeserializerError.InvalidData\n")
	f(std, "a", "a\n\xff\nx\n", row("3:4 1", `"x"`)+"bad 2:2 InputDeserializerError.InvalidData\n")
	f(std, "a b", "a,b\n東,京\n", row("2:4 7", `"東"`, `"京"`))
	// Headers.
	f(std, "a column2", "a,\n1,x\n", row("2:3 3", `"1"`, `"x"`))
	f(std, "a", "", "")
	f(std, "a", "a", "")
	f(std, "a", "a\n", "")
	f(std, "a", "a,a\n1,2\n", "error InputDeserializerError.InvalidHeader: two columns have the name \"a\"\n")
	f(std, "a", "a,\"b\n1,2\n", "error InputDeserializerError.InvalidHeader: a quote is not closed\n")
	f(CSVOptions{NoHeader: true}, "column1 Column2", "1,x\n", row("1:0 3", `"1"`, `"x"`))
	f(CSVOptions{Delimiter: ';'}, "a b", "a;b\n1,5;x\n", row("2:4 5", `"1,5"`, `"x"`))
	f(CSVOptions{Detect: true}, "a b", "a;b;c\n1,5;x;2\n", row("2:6 7", `"1,5"`, `"x"`))
	f(CSVOptions{Detect: true}, "a b", "a|b\n1,5|x\n", row("2:4 5", `"1,5"`, `"x"`))
	f(CSVOptions{Detect: true}, "a b", "\na\tb\n1\tx\n", row("3:5 3", `"1"`, `"x"`))
	f(CSVOptions{Detect: true}, "a", "a\nx\n", row("2:2 1", `"x"`))
	// Limits.
	long := strings.Repeat("x", 30)
	short := CSVOptions{MaxEvent: 20}
	f(short, "a b", "a,b\n"+long+",2\n3,4\n", row("3:37 3", `"3"`, `"4"`)+"bad 2:4 InputDeserializerError.InvalidData\n")
	f(short, "a b", "a,b\n\""+long+"\n3,4\n", row("3:36 3", `"3"`, `"4"`)+"bad 2:4 InputDeserializerError.InvalidData\n")
	f(short, "a", "a\n"+long[:20]+"\r\n"+long[:21]+"\r\n", row("2:2 20", `"`+long[:20]+`"`)+"bad 3:24 InputDeserializerError.InvalidData\n")
}

func TestCSVErrorIsInputError(t *testing.T) {
	_, err := NewCSV(fieldsOf("a"), CSVOptions{}).Decode(batchOf(t, ""), []byte("a,a\n"), true, 10, nil)
	var e *InputError
	if !errors.As(err, &e) || e.Name != InvalidHeader {
		t.Errorf("got %v", err)
	}
}
