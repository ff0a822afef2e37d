package job

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	"weir/internal/connect"
	"weir/internal/exec"
	"weir/internal/state"
	"weir/internal/vec"
)

// maxReferenceBytes bounds the text of a version.
const maxReferenceBytes = 16 << 30

// table gives the rows of a version: of the copy if there is one.
func (l *Live) table(ctx context.Context, r *liveReference, v referenceVersion) (*vec.Batch, error) {
	t := newReferenceTable(l, r)
	err := t.readCopy(copyName(r.spec.Name, v.Serial))
	if isNotExist(err) {
		l.shelf.shelve(r.spec.Name, v.Serial)
		return l.fetch(ctx, r, &v, true)
	}
	if err != nil {
		return nil, err
	}
	return t.rows.Table(), nil
}

// fetch reads a version from its source and keeps a copy. It gives the rows if they are wanted,
// and sets what v says of them.
func (l *Live) fetch(ctx context.Context, r *liveReference, v *referenceVersion, wanted bool) (*vec.Batch, error) {
	r.reading.Lock()
	defer r.reading.Unlock()
	if err := l.openReference(r); err != nil {
		return nil, err
	}
	if err := l.fs.MkdirAll(copyDir(r.spec.Name)); err != nil {
		return nil, err
	}
	t := newReferenceTable(l, r)
	t.counted = !wanted
	_, err := writeWhole(l.fs, copyDir(r.spec.Name), copyFile(v.Serial), func(w io.Writer) error { return t.readSource(ctx, r.source, v.Name, w) })
	if err != nil {
		return nil, err
	}
	if !r.versioned() { // it is not asked again before the job starts anew or is reloaded
		r.source.Close() // it was only read
		r.source = nil
	}
	v.Rows, v.Sum = t.n, hex.EncodeToString(t.sum.Sum(nil)[:16])
	if !wanted {
		return nil, nil
	}
	return t.rows.Table(), nil
}

// referenceTable gathers the rows of a version of reference data.
type referenceTable struct {
	l       *Live
	of      *LiveSpec
	in      *liveInput
	rows    *exec.ReferenceRows
	part    *livePart
	counted bool // the rows are counted and not kept
	n       int64
	size    int64
	sum     hash.Hash
}

func newReferenceTable(l *Live, r *liveReference) *referenceTable {
	p := r.of.Plan
	t := &referenceTable{l: l, of: r.of, sum: sha256.New(),
		in: &liveInput{spec: r.spec, index: r.index, plan: p.Inputs[r.index], level: p.Level, chosen: usedFields(p, r.index), errors: map[string]int64{}}}
	t.begin("")
	return t
}

// begin starts a partition.
func (t *referenceTable) begin(name string) {
	t.part = newPart(name, 0, t.l.began)
	if t.rows == nil || t.n == 0 {
		t.rows = exec.NewReferenceRows(t.of.Plan, t.in.index, isCSV(t.in.spec.Format, name), nil)
	}
}

// readSource reads a version of the source to its end and writes what it reads to a copy. ""
// is all partitions.
func (t *referenceTable) readSource(ctx context.Context, src connect.Source, name string, copied io.Writer) error {
	parts := []string{name}
	if _, ok := src.(connect.Versions); !ok {
		var err error
		if parts, err = src.Partitions(ctx); err != nil {
			return err
		}
	}
	for _, name := range parts {
		t.begin(name)
		if err := t.readPart(ctx, src, copied); err != nil {
			return err
		}
	}
	return nil
}

func (t *referenceTable) readPart(ctx context.Context, src connect.Source, copied io.Writer) error {
	r, err := src.Open(ctx, t.part.name, "")
	if err != nil {
		return err
	}
	defer r.Close()
	for {
		c, err := r.Read(ctx, maxChunk, "")
		if err != nil {
			return err
		}
		if len(c.Data) > maxFrame/2 {
			return connect.Permanent(fmt.Errorf("%d bytes of reference data come in one piece, and the limit is %d", len(c.Data), maxFrame/2))
		}
		if t.size += int64(len(c.Data)); t.size > maxReferenceBytes {
			return connect.Permanent(fmt.Errorf("reference data has more than %d bytes", int64(maxReferenceBytes)))
		}
		if err := writeFrame(copied, encodeChunk(t.part.name, &c)); err != nil {
			return err
		}
		t.sum.Write(c.Data) // it never fails
		if err := t.add(&c); err != nil {
			return err
		}
		if c.End || len(c.Data) == 0 && c.Next == t.part.pos {
			return nil
		}
		t.part.pos = c.Next
	}
}

