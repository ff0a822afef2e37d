package sql

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"strings"
	"time"

	"weir/internal/disk"
	"weir/internal/vec"
)

// A delta is applied to the version before it, so that one is kept in the state of the input: a
// line that says what it is, its rows, and a line that says that it is whole.
const (
	keptName    = "reference.jsonl"
	footerStart = "# "
)

// keptHeader is the first line of a version that is kept.
type keptHeader struct {
	Names []string  `json:"columns"`
	At    time.Time `json:"at"`
	Mark  time.Time `json:"mark"`  // where the next delta begins
	Query string    `json:"query"` // another query makes it worthless
}

// keptFooter is the last line.
type keptFooter struct {
	Rows int64  `json:"rows"`
	Sum  uint32 `json:"sum"` // of all before it
}

// keptVersion is a version that is read.
type keptVersion struct {
	keptHeader
	file disk.File
	in   *bufio.Reader
}

func (k *keptVersion) close() { k.file.Close() }

// kept keeps a version in a directory.
type kept struct {
	fs   disk.FS
	log  *slog.Logger
	file disk.File
	out  *bufio.Writer
	sum  uint32
}

// open gives the version of a query that is kept; nil if there is none that can be used.
func (k *kept) open(query string) *keptVersion {
	if k.fs == nil {
		return nil
	}
	f, err := k.fs.Open(keptName)
	if err != nil {
		return nil
	}
	v := &keptVersion{file: f}
	if !whole(f) {
		k.log.Warn("the last version of reference data that was kept is damaged: it is read whole")
		f.Close()
		return nil
	}
	v.in = bufio.NewReaderSize(f, 64<<10)
	line, err := v.in.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &v.keptHeader)
	}
	if err != nil || v.Query != query {
		f.Close()
		return nil
	}
	return v
}

// whole reports whether a file has its last line, and goes back to its start.
func whole(f disk.File) bool {
	in := bufio.NewReaderSize(f, 64<<10)
	sum, rows := uint32(0), int64(-1)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return false
		}
		if bytes.HasPrefix(line, []byte(footerStart)) {
			var end keptFooter
			if json.Unmarshal(line[len(footerStart):], &end) != nil || end.Rows != rows || end.Sum != sum {
				return false
			}
			_, err := f.Seek(0, io.SeekStart)
			return err == nil
		}
		sum = crc32.Update(sum, crc32.IEEETable, line)
		rows++
	}
}

// create begins a version beside the one that is kept.
func (k *kept) create(h keptHeader) error {
	if k.fs == nil {
		return nil
	}
	f, err := k.fs.Create(keptName + ".tmp")
	if err != nil {
		return err
	}
	k.file, k.out, k.sum = f, bufio.NewWriterSize(f, 64<<10), 0
	line, err := json.Marshal(h)
	if err != nil {
		return err
	}
	return k.add(append(line, '\n'))
}

// add writes a line.
func (k *kept) add(line []byte) error {
	if k.out == nil {
		return nil
	}
	k.sum = crc32.Update(k.sum, crc32.IEEETable, line)
	_, err := k.out.Write(line)
	return err
}

// finish puts the version in the place of the one before it.
func (k *kept) finish(rows int64) error {
	if k.out == nil {
		return nil
	}
	line, err := json.Marshal(keptFooter{rows, k.sum})
	if err == nil {
		_, err = fmt.Fprintf(k.out, "%s%s\n", footerStart, line)
	}
	if err == nil {
		err = k.out.Flush()
	}
	if err == nil {
		err = k.file.Sync()
	}
	if err != nil {
		return err
	}
	err = k.file.Close()
	k.file, k.out = nil, nil
	if err == nil {
		err = k.fs.Rename(keptName+".tmp", keptName)
	}
	if err == nil {
		err = k.fs.SyncDir(".")
	}
	return err
}

// drop gives up a version that was not finished.
func (k *kept) drop() {
	if k.file != nil {
		k.file.Close()
		k.file, k.out = nil, nil
		_ = k.fs.Remove(keptName + ".tmp") // the next one empties it if it stays
	}
}

// keyOf is the name of a column as JSON, with the colon.
func keyOf(name string) []byte {
	return append(vec.AppendJSONString(nil, strings.ToValidUTF8(name, "\uFFFD")), ':')
}
