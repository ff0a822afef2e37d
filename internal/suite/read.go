package suite

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"weir/internal/project"
	"weir/internal/vec"
)

// The keys of a test file and of a test.
var (
	fileKeys = []string{"tests", "job", "query", "day", "functions"}
	testKeys = []string{"name", "only", "skip", "day", "time", "query_errors", "given", "advance", "expect", "emits_at", "shuffle", "functions"}
	timeKeys = []string{"late_arrival", "out_of_order", "policy"}
)

// fileReader reads a test file of our own format.
type fileReader struct {
	f     *textFile
	s     *Suite
	info  *jobInfo
	day   vec.Time
	mocks []mock
	// samples are reference data of the job, by the input's name: read once.
	samples map[string]*input
}

// readTests reads a test file. The error is *Findings, or about the job it belongs to.
func (s *Suite) readTests(path string, j *project.Job) error {
	f, err := readTextFile(path)
	if err != nil {
		return err
	}
	r := &fileReader{f: f, s: s, day: defaultDay, samples: map[string]*input{}}
	root := f.parse()
	if root == nil || len(f.notes) > 0 {
		return f.err()
	}
	if root.kind != objectNode || root.get("tests") == nil {
		f.fail(root.start, "", "a test file has the key tests, with a list of tests")
		return f.err()
	}
	r.known(root, fileKeys)
	if d := root.get("day"); d != nil {
		r.day = r.readDay(d)
	}
	if err := r.findJob(root, j); err != nil {
		return err
	}
	if r.info != nil {
		if ok, err := s.whole(r.info); !ok {
			return err
		}
	}
	if n := root.get("functions"); n != nil && r.info != nil {
		r.mocks = r.functions(n, nil)
	}
	if r.info != nil {
		r.tests(root.get("tests"))
	}
	return f.err()
}

// findJob finds the job that the tests of a file are about: what the file says, else the one
// it was found with, else the nearest one above it.
func (r *fileReader) findJob(root *node, j *project.Job) error {
	jobNode, queryNode := root.get("job"), root.get("query")
	switch {
	case jobNode != nil && queryNode != nil:
		r.f.fail(queryNode.start, "", "give either job or query")
		return nil
	case jobNode != nil || queryNode != nil:
		if jobNode == nil {
			jobNode = queryNode
		}
		path := r.path(r.text(jobNode))
		loaded, err := r.s.job(path)
		if err != nil {
			return fmt.Errorf("%s: %w", where(r.f.place(jobNode.start)), err)
		}
		r.info = loaded
	case j != nil:
		r.info = r.s.inspected(j)
	default:
		info, err := r.s.jobAbove(filepath.Dir(r.f.path))
		if err != nil {
			return err
		}
		if info == nil {
			if info, err = r.s.queryIn(filepath.Dir(r.f.path)); err != nil {
				return err
			}
		}
		if info == nil {
			r.f.fail(root.start, "add job: with the path of weir.yaml or of a project, or query: with that of a query",
				"no job stands in the directory of this file or above it")
		}
		r.info = info
	}
	return nil
}

// path is a path relative to the test file.
func (r *fileReader) path(p string) string {
	if filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(filepath.Dir(r.f.path), filepath.FromSlash(p))
}

// known reports keys that a mapping must not have.
func (r *fileReader) known(n *node, keys []string) {
	for _, k := range n.keys {
		if slices.Contains(keys, k.name) {
			continue
		}
		hint := didYouMean(k.name, keys)
		if hint == "" {
			hint = "known are " + strings.Join(keys, ", ")
		}
		r.f.fail(k.start, hint, "unknown key %q", k.name)
	}
}

// is reports a value of another kind than those wanted.
func (r *fileReader) is(n *node, what string, kinds ...kind) bool {
	if slices.Contains(kinds, n.kind) {
		return true
	}
	r.f.fail(n.start, "", "%s stands here; %s belongs here", n.kind, what)
	return false
}