// add decodes a chunk.
func (t *referenceTable) add(c *connect.Chunk) error {
	text := &t.part.text
	if err := t.l.enter(t.in, t.part, c); err != nil {
		return connect.Permanent(err)
	}
	for pos := 0; pos < len(c.Data) && text.d != nil; {
		n, err := text.d.next(c.Data[pos:], c.Last || text.mode != modeStream)
		if err != nil {
			return connect.Permanent(err)
		}
		if bad := text.d.bads; len(bad) > 0 {
			t.l.log.Warn("rows of reference data are bad", "input", t.in.spec.Name, "object", c.Object, "line", bad[0].Line, "reason", bad[0].Reason, "rows", len(bad))
			text.d.bads = bad[:0]
		}
		t.n += int64(text.d.out.N)
		if !t.counted {
			t.rows.Add(&text.d.out)
		}
		if n == 0 {
			break
		}
		pos += n
	}
	if c.Last {
		text.mode, text.d = modeNone, nil
	}
	return nil
}

// readCopy reads what readSource has written.
func (t *referenceTable) readCopy(name string) error {
	f, err := t.l.fs.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, 256<<10)
	var buf []byte
	for pos, first := int64(0), true; ; first = false {
		payload, err := readFrame(in, &buf)
		if err == io.EOF {
			return nil
		}
		if errors.Is(err, errFrame) {
			return &DamageError{t.l.fs.Path(name), pos, "a block of the copy of reference data does not have its checksum"}
		}
		if err != nil {
			return err
		}
		part, c, err := decodeChunk(payload)
		if err != nil {
			return &DamageError{t.l.fs.Path(name), pos, err.Error()}
		}
		if first || t.part.name != part {
			t.begin(part)
		}
		if err := t.add(c); err != nil {
			return err
		}
		pos += frameHead + int64(len(payload))
	}
}

var errFrame = errors.New("no whole and undamaged frame")

// readFrame reads a frame into buf: its payload, io.EOF at the end, or errFrame.
func readFrame(r io.Reader, buf *[]byte) ([]byte, error) {
	var head [frameHead]byte
	if n, err := io.ReadFull(r, head[:]); err != nil {
		if n > 0 && err == io.ErrUnexpectedEOF {
			return nil, errFrame
		}
		return nil, err
	}
	n := int(binary.LittleEndian.Uint32(head[:]))
	if n == 0 || n > maxFrame {
		return nil, errFrame
	}
	*buf = resized(*buf, n)
	if _, err := io.ReadFull(r, *buf); err == io.EOF || err == io.ErrUnexpectedEOF {
		return nil, errFrame
	} else if err != nil {
		return nil, err
	}
	if frameSum(head[:4], *buf) != binary.LittleEndian.Uint32(head[4:]) {
		return nil, errFrame
	}
	return *buf, nil
}

func encodeChunk(part string, c *connect.Chunk) []byte {
	w := state.NewWriter()
	w.String(part)
	w.String(string(c.Data))
	w.String(string(c.Head))
	w.String(c.Object)
	w.Bool(c.Fresh)
	w.Bool(c.Last)
	return w.Bytes()
}

func decodeChunk(b []byte) (part string, c *connect.Chunk, err error) {
	r := state.NewReader(b)
	part = r.String()
	c = &connect.Chunk{Data: []byte(r.String()), Head: []byte(r.String()), Object: r.String(), Fresh: r.Bool(), Last: r.Bool()}
	if r.Err() == nil && r.Rest() != 0 {
		err = errors.New("a block of the copy of reference data is too long")
	}
	return part, c, errors.Join(r.Err(), err)
}
