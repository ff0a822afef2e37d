package job

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"weir/internal/codec"
	"weir/internal/plan"
	"weir/internal/vec"
)

// TapLimits bound what a tap takes. Zeros are defaults.
type TapLimits struct {
	Rows      int // rows that wait to be read; others are dropped, the oldest first. DefaultTapRows
	PerSecond int // rows taken in a second; 0 is no limit
}

// DefaultTapRows is TapLimits.Rows unless it is set.
const DefaultTapRows = 1000

// TapRows are rows that a tap has seen.
type TapRows struct {
	Rows    [][]byte // each a JSON object
	Dropped int64    // rows that were not taken or not read in time, since the last Next
}

// Tapping is a look at the rows of a step, an input or an output. It never holds the job up.
type Tapping struct {
	Columns []string // names, as far as the query reads them
	point   tapPoint
	live    *Live
	limits  TapLimits
	encode  *codec.Encoder
	cols    []int // of the node's rows
	text    []byte
	second  int64 // that took is about
	took    int

	mu      sync.Mutex
	rows    [][]byte
	dropped int64
	closed  bool
	signal  chan struct{}
}

// tapPoint is where a tap is: an output, or else a node.
type tapPoint struct {
	name   string
	output int // -1: a node
	node   int
}

// tapList are the taps of a job. The goroutine of Run calls its methods, close apart.
type tapList struct {
	mu      sync.Mutex
	list    []*Tapping
	changed bool // the graph has to be told
}

// Tap looks at the rows of a WITH step, an output or an input, whichever has the name, in this
// order. Rows of steps and inputs have the columns that the query reads. An output that is
// looked at before Run misses no row.
func (l *Live) Tap(name string, limits TapLimits) (*Tapping, error) {
	if limits.Rows <= 0 {
		limits.Rows = DefaultTapRows
	}
	t := &Tapping{live: l, limits: limits, signal: make(chan struct{}, 1), point: tapPoint{name: name}}
	if !l.running.Load() && l.attachOutput(t) {
		return t, nil
	}
	if err := l.do(context.Background(), func() error { return l.attach(t) }); err != nil {
		t.end()
		return nil, err
	}
	return t, nil
}

// attachOutput is attach before Run: there is no graph yet, and outputs need none. It is false
// for what is no output.
func (l *Live) attachOutput(t *Tapping) bool {
	if slices.ContainsFunc(l.spec.Plan.Steps, func(s plan.StepInfo) bool { return strings.EqualFold(s.Name, t.point.name) }) ||
		!slices.ContainsFunc(l.spec.Plan.Outputs, func(o plan.Output) bool { return strings.EqualFold(o.Name, t.point.name) }) || l.find(t) != nil {
		return false
	}
	l.taps.mu.Lock()
	defer l.taps.mu.Unlock()
	l.taps.list = append(l.taps.list, t)
	return true
}

// attach finds the place of a tap and begins to fill it.
func (l *Live) attach(t *Tapping) error {
	if err := l.find(t); err != nil {
		return err
	}
	l.taps.mu.Lock()
	l.taps.list = append(l.taps.list, t)
	l.taps.mu.Unlock()
	if t.isClosed() {
		t.Close()
	}
	l.retap()
	return nil
}

func (l *Live) find(t *Tapping) error {
	p, name := l.spec.Plan, t.point.name
	t.point.output, t.cols = -1, nil
	var names []string
	whole := false
	defer func() {
		t.encode = codec.NewEncoder(codec.JSONLines, names, whole)
		if t.Columns == nil { // it stays when another version comes
			t.Columns = names
		}
	}()
	for _, s := range p.Steps {
		if strings.EqualFold(s.Name, name) {
			t.point.node, t.cols = s.Node.ID, s.Cols
			for _, c := range s.Cols {
				names = append(names, s.Node.Cols[c].Name)
			}
			return nil
		}
	}
	for i, o := range p.Outputs {
		if strings.EqualFold(o.Name, name) {
			c := ColumnsOf(l.spec.Plan, i)
			t.point.output, names, whole = i, c.Names, c.Row
			return nil
		}
	}
	for _, n := range p.Nodes {
		src, ok := n.Op.(*plan.Source)
		if !ok || !strings.EqualFold(p.Inputs[src.Input].Name, name) {
			continue
		}
		if p.Inputs[src.Input].Reference {
			return fmt.Errorf("%q is reference data: it has no stream of rows", name)
		}
		t.point.node = n.ID
		for c, f := range p.Inputs[src.Input].Fields {
			if c < len(l.graph.Live(n.ID)) && !l.graph.Live(n.ID)[c] {
				continue
			}
			if len(f.Path) == 0 && f.Meta == "" {
				t.cols, names, whole = []int{c}, []string{"*"}, true
				break
			}
			t.cols, names = append(t.cols, c), append(names, strings.Join(append(f.Path[:len(f.Path):len(f.Path)], metaParts(f.Meta)...), "."))
		}
		return nil
	}
	return fmt.Errorf("there is no step, output or input %q", name)
}

