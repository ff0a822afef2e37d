package job

import (
	"crypto/sha1"
	"encoding/hex"
	"strconv"
	"strings"

	"weir/internal/vec"
)

// properties is what an input knows of its events beside their text (saql.md 7.9). Those of
// a file are the same for all its events.
type properties struct {
	fixed map[string]vec.Value
	buf   []byte
}

// fileProperties are those of a file, which is one partition. Standard input has no name and
// no time.
func (s *source) fileProperties() properties {
	p := properties{fixed: map[string]vec.Value{"PartitionId": vec.IntValue(filePartition)}}
	if s.Path == "" || s.Path == "-" {
		return p
	}
	p.fixed["BlobName"] = vec.StringValue(s.Path)
	if s.file != nil && !s.temp {
		if info, err := s.file.Stat(); err == nil {
			p.fixed["BlobLastModifiedUtcTime"] = vec.TimeValue(timeOf(info.ModTime()))
		}
	}
	return p
}

// filePartition is the partition that a file is.
const filePartition = 0

// addProperties fills the columns of the decoded batch that are metadata. Names that the
// input does not have are NULL. Only runs with policies have metadata: others are test runs.
func (s *source) addProperties(d *decoder) {
	for k, c := range s.chosen {
		name := s.fields[c].Meta
		if name == "" {
			continue
		}
		out := &d.raw.Cols[k]
		if name == "EventId" {
			out.Fixed(vec.String, d.raw.N)
			for i := range out.Str {
				offset, _, _ := d.Row(i)
				out.Str[i] = s.props.eventID(s.Name, filePartition, offset, 0)
			}
		} else if v, ok := s.props.fixed[name]; ok {
			out.Fixed(v.Kind, d.raw.N)
			for i := range d.raw.N {
				out.Set(i, v)
			}
		}
		d.out.Cols[c] = *out
	}
}

// eventSpace is the name space of event ids: that of URLs (RFC 9562, section 6.6).
var eventSpace = [16]byte{0x6b, 0xa7, 0xb8, 0x11, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8}

// eventID is the UUID, version 5, of input name, partition, offset and index inside the
// message, which in a file is the event. It is the same each time the event is read.
func (p *properties) eventID(input string, partition, offset, index int64) string {
	p.buf = append(p.buf[:0], eventSpace[:]...)
	p.buf = append(p.buf, "weir:"...)
	p.buf = append(p.buf, strings.ToLower(input)...)
	for _, n := range []int64{partition, offset, index} {
		p.buf = append(p.buf, '/')
		p.buf = strconv.AppendInt(p.buf, n, 10)
	}
	id := sha1.Sum(p.buf)
	id[6] = id[6]&0x0f | 0x50
	id[8] = id[8]&0x3f | 0x80
	var text [36]byte
	hex.Encode(text[:], id[:4])
	for i, at := range [4]int{8, 13, 18, 23} {
		text[at] = '-'
		hex.Encode(text[at+1:], id[4+2*i:6+2*i])
	}
	hex.Encode(text[24:], id[10:16])
	return string(text[:])
}
