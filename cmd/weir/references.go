package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"weir/internal/job"
	"weir/internal/plan"
	"weir/internal/vec"
)

// referenceFlags are the flags about reference data.
type referenceFlags struct {
	Reference  []string `short:"r" sep:"none" placeholder:"ALIAS=FILE" help:"Where the rows of a reference input are, with the options of -i. {date} and {time} in FILE stand for when a version comes into force: -r map=map/{date}/{time}.csv takes all that match."`
	DateFormat string   `default:"yyyy-MM-dd" placeholder:"F" help:"Form of {date}: yyyy, MM and dd with what is between. Default ${default}."`
	TimeFormat string   `default:"HH-mm" placeholder:"F" help:"Form of {time}: HH, mm and ss. Default ${default}."`
}

// declared are the reference inputs that the flags name, for the compiler.
func (r *referenceFlags) declared(refs []endpoint) ([]plan.InputDecl, error) {
	var list []plan.InputDecl
	for _, e := range refs {
		if e.alias == "" {
			return nil, usage("-r %s: write -r ALIAS=%s", e.path, e.path)
		}
		list = append(list, plan.InputDecl{Name: e.alias, Reference: true})
	}
	return list, nil
}

// referenceNames are inputs that hold reference data, for commands that do not read them. They may
// be written as for weir run.
func referenceNames(specs []string) []plan.InputDecl {
	var list []plan.InputDecl
	for _, s := range specs {
		name, _, _ := strings.Cut(s, "=")
		list = append(list, plan.InputDecl{Name: name, Reference: true})
	}
	return list
}

// expand gives an endpoint with {date} and {time} in its path one for each file that matches.
// Others stay as they are.
func (r *referenceFlags) expand(e *endpoint) ([]versionFile, error) {
	if !strings.Contains(e.path, "{date}") && !strings.Contains(e.path, "{time}") {
		return []versionFile{{*e, 0}}, nil
	}
	if !strings.Contains(e.path, "{date}") {
		return nil, usage("-r %s=%s: {time} needs a {date} beside it", e.alias, e.path)
	}
	m, err := newVersionPattern(filepath.ToSlash(e.path), r.DateFormat, r.TimeFormat)
	if err != nil {
		return nil, err
	}
	var list []versionFile
	err = filepath.WalkDir(filepath.FromSlash(m.root), func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if t, ok := m.match(filepath.ToSlash(p)); ok && !d.IsDir() {
			v := versionFile{*e, t}
			v.path = p
			list = append(list, v)
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, usage("-r %s=%s: there is no directory %s", e.alias, e.path, m.root)
	}
	if err != nil {
		return nil, usage("-r %s=%s: %w", e.alias, e.path, err)
	}
	if len(list) == 0 {
		return nil, usage("-r %s=%s: no file matches, with %s for {date} and %s for {time}; --date-format and --time-format change that",
			e.alias, e.path, r.DateFormat, r.TimeFormat)
	}
	return list, nil
}

// versionFile is a version of reference data.
type versionFile struct {
	endpoint
	effective vec.Time
}

// versionPattern is a path with {date} and {time}.
type versionPattern struct {
	root  string // the directory that all files are in
	re    *regexp.Regexp
	parts []string // what each group of re is: yyyy, MM ...
}

// datePart finds the parts of a date or time format.
var datePart = regexp.MustCompile(`yyyy|MM|dd|HH|mm|ss|[A-Za-z]+`)

func newVersionPattern(pattern, dateFormat, timeFormat string) (*versionPattern, error) {
	m := &versionPattern{}
	format := func(flag, f, known string) (string, error) {
		var b strings.Builder
		at := 0
		for _, x := range datePart.FindAllStringIndex(f, -1) {
			part := f[x[0]:x[1]]
			if !strings.Contains(known, " "+part+" ") {
				return "", usage("%s %s: there is no part %q; there are%s", flag, f, part, strings.TrimRight(known, " "))
			}
			fmt.Fprintf(&b, `%s(\d{%d})`, regexp.QuoteMeta(f[at:x[0]]), len(part))
			m.parts = append(m.parts, part)
			at = x[1]
		}
		b.WriteString(regexp.QuoteMeta(f[at:]))
		return b.String(), nil
	}
	var re strings.Builder
	rest := pattern
	for {
		i := strings.Index(rest, "{date}")
		if k := strings.Index(rest, "{time}"); i < 0 || k >= 0 && k < i {
			i = k
		}
		if i < 0 {
			break
		}
		flag, f, known := "--date-format", dateFormat, " yyyy MM dd "
		if strings.HasPrefix(rest[i:], "{time}") {
			flag, f, known = "--time-format", timeFormat, " HH mm ss "
		}
		part, err := format(flag, f, known)
		if err != nil {
			return nil, err
		}
		re.WriteString(regexp.QuoteMeta(rest[:i]) + part)
		rest = rest[i+len("{date}"):]
	}
	clean, _, _ := strings.Cut(pattern, "{")
	m.root = path.Dir(clean + "x")
	m.re = regexp.MustCompile("^" + strings.TrimPrefix(re.String()+regexp.QuoteMeta(rest), `\./`) + "$")
	return m, nil
}

// match is the time in a path. A part that stands in it twice must be the same.
func (m *versionPattern) match(p string) (vec.Time, bool) {
	groups := m.re.FindStringSubmatch(p)
	if groups == nil {
		return 0, false
	}
	of := map[string]int{"yyyy": 1, "MM": 1, "dd": 1}
	seen := map[string]string{}
	for i, part := range m.parts {
		if was, ok := seen[part]; ok && was != groups[i+1] {
			return 0, false
		}
		seen[part] = groups[i+1]
		of[part], _ = strconv.Atoi(groups[i+1])
	}
	t := time.Date(of["yyyy"], time.Month(of["MM"]), of["dd"], of["HH"], of["mm"], of["ss"], 0, time.UTC)
	if t.Day() != of["dd"] || int(t.Month()) != of["MM"] || t.Hour() != of["HH"] || t.Minute() != of["mm"] || t.Second() != of["ss"] || t.Year() < 1 {
		return 0, false
	}
	return vec.FromCivil(t.Year(), int(t.Month()), t.Day()) +
		vec.Time(t.Hour())*vec.Hour + vec.Time(t.Minute())*vec.Minute + vec.Time(t.Second())*vec.Second, true
}

// inputs are the versions as inputs of a job.
func (r *referenceFlags) inputs(name string, e *endpoint, con *console) ([]job.Input, error) {
	files, err := r.expand(e)
	if err != nil {
		return nil, err
	}
	var list []job.Input
	for _, f := range files {
		in, err := f.input(name, con)
		if err != nil {
			return nil, err
		}
		in.Effective = f.effective
		list = append(list, in)
	}
	return list, nil
}

// versionsOf are the files of versions, for distinctFiles.
func versionsOf(from []job.Input) []endpoint {
	var list []endpoint
	for _, in := range from {
		if in.Effective != 0 {
			list = append(list, endpoint{flag: "-r", path: in.Path})
		}
	}
	return list
}