func metaParts(meta string) []string {
	if meta == "" {
		return nil
	}
	return []string{meta}
}

// retap tells the graph which nodes are looked at.
func (l *Live) retap() {
	l.taps.mu.Lock()
	defer l.taps.mu.Unlock()
	l.taps.changed = false
	byNode := map[int][]*Tapping{}
	for _, t := range l.taps.list {
		if t.point.output < 0 {
			byNode[t.point.node] = append(byNode[t.point.node], t)
		}
	}
	kept := l.peeks.watch(l.spec.Plan)
	for i := range l.spec.Plan.Nodes {
		list, peeked := byNode[i], kept[i]
		if len(list) == 0 && peeked == nil {
			l.graph.Tap(i, nil)
			continue
		}
		l.graph.Tap(i, func(b *vec.Batch) {
			if peeked != nil {
				l.peeks.take(peeked, b, l.clock)
			}
			for _, t := range list {
				t.take(b)
			}
		})
	}
}

// retarget finds the places of the taps in another version. Those that have none are ended.
func (l *Live) retarget() {
	l.taps.mu.Lock()
	kept := l.taps.list[:0]
	for _, t := range l.taps.list {
		if err := l.find(t); err != nil {
			t.end()
			continue
		}
		kept = append(kept, t)
	}
	l.taps.list = kept
	l.taps.mu.Unlock()
	l.retap()
}

// stale reports whether the graph does not know yet that a tap was closed.
func (l *tapList) stale() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changed
}

// output shows rows to the taps of an output.
func (l *tapList) output(output int, b *vec.Batch) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range l.list {
		if t.point.output == output {
			t.take(b)
		}
	}
}

// take keeps rows as far as the limits let it.
func (t *Tapping) take(b *vec.Batch) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	n := b.N
	if t.limits.PerSecond > 0 {
		if s := t.live.now().Unix(); s != t.second {
			t.second, t.took = s, 0
		}
		n = min(n, max(t.limits.PerSecond-t.took, 0))
		t.took += n
	}
	n = min(n, t.limits.Rows)
	t.dropped += int64(b.N - n)
	if n == 0 {
		return
	}
	shown := vec.Batch{N: n, Time: b.Time[:min(n, len(b.Time))]}
	first := make([]int32, n)
	for i := range first {
		first[i] = int32(i)
	}
	cols := t.cols
	if t.point.output >= 0 {
		cols = nil
		for c := range b.Cols {
			cols = append(cols, c)
		}
	}
	shown.Cols = make([]vec.Vec, len(cols))
	for i, c := range cols {
		shown.Cols[i].Gather(&b.Cols[c], first)
	}
	t.text = t.encode.Encode(t.text[:0], &shown)
	for line := range bytes.Lines(t.text) {
		t.rows = append(t.rows, bytes.Clone(bytes.TrimSuffix(line, []byte("\n"))))
	}
	if over := len(t.rows) - t.limits.Rows; over > 0 {
		t.rows, t.dropped = t.rows[over:], t.dropped+int64(over)
	}
	t.tell()
}

func (t *Tapping) tell() {
	select {
	case t.signal <- struct{}{}:
	default:
	}
}

// Next waits for rows and gives those that are there. io.EOF says that the tap was closed,
// that the job has ended or that the step is gone.
func (t *Tapping) Next(ctx context.Context) (TapRows, error) {
	for {
		t.mu.Lock()
		out := TapRows{t.rows, t.dropped}
		t.rows, t.dropped = nil, 0
		closed := t.closed
		t.mu.Unlock()
		if len(out.Rows) > 0 || out.Dropped > 0 {
			return out, nil
		}
		if closed {
			return out, io.EOF
		}
		select {
		case <-ctx.Done():
			return out, ctx.Err()
		case <-t.signal:
		}
	}
}

// Close ends the tap.
func (t *Tapping) Close() {
	t.end()
	l := &t.live.taps
	l.mu.Lock()
	for i, x := range l.list {
		if x == t {
			l.list = append(l.list[:i:i], l.list[i+1:]...)
			l.changed = true
			break
		}
	}
	l.mu.Unlock()
}

func (t *Tapping) isClosed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.closed
}

// end lets no more rows in.
func (t *Tapping) end() {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.tell()
}

func (l *tapList) closeAll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range l.list {
		t.end()
	}
	l.list = nil
}
