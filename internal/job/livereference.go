package job

import (
	"context"
	"errors"
	"fmt"
	"io"

	"weir/internal/connect"
	"weir/internal/exec"
	"weir/internal/state"
	"weir/internal/vec"
)

// Reference data is read whole when the job starts. What was read is kept in the state
// directory: epochs that are made again after a crash must see what they saw. Once they are
// made, the data is read anew.

const (
	referenceDir = "reference"
	referenceExt = ".copy"
)

// loadReference gives a graph the rows of reference data: from the copy if epochs are to be
// made again, else from the source.
func (l *Live) loadReference(spec *LiveSpec, g *exec.Graph, index int) error {
	decl := spec.input(spec.Plan.Inputs[index].Name)
	return l.insist(l.ctx, fmt.Sprintf("reference data %q", decl.Name), nil, func(ctx context.Context) error {
		t := newReferenceTable(l, spec, index)
		name := referenceDir + "/" + dirName(decl.Name) + referenceExt
		if len(l.pending) > 0 {
			err := t.readCopy(name)
			if err == nil {
				l.copied = append(l.copied, index)
				t.use(g)
			}
			if err == nil || !isNotExist(err) {
				return err
			}
			t = newReferenceTable(l, spec, index)
		}
		if err := l.fs.MkdirAll(referenceDir); err != nil {
			return err
		}
		_, err := writeWhole(l.fs, referenceDir, dirName(decl.Name)+referenceExt, func(w io.Writer) error { return t.readSource(ctx, w) })
		if err == nil {
			t.use(g)
		}
		return err
	})
}

// renewReferences reads the reference data anew that copies were used of. The epochs that
// needed the copies are in a checkpoint then.
func (l *Live) renewReferences() error {
	if len(l.copied) == 0 {
		return nil
	}
	if err := l.first(); err != nil {
		return err
	}
	for _, index := range l.copied {
		if err := l.loadReference(&l.spec, l.graph, index); err != nil {
			return err
		}
	}
	l.copied = nil
	return nil
}

// referenceTable gathers the rows of reference data.
type referenceTable struct {
	l    *Live
	spec *LiveSpec
	in   *liveInput
	rows *exec.ReferenceRows
	part *livePart
}

func newReferenceTable(l *Live, spec *LiveSpec, index int) *referenceTable {
	decl := *spec.input(spec.Plan.Inputs[index].Name)
	return &referenceTable{l: l, spec: spec, in: &liveInput{spec: decl, index: index, plan: spec.Plan.Inputs[index], chosen: usedFields(spec.Plan, index), errors: map[string]int64{}}}
}

// use gives the rows to a graph.
func (t *referenceTable) use(g *exec.Graph) {
	t.begin("")
	table := t.rows.Table()
	g.SetReference(t.in.index, vec.MinTime, table)
	t.l.peeks.table(t.in.spec.Name, table)
}

// begin starts a partition.
func (t *referenceTable) begin(name string) {
	t.part = newPart(name, 0, t.l.began)
	if t.rows == nil {
		t.rows = exec.NewReferenceRows(t.spec.Plan, t.in.index, isCSV(t.in.spec.Format, name), nil)
	}
}

// readSource reads the source to its end and writes what it reads to a copy.
func (t *referenceTable) readSource(ctx context.Context, copied io.Writer) error {
	src, err := t.in.spec.Open(t.l.sourceEnv(t.spec, &t.in.spec, true))
	if err != nil {
		return err
	}
	defer src.Close()
	parts, err := src.Partitions(ctx)
	if err != nil {
		return err
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
		if err := writeFrame(copied, encodeChunk(t.part.name, &c)); err != nil {
			return err
		}
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
		t.rows.Add(&text.d.out)
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
	data, err := readAll(t.l.fs, name)
	if err != nil {
		return err
	}
	for pos := 0; pos < len(data); {
		payload, next, ok := frameAt(data, pos)
		if !ok {
			return &DamageError{t.l.fs.Path(name), int64(pos), "a block of the copy of reference data does not have its checksum"}
		}
		part, c, err := decodeChunk(payload)
		if err != nil {
			return &DamageError{t.l.fs.Path(name), int64(pos), err.Error()}
		}
		if t.part == nil || t.part.name != part {
			t.begin(part)
		}
		if err := t.add(c); err != nil {
			return err
		}
		pos = next
	}
	return nil
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
