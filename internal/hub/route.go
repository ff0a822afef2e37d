package hub

// PartitionOf is the partition of n that a key belongs to: Jenkins' lookup3 over the key, its
// two halves joined, as the SDKs' buffered producers have it (eventhubs.md 7).
func PartitionOf(key []byte, n int) int {
	c, b := lookup3(key)
	v := int16(c ^ b)
	m := int(v) % n
	if m < 0 {
		m = -m
	}
	return m
}

// lookup3 is hashlittle2 of Bob Jenkins' lookup3 (public domain) with both seeds 0: its
// primary and its secondary hash.
func lookup3(k []byte) (c, b uint32) {
	a := 0xdeadbeef + uint32(len(k))
	b, c = a, a
	for len(k) > 12 {
		a += le32(k)
		b += le32(k[4:])
		c += le32(k[8:])
		a = (a - c) ^ rot(c, 4)
		c += b
		b = (b - a) ^ rot(a, 6)
		a += c
		c = (c - b) ^ rot(b, 8)
		b += a
		a = (a - c) ^ rot(c, 16)
		c += b
		b = (b - a) ^ rot(a, 19)
		a += c
		c = (c - b) ^ rot(b, 4)
		b += a
		k = k[12:]
	}
	if len(k) == 0 {
		return c, b
	}
	var last [12]byte
	copy(last[:], k)
	a += le32(last[:])
	b += le32(last[4:])
	c += le32(last[8:])
	c = (c ^ b) - rot(b, 14)
	a = (a ^ c) - rot(c, 11)
	b = (b ^ a) - rot(a, 25)
	c = (c ^ b) - rot(b, 16)
	a = (a ^ c) - rot(c, 4)
	b = (b ^ a) - rot(a, 14)
	c = (c ^ b) - rot(b, 24)
	return c, b
}

func rot(x uint32, n int) uint32 { return x<<n | x>>(32-n) }

func le32(b []byte) uint32 {
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}