func (r *fileReader) text(n *node) string {
	if n.kind == numberNode || n.kind == boolNode {
		return n.text
	}
	r.is(n, "a text", textNode)
	return n.text
}

func (r *fileReader) truth(n *node) bool {
	return r.is(n, "true or false", boolNode) && n.text == "true"
}

func (r *fileReader) integer(n *node, least, most int) int {
	var i int
	if _, err := fmt.Sscanf(n.text, "%d", &i); n.kind != numberNode || err != nil || i < least || i > most {
		r.f.fail(n.start, "", "a whole number from %d to %d belongs here", least, most)
		return least
	}
	return i
}

// isoSpan is a duration such as PT5M30S.
var isoSpan = regexp.MustCompile(`^P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?$`)

// span reads a duration of 0 or more; none is -1, no limit.
func (r *fileReader) span(n *node, none bool) time.Duration {
	if none && n.text == "none" {
		return -1
	}
	if m := isoSpan.FindStringSubmatch(n.text); m != nil && n.text != "P" && !strings.HasSuffix(n.text, "T") {
		d, err := time.ParseDuration(zero(m[2]) + "h" + zero(m[3]) + "m" + zero(m[4]) + "s")
		days, err2 := time.ParseDuration(zero(m[1]) + "h")
		if err == nil && err2 == nil && days < 1e6*time.Hour {
			return d + 24*days
		}
	}
	d, err := time.ParseDuration(n.text)
	if err != nil || d < 0 || n.kind != textNode && n.text != "0" {
		hint := "write 5s, 200ms or 1m30s"
		if none {
			hint += ", or none for no limit"
		}
		r.f.fail(n.start, hint, "%q is no duration", n.text)
		return 0
	}
	return d
}

func zero(s string) string {
	if s == "" {
		return "0"
	}
	return s
}

// moment reads a time.
func (r *fileReader) moment(n *node, day vec.Time) vec.Time {
	t, ok := parseTime(n.text, day)
	if n.kind != textNode || !ok {
		r.f.fail(n.start, "write a time of day such as 12:00:11.5, or a full time such as 2018-01-10T10:10:10Z", "%q is no time", n.text)
	}
	return t
}

func (r *fileReader) readDay(n *node) vec.Time {
	t, ok := vec.ParseTime(n.text)
	if n.kind != textNode || !ok || t%vec.Day != 0 {
		r.f.fail(n.start, "write 2018-01-10", "%q is no day", n.text)
		return defaultDay
	}
	return t
}

// tests reads the list of tests.
func (r *fileReader) tests(n *node) {
	if !r.is(n, "a list of tests", listNode) {
		return
	}
	seen := map[string]bool{}
	for _, item := range n.items {
		if !r.is(item, "a test (name: ..., given: ..., expect: ...)", objectNode) {
			continue
		}
		before := len(r.f.notes)
		t := r.test(item)
		if seen[t.Name] && t.Name != "" {
			r.f.fail(item.get("name").start, "", "two tests are called %q", t.Name)
		}
		seen[t.Name] = true
		if len(r.f.notes) == before {
			r.s.Tests = append(r.s.Tests, t)
		}
	}
}

