package job

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"time"

	"weir/internal/codec"
	"weir/internal/exec"
	"weir/internal/plan"
	"weir/internal/vec"
)

// Input is where the events of an input of the plan come from. Reader is used if it is
// set, else Path; "-" is standard input.
type Input struct {
	Name   string
	Path   string
	Reader io.Reader
	Format Format
	// Effective is the time from which the rows of reference data are in force. An input of
	// reference data may have several versions, each an Input.
	Effective vec.Time
}

// Format says how the events lie in the bytes of an input.
type Format struct {
	codec.Format
	// CSV: the text is CSV and not JSON.
	CSV     bool
	Options codec.CSVOptions
}

// Options say how Run runs.
type Options struct {
	// Sample switches the time policies off: rows come in the order of their own time and
	// nothing is late (saql.md 4.10). Else Late, OutOfOrder and Drop are the policies of
	// 4.3; negative means no limit.
	Sample     bool
	Late       time.Duration
	OutOfOrder time.Duration
	Drop       bool
	// DropErrors drops the rows of query errors; else the first one ends the run.
	DropErrors bool
	// Start is T of events with neither TIMESTAMP BY nor arrival time.
	Start time.Time
	// Workers is how many goroutines decode; 0 means workersPerCPU for each of several
	// processors.
	Workers int
	// Shards splits every grouping with keys (exec.Options.Shards).
	Shards int
	// MaxHeld bounds the rows and groups that wait for their time (exec.Options.MaxHeld).
	MaxHeld int64
	// Progress, if set, is told now and then how much of the input has been read. total is
	// 0 when unknown. It is called from one goroutine at a time.
	Progress func(Progress)
	// OnBad, if set, is told of every event that was dropped.
	OnBad func(Dropped)
	// OnRows takes the rows of outputs, which are named by their place in plan.Outputs. The
	// batch is valid until it returns. It is called from one goroutine at a time.
	OnRows func(output int, b *vec.Batch) error
}

// Progress of a run. Pass counts from 1; a sample run reads its input twice.
type Progress struct {
	Read, Total  int64 // bytes
	Events       int64
	Pass, Passes int
}

// Dropped is an event that did not become rows.
type Dropped struct {
	Input  string
	Path   string // its file
	Offset int64
	Line   int64
	Name   string // InputDeserializerError.InvalidData, LateInputEvent ... (saql.md 13.4)
	Reason string
	Text   []byte // the event, perhaps cut; valid until the call returns
}

// Result is what a run has done.
type Result struct {
	exec.Counts
	Bad     int64 // events that could not be decoded
	Bytes   int64 // read, decompressed
	Elapsed time.Duration
}

// DroppedTotal is the number of events that did not become rows.
func (r *Result) DroppedTotal() int64 {
	n := r.Bad
	for _, d := range r.Counts.Dropped {
		n += d
	}
	return n
}

// ErrNoInput is the error of a plan input that no Input feeds.
var ErrNoInput = errors.New("no file given")

// Run reads the inputs to their ends and gives all rows. A query error is an
// *exec.QueryError.
func Run(ctx context.Context, p *plan.Plan, inputs []Input, o Options) (Result, error) {
	r := &run{ctx: ctx, plan: p, o: o, start: time.Now()}
	if r.o.Workers <= 0 {
		r.o.Workers = defaultWorkers(runtime.GOMAXPROCS(0))
	}
	defer r.close()
	if err := r.open(inputs); err != nil {
		return r.result, err
	}
	err := r.all()
	if r.graph != nil {
		r.result.Counts = r.graph.Counts
	}
	for _, v := range r.refs {
		r.result.Counts.Dropped[exec.TypeConversion] += v.dropped
	}
	r.result.Elapsed = time.Since(r.start)
	return r.result, err
}

// workersPerCPU is how many goroutines decode for each processor: while some wait for their
// turn, others have something to do, and no processor goes to sleep for the length of a
// block.
const workersPerCPU = 3

