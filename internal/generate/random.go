package generate

import (
	"math"
	"math/bits"
)

// rng is SplitMix64: one word of state, a few cycles a number, and the same numbers
// for the same seed whatever version of Go compiles it.
type rng uint64

func (r *rng) next() uint64 {
	*r += 0x9e3779b97f4a7c15
	return mix(uint64(*r))
}

// mix spreads the bits of x: the output step of SplitMix64.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// below is a number of 0 to n-1. The bias is under n/2^64.
func (r *rng) below(n uint64) uint64 {
	hi, _ := bits.Mul64(r.next(), n)
	return hi
}

// unit is a number in [0, 1).
func (r *rng) unit() float64 { return float64(r.next()>>11) / (1 << 53) }

// normal is a number of the standard normal distribution (Box-Muller).
func (r *rng) normal() float64 {
	u := 1 - r.unit() // (0, 1]
	return math.Sqrt(-2*math.Log(u)) * math.Cos(2*math.Pi*r.unit())
}