// test reads one test.
func (r *fileReader) test(n *node) *Test {
	before := len(r.f.notes)
	r.known(n, testKeys)
	sc := &scenario{job: r.info, day: r.day, place: r.f.place(n.start), sample: true,
		policies:   policies{late: r.info.Late, outOfOrder: r.info.OutOfOrder, drop: r.info.Drop},
		dropErrors: r.info.QueryErrors == "drop"}
	t := &Test{Place: sc.place, scenario: sc, file: r.f}
	get := func(name string, f func(n *node)) {
		if v := n.get(name); v != nil {
			f(v)
		}
	}
	get("name", func(v *node) { t.Name, t.Place = r.text(v), r.f.place(v.start) })
	if t.Name == "" {
		r.f.fail(n.start, "name: what must be so, in a few words", "a test needs a name")
	}
	get("only", func(v *node) { t.Only = r.truth(v) })
	get("skip", func(v *node) {
		if t.Skip = r.text(v); t.Skip == "" || v.kind == boolNode {
			r.f.fail(v.start, "skip: waits for issue 12", "skip needs a reason")
		}
	})
	get("day", func(v *node) { sc.day = r.readDay(v) })
	get("time", func(v *node) { r.time(sc, v) })
	get("query_errors", func(v *node) { sc.dropErrors = r.oneOf(v, "stop", "drop") == "drop" })
	get("given", func(v *node) { r.given(sc, v) })
	get("advance", func(v *node) { at := r.moment(v, sc.day); sc.advance, sc.sample = &at, false })
	get("expect", func(v *node) { r.expect(sc, v) })
	get("emits_at", func(v *node) { r.emits(sc, v); sc.sample = false })
	get("shuffle", func(v *node) { sc.shuffle = r.shuffle(sc, v) })
	sc.mocks = r.mocks
	get("functions", func(v *node) { sc.mocks = r.functions(v, r.mocks) })
	if len(r.f.notes) == before {
		r.complete(sc, n)
	}
	return t
}

func (r *fileReader) oneOf(n *node, words ...string) string {
	if text := n.text; slices.Contains(words, text) {
		return text
	}
	r.f.fail(n.start, didYouMean(n.text, words), "%q stands here; %s belongs here", n.text, strings.Join(words, " or "))
	return words[0]
}

// time reads the policies of a test.
func (r *fileReader) time(sc *scenario, n *node) {
	if !r.is(n, "late_arrival, out_of_order and policy", objectNode) {
		return
	}
	r.known(n, timeKeys)
	sc.sample = false
	p := &sc.policies
	if v := n.get("late_arrival"); v != nil {
		p.late, p.lateAt = r.span(v, true), r.f.place(v.start)
	}
	if v := n.get("out_of_order"); v != nil {
		p.outOfOrder, p.outAt = r.span(v, true), r.f.place(v.start)
	}
	if v := n.get("policy"); v != nil {
		p.drop, p.dropAt = r.oneOf(v, "adjust", "drop") == "drop", r.f.place(v.start)
	}
}

// functions reads functions that replace those of the job, in front of others.
func (r *fileReader) functions(n *node, others []mock) []mock {
	if !r.is(n, "functions by name", objectNode) {
		return others
	}
	mocks := slices.Clone(others)
	for _, k := range n.keys {
		m := mock{name: k.name, place: r.f.place(k.start)}
		if prefix, name, ok := strings.Cut(k.name, "."); ok {
			m.name, m.aggregate = name, strings.EqualFold(prefix, "UDA")
			if !m.aggregate && !strings.EqualFold(prefix, "UDF") {
				r.f.fail(k.start, "", "%q: a function is called UDF.name or UDA.name", k.name)
			}
		} else if i := slices.IndexFunc(r.info.Functions, func(f project.Function) bool { return strings.EqualFold(f.Name, k.name) }); i >= 0 {
			m.aggregate = r.info.Functions[i].Aggregate
		}
		if !strings.Contains(strings.ToLower(r.info.Query), strings.ToLower(m.name)) {
			var names []string
			for _, f := range r.info.Functions {
				names = append(names, f.Name)
			}
			r.f.fail(k.start, didYouMean(m.name, names), "the query does not call a function %q", m.name)
			continue
		}
		m.script = r.mockScript(&m, k.value)
		mocks = slices.DeleteFunc(mocks, func(o mock) bool { return o.aggregate == m.aggregate && strings.EqualFold(o.name, m.name) })
		mocks = append(mocks, m)
	}
	return mocks
}

func (r *fileReader) mockScript(m *mock, n *node) string {
	if !r.is(n, "returns, script or file", objectNode) {
		return ""
	}
	r.known(n, []string{"returns", "script", "file"})
	if len(n.keys) != 1 {
		r.f.fail(n.start, "", "give one of returns, script and file")
		return ""
	}
	switch v := n.keys[0].value; n.keys[0].name {
	case "returns":
		return returning(v.value(r.day).Raw, m.aggregate)
	case "script":
		return r.text(v)
	default:
		path := r.path(r.text(v))
		b, err := readWhole(path)
		if err != nil {
			r.f.fail(v.start, nearFile(path), "cannot read the function %s: %s", v.text, why(err))
		}
		return string(b)
	}
}

