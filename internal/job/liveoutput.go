package job

import (
	"context"
	"fmt"
	"time"

	"weir/internal/connect"
	"weir/internal/exec"
	"weir/internal/plan"
	"weir/internal/vec"
)

// The names of output policies (LiveOutput.OnError).
const (
	OnErrorStop       = "stop"
	OnErrorRetry      = "retry"
	OnErrorDrop       = "drop"
	OnErrorDeadLetter = "deadletter"
)

// beforeStart is the name that checkpoints have the count of unwanted rows under, among those
// of rejected ones: no error has it.
const beforeStart = ""

// liveOutput is an output of a live job.
type liveOutput struct {
	spec  LiveOutput
	index int    // in the plan
	what  string // it, for people
	sink  connect.Sink
	// committed is the last epoch that is durable in the target or will not be written again;
	// forgetful sinks cannot tell, and the manifest does it for them.
	committed int64
	// wrote is the last epoch of which the target has rows; empty epochs may leave no trace.
	wrote     int64
	forgetful bool
	told      vec.Time // watermark that the sink was told last
	touched   bool     // the epoch at hand has called the sink

	rows     int64 // of the epoch at hand
	last     vec.Time
	pick     vec.Batch
	rejected map[string]int64
	refused  int64 // rows rejected before the epoch at hand
	unwanted int64 // rows of before the start
	total    int64 // rows committed
	lastTime vec.Time
	retries  int64
	blocked  time.Duration
	failure  string
	latency  Histogram
}

// rowsOut takes rows of an output from the graph.
func (l *Live) rowsOut(output int, b *vec.Batch) error {
	out := l.outputs[output]
	if b = out.wanted(b, l.start); b.N == 0 {
		return nil
	}
	l.taps.output(output, b)
	out.rows += int64(b.N)
	l.wrote = true
	if l.epoch <= out.committed {
		return nil // it has them
	}
	out.touched = true
	return l.callSink(out, func(ctx context.Context) error { return out.sink.Write(ctx, l.epoch, b) })
}

// wanted leaves out the rows of before the start (saql.md 4.9).
func (o *liveOutput) wanted(b *vec.Batch, start vec.Time) *vec.Batch {
	early := 0
	for _, t := range b.Time {
		if t < start {
			early++
		}
		o.last = max(o.last, t)
	}
	if early == 0 {
		return b
	}
	o.unwanted += int64(early)
	sel := make([]int32, 0, b.N-early)
	for i, t := range b.Time {
		if t >= start {
			sel = append(sel, int32(i))
		}
	}
	o.pick = vec.Batch{N: len(sel), Cols: make([]vec.Vec, len(b.Cols)), Time: make([]vec.Time, 0, len(sel))}
	for _, i := range sel {
		o.pick.Time = append(o.pick.Time, b.Time[i])
	}
	for c := range b.Cols {
		o.pick.Cols[c].Gather(&b.Cols[c], sel)
	}
	return &o.pick
}

// callSink calls a sink until it succeeds. Dead letters that a failed call has made are taken
// back: it will make them again.
func (l *Live) callSink(out *liveOutput, do func(ctx context.Context) error) error {
	letters, rejects := len(l.letters), out.rejects()
	began := l.now()
	defer func() { out.blocked += l.now().Sub(began) }()
	return l.insist(l.ctx, out.what, &out.retries, func(ctx context.Context) error {
		err := do(ctx)
		if err != nil {
			l.letters = l.letters[:letters]
			out.restore(rejects)
			out.failure = err.Error()
		}
		return err
	})
}

// refusals is how many rows the target has rejected.
func (o *liveOutput) refusals() int64 {
	n := int64(0)
	for _, k := range o.rejected {
		n += k
	}
	return n
}

func (o *liveOutput) rejects() map[string]int64 {
	if len(o.rejected) == 0 {
		return nil
	}
	out := make(map[string]int64, len(o.rejected))
	for k, n := range o.rejected {
		out[k] = n
	}
	return out
}

func (o *liveOutput) restore(m map[string]int64) {
	clear(o.rejected)
	for k, n := range m {
		o.rejected[k] = n
	}
}

// reject is SinkEnv.Reject: a row that the target does not take.
func (l *Live) reject(out *liveOutput, e connect.RowError) error {
	place := ""
	if e.Column != "" {
		place = fmt.Sprintf(", column %q", e.Column)
	}
	switch out.spec.OnError {
	case OnErrorDrop, OnErrorDeadLetter:
		out.failure = fmt.Sprintf("a row was rejected%s: %s", place, e.Reason)
	}
	switch out.spec.OnError {
	case OnErrorDrop:
		out.rejected[e.Name]++
		return nil
	case OnErrorDeadLetter:
		out.rejected[e.Name]++
		l.letter(DeadLetter{Name: e.Name, Reason: e.Reason + place, Output: out.spec.Name}, e.Row)
		return nil
	case OnErrorRetry:
		return fmt.Errorf("the target does not take a row%s: %s: %s (row %s)", place, e.Name, e.Reason, short(e.Row))
	}
	return connect.Permanent(fmt.Errorf("the target does not take a row%s: %s: %s (row %s); fix the query or the target, or let on_error drop such rows or keep them as dead letters",
		place, e.Name, e.Reason, short(e.Row)))
}

// short is the start of a row, for messages.
func short(row []byte) string {
	const most = 512
	if len(row) <= most {
		return string(row)
	}
	return string(row[:most]) + "…"
}

// watermarkOf is what Sink.Prepare wants: no later row is of that time or older. The graph
// says below which time none is.
func watermarkOf(g *exec.Graph, output int) vec.Time {
	t := g.OutputWatermark(output)
	if t == vec.MinTime || t == vec.MaxTime {
		return t
	}
	return t - 1
}

// ColumnsOf describes the rows of an output of a plan.
func ColumnsOf(p *plan.Plan, output int) connect.Columns {
	n := p.Outputs[output].Node
	var c connect.Columns
	for _, col := range n.Cols {
		c.Names, c.Types = append(c.Names, col.Name), append(c.Types, col.Type)
	}
	if w, ok := n.Op.(*plan.Write); ok {
		c.Row = w.Row
	}
	return c
}
