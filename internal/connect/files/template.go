package files

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"weir/internal/vec"
)

// unit is the smallest unit of time in a name: rows of one span of it share the name.
type unit uint8

const (
	noTime unit = iota
	years
	months
	days
	hours
	minutes
	seconds
)

// tokenKind is what a piece of a template stands for.
type tokenKind uint8

const (
	literal  tokenKind = iota
	timePart           // text is a part of a time: yyyy, MM ...
	column
	sequence // {n}
)

// token is a piece of a template.
type token struct {
	kind  tokenKind
	text  string
	col   int  // of the output; -1: a field of the row itself
	start bool // the time is the window's start, not the row's
}

// template is the pattern of names.
type template struct {
	tokens   []token
	unit     unit // of the row's times
	start    unit // of the window's starts
	window   vec.Time
	sequence bool
	columns  bool
}

// timed reports whether names have times.
func (t *template) timed() bool { return t.unit != noTime || t.start != noTime }

// last is the last tick of the span of time whose rows share the names of a row of a time.
func (t *template) last(at vec.Time) vec.Time {
	last := vec.MaxTime
	if t.unit != noTime {
		_, last = t.unit.span(at)
	}
	if t.start != noTime {
		_, l := t.start.span(at - t.window)
		last = min(last, l+t.window)
	}
	return last
}

// names are what a template needs to know of the output.
type names struct {
	output, job, ext       string
	dateFormat, timeFormat string
	window                 vec.Time // its length; 0 if it is not known
	// column finds a column without case; nil takes any.
	column func(name string) (int, bool)
}

// timeParts are the parts of times, longest first, with their units.
var timeParts = []struct {
	text string
	unit unit
}{{"yyyy", years}, {"MM", months}, {"dd", days}, {"HH", hours}, {"mm", minutes}, {"ss", seconds},
	{"M", months}, {"d", days}, {"H", hours}, {"m", minutes}, {"s", seconds}}

// parseTemplate reads a template. Its errors are for people.
func parseTemplate(text string, n names) (*template, error) {
	t := &template{window: n.window}
	units := spans{{}, {}}
	rest := text
	for rest != "" {
		i := strings.IndexByte(rest, '{')
		if i < 0 {
			i = len(rest)
		}
		t.add(token{kind: literal, text: rest[:i]})
		if rest = rest[i:]; rest == "" {
			break
		}
		end := strings.IndexByte(rest, '}')
		if end < 0 {
			return nil, fmt.Errorf("%q has a { without a }", text)
		}
		if err := t.token(rest[1:end], n, units); err != nil {
			return nil, err
		}
		rest = rest[end+1:]
	}
	if err := t.checkLiterals(text); err != nil {
		return nil, err
	}
	for i, out := range []*unit{&t.unit, &t.start} {
		for u := range units[i] {
			*out = max(*out, u)
		}
		for u := years; u < *out; u++ {
			if !units[i][u] {
				return nil, fmt.Errorf("the times in %q come again: put the whole date before them, as {date} does", text)
			}
		}
	}
	return t, nil
}

// spans are the units that a template has, of the times of rows and of starts of windows.
type spans [2]map[unit]bool

func (t *template) add(k token) {
	if k.kind == literal && k.text == "" {
		return
	}
	t.tokens = append(t.tokens, k)
}

// token adds what stands in braces.
func (t *template) token(name string, n names, units spans) error {
	word, layout, has := strings.Cut(name, ":")
	switch strings.ToLower(word) {
	case "date":
		return t.layout(n.dateFormat, units[0], false)
	case "time":
		return t.layout(n.timeFormat, units[0], false)
	case "datetime", "event_time":
		if !has || layout == "" {
			return fmt.Errorf("{%s} needs a format: {%s:yyyy-MM-dd}", name, word)
		}
		return t.layout(layout, units[0], false)
	case "window.end":
		return t.layout(cmp.Or(layout, windowFormat), units[0], false)
	case "window.start":
		if n.window == 0 {
			return fmt.Errorf("{window.start} needs the length of the window: add window: 5m, for example")
		}
		return t.layout(cmp.Or(layout, windowFormat), units[1], true)
	case "partition":
		t.add(token{kind: literal, text: "0"})
	case "output":
		t.add(token{kind: literal, text: escape(n.output)})
	case "job":
		t.add(token{kind: literal, text: escape(n.job)})
	case "ext":
		t.add(token{kind: literal, text: n.ext})
	case "n":
		t.sequence = true
		t.add(token{kind: sequence})
	default:
		if has || name == "" {
			return fmt.Errorf("{%s} is no token: there are {date}, {time}, {datetime:...}, {event_time:...}, {window.start:...}, {window.end:...}, {partition}, {output}, {job}, {n}, {ext} and {a column}", name)
		}
		col := -1
		if n.column != nil {
			var ok bool
			if col, ok = n.column(name); !ok {
				return fmt.Errorf("the output has no column %q for {%s}", name, name)
			}
		}
		t.columns = true
		t.add(token{kind: column, text: name, col: col})
	}
	return nil
}

