package codec

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestClassify: the vector code marks what the plain code marks.
func TestClassify(t *testing.T) {
	if vectorClassify == nil {
		t.Log("this processor has no vector code")
		return
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	text := make([]byte, 64*1024)
	for i := range text {
		text[i] = byte(i) // every byte at every place of a word, nearly
		if i > 16*1024 {
			text[i] = byte(rnd.Uint32())
		}
	}
	for shift := range 70 {
		data := text[shift*7:]
		data = data[:len(data)/64*64]
		words := len(data) / 64
		want := [3][]uint64{make([]uint64, words), make([]uint64, words), make([]uint64, words)}
		wantAny := classifyPlain(data, want[0], want[1], want[2])
		got := [3][]uint64{make([]uint64, words), make([]uint64, words), make([]uint64, words)}
		for name, f := range vectorClassifiers() {
			gotAny := f(&data[0], words, &got[0][0], &got[1][0], &got[2][0])
			for k := range want {
				if !slices.Equal(got[k], want[k]) {
					t.Fatalf("%s, shift %d, mask %d differs", name, shift, k)
				}
			}
			if gotAny == 0 != (wantAny == 0) {
				t.Fatalf("%s, shift %d: any %x, want %x", name, shift, gotAny, wantAny)
			}
		}
	}
}

func TestDistance(t *testing.T) {
	marks := []uint64{1<<3 | 1<<63, 0, 1, 0, 0}
	f := func(pos, limit, want int) {
		t.Helper()
		if got := distance(marks, pos, limit); got != want {
			t.Errorf("distance from %d is %d, want %d", pos, got, want)
		}
	}
	f(0, 1000, 3)
	f(3, 1000, 0)
	f(4, 1000, 59)
	f(64, 1000, 64)
	f(64, 50, 50)
	f(129, 300, 300)
}

func BenchmarkClassify(b *testing.B) {
	data := make([]byte, 256<<10)
	for i := range data {
		data[i] = 'a'
	}
	q, n, s := make([]uint64, 4096), make([]uint64, 4096), make([]uint64, 4096)
	for name, f := range vectorClassifiers() {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				f(&data[0], 4096, &q[0], &n[0], &s[0])
			}
		})
	}
}
