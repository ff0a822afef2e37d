package log

import (
	"errors"
	"slices"
	"testing"

	"weir/internal/disk"
)

// FuzzRecords: whatever a batch with a good checksum holds, reading it ends with records or
// an error, and what was written by us is read as it was.
func FuzzRecords(f *testing.F) {
	f.Add(appendRecord(nil, &Record{Key: []byte("k"), Properties: []Property{{"a", "b"}}, Value: []byte("v")}), 1)
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0x0f, 1, 2}, 3)
	f.Add([]byte{5, 0, 0xff, 0xff, 0x7f, 1, 2}, 1)
	f.Fuzz(func(t *testing.T, body []byte, count int) {
		b := append(make([]byte, batchHeader), body...)
		le.PutUint32(b, uint32(len(b)-8))
		le.PutUint32(b[24:], uint32(count))
		stampBatch(b, 7, 0, 0)
		h, problem := checkBatch(b, 7)
		if problem != "" {
			return
		}
		recs, err := readRecords(nil, b, h, 100)
		if err != nil {
			return
		}
		if len(recs) != count {
			t.Fatalf("%d records of %d", len(recs), count)
		}
		again := appendBatch(nil, recs)
		stampBatch(again, 7, 0, 0)
		h, problem = checkBatch(again, 7)
		same, err := readRecords(nil, again, h, 100)
		if problem != "" || err != nil || len(same) != len(recs) {
			t.Fatalf("written again: %s, %v", problem, err)
		}
		for i := range recs {
			if string(same[i].Key) != string(recs[i].Key) || string(same[i].Value) != string(recs[i].Value) || !slices.Equal(same[i].Properties, recs[i].Properties) {
				t.Fatalf("record %d has changed", i)
			}
		}
	})
}

// FuzzTail: whatever stands behind the last good batch, the log opens with what was
// acknowledged, or says that it is damaged.
func FuzzTail(f *testing.F) {
	whole := appendBatch(nil, values("x", "y"))
	stampBatch(whole, 2, 0, 0)
	f.Add(whole)
	f.Add(whole[:len(whole)-1])
	f.Add(append(make([]byte, 40), whole...))
	f.Fuzz(func(t *testing.T, tail []byte) {
		fs := disk.NewMem(1)
		l := open(t, fs, Options{})
		add(t, l.Partition(0), "a")
		add(t, l.Partition(0), "b")
		l.Close()
		file, err := openEnd(fs, "0/"+segmentName(0))
		if err == nil {
			_, err = file.Write(tail)
		}
		if err != nil {
			t.Fatal(err)
		}
		l, err = Open(fs, Options{})
		var damage *DamageError
		if errors.As(err, &damage) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := all(t, l.Partition(0), 0); len(got) < 2 || got[0] != "a" || got[1] != "b" {
			t.Fatalf("what was acknowledged is now %q", got)
		}
	})
}