// shuffle reads how the order of arrival is to be changed.
func (r *fileReader) shuffle(sc *scenario, n *node) *shuffle {
	sh := &shuffle{runs: 100, seed: 1, within: sc.policies.outOfOrder, place: r.f.place(n.start)}
	if !r.is(n, "within, runs and seed", objectNode) {
		return sh
	}
	r.known(n, []string{"within", "runs", "seed"})
	if v := n.get("within"); v != nil && v.text != "out_of_order" {
		sh.within = r.span(v, false)
	}
	if v := n.get("runs"); v != nil {
		sh.runs = r.integer(v, 1, maxShuffles)
	}
	if v := n.get("seed"); v != nil {
		sh.seed = uint64(r.integer(v, 0, 1<<53))
	}
	return sh
}

// maxShuffles bounds the runs of a shuffle.
const maxShuffles = 100_000

// complete checks what only the whole test can tell, and adds the job's reference data.
func (r *fileReader) complete(sc *scenario, n *node) {
	if len(sc.expect) == 0 && len(sc.emits) == 0 && sc.fails == "" && sc.shuffle == nil {
		r.f.fail(n.start, "", "the test expects nothing; add expect, emits_at or shuffle")
	}
	says := func(in *input) bool { return slices.ContainsFunc(in.events, func(e event) bool { return e.arrives }) }
	arrivals := false
	for i := range sc.inputs {
		arrivals = arrivals || !sc.inputs[i].reference && says(&sc.inputs[i])
	}
	if len(sc.emits) > 0 && !arrivals {
		r.f.fail(n.get("emits_at").start, "", "when rows come out depends on when events arrive; add at to the events")
	}
	if arrivals && !sc.sample {
		for i := range sc.inputs {
			r.arrivals(sc, &sc.inputs[i])
		}
	}
	for _, name := range r.info.inputs {
		if !r.info.isReference(name) || slices.ContainsFunc(sc.inputs, func(in input) bool { return strings.EqualFold(in.name, name) }) {
			continue
		}
		if in := r.sample(name, n); in != nil {
			sc.inputs = append(sc.inputs, *in)
		}
	}
}

// arrivals checks that the events of an input say when they arrive, in order.
func (r *fileReader) arrivals(sc *scenario, in *input) {
	if in.reference || len(in.events) == 0 {
		return
	}
	if !in.events[0].arrives {
		r.f.failAt(in.events[0].place, "", "other events of the test say when they arrive; add at to the first event of %q too", in.name)
		return
	}
	last := in.events[0].arrival
	for _, e := range in.events[1:] {
		if e.arrives && e.arrival < last {
			r.f.failAt(e.place, "put the events in the order in which they arrive", "this event arrives at %s, before the one above it", shortTime(e.arrival, sc.day))
			return
		}
		if e.arrives {
			last = e.arrival
		}
	}
}

// sample gives the reference data that the job has for runs on this machine.
func (r *fileReader) sample(name string, n *node) *input {
	if in, ok := r.samples[name]; ok {
		return in
	}
	i := slices.IndexFunc(r.info.Job.Inputs, func(in project.Input) bool { return strings.EqualFold(in.Name, name) })
	job := r.info.Job.Inputs[i]
	if job.Sample == "" {
		r.f.fail(n.start, "an empty list if it has none", "%q is reference data and has no sample; give it rows", name)
		return nil
	}
	events, csv, err := fileEvents(job.Sample, job.Sample, job.SampleFormat)
	if err != nil {
		r.f.fail(n.start, "", "the sample of %q cannot be read: %s", name, why(err))
		return nil
	}
	in := &input{name: name, reference: true, csv: csv, events: events}
	r.samples[name] = in
	return in
}
