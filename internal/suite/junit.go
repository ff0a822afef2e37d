package suite

import (
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// The elements of JUnit XML, as continuous integration reads them.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Skipped  int          `xml:"skipped,attr"`
		Time     string       `xml:"time,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"`
		Skipped  int         `xml:"skipped,attr"`
		Time     string      `xml:"time,attr"`
		Cases    []junitCase `xml:"testcase"`
		elapsed  time.Duration
	}
	junitCase struct {
		Name    string        `xml:"name,attr"`
		Class   string        `xml:"classname,attr"`
		File    string        `xml:"file,attr"`
		Line    int           `xml:"line,attr,omitempty"`
		Time    string        `xml:"time,attr"`
		Failure *junitProblem `xml:"failure"`
		Error   *junitProblem `xml:"error"`
		Skipped *junitSkipped `xml:"skipped"`
		Out     string        `xml:"system-out,omitempty"`
	}
	junitProblem struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr"`
		Text    string `xml:",chardata"`
	}
	junitSkipped struct {
		Message string `xml:"message,attr"`
	}
)

// WriteJUnit writes results as JUnit XML: a suite a file. A query that does not compile is an
// error, what a test finds wrong a failure.
func WriteJUnit(w io.Writer, results []*Result) error {
	all := junitSuites{Name: "weir"}
	var elapsed time.Duration
	for _, r := range results {
		file := strings.ToValidUTF8(r.Test.Place.File, "�")
		i := slices.IndexFunc(all.Suites, func(s junitSuite) bool { return s.Name == file })
		if i < 0 {
			all.Suites, i = append(all.Suites, junitSuite{Name: file}), len(all.Suites)
		}
		s := &all.Suites[i]
		c := junitCase{Name: r.Test.Name, Class: file, File: file, Line: r.Test.Place.Line, Time: seconds(r.Elapsed)}
		s.Tests++
		all.Tests++
		s.elapsed += r.Elapsed
		elapsed += r.Elapsed
		switch {
		case r.Skipped != "":
			c.Skipped = &junitSkipped{r.Skipped}
			s.Skipped++
			all.Skipped++
		case r.Broken:
			c.Error = problem("query", r)
			s.Errors++
			all.Errors++
		case !r.OK:
			c.Failure = problem("rows", r)
			s.Failures++
			all.Failures++
		}
		for _, n := range r.Notes {
			c.Out += n.String() + "\n"
		}
		s.Cases = append(s.Cases, c)
	}
	for i := range all.Suites {
		all.Suites[i].Time = seconds(all.Suites[i].elapsed)
	}
	all.Time = seconds(elapsed)
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.6f", d.Seconds()) }

func problem(kind string, r *Result) *junitProblem {
	text := r.Message()
	first, _, _ := strings.Cut(text, "\n")
	return &junitProblem{Message: first, Type: kind, Text: text}
}

// Annotations are the failures of a result as commands of a GitHub workflow, "" if there are
// none.
func (r *Result) Annotations() string {
	var b strings.Builder
	for _, f := range r.Failures {
		at := f.Place
		if at.File == "" {
			at = r.Test.Place
		}
		fmt.Fprintf(&b, "::error file=%s", property(at.File))
		if at.Line > 0 {
			fmt.Fprintf(&b, ",line=%d,col=%d", at.Line, at.Col)
		}
		fmt.Fprintf(&b, ",title=%s::%s\n", property(r.Test.Name), commandData.Replace(f.Text))
	}
	return b.String()
}

var (
	commandData     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	commandProperty = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

func property(s string) string { return commandProperty.Replace(s) }