func defaultWorkers(cpus int) int {
	if cpus == 1 {
		return 1
	}
	return workersPerCPU * cpus
}

type run struct {
	ctx     context.Context
	plan    *plan.Plan
	o       Options
	start   time.Time
	sources []*source // of the streams
	byInput []*source // per input of the plan; nil for reference data
	refs    []*version
	graph   *exec.Graph
	order   []vec.Time // disorder per timeline, once measured
	result  Result
	pass    int
	cur     *source // whose batch is being pushed
	told    time.Time
}

// open finds the file of every input of the plan, and all files of reference data.
func (r *run) open(inputs []Input) error {
	r.byInput = make([]*source, len(r.plan.Inputs))
	for i, want := range r.plan.Inputs {
		found := 0
		for _, in := range inputs {
			if !strings.EqualFold(in.Name, want.Name) || found > 0 && !want.Reference {
				continue
			}
			found++
			s := &source{Input: in, index: i, fields: want.Fields, rules: rulesOf(r.plan.Level)}
			if want.Reference {
				r.refs = append(r.refs, &version{source: s})
			} else {
				r.sources, r.byInput[i] = append(r.sources, s), s // closed whatever comes
			}
			if err := s.prepare(r.ctx, r.o.Sample && !want.Reference); err != nil {
				return fmt.Errorf("input %q: %w", want.Name, err)
			}
		}
		if found == 0 {
			return fmt.Errorf("input %q: %w", want.Name, ErrNoInput)
		}
	}
	return nil
}

func (r *run) close() {
	for _, s := range r.sources {
		s.close()
	}
	for _, v := range r.refs {
		v.source.close()
	}
}

func (r *run) options() exec.Options {
	text := make([]bool, len(r.byInput))
	for i, s := range r.byInput {
		text[i] = s != nil && s.Format.CSV
	}
	return exec.Options{
		Text:   text,
		Sample: r.o.Sample, Late: ticks(r.o.Late), OutOfOrder: ticks(r.o.OutOfOrder), Drop: r.o.Drop,
		DropErrors: r.o.DropErrors, Shards: r.o.Shards, MaxHeld: r.o.MaxHeld, OnRows: r.o.OnRows, OnDrop: r.dropped, Disorder: r.order, Start: timeOf(r.o.Start),
	}
}

// ticks is a duration in ticks; negative stays "no limit".
func ticks(d time.Duration) vec.Time {
	if d < 0 {
		return -1
	}
	return vec.Time(d / 100)
}

func timeOf(t time.Time) vec.Time {
	const unixEpoch = vec.Time(719162) * vec.Day
	return unixEpoch + vec.Time(t.Unix())*vec.Second + vec.Time(t.Nanosecond()/100)
}

// all runs the passes.
func (r *run) all() error {
	if r.o.Sample {
		if err := r.measure(); err != nil {
			return err
		}
	}
	g, err := exec.Build(r.plan, r.options())
	if err != nil {
		return err
	}
	r.graph = g
	r.pass = 1
	if r.o.Sample {
		r.pass = 2
	}
	if err := r.readReferences(g); err != nil {
		return err
	}
	return r.read(g, exec.UsedColumns(r.plan), false)
}

// measure reads the inputs once to learn how far out of order their events are and
// whether they carry arrival times.
func (r *run) measure() error {
	r.pass = 1
	o := r.options()
	o.Measure, o.OnRows, o.OnDrop = true, nil, nil
	g, err := exec.Build(r.plan, o)
	if err != nil {
		return err
	}
	if err := r.read(g, exec.TimeColumns(r.plan), true); err != nil {
		return err
	}
	r.order = g.Disorder()
	for _, s := range r.sources {
		s.arrives = s.rows > 0 && s.stamped == s.rows
		if err := s.rewind(); err != nil {
			return err
		}
	}
	r.result.Bad, r.result.Bytes = 0, 0
	return nil
}

