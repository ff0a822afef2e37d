package project

import (
	"os"
	"path/filepath"
)

// overlayName is the file beside a job that fills in what the job leaves out.
const overlayName = "weir.overlay.yaml"

// overlayKeys are the keys of an overlay.
var overlayKeys = []string{"version", "job", "inputs", "outputs", "functions", "parameters"}

// overlay reads the overlay of a job: nil if there is none, or if it is wrong, which was
// reported.
func (r *reader) overlay(job string) *node {
	path := r.o.Overlay
	if path == "" {
		path = filepath.Join(filepath.Dir(job), overlayName)
		if _, err := os.Stat(path); err != nil {
			return nil
		}
	}
	name := r.shortName(path)
	s, err := r.open(path, name, maxYAMLBytes)
	if err != nil {
		r.failFile(name, nearFile(path), "cannot read the overlay: %s", reason(err))
		return nil
	}
	root := r.yaml(s)
	if root == nil || !r.object(root, "the overlay", overlayKeys) {
		return nil
	}
	r.resolveJob(root)
	if root.get("version") != nil {
		r.version(root)
	}
	return root
}

// lay lays an overlay over a job: settings of the job, its inputs and outputs one by one, and
// functions. What the overlay does not say stays.
func (r *reader) lay(o *node, d *draft) {
	if n := o.get("job"); n != nil && n.kind != nullNode {
		r.settings(d.job, n, bare(jobFields), bare(timeFields))
		r.query(d.job, n.get("query"))
	}
	d.inputs = r.layEntries(d.inputs, r.entries(o, "inputs", true), d.job)
	d.outputs = r.layEntries(d.outputs, r.entries(o, "outputs", false), d.job)
	d.overlaid = r.functions(o)
}

// layEntries lays inputs or outputs over those of a job. A new type replaces all settings of
// the old one; without a type the settings are added one by one.
func (r *reader) layEntries(list, over []*entry, j *Job) []*entry {
	for _, o := range over {
		e := find(list, o.name)
		if e == nil {
			var known []string
			for _, x := range list {
				known = append(known, x.name)
			}
			if near := didYouMean(o.name, known); near != "" && j.Kind == Weir {
				r.failEntry(o, near, "the job has no %s", o.what())
				continue
			}
			list = append(list, o)
			continue
		}
		if o.settings.get("type") != nil {
			r.replaceType(e, o)
			continue
		}
		for _, m := range o.settings.members {
			e.set(m.name, m.value)
			if m.name == "sample" || m.name == "format" {
				e.refused, e.sample = "", nil // what was said of another decoder is no longer true
			}
		}
	}
	return list
}

// replaceType gives an entry the connector of another, and keeps what says what it is: its
// being reference data, its sample, and its format unless that is given too.
func (r *reader) replaceType(e, o *entry) {
	for _, name := range []string{"reference", "sample", "format"} {
		if m := e.settings.member(name); m != nil && o.settings.get(name) == nil {
			o.set(name, m.value)
		}
	}
	e.settings = o.settings
	e.refused, e.missing = "", ""
}
