package service

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir/internal/job"
	"weir/internal/plan"
	"weir/internal/vec"
)

// What rows that came to a filter or a join say about why none of them got through.

// maxShownValues is how many values of a field are shown.
const maxShownValues = 4

// rowsOf are some rows that a node has given, and how many there are of reference data.
func (x *tracer) rowsOf(n *plan.Node) ([]job.PeekRow, int) {
	if x.peek == nil {
		return nil, 0
	}
	return x.peek(n.ID)
}

// filterHint says what about the rows keeps a condition from being true: the first of its
// parts that holds for none of them and that can be explained.
func (x *tracer) filterHint(n *plan.Node, pred *plan.Expr) (cause, fix string) {
	rows, _ := x.rowsOf(n.In[0])
	if len(rows) == 0 {
		return "", ""
	}
	for _, part := range conjuncts(pred) {
		for i := range part.Args {
			f, ok := x.field(n.In[0], part.Args[i])
			if !ok || part.Op == plan.OpIsNull || part.Op == plan.OpNot {
				continue
			}
			values := f.values(rows)
			if len(values) == 0 {
				return fmt.Sprintf("%s is absent or NULL in the rows that came, and NULL is never equal to anything", f.name),
					"check the name of the field " + f.name
			}
			if cause, fix, ok := partHint(part, i, f.name, values); ok {
				return cause, fix
			}
		}
	}
	return "", ""
}

// partHint explains why a comparison is true for none of the values of a field, its argument
// number i. ok is false if it is true for some, or not known.
func partHint(part *plan.Expr, i int, name string, values []string) (cause, fix string, ok bool) {
	wanted := constants(part.Args, i)
	equal := part.Op == plan.OpCmp && part.Sub == "=" || part.Op == plan.OpIn && i == 0
	switch {
	case len(wanted) == 0:
		return "", "", false
	case equal:
		return compareHint(name, values, wanted)
	case part.Op == plan.OpLike:
		return fmt.Sprintf("in the rows that came %s is %s", name, someValues(values)), "LIKE looks at case; _ is any character and % any text", true
	case part.Op != plan.OpCmp || part.Sub == "<>":
		return "", "", false
	}
	if cause, ok := typeHint(name, values, wanted[0]); ok {
		return cause, "make a number of it first, with TRY_CAST or REPLACE", true
	}
	w, err := strconv.ParseFloat(wanted[0], 64)
	if err != nil {
		return "", "", false
	}
	for _, v := range values {
		text, _ := unquoted(v)
		have, err := strconv.ParseFloat(text, 64)
		if i == 1 { // 5 < field
			have, w = w, have
		}
		if err != nil || ordered(part.Sub, have, w) {
			return "", "", false
		}
		if i == 1 {
			w = have
		}
	}
	return fmt.Sprintf("in the rows that came %s is %s", name, someValues(values)), "compare with another limit", true
}

func ordered(op string, a, b float64) bool {
	switch op {
	case "<":
		return a < b
	case "<=":
		return a <= b
	case ">":
		return a > b
	}
	return a >= b
}

// typeHint finds values that cannot be compared with the one that is wanted: texts that are no
// numbers, records, arrays.
func typeHint(name string, values []string, wanted string) (cause string, ok bool) {
	_, number := strconv.ParseFloat(wanted, 64)
	for _, v := range values {
		text, isText := unquoted(v)
		_, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		switch {
		case strings.HasPrefix(v, "{"):
			return fmt.Sprintf("%s is a record in the rows that came, %s, and the query compares it with %s", name, excerpt(v), sql(wanted)), true
		case strings.HasPrefix(v, "["):
			return fmt.Sprintf("%s is an array in the rows that came, %s, and the query compares it with %s", name, excerpt(v), sql(wanted)), true
		case isText && err != nil && number == nil:
			return fmt.Sprintf("%s is %s in the rows that came, a text that is no number, and the query compares it with the number %s", name, sql(v), wanted), true
		}
	}
	return "", false
}

// conjuncts are the parts of a condition that must all hold.
func conjuncts(e *plan.Expr) []*plan.Expr {
	if e.Op != plan.OpAnd {
		return []*plan.Expr{e}
	}
	var list []*plan.Expr
	for _, a := range e.Args {
		list = append(list, conjuncts(a)...)
	}
	return list
}

