package project

import (
	"fmt"
	"slices"
	"strings"

	"weir/internal/connect"
)

// connectSQLReference maps a SQL Database that gives reference data (jobmodel.md 4): the queries
// are those of the original, whose parameters and columns have their names here too.
func connectSQLReference(r *reader, e *entry, p *node) {
	spec, ok := connect.Find("sqlserver")
	if !ok || !spec.Reference {
		return // this program is built without it
	}
	connectSQLServer(r, e, p)
	if q := p.look("fullSnapshotQuery"); q.scalar() && q.text != "" {
		e.settings.members = slices.DeleteFunc(e.settings.members, func(m member) bool { return m.name == "table" })
		e.settingText("query", q.text, q)
	}
	kind, rate := p.look("refreshType"), p.look("refreshRate")
	delta := strings.EqualFold(p.word("refreshType"), "RefreshPeriodicallyWithDelta")
	switch {
	case kind == nil || strings.EqualFold(p.word("refreshType"), "Static"):
		return
	case !delta && !strings.EqualFold(p.word("refreshType"), "RefreshPeriodicallyWithFull"):
		r.warn(kind, "there are Static, RefreshPeriodicallyWithFull and RefreshPeriodicallyWithDelta",
			"%s: the refresh type %s is not known; the data is read when the job starts", e.what(), kind.quoted())
		return
	}
	r.azureRefresh(e, rate)
	if q := p.look("deltaSnapshotQuery"); delta && q.scalar() && q.text != "" && e.settings.get("refresh") != nil {
		e.settingText("delta_query", q.text, q)
	}
}

// azureRefresh takes how often reference data is read anew.
func (r *reader) azureRefresh(e *entry, rate *node) {
	if !rate.scalar() || rate.text == "" {
		return
	}
	text, days := rate.text, ""
	if before, after, ok := strings.Cut(text, "."); ok && strings.Count(after, ":") == 2 { // d.hh:mm:ss
		days, text = before+"d", after
	}
	d, ok := clockDuration(text)
	if !ok && days == "" || strings.Trim(days, "0123456789d") != "" {
		r.warn(rate, "write hours, minutes and seconds: 00:05:00", "%s: the refresh rate %s is not known; the data is read when the job starts", e.what(), rate.quoted())
		return
	}
	e.settingText("refresh", days+d, rate)
}

// connectBlobReference maps blobs that give reference data. The original can change a snapshot by
// blobs of changes; how these look it does not tell.
func connectBlobReference(r *reader, e *entry, p *node) {
	if delta := p.look("deltaPathPattern"); delta.scalar() && delta.text != "" {
		e.refused = fmt.Sprintf("%s changes its snapshots by blobs of changes (deltaPathPattern), which are not read here\n"+
			"leave deltaPathPattern out and write a whole snapshot at each time, or take a SQL database with a delta query", e.what())
		return
	}
	connectBlob(r, e, p)
	if e.settings.get("type") != nil {
		r.azureRefresh(e, p.look("fullSnapshotRefreshRate"))
	}
}
