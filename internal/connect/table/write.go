package table

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"weir/internal/vec"
)

// identity is who writes epochs.
type identity struct{ job, output, instance string }

// put is a document to be written.
type put struct {
	partition, id string
	time          vec.Time
	doc           []byte
}

// committed is the last epoch of an output in the table.
func (s *Store) committed(ctx context.Context, q rower, id identity) (n int64, err error) {
	err = q.QueryRowContext(ctx, "SELECT epoch FROM epochs WHERE job = ? AND output = ? AND instance = ?", id.job, id.output, id.instance).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return n, err
}

// writer writes the documents of an epoch in a transaction.
type writer struct {
	tx        *sql.Tx
	mode      string
	epoch     int64
	stored    int64 // microseconds
	position  int64 // of the last entry
	forgotten int64

	find, doc, entry, insert, update, drop *sql.Stmt
	clashes                                int64 // inserts whose id was there
}

// errThere says that the table has an epoch already, or a later one.
var errThere = errors.New("the epoch is there already")

// commit writes an epoch, once: each calls put for every document. It gives how many
// documents an insert found there already, which another writer has brought since Prepare.
// It is errThere if the table has the epoch.
func (s *Store) commit(ctx context.Context, id identity, mode string, epoch int64, now time.Time, each func(put func(put) error) error) (clashes int64, err error) {
	err = s.transaction(ctx, func(tx *sql.Tx) error {
		last, err := s.committed(ctx, tx, id)
		if err != nil {
			return err
		}
		if last >= epoch {
			return errThere
		}
		w := &writer{tx: tx, mode: mode, epoch: epoch}
		if err := w.begin(ctx, now); err != nil {
			return err
		}
		defer w.end()
		if err := each(func(p put) error { return w.put(ctx, p) }); err != nil {
			return err
		}
		clashes = w.clashes
		_, err = tx.ExecContext(ctx, "INSERT INTO epochs VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET epoch = excluded.epoch", id.job, id.output, id.instance, epoch)
		return err
	})
	if err != nil {
		return 0, fileError(err)
	}
	s.hub.signal()
	return clashes, nil
}

func (w *writer) begin(ctx context.Context, now time.Time) error {
	err := w.tx.QueryRowContext(ctx, "SELECT coalesce(max(position), 0) FROM feed").Scan(&w.position)
	if err == nil {
		err = w.tx.QueryRowContext(ctx, "SELECT coalesce((SELECT stored FROM feed WHERE position = ?), 0), (SELECT position FROM forgotten)", w.position).Scan(&w.stored, &w.forgotten)
	}
	if err != nil {
		return err
	}
	w.stored = max(w.stored, now.UnixMicro())
	for text, stmt := range map[string]**sql.Stmt{
		"SELECT position, version FROM docs WHERE part = ? AND id = ?":        &w.find,
		"SELECT doc FROM feed WHERE position = ?":                             &w.doc,
		"INSERT INTO feed VALUES (?, ?, ?, ?, ?, ?, ?, ?)":                    &w.entry,
		"INSERT INTO docs VALUES (?, ?, ?, ?)":                                &w.insert,
		"UPDATE docs SET position = ?, version = ? WHERE part = ? AND id = ?": &w.update,
		"DELETE FROM feed WHERE position = ?":                                 &w.drop,
	} {
		if *stmt, err = w.tx.PrepareContext(ctx, text); err != nil {
			w.end()
			return err
		}
	}
	return nil
}

func (w *writer) end() {
	for _, s := range []*sql.Stmt{w.find, w.doc, w.entry, w.insert, w.update, w.drop} {
		if s != nil {
			s.Close() // it belongs to the transaction, which ends in any case
		}
	}
}