// constants are the values that a field is compared with, as JSON.
func constants(args []*plan.Expr, but int) []string {
	var list []string
	for i, a := range args {
		if i != but && a.Op == plan.OpConst {
			list = append(list, string(vec.AppendJSON(nil, a.Val)))
		}
	}
	return list
}

// compareHint explains why values are equal to none of those wanted. All are JSON.
func compareHint(name string, values, wanted []string) (cause, fix string, ok bool) {
	if len(wanted) == 0 {
		return "", "", false
	}
	for _, w := range wanted {
		if slices.Contains(values, w) {
			return "", "", false // this part holds for some rows
		}
	}
	for _, v := range values {
		for _, w := range wanted {
			if cause, fix := nearly(v, w); cause != "" {
				return fmt.Sprintf("%s is %s in the rows that came, and the query asks for %s: %s", name, sql(v), sql(w), cause), fix, true
			}
		}
	}
	if cause, ok := typeHint(name, values, wanted[0]); ok {
		return cause, "take the part of it that is meant, or TRY_CAST it", true
	}
	return fmt.Sprintf("in the rows that came %s is %s, never %s", name, someValues(values), sql(wanted[0])), "", true
}

// nearly says how two different values, as JSON, are nearly equal.
func nearly(have, want string) (cause, fix string) {
	a, aText := unquoted(have)
	b, bText := unquoted(want)
	switch {
	case aText && bText && strings.EqualFold(a, b):
		return "they differ by case", "write it as it is in the events, or compare LOWER(...) with LOWER(...)"
	case aText && bText && strings.EqualFold(strings.TrimSpace(a), strings.TrimSpace(b)):
		return "they differ by spaces", "TRIM the field"
	case aText && !bText && sameNumber(a, b):
		return "one is a text and the other a number", "write both with the same type: TRY_CAST(... AS bigint) makes a number of a text"
	case !aText && bText && strings.EqualFold(a, b), !aText && bText && sameNumber(a, b):
		return "one is a number and the other a text", "write both with the same type: CAST(... AS nvarchar(max)) makes a text of a number"
	}
	return "", ""
}

func sameNumber(a, b string) bool {
	x, err := strconv.ParseFloat(strings.TrimSpace(a), 64)
	y, err2 := strconv.ParseFloat(strings.TrimSpace(b), 64)
	return err == nil && err2 == nil && x == y
}

// unquoted is the text of a JSON string; ok is false for other values.
func unquoted(v string) (text string, ok bool) {
	if !strings.HasPrefix(v, `"`) || json.Unmarshal([]byte(v), &text) != nil {
		return v, false
	}
	return text, true
}

// sql writes a JSON value as queries do.
func sql(v string) string {
	if text, ok := unquoted(v); ok {
		return "'" + strings.ReplaceAll(excerpt(text), "'", "''") + "'"
	}
	return excerpt(v)
}

// someValues lists values for people.
func someValues(values []string) string {
	var list []string
	for i, v := range values {
		if i == maxShownValues {
			list = append(list, "…")
			break
		}
		list = append(list, sql(v))
	}
	return strings.Join(list, ", ")
}

// seenField is a column, or a property of one, in rows that were seen.
type seenField struct {
	name string
	col  int
	path []string // below the column
}

// field finds the field that an expression reads, if it is just one: casts to other types and
// calculations change the value and are not explained.
func (x *tracer) field(in *plan.Node, e *plan.Expr) (seenField, bool) {
	switch e.Op {
	case plan.OpCol:
		name := x.columnName(in, e.Col)
		return seenField{name: name, col: e.Col}, name != ""
	case plan.OpNull:
		return x.field(in, e.Args[0])
	case plan.OpField:
		f, ok := x.field(in, e.Args[0])
		f.name, f.path = strings.TrimPrefix(f.name+"."+e.Name, "*."), append(f.path[:len(f.path):len(f.path)], e.Name)
		return f, ok
	}
	return seenField{}, false
}

