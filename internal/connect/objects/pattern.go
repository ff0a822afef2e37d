package objects

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir/internal/vec"
)

// timeParts are the parts of a format of times, longest first, each with the text that it
// matches, the digits that it has at least, and the finest span of time that it names.
var timeParts = []struct {
	name, match string
	digits      int
	unit        unit
}{
	{"yyyy", `\d{4}`, 4, years}, {"MM", `\d{2}`, 2, months}, {"dd", `\d{2}`, 2, days}, {"HH", `\d{2}`, 2, hours}, {"mm", `\d{2}`, 2, minutes},
	{"ss", `\d{2}`, 2, seconds}, {"M", `\d{1,2}`, 1, months}, {"d", `\d{1,2}`, 1, days}, {"H", `\d{1,2}`, 1, hours}, {"m", `\d{1,2}`, 1, minutes}, {"s", `\d{1,2}`, 1, seconds},
}

type unit uint8

const (
	years unit = iota
	months
	days
	hours
	minutes
	seconds
)

// pieceKind is what a piece of a pattern stands for.
type pieceKind uint8

const (
	literal pieceKind = iota
	timePart
	wildcard
	partitionToken
)

// piece is a part of a pattern: for a time, part is its index in timeParts. A partition has a
// text if it is a certain one.
type piece struct {
	kind pieceKind
	text string
	part int
}

// Pattern says by their names which objects are read. It has literal text, the tokens {date},
// {time}, {datetime:yyyy} and {partition}, and the wildcards *, ? and **.
//
// As in Azure Stream Analytics, a pattern without wildcards is the start of the names
// (jobmodel.md 4): "logs/{date}" takes all that lies below "logs/2024/05/01/".
type Pattern struct {
	text   string
	pieces []piece
	whole  bool
	exp    *regexp.Regexp
	order  []int // of the groups of exp, the index in timeParts
}

// ParsePattern reads a pattern. dateFormat and timeFormat are what {date} and {time} stand for,
// made of yyyy, MM, dd, HH, mm, ss, M, d, H, m and s. whole has it match the whole name, or a
// folder of the name. Its errors are for people.
func ParsePattern(text, dateFormat, timeFormat string, whole bool) (*Pattern, error) {
	p := &Pattern{text: text, whole: whole}
	rest := strings.TrimPrefix(text, "/")
	for rest != "" {
		i := strings.IndexAny(rest, "{*?")
		if i < 0 {
			i = len(rest)
		}
		p.add(piece{kind: literal, text: rest[:i]})
		if rest = rest[i:]; rest == "" {
			break
		}
		if rest[0] != '{' {
			n := 1
			if strings.HasPrefix(rest, "**") {
				n = 2
			}
			p.add(piece{kind: wildcard, text: rest[:n]})
			rest = rest[n:]
			continue
		}
		end := strings.IndexByte(rest, '}')
		if end < 0 {
			return nil, fmt.Errorf("%q has a { without a }", text)
		}
		word, layout, _ := strings.Cut(rest[1:end], ":")
		rest = rest[end+1:]
		switch strings.ToLower(word) {
		case "date":
			layout = dateFormat
		case "time":
			layout = timeFormat
		case "datetime":
		case "partition":
			p.add(piece{kind: partitionToken})
			continue
		default:
			return nil, fmt.Errorf("{%s} is no token of an input's path: there are {date}, {time}, {datetime:yyyy-MM-dd} and {partition}", word)
		}
		if err := p.layout(layout); err != nil {
			return nil, fmt.Errorf("{%s}: %w", word, err)
		}
	}
	return p, p.compile()
}

func (p *Pattern) add(x piece) {
	if x.kind != literal || x.text != "" {
		p.pieces = append(p.pieces, x)
	}
}

// layout adds the parts of a format. Azure's own pages write YYYY and DD too.
func (p *Pattern) layout(text string) error {
	rest := strings.NewReplacer("Y", "y", "D", "d").Replace(text)
	found := false
	for rest != "" {
		i := slices.IndexFunc(timeParts, func(t struct {
			name, match string
			digits      int
			unit        unit
		}) bool {
			return strings.HasPrefix(rest, t.name)
		})
		if i >= 0 {
			p.add(piece{kind: timePart, text: timeParts[i].name, part: i})
			rest, found = rest[len(timeParts[i].name):], true
			continue
		}
		if c := rest[0]; c|0x20 >= 'a' && c|0x20 <= 'z' && c != 'T' {
			return fmt.Errorf("the format %q has a part that is not known; there are yyyy, MM, dd, HH, mm and ss", text)
		}
		p.add(piece{kind: literal, text: rest[:1]})
		rest = rest[1:]
	}
	if !found {
		return fmt.Errorf("the format %q names no part of a time", text)
	}
	return nil
}

