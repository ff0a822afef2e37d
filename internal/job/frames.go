package job

import (
	"encoding/binary"
	"hash/crc32"
	"io"
)

// The files of the state directory consist of frames: the length of a payload, a CRC-32C
// over length and payload, the payload. No payload is empty, so bytes of zero, which a lost
// block may leave behind, are no frame.

const (
	frameHead = 8
	// maxFrame bounds a payload, so that a damaged length cannot ask for much memory.
	maxFrame = 64 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendFrame appends a payload with its frame.
func appendFrame(dst, payload []byte) []byte {
	head := frameHeader(payload)
	return append(append(dst, head[:]...), payload...)
}

// writeFrame writes a payload with its frame.
func writeFrame(w io.Writer, payload []byte) error {
	head := frameHeader(payload)
	if _, err := w.Write(head[:]); err != nil {
		return err
	}
	_, err := w.Write(payload)
	return err
}

func frameHeader(payload []byte) (head [frameHead]byte) {
	if len(payload) == 0 || len(payload) > maxFrame {
		panic("job: a frame without payload, or with one beyond the limit")
	}
	binary.LittleEndian.PutUint32(head[:], uint32(len(payload)))
	binary.LittleEndian.PutUint32(head[4:], frameSum(head[:4], payload))
	return head
}

func frameSum(length, payload []byte) uint32 {
	return crc32.Update(crc32.Checksum(length, castagnoli), castagnoli, payload)
}

// frameAt is the payload of the frame that starts at pos, and where the next one does; false
// if there is no whole and undamaged frame.
func frameAt(data []byte, pos int) (payload []byte, next int, ok bool) {
	rest := data[pos:]
	if len(rest) < frameHead {
		return nil, 0, false
	}
	n := int(binary.LittleEndian.Uint32(rest))
	if n == 0 || n > maxFrame || n > len(rest)-frameHead {
		return nil, 0, false
	}
	payload = rest[frameHead : frameHead+n]
	if frameSum(rest[:4], payload) != binary.LittleEndian.Uint32(rest[4:]) {
		return nil, 0, false
	}
	return payload, pos + frameHead + n, true
}

// frameBehind reports whether any frame starts behind pos. Then what stands at pos is no
// torn end but damage.
func frameBehind(data []byte, pos int) bool {
	for pos++; pos+frameHead < len(data); pos++ {
		if _, _, ok := frameAt(data, pos); ok {
			return true
		}
	}
	return false
}
