package codec

import (
	"bufio"
	"errors"
	"io"
	"os"

	"weir/internal/codec/avro"
	"weir/internal/codec/jsonline"
	"weir/internal/codec/parquet"
)

// container makes t.text of a file of Avro or Parquet; false if it is none.
func (t *textReader) container(plain *bufio.Reader) (bool, error) {
	kind := t.format.Type
	if kind == "" {
		switch {
		case startsWith(plain, avro.Magic):
			kind = "avro"
		case startsWith(plain, parquet.Magic):
			kind = "parquet"
		}
	}
	switch kind {
	case "avro":
		r := avro.NewReader(plain, MaxEventBytes, InvalidData)
		t.also(r.Close)
		t.text = &containerText{src: r, growing: t.format.Growing}
	case "parquet":
		f, free, err := t.wholeFile(plain)
		if err != nil {
			return false, err
		}
		t.also(free)
		r, err := parquet.Open(f, parquet.Options{Limit: MaxEventBytes, Name: InvalidData})
		if err != nil {
			return false, err
		}
		t.also(func() { r.Close() })
		t.text = &containerText{src: r, growing: t.format.Growing}
	default:
		return false, nil
	}
	t.lines = true
	return true, nil
}

// also has something done at Close, before what is already to be done.
func (t *textReader) also(f func()) {
	before := t.free
	t.free = func() {
		f()
		if before != nil {
			before()
		}
	}
}

// Filer is a reader of a file, from its start: Open may read the file itself then, wherever it
// wants. It does not close it.
type Filer interface{ OSFile() *os.File }

// maxSpoolBytes bounds the temporary copy of a file that can only be read from its start to its
// end, where its format wants more.
const maxSpoolBytes = 8 << 30

// wholeFile is the input as a file: itself, or a copy that has no name.
func (t *textReader) wholeFile(plain *bufio.Reader) (f *os.File, free func(), err error) {
	if t.format.Compression == CompressNone {
		if f := fileOf(t.raw); f != nil {
			return f, func() {}, nil
		}
	}
	if f, err = os.CreateTemp("", "weir-parquet-*"); err != nil {
		return nil, nil, err
	}
	os.Remove(f.Name()) // the open file stays; where it does not, it goes with the others
	free = func() {
		f.Close()
		os.Remove(f.Name())
	}
	n, err := io.Copy(f, io.LimitReader(plain, maxSpoolBytes+1))
	if err == nil && n > maxSpoolBytes {
		err = &InputError{InvalidData, "the Parquet file is larger than 8 GiB, which is the most that is copied to read it", nil}
	}
	if err != nil {
		free()
		return nil, nil, err
	}
	return f, free, nil
}

// fileOf is the regular file that a reader reads from its start, or nil.
func fileOf(r io.Reader) *os.File {
	var f *os.File
	switch r := r.(type) {
	case *os.File:
		f = r
	case Filer:
		f = r.OSFile()
	case *io.SectionReader:
		if outer, at, _ := r.Outer(); at == 0 {
			switch o := outer.(type) {
			case *os.File:
				f = o
			case Filer:
				f = o.OSFile()
			}
		}
	}
	if f == nil {
		return nil
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	return f
}

// containerText turns damage into a bad event, so that it is counted and the input goes on
// behind the file.
type containerText struct {
	src     io.Reader
	growing bool
	line    []byte // what is to be given of an error line
	ended   bool
}

func (c *containerText) Read(p []byte) (int, error) {
	if !c.ended {
		n, err := c.src.Read(p)
		var damage *jsonline.Damage
		if n > 0 || !errors.As(err, &damage) {
			return n, err
		}
		if damage.Cut && c.growing {
			return 0, &InputError{InvalidData, damage.Reason, io.ErrUnexpectedEOF}
		}
		c.ended = true
		c.line = jsonline.AppendError(nil, InvalidData, damage.Reason, nil)
	}
	if len(c.line) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.line)
	c.line = c.line[n:]
	return n, nil
}