// compile makes the expression that names match.
func (p *Pattern) compile() error {
	var b strings.Builder
	b.WriteString("^(?s)")
	wild := false
	for i, x := range p.pieces {
		switch {
		case x.kind == timePart:
			p.order = append(p.order, x.part)
			b.WriteString("(" + timeParts[x.part].match + ")")
		case x.kind == partitionToken && x.text == "":
			b.WriteString(`\d+`)
		case x.kind == partitionToken:
			b.WriteString(regexp.QuoteMeta(x.text))
		case x.kind == literal && i > 0 && p.pieces[i-1].text == "**" && strings.HasPrefix(x.text, "/"):
			b.WriteString("(?:.*/|)" + regexp.QuoteMeta(x.text[1:]))
		case x.kind == literal:
			b.WriteString(regexp.QuoteMeta(x.text))
		case x.text == "**":
			wild = true
			if i+1 == len(p.pieces) || p.pieces[i+1].kind != literal || !strings.HasPrefix(p.pieces[i+1].text, "/") {
				b.WriteString(".*")
			}
		case x.text == "*":
			wild = true
			b.WriteString("[^/]*")
		default:
			wild = true
			b.WriteString("[^/]")
		}
	}
	last := piece{}
	if n := len(p.pieces); n > 0 {
		last = p.pieces[n-1]
	}
	switch {
	case wild:
		b.WriteString("$")
	case p.whole && (last.kind != literal || !strings.HasSuffix(last.text, "/")):
		b.WriteString("(?:/.*)?$")
	case last.kind == timePart || last.kind == partitionToken:
		b.WriteString(`(?:\D.*)?$`)
	}
	var err error
	p.exp, err = regexp.Compile(b.String())
	return err
}

// Timed reports whether names that match tell a time.
func (p *Pattern) Timed() bool { return len(p.order) > 0 }

// Partitioned reports whether {partition} is in the pattern.
func (p *Pattern) Partitioned() bool {
	return slices.ContainsFunc(p.pieces, func(x piece) bool { return x.kind == partitionToken })
}

// Partition is the pattern for one partition.
func (p *Pattern) Partition(name string) (*Pattern, error) {
	q := &Pattern{text: p.text, whole: p.whole, pieces: slices.Clone(p.pieces)}
	for i := range q.pieces {
		if q.pieces[i].kind == partitionToken {
			q.pieces[i].text = name
		}
	}
	return q, q.compile()
}

// Match reports whether an object of a name is read, and the time that the name tells;
// vec.MinTime if the pattern has none.
func (p *Pattern) Match(name string) (vec.Time, bool) {
	m := p.exp.FindStringSubmatch(name)
	if m == nil {
		return 0, false
	}
	if len(p.order) == 0 {
		return vec.MinTime, true
	}
	at := [...]int{years: 1, months: 1, days: 1, hours: 0, minutes: 0, seconds: 0}
	for i, part := range p.order {
		n, err := strconv.Atoi(m[i+1])
		if err != nil {
			return 0, false
		}
		at[timeParts[part].unit] = n
	}
	if at[years] < 1 || at[months] < 1 || at[months] > 12 || at[days] < 1 || at[days] > vec.DaysIn(at[years], at[months]) || at[hours] > 23 || at[minutes] > 59 || at[seconds] > 59 {
		return 0, false
	}
	return vec.FromCivil(at[years], at[months], at[days]) + vec.Time(at[hours])*vec.Hour + vec.Time(at[minutes])*vec.Minute + vec.Time(at[seconds])*vec.Second, true
}

// Prefix is what all names that match begin with.
func (p *Pattern) Prefix() string {
	prefix, _ := p.upTo(func(piece) (string, bool) { return "", false })
	return prefix
}

// upTo is the start of the pattern with its times as text, up to the first piece that has none,
// and whether it has times.
func (p *Pattern) upTo(text func(piece) (string, bool)) (prefix string, timed bool) {
	for _, x := range p.pieces {
		if x.kind == literal || x.kind == partitionToken && x.text != "" {
			prefix += x.text
			continue
		}
		s, ok := text(x)
		if x.kind != timePart || !ok {
			break
		}
		prefix, timed = prefix+s, true
	}
	return prefix, timed
}

// dayPrefix is what all names begin with that tell a time of a day. It is false if the pattern
// does not say so at the start.
func (p *Pattern) dayPrefix(day vec.Time) (string, bool) {
	y, m, d := vec.Civil(day)
	return p.upTo(func(x piece) (string, bool) {
		if x.kind != timePart {
			return "", false
		}
		part := timeParts[x.part]
		n := 0
		switch part.unit {
		case years:
			n = y
		case months:
			n = m
		case days:
			n = d
		default:
			return "", false
		}
		return fmt.Sprintf("%0*d", part.digits, n), true
	})
}

// dayPrefixes are the prefixes of the days from one to another one.
func (p *Pattern) dayPrefixes(from, to vec.Time) []string {
	var list []string
	for day := from - from%vec.Day; day <= to; day += vec.Day {
		s, ok := p.dayPrefix(day)
		if !ok {
			return nil
		}
		if !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	return list
}

// ticks is a time of the machine or a service as one of rows.
func ticks(t time.Time) vec.Time {
	t = t.UTC()
	y, m, d := t.Date()
	if y < 1 || y > 9999 {
		return 0
	}
	return vec.FromCivil(y, int(m), d) + vec.Time(t.Sub(time.Date(y, m, d, 0, 0, 0, 0, time.UTC))/100)
}