// columnName is what people call a column of a node; "*" is the whole event.
func (x *tracer) columnName(n *plan.Node, c int) string {
	if c < len(n.Cols) && n.Cols[c].Name != "" {
		return n.Cols[c].Name
	}
	switch op := n.Op.(type) {
	case *plan.Source:
		f := x.plan.Inputs[op.Input].Fields[c]
		if len(f.Path) == 0 && f.Meta == "" {
			return "*"
		}
		return strings.Join(append(slices.Clone(f.Path), splitMeta(f.Meta)...), ".")
	case *plan.Stamp, *plan.Filter, *plan.Order:
		return x.columnName(n.In[0], c)
	}
	return ""
}

func splitMeta(meta string) []string {
	if meta == "" {
		return nil
	}
	return []string{meta}
}

// value is the value of the field in a row as JSON, "" if it is absent or NULL.
func (f *seenField) value(row job.PeekRow) string {
	if f.col >= len(row.Cols) {
		return ""
	}
	v := row.Cols[f.col]
	for _, name := range f.path {
		var object map[string]json.RawMessage
		if json.Unmarshal([]byte(v), &object) != nil {
			return ""
		}
		v = string(object[name])
		for k := range object {
			if v == "" && strings.EqualFold(k, name) {
				v = string(object[k])
			}
		}
	}
	if v == "null" {
		return ""
	}
	return v
}

// values are the different values of the field.
func (f *seenField) values(rows []job.PeekRow) []string {
	var list []string
	for _, row := range rows {
		if v := f.value(row); v != "" && !slices.Contains(list, v) {
			list = append(list, v)
		}
	}
	return list
}

// joined are the rows of both sides of a join that were seen, by the text of their keys.
type joined struct {
	names [2]string
	keys  [2][]string // as JSON; those with a NULL are left out
	times [2][]vec.Time
	rows  [2]int
}

// sidesOf gathers the keys of both sides of a join.
func (x *tracer) sidesOf(n *plan.Node, cols [2][]int) joined {
	var j joined
	for side, in := range n.In[:2] {
		var names []string
		for _, c := range cols[side] {
			if name := x.columnName(in, c); name != "" {
				names = append(names, name)
			} else {
				names = append(names, "key")
			}
		}
		j.names[side] = strings.Join(names, ", ")
		rows, _ := x.rowsOf(in)
		j.rows[side] = len(rows)
	next:
		for _, row := range rows {
			var key []string
			for _, c := range cols[side] {
				f := seenField{col: c}
				v := f.value(row)
				if v == "" {
					continue next
				}
				key = append(key, v)
			}
			j.keys[side] = append(j.keys[side], strings.Join(key, ", "))
			j.times[side] = append(j.times[side], row.T)
		}
	}
	return j
}

// keyHint explains why no keys are equal. apart, if some are, is the least distance in time of
// rows with equal keys, right minus left.
func (j *joined) keyHint(sides [2]string) (cause, fix string, apart time.Duration, equal bool) {
	for side := range 2 {
		if j.rows[side] > 0 && len(j.keys[side]) == 0 {
			return fmt.Sprintf("%s of %q is absent or NULL in the rows that came, and NULL is equal to nothing", j.names[side], sides[side]),
				"check the name of the field", 0, false
		}
	}
	if len(j.keys[0]) == 0 || len(j.keys[1]) == 0 {
		return "", "", 0, false
	}
	for l, left := range j.keys[0] {
		for r, right := range j.keys[1] {
			if left == right {
				d := time.Duration(j.times[1][r]-j.times[0][l]) * 100
				if !equal || d.Abs() < apart.Abs() {
					apart, equal = d, true
				}
			}
		}
	}
	if equal {
		return "", "", apart, true
	}
	for _, left := range j.keys[0] {
		for _, right := range j.keys[1] {
			if why, fix := nearly(left, right); why != "" {
				return fmt.Sprintf("%s of %q is %s and %s of %q is %s: %s", j.names[0], sides[0], sql(left), j.names[1], sides[1], sql(right), why), fix, 0, false
			}
		}
	}
	return fmt.Sprintf("the keys differ: %s of %q is %s, and %s of %q is %s", j.names[0], sides[0], someValues(distinct(j.keys[0])),
		j.names[1], sides[1], someValues(distinct(j.keys[1]))), "compare the keys on both sides, and whether they are the fields that are meant", 0, false
}

func distinct(list []string) []string {
	var out []string
	for _, v := range list {
		if !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}