// windowFormat is that of {window.start} and {window.end} without one.
const windowFormat = "yyyy-MM-dd_HH-mm-ss"

// layout adds the parts of a time format, and notes their units. What is no part stands for
// itself. start says that the time is the window's start.
func (t *template) layout(layout string, units map[unit]bool, start bool) error {
	for rest := layout; rest != ""; {
		i := slices.IndexFunc(timeParts, func(p struct {
			text string
			unit unit
		}) bool {
			return strings.HasPrefix(rest, p.text)
		})
		if i >= 0 {
			p := timeParts[i]
			units[p.unit] = true
			t.add(token{kind: timePart, text: p.text, start: start})
			rest = rest[len(p.text):]
			continue
		}
		if c := rest[0]; c|0x20 >= 'a' && c|0x20 <= 'z' {
			return fmt.Errorf("the time format %q has %q: there are yyyy, MM, M, dd, d, HH, H, mm, m, ss and s", layout, string(c))
		}
		t.add(token{kind: literal, text: rest[:1]})
		rest = rest[1:]
	}
	return nil
}

// checkLiterals refuses what can never be a name.
func (t *template) checkLiterals(text string) error {
	var b strings.Builder
	for _, k := range t.tokens {
		if k.kind == literal {
			b.WriteString(k.text)
		} else {
			b.WriteByte('x')
		}
	}
	plain := b.String()
	if plain == "" || strings.HasSuffix(plain, "/") {
		return fmt.Errorf("%q names no file: end it with a name, such as {n}{ext}", text)
	}
	for part := range strings.SplitSeq(plain, "/") {
		if part == "" || part == "." || part == ".." || strings.ContainsAny(part, "\\:*?\"<>|") || strings.ContainsFunc(part, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return fmt.Errorf("%q cannot be a part of a name in %q: names lie below the directory, with / between their parts", part, text)
		}
	}
	if len(plain) > maxName/2 {
		return fmt.Errorf("the template has %d bytes, %d are allowed", len(plain), maxName/2)
	}
	return nil
}

// Limits of names, in bytes.
const (
	maxName  = 1000
	maxPart  = 240
	maxValue = 120 // of one column, escaped; longer ones end with a hash
)

// span is the first and the last tick of the unit of time that t is in.
func (u unit) span(t vec.Time) (first, last vec.Time) {
	y, m, _ := vec.Civil(t)
	switch u {
	case years:
		return vec.FromCivil(y, 1, 1), vec.FromCivil(y+1, 1, 1) - 1
	case months:
		first = vec.FromCivil(y, m, 1)
		return first, first + vec.Time(vec.DaysIn(y, m))*vec.Day - 1
	}
	size := map[unit]vec.Time{days: vec.Day, hours: vec.Hour, minutes: vec.Minute, seconds: vec.Second}[u]
	first = t - t%size
	return first, first + size - 1
}

// timePartText appends a part of a time.
func timePartText(dst []byte, part string, t vec.Time) []byte {
	y, mo, d := vec.Civil(t)
	h, mi, s, _ := vec.Clock(t)
	n, width := 0, len(part)
	switch part[0] {
	case 'y':
		n = y
	case 'M':
		n = mo
	case 'd':
		n = d
	case 'H':
		n = h
	case 'm':
		n = mi
	case 's':
		n = s
	}
	digits := strconv.Itoa(n)
	for range width - len(digits) {
		dst = append(dst, '0')
	}
	return append(dst, digits...)
}

// The texts for values that are no text of their own. No other value gives them, because a
// percent sign is always escaped.
const (
	nullText  = "%NULL"
	emptyText = "%EMPTY"
	longText  = "%~"
)