// read pushes the chosen fields of all events to g.
func (r *run) read(g *exec.Graph, fields [][]bool, look bool) error {
	for _, s := range r.sources {
		if err := s.begin(fields[s.index], look, r); err != nil {
			return fmt.Errorf("input %q: %w", s.Name, err)
		}
	}
	if len(r.sources) == 1 && r.o.Workers > 1 && r.sources[0].lines {
		if err := r.parallel(g, r.sources[0]); err != nil {
			return err
		}
		return g.Close(r.sources[0].index)
	}
	for {
		i := furthestBehind(g, func(i int) bool { return r.byInput[i] == nil || r.byInput[i].done }, len(r.byInput))
		if i < 0 {
			return nil
		}
		if err := r.ctx.Err(); err != nil {
			return err
		}
		if err := r.step(g, r.byInput[i]); err != nil {
			return err
		}
	}
}

// step reads one block of an input, or ends it.
func (r *run) step(g *exec.Graph, s *source) error {
	blk, err := s.next(&s.own)
	if err != nil {
		return fmt.Errorf("input %q: %w", s.Name, err)
	}
	if blk == nil {
		s.done = true
		return g.Close(s.index)
	}
	return r.push(g, s, blk, s.decoder(0))
}

// push decodes a block and gives it to g.
func (r *run) push(g *exec.Graph, s *source, blk *block, d *decoder) error {
	for {
		more, err := d.decode(blk)
		if err != nil {
			return fmt.Errorf("input %q: %w", s.Name, err)
		}
		if err := r.deliver(g, s, blk, d); err != nil {
			return err
		}
		if !more {
			return nil
		}
	}
}

// deliver gives a decoded batch to g and reports what was bad in it.
func (r *run) deliver(g *exec.Graph, s *source, blk *block, d *decoder) error {
	for i := range d.bads {
		r.bad(s, &d.bads[i])
	}
	d.bads = d.bads[:0]
	r.cur, s.current = s, d
	s.rows += int64(d.out.N)
	s.countArrivals(d)
	if s.props.fixed != nil {
		s.addProperties(d)
	}
	d.publish()
	err := g.Push(s.index, &d.out)
	r.progress(g, s, blk)
	return err
}

func (r *run) bad(s *source, b *codec.Bad) {
	r.result.Bad++
	if r.pass == 1 && r.o.Sample {
		return
	}
	if r.o.OnBad != nil {
		r.o.OnBad(Dropped{Input: s.Name, Path: s.Path, Offset: b.Offset, Line: b.Line + s.line, Name: b.Name, Reason: b.Reason, Text: b.Text})
	}
}

// dropped is told by the engine that it dropped a row of the batch at hand.
func (r *run) dropped(input, row int, why exec.Reason) {
	if r.o.OnBad == nil {
		return
	}
	r.dropRow(r.byInput[input], row, why)
}

func (r *run) dropRow(s *source, row int, why exec.Reason) {
	offset, line, text := s.current.Row(row)
	r.o.OnBad(Dropped{Input: s.Name, Path: s.Path, Offset: offset, Line: line + s.line, Name: why.String(), Reason: reasonText[why], Text: text})
}

var reasonText = [exec.NumReasons]string{
	"arrived later than the late-arrival limit", "its time is more than 5 minutes after its arrival",
	"behind the watermark by more than the out-of-order limit", "TIMESTAMP BY gives no time",
	"a key of TIMESTAMP BY .. OVER is NULL", "does not fit the CREATE TABLE", "query error"}

// progressEvery is how often Progress is told.
const progressEvery = 100 * time.Millisecond

func (r *run) progress(g *exec.Graph, s *source, blk *block) {
	r.result.Bytes += int64(blk.taken)
	blk.taken = 0
	if r.o.Progress == nil {
		return
	}
	if now := time.Now(); now.Sub(r.told) >= progressEvery {
		r.told = now
		p := Progress{Events: g.Counts.Events, Pass: r.pass, Passes: 1}
		if r.o.Sample {
			p.Passes = 2
		}
		for _, s := range r.sources {
			p.Read += s.position()
			p.Total += s.size
		}
		r.o.Progress(p)
	}
}
