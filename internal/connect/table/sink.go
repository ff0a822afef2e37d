package table

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	iofs "io/fs"
	"log/slog"
	"strings"
	"time"

	"weir/internal/codec"
	"weir/internal/connect"
	"weir/internal/disk"
	"weir/internal/vec"
)

const (
	spillName = "epoch.rows" // rows of an epoch that are too many for memory
	// maxBuffered is how many bytes of an epoch's rows are held in memory; what comes before
	// them waits in a file.
	maxBuffered = 8 << 20
	// forgetEvery is how often replaced entries of the feed are looked for.
	forgetEvery = 10 * time.Second
)

// sink writes rows as documents. Those of an epoch wait until Commit, which writes them in
// one transaction.
type sink struct {
	settings
	env    connect.SinkEnv
	store  *Store
	id     identity
	encode *codec.Encoder
	text   []byte // of a batch, a row a line
	keyAt  []int  // columns of the key; -1 if there is none of the name
	partAt int

	last  int64 // epoch that is committed
	noted int64 // epoch that the table has as the last one
	doubt int64 // the last epoch that may be there without an answer that said so
	epoch int64 // that the rows below are of
	n     int64 // rows of it
	buf   []byte
	spill *disk.Tail // what comes before buf; nil if there is none
	skip  map[int64]bool
	tidy  time.Time // when replaced entries were looked for last
}

func openSink(ctx context.Context, c connect.Config, env connect.SinkEnv) (connect.Sink, error) {
	fail := func(err error) (connect.Sink, error) { return nil, fmt.Errorf("output %s: %w", env.Output, err) }
	if env.Format.Type != "" && env.Format.Type != "json" {
		return fail(connect.Permanent(fmt.Errorf("documents are JSON; remove the format %q", env.Format.Type)))
	}
	if problems := check(c, false); len(problems) > 0 {
		return fail(connect.Permanent(fmt.Errorf("%s; %s", problems[0].Text, problems[0].Hint)))
	}
	if env.Log == nil {
		env.Log = slog.New(slog.DiscardHandler)
	}
	if env.Now == nil {
		env.Now = time.Now
	}
	s := &sink{settings: settingsOf(c, env.State), env: env, id: identity{env.Job, env.Output, env.Instance},
		encode: codec.NewEncoder(codec.JSONLines, env.Columns.Names, env.Columns.Row), partAt: -1}
	for _, k := range s.key {
		s.keyAt = append(s.keyAt, s.column(k))
	}
	if s.partition != "" {
		s.partAt = s.column(s.partition)
	}
	if err := env.State.Remove(spillName); err != nil && !errors.Is(err, iofs.ErrNotExist) {
		return fail(err)
	}
	var err error
	if s.store, err = Create(s.path); err != nil {
		return fail(err)
	}
	if s.last, err = s.store.committed(ctx, s.store.read, s.id); err != nil {
		return fail(errors.Join(err, s.store.Close()))
	}
	s.noted = s.last
	return s, nil
}

// column is where a column stands, -1 if there is none of the name.
func (s *sink) column(name string) int {
	for i, n := range s.env.Columns.Names {
		if strings.EqualFold(n, name) {
			return i
		}
	}
	return -1
}

// Committed implements connect.Sink.
func (s *sink) Committed(context.Context) (int64, error) { return s.last, nil }

// Write implements connect.Sink.
func (s *sink) Write(_ context.Context, epoch int64, b *vec.Batch) error {
	if epoch <= s.last || b.N == 0 {
		return nil
	}
	if epoch != s.epoch {
		s.drop()
		s.epoch = epoch
	}
	if len(s.buf) > maxBuffered {
		if err := s.unload(); err != nil {
			return fmt.Errorf("%s: %w", s.env.State.Path(spillName), err)
		}
	}
	s.text = s.encode.Encode(s.text[:0], b)
	i := 0
	for line := range bytes.Lines(s.text) {
		s.buf = appendFrame(s.buf, s.frame(b, i, bytes.TrimSuffix(line, []byte("\n"))))
		s.n++
		i++
	}
	if cap(s.text) > maxBuffered {
		s.text = nil
	}
	return nil
}