// put writes a document and its entry of the feed.
func (w *writer) put(ctx context.Context, p put) error {
	var at, version int64
	err := w.find.QueryRowContext(ctx, p.partition, p.id).Scan(&at, &version)
	there := err == nil
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if there && w.mode == modeInsert {
		w.clashes++
		return nil
	}
	doc := p.doc
	if there && w.mode == modeMerge {
		var old []byte
		if err := w.doc.QueryRowContext(ctx, at).Scan(&old); err != nil {
			return fmt.Errorf("read the document %q: %w", p.id, err)
		}
		if doc, err = merge(old, p.doc); err != nil {
			return fmt.Errorf("merge into the document %q: %w", p.id, err)
		}
	}
	w.position++
	version++
	if _, err := w.entry.ExecContext(ctx, w.position, p.partition, p.id, version, int64(p.time), w.stored, w.epoch, string(doc)); err != nil {
		return err
	}
	if !there {
		_, err = w.insert.ExecContext(ctx, p.partition, p.id, w.position, version)
		return err
	}
	if _, err := w.update.ExecContext(ctx, w.position, version, p.partition, p.id); err != nil {
		return err
	}
	if at <= w.forgotten { // it was kept only because it was the document
		_, err = w.drop.ExecContext(ctx, at)
	}
	return err
}

// merge lays the fields of one document over another. Records in both are merged likewise;
// all else is replaced (jobmodel.md 7).
func merge(old, fresh []byte) ([]byte, error) {
	a, err := vec.ParseJSON(old)
	if err != nil {
		return nil, err
	}
	b, err := vec.ParseJSON(fresh)
	if err != nil {
		return nil, err
	}
	return vec.AppendJSON(nil, mergeValues(a, b)), nil
}

func mergeValues(a, b vec.Value) vec.Value {
	if a.Kind != vec.Record || b.Kind != vec.Record {
		return b
	}
	names, vals := slices.Clone(a.Rec.Names), slices.Clone(a.Rec.Vals)
	at := make(map[string]int, len(names))
	for i, name := range names {
		at[name] = i
	}
	for i, name := range b.Rec.Names {
		if j, ok := at[name]; ok {
			vals[j] = mergeValues(vals[j], b.Rec.Vals[i])
			continue
		}
		names, vals = append(names, name), append(vals, b.Rec.Vals[i])
	}
	return vec.RecordValue(&vec.Rec{Names: names, Vals: vals})
}

// has reports whether the table has a document.
func (s *Store) has(ctx context.Context, partition, id string) (bool, error) {
	var n int
	err := s.read.QueryRowContext(ctx, "SELECT count(*) FROM docs WHERE part = ? AND id = ?", partition, id).Scan(&n)
	return n > 0, err
}

// forgetBatch is how many entries are looked at in one transaction that forgets.
const forgetBatch = 20_000

// forget removes replaced entries that were stored before a time, some at a time; more says
// that there may be others.
func (s *Store) forget(ctx context.Context, before time.Time) (more bool, err error) {
	upTo, err := s.SeekTime(ctx, before)
	if err != nil {
		return false, err
	}
	err = s.transaction(ctx, func(tx *sql.Tx) error {
		var from int64
		if err := tx.QueryRowContext(ctx, "SELECT position FROM forgotten").Scan(&from); err != nil || from >= upTo {
			return err
		}
		to := min(upTo, from+forgetBatch)
		more = to < upTo
		_, err := tx.ExecContext(ctx, `DELETE FROM feed WHERE position > ? AND position <= ? AND NOT EXISTS
			(SELECT 1 FROM docs d WHERE d.part = feed.part AND d.id = feed.id AND d.position = feed.position)`, from, to)
		if err == nil {
			_, err = tx.ExecContext(ctx, "UPDATE forgotten SET position = ?", to)
		}
		return err
	})
	return more, err
}

// quiet is the position of the last change and a time before which all changes are there:
// later ones are stored at that time or later. ok is false if somebody writes just now.
func (s *Store) quiet(ctx context.Context, now func() time.Time) (last int64, at time.Time, ok bool, err error) {
	conn, err := s.write.Conn(ctx)
	if err != nil {
		return 0, at, false, err
	}
	defer conn.Close()
	// As a writer, if nobody else is one: whoever writes next takes its time after ours.
	if _, err := conn.ExecContext(ctx, "PRAGMA busy_timeout = 0"); err != nil {
		return 0, at, false, err
	}
	_, err = conn.ExecContext(ctx, "BEGIN IMMEDIATE")
	if err == nil {
		ok = true
		at = now()
		last, err = s.last(ctx, conn)
		_, end := conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
		err = errors.Join(err, end)
	} else if isBusy(err) {
		err = nil
	}
	_, back := conn.ExecContext(context.WithoutCancel(ctx), fmt.Sprintf("PRAGMA busy_timeout = %d", busyWait.Milliseconds()))
	return last, at, ok, errors.Join(err, back)
}
