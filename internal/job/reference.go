package job

import (
	"fmt"

	"weir/internal/exec"
)

// version is a file of reference data.
type version struct {
	source  *source
	dropped int64 // rows that do not fit the CREATE TABLE
}

// readReferences reads all reference data, before any event, and gives it to g.
func (r *run) readReferences(g *exec.Graph) error {
	used := exec.UsedColumns(r.plan)
	for _, v := range r.refs {
		if err := r.readReference(g, v, used[v.source.index]); err != nil {
			return fmt.Errorf("input %q: %w", v.source.Name, err)
		}
	}
	return nil
}

func (r *run) readReference(g *exec.Graph, v *version, fields []bool) error {
	s := v.source
	if err := s.begin(fields, false, r); err != nil {
		return err
	}
	s.arrival = false
	rows := exec.NewReferenceRows(r.plan, s.index, s.Format.CSV, func(row int) {
		if r.o.OnBad != nil {
			s.current = s.decoder(0)
			r.dropRow(s, row, exec.TypeConversion)
		}
	})
	d := s.decoder(0)
	for {
		if err := r.ctx.Err(); err != nil {
			return err
		}
		blk, err := s.next(&s.own)
		if err != nil {
			return err
		}
		if blk == nil {
			break
		}
		r.result.Bytes += int64(blk.taken)
		for more := true; more; {
			if more, err = d.decode(blk); err != nil {
				return err
			}
			for i := range d.bads {
				r.bad(s, &d.bads[i])
			}
			d.bads = d.bads[:0]
			rows.Add(&d.out)
		}
	}
	v.dropped = rows.Dropped()
	g.SetReference(s.index, s.Effective, rows.Table())
	s.own, s.decs = block{}, nil
	return nil
}