// escape makes a text safe as a part of a name, one-to-one: letters, digits, - and _ stay,
// and a point within; every other byte is % and two hex digits. Long texts are cut and
// end with a hash.
func escape(s string) string {
	if s == "" {
		return emptyText
	}
	b := make([]byte, 0, len(s)+8)
	for i := range len(s) {
		c := s[i]
		if c-'0' <= 9 || c|0x20-'a' <= 25 || c == '-' || c == '_' || c == '.' && i > 0 && i < len(s)-1 {
			b = append(b, c)
			continue
		}
		b = appendHex(b, c)
		if len(b) > 4*maxValue {
			break
		}
	}
	if len(b) <= maxValue {
		return string(b)
	}
	const kept = maxValue - 40
	b = b[:kept]
	if i := slices.Index(b[kept-2:], '%'); i >= 0 {
		b = b[:kept-2+i]
	}
	sum := sha256.Sum256([]byte(s))
	return string(b) + longText + hex.EncodeToString(sum[:16])
}

func appendHex(b []byte, c byte) []byte {
	const digits = "0123456789ABCDEF"
	return append(b, '%', digits[c>>4], digits[c&15])
}

// value is the text of a column in a name; false if its kind has none.
func value(v vec.Value) (string, bool) {
	switch v.Kind {
	case vec.Missing, vec.Null:
		return nullText, true
	case vec.String:
		return escape(v.Str), true
	case vec.Int:
		return strconv.FormatInt(v.Int, 10), true
	case vec.Float:
		return escape(string(vec.AppendFloatText(nil, v.Float))), true
	case vec.Bit:
		return strconv.FormatBool(v.Int != 0), true
	}
	return "", false
}

// hole stands for {n} in the stem of a name: no name has it.
const hole = '\x00'

// stem is the name of a row's file without its number; false with the column if a value
// has no text.
func (t *template) stem(dst []byte, at vec.Time, get func(k *token) vec.Value) ([]byte, *token) {
	for i := range t.tokens {
		k := &t.tokens[i]
		switch k.kind {
		case literal:
			dst = append(dst, k.text...)
		case timePart:
			when := at
			if k.start {
				when -= t.window
			}
			dst = timePartText(dst, k.text, when)
		case sequence:
			dst = append(dst, hole)
		case column:
			s, ok := value(get(k))
			if !ok {
				return nil, k
			}
			dst = append(dst, s...)
		}
	}
	return dst, nil
}

// name is the name for a stem and a number. reserved are files that are no files of rows: no
// name is theirs, leads below them or stands above them. It is an error if it gets too long.
func name(stem string, n int64, reserved ...string) (string, error) {
	s := strings.ReplaceAll(stem, string(hole), strconv.FormatInt(n, 10))
	parts := strings.Split(s, "/")
	for i, p := range parts {
		if isReserved(p) {
			parts[i] = string(appendHex(nil, p[0])) + p[1:]
		}
		if len(parts[i]) > maxPart {
			return "", fmt.Errorf("the name %.60q... is too long: %d bytes, %d are allowed", p, len(p), maxPart)
		}
	}
	for i := range parts {
		for _, r := range reserved {
			head := strings.Join(parts[:i+1], "/")
			if strings.EqualFold(head, r) || i == len(parts)-1 && len(r) > len(head) && strings.EqualFold(head+"/", r[:len(head)+1]) {
				parts[i] = string(appendHex(nil, parts[i][0])) + parts[i][1:]
			}
		}
	}
	s = strings.Join(parts, "/")
	if len(s) > maxName {
		return "", fmt.Errorf("the name %.60q... is too long: %d bytes, %d are allowed", s, len(s), maxName)
	}
	return s, nil
}

// isReserved reports whether a part of a name means something else somewhere: devices of
// Windows, and our own directories.
func isReserved(part string) bool {
	base, _, _ := strings.Cut(strings.ToUpper(part), ".")
	switch strings.TrimRight(base, " ") {
	case "CON", "PRN", "AUX", "NUL", "COM0", "COM1", "COM2", "COM3", "COM4", "COM5", "COM6", "COM7", "COM8", "COM9",
		"LPT0", "LPT1", "LPT2", "LPT3", "LPT4", "LPT5", "LPT6", "LPT7", "LPT8", "LPT9":
		return true
	}
	return strings.HasPrefix(strings.ToLower(part), ownPrefix)
}

// ownPrefix begins the names of our own directories.
const ownPrefix = ".weir-"