// unload moves the rows in memory to the file.
func (s *sink) unload() error {
	if s.spill == nil {
		f, err := s.env.State.Create(spillName)
		if err != nil {
			return err
		}
		if s.spill, err = disk.NewTail(f, 0); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	if err := s.spill.Append(s.buf); err != nil {
		return err
	}
	s.buf = s.buf[:0]
	return nil
}

// drop forgets the rows of the epoch.
func (s *sink) drop() {
	if s.spill != nil {
		// What stays of the file is in nobody's way: the next one begins empty.
		if err := errors.Join(s.spill.Close(), s.env.State.Remove(spillName)); err != nil {
			s.env.Log.Warn("rows that were written could not be removed", "file", s.env.State.Path(spillName), "error", err)
		}
		s.spill = nil
	}
	if cap(s.buf) > maxBuffered {
		s.buf = nil
	}
	s.buf, s.n, s.skip = s.buf[:0], 0, nil
}

// frame is a row that waits: the document that it will be, or why it cannot be one.
type frame struct {
	put
	column string // that the error is about
	bad    string // name of the error; "" if there is none
	reason string
}

// frame makes a document of row i.
func (s *sink) frame(b *vec.Batch, i int, doc []byte) frame {
	f := frame{put: put{time: b.Time[i], doc: doc}}
	bad := func(name, column, format string, args ...any) frame {
		f.bad, f.column, f.reason = name, column, fmt.Sprintf(format, args...)
		return f
	}
	if len(doc) > MaxDocument {
		return bad(errSize, "", "the document has %d bytes; %d is the most", len(doc), MaxDocument)
	}
	value := func(name string, at int) vec.Value {
		if s.env.Columns.Row {
			return fieldOf(b.Cols[0].At(i), name)
		}
		if at < 0 {
			return vec.Value{}
		}
		return b.Cols[at].At(i)
	}
	for k, name := range s.key {
		v := value(name, s.keyAt[k])
		text, ok := idText(v)
		switch {
		case v.Kind.IsNull():
			return bad(errRequired, name, "the key has no value")
		case !ok:
			return bad(errType, name, "a key cannot be %s", v.Kind)
		}
		if k > 0 {
			f.id += "|"
		}
		if len(s.key) > 1 {
			text = partEscape.Replace(text)
		}
		f.id += text
	}
	if s.partition != "" {
		v := value(s.partition, s.partAt)
		text, ok := idText(v)
		if !ok && !v.Kind.IsNull() {
			return bad(errType, s.partition, "a partition cannot be %s", v.Kind)
		}
		f.partition = text
	}
	if len(s.key) == 0 {
		if v := value("id", s.column("id")); !v.Kind.IsNull() {
			text, ok := idText(v)
			if !ok {
				return bad(errType, "id", "an id cannot be %s", v.Kind)
			}
			f.id = text
		} else {
			f.id = fmt.Sprintf("%s/%s/%s/%d/%d", s.id.job, s.id.output, s.id.instance, s.epoch, s.n)
		}
	}
	if len(f.id) > MaxID || len(f.partition) > MaxID {
		return bad(errSize, strings.Join(s.key, ", "), "the id has %d bytes; %d is the most", max(len(f.id), len(f.partition)), MaxID)
	}
	return f
}

// The names of rows that cannot be documents (saql.md 3.11).
const (
	errRequired  = "OutputDataConversionError.RequiredColumnMissing"
	errType      = "OutputDataConversionError.TypeConversionError"
	errSize      = "OutputDataConversionError.RecordExceededSizeLimit"
	errDuplicate = "OutputDataConversionError.DuplicateKey"
)

// partEscape keeps the parts of an id of several columns apart.
var partEscape = strings.NewReplacer(`\`, `\\`, "|", `\|`)

// idText is a value as text: texts as they are, others as JSON has them.
func idText(v vec.Value) (string, bool) {
	switch v.Kind {
	case vec.String:
		return strings.ToValidUTF8(strings.Clone(v.Str), "\uFFFD"), true
	case vec.Datetime:
		return vec.Time(v.Int).String(), true
	case vec.Int, vec.Float, vec.Bit:
		return v.String(), true
	}
	return "", false
}

// fieldOf looks a field of a record up: the exact name, else the first that is equal without
// case (saql.md 1.6).
func fieldOf(v vec.Value, name string) vec.Value {
	if v.Kind != vec.Record {
		return vec.Value{}
	}
	found := -1
	for i, n := range v.Rec.Names {
		if n == name {
			return v.Rec.Vals[i]
		}
		if found < 0 && strings.EqualFold(n, name) {
			found = i
		}
	}
	if found < 0 {
		return vec.Value{}
	}
	return v.Rec.Vals[found]
}

// A frame lies in memory as: length of the rest, time, and five texts with their lengths.
func appendFrame(dst []byte, f frame) []byte {
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(f.time))
	for _, s := range []string{f.partition, f.id, f.bad, f.column, f.reason} {
		dst = binary.AppendUvarint(dst, uint64(len(s)))
		dst = append(dst, s...)
	}
	dst = append(dst, f.doc...)
	binary.LittleEndian.PutUint32(dst[start:], uint32(len(dst)-start-4))
	return dst
}

func readFrame(b []byte) (f frame) {
	f.time = vec.Time(binary.LittleEndian.Uint64(b))
	b = b[8:]
	for _, s := range []*string{&f.partition, &f.id, &f.bad, &f.column, &f.reason} {
		n, size := binary.Uvarint(b)
		*s = string(b[size : size+int(n)])
		b = b[size+int(n):]
	}
	f.doc = b
	return f
}

// each goes through the rows of the epoch. A frame is valid during the call.
func (s *sink) each(do func(i int64, f frame) error) error {
	i := int64(0)
	through := func(b []byte) (rest []byte, err error) {
		for len(b) >= 4 {
			n := 4 + int(binary.LittleEndian.Uint32(b))
			if n > len(b) {
				break
			}
			if err := do(i, readFrame(b[4:n])); err != nil {
				return nil, err
			}
			i++
			b = b[n:]
		}
		return b, nil
	}
	if s.spill != nil {
		buf := make([]byte, 0, 1<<20)
		for at := int64(0); at < s.spill.Size(); {
			n := int(min(int64(cap(buf)-len(buf)), s.spill.Size()-at))
			if _, err := s.spill.File().ReadAt(buf[len(buf):len(buf)+n], at); err != nil {
				return fmt.Errorf("read %s: %w", s.env.State.Path(spillName), err)
			}
			at += int64(n)
			rest, err := through(buf[:len(buf)+n])
			if err != nil {
				return err
			}
			if len(rest) == cap(buf) { // a frame larger than the buffer
				buf = make([]byte, 0, 2*cap(buf))
			}
			buf = append(buf[:0], rest...)
		}
	}
	_, err := through(s.buf)
	return err
}

// Prepare implements connect.Sink: it tells of the rows that cannot be documents.
func (s *sink) Prepare(ctx context.Context, epoch int64, _ vec.Time) error {
	if epoch <= s.last || epoch != s.epoch {
		return nil
	}
	skip := map[int64]bool{}
	seen := map[string]bool{} // own ids of this epoch
	err := s.each(func(i int64, f frame) error {
		if f.bad == "" && s.mode == modeInsert {
			key := f.partition + "\x00" + f.id
			there, err := s.store.has(ctx, f.partition, f.id)
			if err != nil {
				return err
			}
			if there || seen[key] {
				f.bad, f.column, f.reason = errDuplicate, strings.Join(s.key, ", "), fmt.Sprintf("there is a document with the id %q", f.id)
			}
			seen[key] = true
		}
		if f.bad == "" {
			return nil
		}
		skip[i] = true
		return s.env.Reject(connect.RowError{Row: bytes.Clone(f.doc), Time: f.time, Name: f.bad, Column: f.column, Reason: f.reason})
	})
	if err != nil {
		return err
	}
	s.skip = skip
	return nil
}

// Commit implements connect.Sink.
func (s *sink) Commit(ctx context.Context, epoch int64) error {
	if epoch <= s.last {
		return nil
	}
	if epoch == s.epoch && s.n > 0 {
		clashes, err := s.put(ctx, epoch, func(put func(put) error) error {
			return s.each(func(i int64, f frame) error {
				if f.bad != "" || s.skip[i] {
					return nil
				}
				return put(f.put)
			})
		})
		if err != nil {
			return fmt.Errorf("write the table %s: %w", s.path, err)
		}
		if clashes > 0 {
			s.env.Log.Error("documents were not inserted because another writer brought their ids at the same time", "table", s.path, "epoch", epoch, "rows", clashes)
		}
		s.noted = epoch
	}
	s.drop()
	s.last = epoch
	s.forget(ctx)
	return nil
}

// put writes an epoch. One that is there already had its answer lost, or somebody else writes
// in our name.
func (s *sink) put(ctx context.Context, epoch int64, each func(put func(put) error) error) (clashes int64, err error) {
	clashes, err = s.store.commit(ctx, s.id, s.mode, epoch, s.env.Now(), each)
	switch {
	case err == nil:
		return clashes, nil
	case !errors.Is(err, errThere):
		s.doubt = epoch
		return 0, err
	case s.doubt == epoch:
		return 0, nil
	}
	return 0, connect.Permanent(fmt.Errorf("it has epoch %d of job %s, output %s, and this process has not written it: the job is running twice; stop the one or the other, and do not copy its state",
		epoch, s.id.job, s.id.output))
}

// forget removes replaced entries that are older than the retention, now and then.
func (s *sink) forget(ctx context.Context) {
	if s.retention == 0 || s.env.Now().Sub(s.tidy).Abs() < forgetEvery {
		return
	}
	more, err := s.store.forget(ctx, s.env.Now().Add(-s.retention))
	if err != nil {
		s.env.Log.Warn("old changes could not be removed from the feed; they are the next time", "table", s.path, "error", err)
	}
	if !more {
		s.tidy = s.env.Now()
	}
}

// Sync implements connect.Sink. A committed transaction is on the disk; epochs without rows
// are noted here, so that a target that lags behind can be told from one that was changed.
func (s *sink) Sync(ctx context.Context) error {
	if s.noted >= s.last {
		return nil
	}
	none := func(func(put) error) error { return nil }
	if _, err := s.put(ctx, s.last, none); err != nil {
		return fmt.Errorf("write the table %s: %w", s.path, err)
	}
	s.noted = s.last
	return nil
}

// Close implements connect.Sink.
func (s *sink) Close() error {
	s.drop()
	return s.store.Close()
}
