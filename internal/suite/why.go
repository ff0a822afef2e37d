package suite

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"weir/internal/diag"
	"weir/internal/exec"
	"weir/internal/project"
	"weir/internal/testkit"
	"weir/internal/vec"
)

// reasons explains a difference by what did not count as it came: events that policies moved
// or dropped, bad data, query errors, and rows that are still to come when the clock stops.
func (e *engine) reasons(sc *scenario, o *outcome, d *difference) string {
	var lines []string
	settings := map[string]bool{}
	for i := range o.drops {
		if i == maxShownReasons {
			lines = append(lines, fmt.Sprintf("     and %s more", count(len(o.drops)-i, "event")))
			break
		}
		what, setting := sc.why(&o.drops[i])
		lines = append(lines, "why: "+what)
		if setting != "" && !settings[setting] {
			settings[setting] = true
			lines = append(lines, "     "+setting)
		}
	}
	for i, f := range o.failed {
		if i == maxShownReasons {
			lines = append(lines, fmt.Sprintf("     and %s more", count(len(o.failed)-i, "row")))
			break
		}
		lines = append(lines, fmt.Sprintf("why: a row was dropped by a query error at %s:%d: %s", e.file, f.line, f.reason))
	}
	if later := e.later(sc, d); later != "" {
		lines = append(lines, later)
	}
	return strings.Join(lines, "\n")
}

// why says what happened to an event, and where the setting stands that made it so.
func (sc *scenario) why(d *drop) (what, setting string) {
	given := sc.given(d.input)
	at := ""
	if d.event < len(given) {
		at = " at " + where(given[d.event].place)
	}
	name := fmt.Sprintf("event #%d of %q%s", d.event+1, d.input, at)
	m := d.Moved
	if m == nil {
		detail := d.Detail
		if detail == "" {
			detail = "TIMESTAMP BY gives it no time"
			if d.Name != exec.NoTime.String() {
				detail = d.Name
			}
		}
		return fmt.Sprintf("%s was dropped: %s", name, detail), ""
	}
	name += fmt.Sprintf(" (time %s", shortTime(m.Time, sc.day))
	if m.Arrival != vec.MinTime {
		name += ", arrived " + shortTime(m.Arrival, sc.day)
	}
	name += ")"
	did := "was dropped"
	if !m.Dropped {
		did = "was moved to " + shortTime(m.To, sc.day)
	}
	policy, p := "adjust", &sc.policies
	if p.drop {
		policy = "drop"
	}
	switch m.Reason {
	case exec.Early:
		return fmt.Sprintf("%s %s: early by %s, more than the 5m that clocks may differ", name, did, shortSpan(d.by())), ""
	case exec.Late:
		return fmt.Sprintf("%s %s: late by %s > late_arrival %s, policy %s", name, did, shortSpan(d.by()), limitText(p.late), policy),
			sc.setAt("late_arrival", p.lateAt)
	}
	return fmt.Sprintf("%s %s: %s behind the watermark %s, out_of_order %s, policy %s", name, did, shortSpan(d.by()),
		shortTime(m.Mark, sc.day), limitText(p.outOfOrder), policy), sc.setAt("out_of_order", p.outAt)
}

func limitText(d time.Duration) string {
	if d < 0 {
		return "none"
	}
	return d.String()
}

// setAt says where a policy is set: in the test, in the job's files, or nowhere.
func (sc *scenario) setAt(name string, at project.Place) string {
	if at.File == "" {
		at = sc.job.settingPlace(name)
	}
	if at.File == "" {
		return name + " is the default; a test sets it with time: {" + name + ": ...}"
	}
	return fmt.Sprintf("%s is set at %s", name, where(at))
}

// settingNames are the names of policies in the files of jobs.
var settingNames = map[string]*regexp.Regexp{
	"late_arrival": regexp.MustCompile(`(?i)"?(?:late_arrival|eventsLateArrivalMaxDelayInSeconds)"?\s*:\s*()`),
	"out_of_order": regexp.MustCompile(`(?i)"?(?:out_of_order|eventsOutOfOrderMaxDelayInSeconds)"?\s*:\s*()`),
}

// settingPlace finds where the files of a job set a policy.
func (j *jobInfo) settingPlace(name string) project.Place {
	for _, file := range j.Files {
		info, err := os.Stat(file)
		if err != nil || info.Size() > maxTestFileBytes {
			continue
		}
		switch strings.ToLower(filepath.Ext(file)) {
		case ".yaml", ".yml", ".json":
		default:
			continue
		}
		b, err := readWhole(file)
		if err != nil {
			continue
		}
		if m := settingNames[name].FindSubmatchIndex(b); m != nil {
			line, col := diag.Position(string(b), m[2])
			return project.Place{File: shown(file), Line: line, Col: col}
		}
	}
	return project.Place{}
}

// later tells of rows that are missing because the clock of the test stops too early.
func (e *engine) later(sc *scenario, d *difference) string {
	if sc.advance == nil {
		return ""
	}
	open := *sc
	open.advance = nil
	o := e.runClocked(&open, testkit.Whole, true)
	if o.err != nil || d.e.kind == systemStream {
		return ""
	}
	name := o.find(d.e.name, d.e.kind)
	for i := range o.rows[name] {
		for _, p := range d.pairs {
			if p.want == nil || !d.e.same(p.want, &o.rows[name][i]) {
				continue
			}
			text := fmt.Sprintf("why: the row comes out later: the clock stops at %s (advance)", shortTime(*sc.advance, sc.day))
			if t := o.times[name][i]; t.Valid() && sc.policies.late >= 0 {
				text += fmt.Sprintf(", and a row of %s waits until the clock is beyond %s, as late_arrival is %s",
					shortTime(t, sc.day), shortTime(t+ticks(sc.policies.late), sc.day), sc.policies.late)
			}
			return text
		}
	}
	return ""
}
