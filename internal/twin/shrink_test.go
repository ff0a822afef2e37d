package twin

import (
	"reflect"
	"strings"
	"time"

	"weir/internal/saql"
)

// shrink makes a failing job as small as it can: fails tells if a job still shows the
// difference. It stops when nothing can be left out, or when the time is over.
func shrink(job Job, fails func(Job) bool, limit time.Duration) Job {
	deadline := time.Now().Add(limit)
	try := func(next Job) bool {
		if time.Now().After(deadline) || !fails(next) {
			return false
		}
		job = next
		return true
	}
	for {
		before := size(job)
		shrinkEvents(&job, try)
		shrinkQuery(&job, try)
		if size(job) >= before || time.Now().After(deadline) {
			return job
		}
	}
}

func size(j Job) int {
	n := len(j.Query)
	for _, list := range [][]Input{j.Inputs, j.Reference} {
		for _, in := range list {
			n += len(in.Name) + len(in.Arrival)
			for _, e := range in.Events {
				n += len(e) + 1
			}
		}
	}
	return n
}

// shrinkEvents drops events, then fields, then makes values plain.
func shrinkEvents(job *Job, try func(Job) bool) {
	for i := range job.Inputs {
		for width := max(1, len(job.Inputs[i].Events)/2); width > 0; width /= 2 {
			for from := 0; from < len(job.Inputs[i].Events); {
				if !try(withoutEvents(*job, i, from, from+width)) {
					from += width
				}
			}
		}
		for e := range job.Inputs[i].Events {
			for f := 0; f < len(fieldsOf(job.Inputs[i].Events[e])); {
				if !try(withoutField(*job, i, e, f)) {
					f++
				}
			}
		}
	}
	for i := range job.Reference {
		for e := 0; e < len(job.Reference[i].Events); {
			next := *job
			next.Reference = append([]Input(nil), job.Reference...)
			next.Reference[i].Events = append(append([]string(nil), job.Reference[i].Events[:e]...), job.Reference[i].Events[e+1:]...)
			if !try(next) {
				e++
			}
		}
	}
	for i := len(job.Inputs) - 1; i > 0; i-- {
		next := *job
		next.Inputs = append(append([]Input(nil), job.Inputs[:i]...), job.Inputs[i+1:]...)
		try(next)
	}
}

func withoutEvents(j Job, input, from, to int) Job {
	j.Inputs = append([]Input(nil), j.Inputs...)
	in := &j.Inputs[input]
	to = min(to, len(in.Events))
	in.Events = append(append([]string(nil), in.Events[:from]...), in.Events[to:]...)
	if in.Arrival != nil {
		in.Arrival = append(append([]int64{}, in.Arrival[:from]...), in.Arrival[to:]...)
	}
	return j
}

func withoutField(j Job, input, event, field int) Job {
	j.Inputs = append([]Input(nil), j.Inputs...)
	in := &j.Inputs[input]
	in.Events = append([]string(nil), in.Events...)
	fields := fieldsOf(in.Events[event])
	in.Events[event] = recordValue(append(append([]Field(nil), fields[:field]...), fields[field+1:]...)).JSON()
	return j
}

// shrinkQuery tries every simpler tree that one change gives.
func shrinkQuery(job *Job, try func(Job) bool) {
	for {
		script, list := saql.Parse(job.Query)
		if list.HasErrors() {
			return
		}
		w := &tree{accept: func() bool {
			text, ok := printed(script)
			if !ok || len(text) >= len(job.Query) {
				return false
			}
			next := *job
			next.Query = text
			return try(next)
		}}
		if !w.simpler(reflect.ValueOf(script).Elem()) {
			return
		}
	}
}

// printed is a tree as text; a tree that lacks a part that must be there has none.
func printed(s *saql.Script) (text string, ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	text = printScript(s)
	_, list := saql.Parse(text)
	return text, !list.HasErrors() && strings.TrimSpace(text) != ""
}

// tree looks for a change of a syntax tree that is accepted, and leaves it in place.
type tree struct{ accept func() bool }

var (
	exprType  = reflect.TypeFor[saql.Expr]()
	tableType = reflect.TypeFor[saql.TableExpr]()
	queryType = reflect.TypeFor[saql.QueryExpr]()
	partType  = reflect.TypeFor[saql.Pattern]()
)

func (t *tree) simpler(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Slice:
		return t.shorter(v)
	case reflect.Pointer, reflect.Interface:
		return !v.IsNil() && (t.replaced(v) || t.simpler(v.Elem()))
	case reflect.Bool:
		return v.CanSet() && v.Bool() && t.set(v, reflect.ValueOf(false))
	case reflect.Struct:
		for i := range v.NumField() {
			if t.simpler(v.Field(i)) {
				return true
			}
		}
	}
	return false
}

// set puts x in the place of v if that is accepted.
func (t *tree) set(v, x reflect.Value) bool {
	old := reflect.New(v.Type()).Elem()
	old.Set(v)
	v.Set(x)
	if t.accept() {
		return true
	}
	v.Set(old)
	return false
}

func (t *tree) shorter(v reflect.Value) bool {
	if !v.CanSet() {
		return false
	}
	for i := range v.Len() {
		left := reflect.MakeSlice(v.Type(), 0, v.Len())
		for k := range v.Len() {
			if k != i {
				left = reflect.Append(left, v.Index(k))
			}
		}
		if left.Len() == 0 {
			left = reflect.Zero(v.Type())
		}
		if t.set(v, left) {
			return true
		}
	}
	for i := range v.Len() {
		if t.simpler(v.Index(i)) {
			return true
		}
	}
	return false
}

// replaced leaves out what v points to, or puts a part of it in its place.
func (t *tree) replaced(v reflect.Value) bool {
	if !v.CanSet() {
		return false
	}
	if t.set(v, reflect.Zero(v.Type())) {
		return true
	}
	var parts []reflect.Value
	switch v.Type() {
	case exprType, tableType, queryType, partType:
		collect(v.Elem(), v.Type(), &parts)
	}
	if v.Type() == exprType {
		parts = append(parts, reflect.ValueOf(&saql.Literal{Kind: saql.LitInt, Raw: "1", Int: 1}))
	}
	for _, p := range parts {
		if t.set(v, p) {
			return true
		}
	}
	return false
}

// collect finds the parts of a type inside v, not those inside of them.
func collect(v reflect.Value, of reflect.Type, parts *[]reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			collect(v.Elem(), of, parts)
		}
	case reflect.Interface:
		if v.Type() == of && !v.IsNil() {
			*parts = append(*parts, v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			collect(v.Index(i), of, parts)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			collect(v.Field(i), of, parts)
		}
	}
}
