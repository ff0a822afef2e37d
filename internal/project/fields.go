package project

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir/internal/connect"
)

// object checks that a node is an object with known keys. what names it in messages.
func (r *reader) object(n *node, what string, known []string) bool {
	if n.kind != objectNode {
		r.fail(n, "", "%s is an object with keys and values, not %s", what, n.kind)
		return false
	}
	for i := range n.members {
		m := &n.members[i]
		if !slices.Contains(known, m.name) {
			r.unknown(m, what, known, secretName.MatchString(m.name))
		}
	}
	return true
}

// unknown reports a key that nothing knows. With secret its value is not shown.
func (r *reader) unknown(m *member, what string, known []string, secret bool) {
	if m.value.scalar() && secret {
		m.value.src.hide(m.value.span)
	}
	hint := didYouMean(m.name, known)
	if hint == "" {
		hint = "there are " + listed(known)
	}
	r.failKey(m, hint, "%s has no setting %q", what, m.name)
}

// listed are names as a sentence has them: a, b or c.
func listed(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// fieldNames are the names of fields.
func fieldNames(fields []connect.Field) []string {
	var list []string
	for _, f := range fields {
		list = append(list, f.Name)
	}
	return list
}

// fields are the settings of a connector as an input or an output.
func fieldsOf(s *connect.Spec, input bool) []connect.Field {
	var list []connect.Field
	for _, f := range s.Fields {
		if f.Input == f.Output || f.Input == input {
			list = append(list, f)
		}
	}
	return list
}

// bind gives the values of fields that an object has, and the defaults of the others.
// Unknown keys are the caller's to report. what names the object in messages.
func (r *reader) bind(n *node, what string, fields []connect.Field) map[string]any {
	values := map[string]any{}
	for _, f := range fields {
		m := n.member(f.Name)
		switch {
		case m != nil:
			if v, ok := r.value(m.value, f); ok {
				values[f.Name] = v
			}
		case f.Default != "":
			d := &node{kind: textNode, text: f.Default, outside: true, src: n.src, span: n.span, written: "the default"}
			if v, ok := r.value(d, f); ok {
				values[f.Name] = v
			}
		case f.Required:
			r.fail(n, example(f), "%s needs %q", what, f.Name)
		}
	}
	return values
}

// example says how a field is written.
func example(f connect.Field) string {
	v := map[connect.FieldType]string{connect.Text: "TEXT", connect.Secret: "${env:NAME}", connect.Int: "10", connect.Bool: "true",
		connect.Duration: "5s", connect.Size: "64MiB", connect.List: "[A, B]", connect.Path: "./PATH", connect.Map: "{NAME: VALUE}"}[f.Type]
	switch {
	case f.Type == connect.Enum:
		v = f.Values[0]
	case f.Name == "query":
		v = "./QUERY.saql"
	}
	return fmt.Sprintf("write %s: %s", f.Name, v)
}

// value turns a node into the Go type of a field. false says that it cannot be, which was
// reported, or that a reference in it was left open on purpose.
func (r *reader) value(n *node, f connect.Field) (any, bool) {
	if f.Type == connect.Secret && n.scalar() && !n.outside {
		n.src.hide(n.span)
		r.keepOut(n.text, "***")
		r.standing(n)
	}
	switch {
	case n.kind == nullNode:
		r.fail(n, "remove it, or "+example(f), "%q has no value", f.Name)
		return nil, false
	case f.Type == connect.List:
		return r.list(n, f)
	case f.Type == connect.Map:
		return r.pairs(n, f)
	case !n.scalar():
		r.fail(n, example(f), "%q is %s, not %s", f.Name, kindOf(f), n.kind)
		return nil, false
	case n.open:
		return nil, false
	}
	switch f.Type {
	case connect.Text, connect.Secret, connect.Path:
		return r.text(n, f)
	case connect.Enum:
		if slices.Contains(f.Values, n.text) {
			return n.text, true
		}
		hint := didYouMean(n.text, f.Values)
		if n.outside || n.kind == numberNode || hint == "" {
			hint = "it is " + listed(f.Values)
		}
		r.fail(n, hint, "%q cannot be %s", f.Name, n.quoted())
		return nil, false
	}
	if n.kind == textNode && !n.outside && (f.Type == connect.Int || f.Type == connect.Bool) {
		r.fail(n, example(f), "%q is %s, not a text in quotes", f.Name, kindOf(f))
		return nil, false
	}
	if slices.Contains(f.Values, n.text) { // late_arrival: none
		return time.Duration(-1), true
	}
	v, ok := scalarValue(n.text, f.Type)
	if !ok {
		r.fail(n, example(f), "%q is %s, not %s", f.Name, kindOf(f), n.quoted())
	}
	return v, ok
}

// kindOf says what a field holds.
func kindOf(f connect.Field) string {
	return [...]string{connect.Text: "a text", connect.Secret: "a text", connect.Int: "a whole number", connect.Bool: "true or false",
		connect.Duration: "a duration such as 5s or PT5S", connect.Size: "a size such as 64MiB", connect.Enum: "a text", connect.List: "a list of texts",
		connect.Path: "a path", connect.Map: "an object of texts"}[f.Type]
}

func (r *reader) text(n *node, f connect.Field) (any, bool) {
	if n.kind == boolNode {
		r.fail(n, "put it into quotes", "%q is a text, not true or false", f.Name)
		return nil, false
	}
	switch f.Type {
	case connect.Secret:
		return connect.NewHidden(n.text), true
	case connect.Path:
		if n.text == "" {
			r.fail(n, example(f), "%q is empty", f.Name)
			return nil, false
		}
		if strings.ContainsRune(n.text, 0) {
			r.fail(n, example(f), "%q has a NUL, which no path has", f.Name)
			return nil, false
		}
		return n.filePath(n.text), true
	}
	if f.Name == "url" && secretQuery.MatchString(n.text) {
		r.standing(n)
	}
	return n.text, true
}

// filePath is a path of a job file, absolute.
func (n *node) filePath(path string) string {
	path = filepath.FromSlash(path)
	if !filepath.IsAbs(path) {
		path = n.src.find(path)
	}
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// list reads a list of texts, or one text.
func (r *reader) list(n *node, f connect.Field) (any, bool) {
	items := []*node{n}
	if n.kind == listNode {
		items = n.items
	}
	var out []string
	for _, x := range items {
		if x.open {
			return nil, false
		}
		if x.kind != textNode && x.kind != numberNode {
			r.fail(x, example(f), "%q is a list of texts, not of %s", f.Name, x.kind)
			return nil, false
		}
		out = append(out, x.text)
	}
	return out, true
}

// pairs reads an object of texts.
func (r *reader) pairs(n *node, f connect.Field) (any, bool) {
	if n.kind != objectNode {
		r.fail(n, example(f), "%q is an object of texts, not %s", f.Name, n.kind)
		return nil, false
	}
	out := map[string]string{}
	for _, m := range n.members {
		if !m.value.scalar() {
			r.failKey(&m, "", "%q in %q is a text, not %s", m.name, f.Name, m.value.kind)
			return nil, false
		}
		if m.value.open {
			return nil, false
		}
		if f.Name == "headers" && !m.value.outside { // they may hold keys
			m.value.src.hide(m.value.span)
			if secretHeader.MatchString(m.name) {
				r.standing(m.value)
			}
		}
		out[m.name] = m.value.text
	}
	return out, true
}

// scalarValue reads a number, a truth value, a duration or a size.
func scalarValue(s string, t connect.FieldType) (any, bool) {
	switch t {
	case connect.Int:
		v, err := strconv.ParseInt(s, 10, 64)
		return v, err == nil
	case connect.Bool:
		return s == "true", s == "true" || s == "false"
	case connect.Duration:
		v, ok := parseDuration(s)
		return v, ok
	case connect.Size:
		v, ok := parseSize(s)
		return v, ok
	}
	panic("project: no scalar type " + strconv.Itoa(int(t)))
}

// isoDuration is PnDTnHnMnS of ISO 8601 without years and months.
var isoDuration = regexp.MustCompile(`^P(?:(\d{1,6})D)?(?:T(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,9}(?:\.\d{1,9})?)S)?)?$`)

// goDuration is 1m30s, and 2d before it.
var goDuration = regexp.MustCompile(`^(?:\d{1,9}(?:\.\d{1,9})?(?:d|h|ms|m|s))+$`)

// parseDuration reads 5s, 1m30s, 2d, PT5S or 0. None is negative.
func parseDuration(s string) (time.Duration, bool) {
	if s == "0" {
		return 0, true
	}
	if m := isoDuration.FindStringSubmatch(s); m != nil {
		return isoParts(m)
	}
	if !goDuration.MatchString(s) {
		return 0, false
	}
	var days time.Duration
	if d, rest, ok := strings.Cut(s, "d"); ok {
		n, err := strconv.Atoi(d)
		if err != nil || n > 100000 {
			return 0, false
		}
		days, s = time.Duration(n)*24*time.Hour, rest
	}
	if s == "" {
		return days, true
	}
	v, err := time.ParseDuration(s)
	return days + v, err == nil && v >= 0 && days+v <= maxDuration
}

// maxDuration is the longest duration of a setting, about 270 years.
const maxDuration = 100000 * 24 * time.Hour

// isoParts adds up the days, hours, minutes and seconds of an ISO 8601 duration.
func isoParts(m []string) (time.Duration, bool) {
	var sum float64
	given := false
	for i, unit := range []time.Duration{24 * time.Hour, time.Hour, time.Minute, time.Second} {
		if m[i+1] == "" {
			continue
		}
		given = true
		v, err := strconv.ParseFloat(m[i+1], 64)
		if err != nil {
			return 0, false
		}
		sum += v * float64(unit)
	}
	last := m[0][len(m[0])-1]
	return time.Duration(sum), given && last != 'T' && sum <= float64(maxDuration)
}

// sizeUnits are the units of sizes.
var sizeUnits = map[string]int64{"": 1, "B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}

var sizeText = regexp.MustCompile(`^(\d{1,18}) ?([A-Za-z]*)$`)

// parseSize reads 64MiB, 10MB or a number of bytes.
func parseSize(s string) (int64, bool) {
	m := sizeText.FindStringSubmatch(s)
	if m == nil {
		return 0, false
	}
	unit, ok := sizeUnits[m[2]]
	n, err := strconv.ParseInt(m[1], 10, 64)
	if !ok || err != nil || n > (1<<62)/unit {
		return 0, false
	}
	return n * unit, true
}
