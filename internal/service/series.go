package service

import (
	"time"

	"weir/internal/job"
)

// seriesSeconds is how much of the past is kept of each job, a point a second.
const seriesSeconds = 3600

// rateSeconds is the time that rates are taken over.
const rateSeconds = 10

// series are the numbers of a job for the last hour. managed.mu guards it.
type series struct {
	points []point // a ring once it is full
	next   int     // where the next point goes
	recent []reading
}

// point is a reading, counted since the job was created.
type point struct {
	at     time.Time
	events int64
	rows   int64
	dead   int64
	delay  float64 // seconds
	each   []named64
}

// named64 is a count of an input or output; the names are shared between points.
type named64 struct {
	name  string
	input bool
	n     int64
}

// reading is all that a job said of itself at a time.
type reading struct {
	at time.Time
	st job.Stats
}

// add keeps a reading.
func (s *series) add(at time.Time, st job.Stats) {
	p := point{at: at}
	for i := range st.Inputs {
		in := &st.Inputs[i]
		p.events += in.Events
		p.each = append(p.each, named64{in.Name, true, in.Events})
	}
	for i := range st.Outputs {
		out := &st.Outputs[i]
		p.rows += out.Rows
		p.each = append(p.each, named64{out.Name, false, out.Rows})
	}
	for _, n := range st.Dead {
		p.dead += n
	}
	p.delay = delay(st, at)
	if len(s.points) < seriesSeconds {
		s.points = append(s.points, p)
	} else {
		s.points[s.next] = p
	}
	s.next = (s.next + 1) % seriesSeconds
	if len(s.recent) > rateSeconds {
		s.recent = append(s.recent[:0], s.recent[1:]...)
	}
	s.recent = append(s.recent, reading{at, st})
}

// delay is how many seconds the most backward output watermark is behind a time.
func delay(st job.Stats, at time.Time) float64 {
	worst := 0.0
	for i := range st.Steps {
		if w := civil(st.Steps[i].Watermark); !w.IsZero() {
			worst = max(worst, at.Sub(w).Seconds())
		}
	}
	return worst
}

// before is the reading that rates are taken from: the oldest recent one of the version that
// runs, and not of the time before it ran.
func (s *series) before() (job.Stats, time.Time) {
	for i := range s.recent {
		if r := &s.recent[i]; len(r.st.Steps) > 0 && r.st.Version == s.recent[len(s.recent)-1].st.Version {
			return r.st, r.at
		}
	}
	return job.Stats{}, time.Time{}
}

// Series are numbers of a job over time.
type Series struct {
	From         time.Time            `json:"from,omitzero" doc:"Of the first point."`
	StepSeconds  int                  `json:"step_seconds"`
	Events       []float64            `json:"events" doc:"A second, of all inputs."`
	Rows         []float64            `json:"rows" doc:"A second, of all outputs."`
	DelaySeconds []float64            `json:"delay_seconds" doc:"How far the slowest watermark was behind the clock."`
	DeadLetters  []float64            `json:"dead_letters" doc:"A second."`
	Inputs       map[string][]float64 `json:"inputs"`
	Outputs      map[string][]float64 `json:"outputs"`
}

// last gives the points of the last seconds as rates.
func (s *series) last(seconds int) Series {
	v := Series{StepSeconds: 1, Events: []float64{}, Rows: []float64{}, DelaySeconds: []float64{}, DeadLetters: []float64{},
		Inputs: map[string][]float64{}, Outputs: map[string][]float64{}}
	ordered := s.points
	if len(s.points) == seriesSeconds {
		ordered = append(append([]point(nil), s.points[s.next:]...), s.points[:s.next]...)
	}
	ordered = ordered[max(0, len(ordered)-seconds-1):]
	for i := 1; i < len(ordered); i++ {
		now, old := &ordered[i], &ordered[i-1]
		if v.From.IsZero() {
			v.From = now.at
		}
		span := now.at.Sub(old.at).Seconds()
		v.Events = append(v.Events, perSecond(now.events-old.events, span))
		v.Rows = append(v.Rows, perSecond(now.rows-old.rows, span))
		v.DeadLetters = append(v.DeadLetters, perSecond(now.dead-old.dead, span))
		v.DelaySeconds = append(v.DelaySeconds, now.delay)
		for k, e := range now.each {
			to := v.Outputs
			if e.input {
				to = v.Inputs
			}
			rate := 0.0
			if k < len(old.each) && old.each[k].name == e.name {
				rate = perSecond(e.n-old.each[k].n, span)
			}
			for len(to[e.name]) < i-1 { // the input is younger than the series
				to[e.name] = append(to[e.name], 0)
			}
			to[e.name] = append(to[e.name], rate)
		}
	}
	return v
}

func perSecond(n int64, span float64) float64 {
	if span <= 0 || n < 0 {
		return 0
	}
	return float64(n) / span
}

// sample reads all running jobs once a second until the service ends.
func (s *Service) sample() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-tick.C:
			s.Sample()
		}
	}
}

// Sample takes a reading of all running jobs. The service does so once a second.
func (s *Service) Sample() {
	now := s.now()
	for _, m := range s.all() {
		m.mu.Lock()
		if r := m.run; r != nil && r.live != nil {
			m.series.add(now, r.live.Stats())
		}
		m.mu.Unlock()
	}
}

// Stats are the statistics of a job, with rates of the last seconds.
func (s *Service) Stats(name string) (StatsView, error) {
	m, err := s.find(name)
	if err != nil {
		return StatsView{}, err
	}
	now := s.now().UTC()
	m.mu.Lock()
	defer m.mu.Unlock()
	st := m.stats()
	old, then := m.series.before()
	if m.run == nil { // rates of what does not run are none
		old, then = st, now
	}
	v := viewStats(st, now, old, then)
	v.Reason = s.Scrub(v.Reason)
	for i := range v.Outputs {
		v.Outputs[i].LastError = s.Scrub(v.Outputs[i].LastError)
	}
	return v, nil
}

// Series are the numbers of a job over the last seconds, an hour at most.
func (s *Service) Series(name string, seconds int) (Series, error) {
	m, err := s.find(name)
	if err != nil {
		return Series{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.series.last(seconds), nil
}

// RawStats are what the runners of all jobs say, by the names of the jobs, for metrics.
func (s *Service) RawStats() map[string]job.Stats {
	out := map[string]job.Stats{}
	for _, m := range s.all() {
		m.mu.Lock()
		out[m.name] = m.stats()
		m.mu.Unlock()
	}
	return out
}

// Topology is the plan of a job as a graph. A job that does not run is compiled for it.
func (s *Service) Topology(name string) (Topology, error) {
	m, err := s.find(name)
	if err != nil {
		return Topology{}, err
	}
	m.mu.Lock()
	var a *Assembly
	st := m.stats()
	version := m.rec.Version
	if m.run != nil {
		a = m.run.assembly
	}
	m.mu.Unlock()
	if a == nil {
		if a, err = m.assemble(version); err != nil {
			return Topology{}, err
		}
	}
	return viewTopology(a.Spec.Plan, st.Steps), nil
}
