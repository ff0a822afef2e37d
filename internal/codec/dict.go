package codec

import (
	"encoding/binary"
	"math/bits"

	"weir/internal/vec"
)

// dict gives the strings of a column their codes. It is a hash table of its own because a
// Go map would cost more than all the rest of a field: a text of up to 16 bytes is
// compared as two words, without a look at the text itself.
type dict struct {
	out   *vec.Dict
	slots []dictSlot // a power of two, at most half full, at most an eighth while it is small
	shift uint       // 64 - log2(len(slots))
	bytes int        // of all texts
	// judged counts the rows of the trial that decides whether a dictionary pays.
	judged int
	texts  arena
}

// dictSlot is a text: lo and hi are its first and last 8 bytes if it has 8 to 16 bytes;
// lo is all of a shorter text; lo is the hash of a longer one.
type dictSlot struct {
	lo, hi uint64
	n      uint32 // length of the text
	code   uint32 // code + 1; 0: free
}

const (
	dictStart = 1 << 8
	// dictSparse is up to how many texts the table is kept so empty that most are found at
	// the first look.
	dictSparse = 1 << 12
	// maxProbe bounds a look-up: hostile texts that all hash alike end the dictionary.
	maxProbe = 64
	// dictTrial rows after which a dictionary with hardly a repeated text is given up.
	dictTrial = 8192
)

func newDict() *dict {
	return &dict{out: &vec.Dict{}, slots: make([]dictSlot, dictStart), shift: 64 - 8, texts: arena{size: 4096}}
}

// useless counts n more rows. It says, once, after the trial, that nearly no text came
// twice.
func (d *dict) useless(n int) bool {
	d.judged += n
	if d.judged < dictTrial {
		return false
	}
	n = d.judged
	d.judged = -1 << 62
	return len(d.out.Vals) > n-n/128
}

// The multipliers are odd and have their bits spread.
const (
	hashMul1 = 0x9e3779b97f4a7c15
	hashMul2 = 0xd6e8feb86659fd93
)

func dictHash(lo, hi uint64, n int) uint64 {
	return (lo ^ bits.RotateLeft64(hi*hashMul2, 32) ^ uint64(n)<<56) * hashMul1
}

// slot is where the search for a text with these words starts.
func (d *dict) slot(lo, hi uint64, n int) *dictSlot {
	return &d.slots[dictHash(lo, hi, n)>>d.shift]
}

// words packs s as dictSlot says.
func words(s []byte) (lo, hi uint64) {
	switch n := len(s); {
	case n > 16:
		h := uint64(n)
		t := s
		for ; len(t) > 8; t = t[8:] {
			h = bits.RotateLeft64((h^binary.LittleEndian.Uint64(t))*hashMul1, 29)
		}
		return h * hashMul2, binary.LittleEndian.Uint64(s[n-8:])
	case n >= 8:
		return binary.LittleEndian.Uint64(s), binary.LittleEndian.Uint64(s[n-8:])
	case n >= 4:
		a, b := binary.LittleEndian.Uint32(s), binary.LittleEndian.Uint32(s[n-4:])
		return uint64(a) | uint64(b)<<(8*(n-4)), 0
	case n > 0:
		return uint64(s[0]) | uint64(s[n/2])<<(8*(n/2)) | uint64(s[n-1])<<(8*(n-1)), 0
	}
	return 0, 0
}

// code is the code of s. It is false when the dictionary is full.
func (d *dict) code(s []byte) (uint32, bool) {
	lo, hi := words(s)
	return d.codeOf(lo, hi, s)
}

// codeOf is code for a text whose words are known.
func (d *dict) codeOf(lo, hi uint64, s []byte) (uint32, bool) {
	n := uint32(len(s))
	mask := uint64(len(d.slots) - 1)
	i := dictHash(lo, hi, len(s)) >> d.shift
	for probe := 0; probe < maxProbe; probe++ {
		e := &d.slots[i&mask]
		if e.code == 0 {
			return d.add(e, lo, hi, s)
		}
		if e.lo == lo && e.hi == hi && e.n == n &&
			(n <= 16 || d.out.Vals[e.code-1] == string(s)) {
			return e.code - 1, true
		}
		i++
	}
	return 0, false
}

// add puts a new text into the free slot e.
func (d *dict) add(e *dictSlot, lo, hi uint64, s []byte) (uint32, bool) {
	if len(d.out.Vals) >= maxDictEntries || d.bytes+len(s) > maxDictBytes || len(s) > 1<<31 {
		return 0, false
	}
	d.bytes += len(s)
	*e = dictSlot{lo: lo, hi: hi, n: uint32(len(s)), code: uint32(len(d.out.Vals)) + 1}
	d.out.Vals = append(d.out.Vals, d.texts.keep(s))
	if n := len(d.out.Vals); 2*n > len(d.slots) || n <= dictSparse && 8*n > len(d.slots) {
		d.rehash()
	}
	return uint32(len(d.out.Vals)) - 1, true
}

// rehash makes the table larger.
func (d *dict) rehash() {
	old := d.slots
	d.slots = make([]dictSlot, 2*len(old))
	d.shift--
	mask := uint64(len(d.slots) - 1)
	for _, e := range old {
		if e.code == 0 {
			continue
		}
		i := dictHash(e.lo, e.hi, int(e.n)) >> d.shift
		for d.slots[i&mask].code != 0 {
			i++
		}
		d.slots[i&mask] = e
	}
}
