package codec

import "golang.org/x/sys/cpu"

//go:noescape
func classifyAVX2(data *byte, words int, quotes, newlines, specials *uint64) (any uint64)

//go:noescape
func classifyAVX512(data *byte, words int, quotes, newlines, specials *uint64) (any uint64)

// vectorClassify is the fastest classifier that this processor has, or nil.
var vectorClassify = func() func(data *byte, words int, quotes, newlines, specials *uint64) uint64 {
	switch {
	case cpu.X86.HasAVX512BW && cpu.X86.HasAVX512F:
		return classifyAVX512
	case cpu.X86.HasAVX2:
		return classifyAVX2
	}
	return nil
}()

// vectorClassifiers are all that this processor can run.
func vectorClassifiers() map[string]func(data *byte, words int, quotes, newlines, specials *uint64) uint64 {
	all := map[string]func(data *byte, words int, quotes, newlines, specials *uint64) uint64{}
	if cpu.X86.HasAVX2 {
		all["AVX2"] = classifyAVX2
	}
	if cpu.X86.HasAVX512BW && cpu.X86.HasAVX512F {
		all["AVX512"] = classifyAVX512
	}
	return all
}
