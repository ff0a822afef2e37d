package codec

import "golang.org/x/sys/cpu"

//go:noescape
func markAVX2(data *byte, words int, stops, lines *uint64)

//go:noescape
func markAVX512(data *byte, words int, stops, lines *uint64)

// markers are the vector codes that this processor can run, the fastest first.
var markers = func() (all []marker) {
	if cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW {
		all = append(all, marker{"AVX-512", markAVX512})
	}
	if cpu.X86.HasAVX2 {
		all = append(all, marker{"AVX2", markAVX2})
	}
	return all
}()
