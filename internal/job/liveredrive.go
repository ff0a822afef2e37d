package job

import (
	"context"
	"fmt"
	"strings"

	"weir/internal/connect"
	"weir/internal/vec"
)

// DeadLetters gives up to n dead letters with larger ids than after, oldest first.
func (l *Live) DeadLetters(after int64, n int) ([]DeadLetter, error) { return l.dead.read(after, n) }

// DeadCounts are the dead letters that there have been, by name; forgotten is how many of
// them are not kept any more because the log has reached its size.
func (l *Live) DeadCounts() (byName map[string]int64, forgotten int64) { return l.dead.counts() }

// Redriven is a dead letter to be tried again: an event is read again, a row is written
// again. Payload, if set, replaces what the dead letter holds.
type Redriven struct {
	ID      int64
	Payload []byte
}

// Redrive tries dead letters again, in one epoch. It returns when the epoch is committed. A
// letter that fails again becomes a new dead letter.
func (l *Live) Redrive(ctx context.Context, letters []Redriven) error {
	answer := make(chan error, 1)
	err := l.do(ctx, func() error {
		var list []redrivenLetter
		for _, r := range letters {
			x, err := l.redrivable(r)
			if err != nil {
				return err
			}
			list = append(list, x)
		}
		if size := redrivenBytes(l.redriven) + redrivenBytes(list); size > maxRedriven {
			return fmt.Errorf("%d bytes of dead letters are to be tried again at once, and the limit is %d: try fewer at a time", size, maxRedriven)
		}
		if len(list) == 0 {
			answer <- nil
			return nil
		}
		l.redriven = append(l.redriven, list...)
		l.answer = append(l.answer, answer)
		select {
		case l.wake <- struct{}{}:
		default:
		}
		return nil
	})
	if err != nil {
		return err
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// maxRedriven bounds the text of the dead letters that an epoch tries again: all of it is in
// the record of the epoch.
const maxRedriven = maxFrame - 1<<20

func redrivenBytes(list []redrivenLetter) int {
	n := 0
	for _, r := range list {
		n += len(r.Payload) + 64
	}
	return n
}

// redrivable finds where a dead letter has to go.
func (l *Live) redrivable(r Redriven) (redrivenLetter, error) {
	out := redrivenLetter{ID: r.ID, Input: -1, Output: -1, Payload: string(r.Payload)}
	list, err := l.dead.read(r.ID-1, 1)
	if err != nil {
		return out, err
	}
	if len(list) == 0 || list[0].ID != r.ID {
		return out, fmt.Errorf("there is no dead letter %d", r.ID)
	}
	d := list[0]
	if r.Payload == nil {
		if d.Cut {
			return out, fmt.Errorf("dead letter %d holds only the start of its payload; give the whole", r.ID)
		}
		out.Payload = d.Payload
	}
	if t, ok := vec.ParseTime(d.Arrival); ok {
		out.Arrival = t
	}
	for i, o := range l.outputs {
		if d.Output != "" && strings.EqualFold(o.spec.Name, d.Output) {
			out.Output = i
			return out, nil
		}
	}
	for i, in := range l.inputs {
		if in == nil || d.Input == "" || !strings.EqualFold(in.spec.Name, d.Input) || len(in.parts) == 0 {
			continue
		}
		out.Input = i
		for _, p := range in.parts {
			if p.name == d.Partition {
				out.Part = p.index
			}
		}
		return out, nil
	}
	return out, fmt.Errorf("dead letter %d is of no input or output of the job, so there is nowhere to try it again", r.ID)
}

// redriveNow is redrive for the numbers of the version that runs.
func (l *Live) redriveNow(r *redrivenLetter) error {
	if r.Output >= 0 {
		return l.redrive(r, nil, l.outputs[r.Output])
	}
	return l.redrive(r, l.inputs[r.Input], nil)
}

// redrive pushes a dead letter into its input, or writes it to its output again, as part of
// the epoch at hand. Without either there is nothing to do: the job has changed.
func (l *Live) redrive(r *redrivenLetter, in *liveInput, out *liveOutput) error {
	if out != nil {
		return l.rewrite(r, out)
	}
	if in == nil || r.Part >= len(in.parts) {
		return nil
	}
	p := in.parts[r.Part]
	if p.ended {
		return nil
	}
	text := p.text
	p.text = partText{}
	defer func() { p.text = text }()
	arrival := r.Arrival
	if arrival == 0 {
		arrival = l.clock
	}
	data := []byte(oneLine(r.Payload) + "\n")
	mark := connect.Mark{End: len(data), Arrival: arrival}
	return l.pushChunk(in, p, &connect.Chunk{Data: data, Fresh: true, Marks: []connect.Mark{mark}})
}

// rewrite writes a row to its output again.
func (l *Live) rewrite(r *redrivenLetter, out *liveOutput) error {
	v, err := vec.ParseJSON([]byte(r.Payload))
	if err != nil || v.Kind != vec.Record {
		l.letter(DeadLetter{Name: "InvalidData", Reason: "the row is no JSON object", Output: out.spec.Name}, []byte(r.Payload))
		return nil
	}
	c := ColumnsOf(l.spec.Plan, out.index)
	// Its time is now, or later if the output has been told that no row of now will come.
	at := l.clock
	if w := watermarkOf(l.graph, out.index); w >= at && w < vec.MaxTime {
		at = w + 1
	}
	b := vec.Batch{N: 1, Time: []vec.Time{at}, Cols: make([]vec.Vec, len(c.Names))}
	for i, name := range c.Names {
		x := v
		if !c.Row {
			x = vec.NullValue()
			if got, ok := v.Rec.Get(name); ok {
				x = got
			}
		}
		b.Cols[i].Append(asColumn(x, c.Types[i]))
	}
	return l.rowsOut(out.index, &b)
}

// asColumn turns the texts of JSON back into times where the column has nothing else.
func asColumn(v vec.Value, t vec.Kinds) vec.Value {
	if v.Kind == vec.String && t.Has(vec.Datetime) && !t.Has(vec.String) {
		if at, ok := vec.ParseTime(v.Str); ok {
			return vec.TimeValue(at)
		}
	}
	return v
}
