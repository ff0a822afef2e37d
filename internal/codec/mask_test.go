package codec

import (
	"math/rand/v2"
	"testing"
	"unsafe"
)

// TestMark: the vector code marks what it should, for every byte at every place.
func TestMark(t *testing.T) {
	if len(markers) == 0 {
		t.Log("this processor has no vector code")
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	text := make([]byte, 40*1024)
	for i := range text {
		text[i] = byte(i)
		if i > 17*1024 {
			text[i] = byte(rnd.Uint32())
		}
	}
	for _, with := range markers {
		var m marks
		for shift := range 70 {
			data := text[shift*7:]
			m.mark(data, with)
			if m.n != len(data)/64*64 {
				t.Fatalf("%s marked %d of %d bytes", with.name, m.n, len(data))
			}
			for i, c := range data[:m.n] {
				stop, line := m.stops[i>>6]>>(i&63)&1 == 1, m.lines[i>>6]>>(i&63)&1 == 1
				if stop != (c == '"' || c == '\\' || c < 0x20 || c >= 0x80) || line != (c == '\n') {
					t.Fatalf("%s, shift %d: byte %d is %#x, stop %v, line end %v", with.name, shift, i, c, stop, line)
				}
			}
		}
	}
}

func TestWindow(t *testing.T) {
	bits := []uint64{1<<3 | 1<<63, 1 << 1, 0}
	f := func(pos int, want uint64) {
		t.Helper()
		got := window(unsafe.Pointer(&bits[0]), pos)
		if got&(1<<windowBits-1) != want {
			t.Errorf("window at %d is %b, want %b", pos, got, want)
		}
	}
	f(0, 1<<3)
	f(3, 1)
	f(4, 0)
	f(7, 1<<56)
	f(60, 1<<3|1<<5)
	f(65, 1)
	f(66, 0)
}

func BenchmarkMark(b *testing.B) {
	data := make([]byte, 256<<10)
	for _, with := range markers {
		b.Run(with.name, func(b *testing.B) {
			var m marks
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				m.mark(data, with)
			}
		})
	}
}
