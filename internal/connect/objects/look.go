package objects

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"weir/internal/connect"
	"weir/internal/vec"
)

const (
	// fewObjects is how many are listed whole at every look.
	fewObjects = 5000
	// maxDays is how many dates a look lists one by one.
	maxDays = 16
	// lookShare: of the time, one part in so many goes into looking at most.
	lookShare = 10
)

// part is a partition: the objects whose names have its number.
type part struct {
	s       *source
	name    string
	number  int64
	pattern *Pattern
	files   *registry

	mu     sync.Mutex // for one look at a time
	whole  time.Time  // when the last whole listing began; zero is never
	wholes int64      // how many there were
	count  int        // objects that it had
	behind string     // the greatest name that was listed
	next   time.Time  // of the next look
	pause  time.Duration
}

// candidate is an object that is not known yet.
type candidate struct {
	Object
	at vec.Time // that the name tells
}

// look lists objects and gives new ones numbers. Those that were changed before from need not
// be known. It reports how many are new, or have grown.
func (p *part) look(ctx context.Context, from vec.Time) (news int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.s.env.Now()
	whole := p.whole.IsZero() || p.count <= fewObjects || now.Sub(p.whole) >= p.s.Relist
	l := listing{p: p, from: from, count: -1, wholes: p.wholes, behind: p.behind}
	switch days := p.days(now); {
	case whole:
		l.count = 0
		l.wholes++
		err = l.add(ctx, p.pattern.Prefix(), "")
	case len(days) > 0:
		for _, prefix := range days {
			if err = l.add(ctx, prefix, ""); err != nil {
				break
			}
		}
	default:
		err = l.add(ctx, p.pattern.Prefix(), p.behind)
	}
	if err != nil {
		return 0, listError(p.s.store, err)
	}
	if err := p.files.add(l.sorted()); err != nil {
		return 0, err
	}
	p.behind = l.behind
	if whole {
		p.whole, p.wholes, p.count = now, l.wholes, l.count
	}
	news = len(l.fresh) + l.grown
	p.rest(news > 0, p.s.env.Now().Sub(now))
	return news, nil
}

// days are the prefixes of the dates that a look lists if all are too many.
func (p *part) days(now time.Time) []string {
	to := ticks(now)
	from := to - vec.Time(p.s.LookBack/100)
	if (to-from)/vec.Day > maxDays {
		return nil
	}
	return p.pattern.dayPrefixes(from, to+vec.Day)
}

// rest says when to look again: the pause doubles while there is nothing new, and looking takes
// no more than its share of the time.
func (p *part) rest(news bool, took time.Duration) {
	p.pause = min(2*p.pause, p.s.MaxPoll)
	if news || p.pause == 0 {
		p.pause = p.s.Poll
	}
	p.next = p.s.env.Now().Add(max(p.pause, (lookShare-1)*took))
}

// wait is how long to wait for the next look; 0 if it is due.
func (p *part) wait() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next.IsZero() {
		return 0
	}
	return max(p.next.Sub(p.s.env.Now()), 0)
}

// listing is what a look finds. The partition learns of it when it has succeeded: from one that
// broke off, objects would seem to be gone, and names to be known.
type listing struct {
	p      *part
	from   vec.Time
	count  int    // of all that match; -1: it is no whole listing
	wholes int64  // part.wholes behind it
	behind string // part.behind behind it
	grown  int
	fresh  []candidate
}

// add lists the objects of a prefix behind a name.
func (l *listing) add(ctx context.Context, prefix, after string) error {
	p := l.p
	for o, err := range p.s.store.List(ctx, prefix, after) {
		if err != nil {
			return err
		}
		if l.count >= 0 {
			l.count++
		}
		l.behind = max(l.behind, o.Name)
		at, ok := p.pattern.Match(o.Name)
		if !ok || o.Size == 0 { // an empty one may be about to be written, or is a folder
			continue
		}
		k, old := p.files.named(&o)
		switch {
		case k != nil:
			l.known(k, o)
		case !old && ticks(o.Modified) >= l.from:
			l.fresh = append(l.fresh, candidate{o, at})
		}
		if len(l.fresh)+p.files.size() > maxKnown {
			return connect.Permanent(fmt.Errorf("more than %d objects below %q are to be read, or are too new to be forgotten: use a narrower path, or start at a later time", maxKnown, p.pattern.text))
		}
	}
	return nil
}

// known notes what a known object is now.
func (l *listing) known(k *known, o Object) {
	if !l.p.s.Append {
		return
	}
	k.seen = l.wholes
	if o.ETag != k.latest.ETag {
		k.latest = o
		l.grown++
	}
}

// sorted are the new objects in the order in which they are read: by the time in the name, the
// time of their last change or the name.
func (l *listing) sorted() []Object {
	slices.SortFunc(l.fresh, func(a, b candidate) int {
		if c := cmp.Compare(a.at, b.at); c != 0 {
			return c
		}
		if c := a.Modified.Compare(b.Modified); c != 0 && !l.p.s.ByName {
			return c
		}
		return cmp.Compare(a.Name, b.Name)
	})
	var list []Object
	for i, c := range l.fresh {
		if i == 0 || c.Name != l.fresh[i-1].Name { // one prefix may be the start of another
			list = append(list, c.Object)
		}
	}
	return list
}
