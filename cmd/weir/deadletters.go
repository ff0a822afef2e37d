package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"weir/internal/job"
)

// How many dropped events of each reason are shown, and how much of an event.
const (
	dropSamples = 3
	dropWidth   = 100
)

// deadLetters counts dropped events by reason, shows the first of each reason and, if asked
// to, writes all to a file.
type deadLetters struct {
	counts map[string]int64
	first  string            // the first one in words
	places map[string]string // the file of each input
	show   func(line string) // shows a sample; may be nil
	file   *os.File
	w      *bufio.Writer
	err    error
}

// openDeadLetters writes to path, or only counts and shows if path is "".
func openDeadLetters(path string, from []job.Input, show func(line string)) (*deadLetters, error) {
	d := &deadLetters{counts: map[string]int64{}, places: map[string]string{}, show: show}
	for _, in := range from {
		if _, several := d.places[in.Name]; several {
			d.places[in.Name] = "" // each version has its own
			continue
		}
		d.places[in.Name] = in.Path
		if in.Path == "-" {
			d.places[in.Name] = "standard input"
		}
	}
	if path == "" {
		return d, nil
	}
	f, err := createFile("--dead-letters", path)
	if err != nil {
		return nil, err
	}
	d.file, d.w = f, bufio.NewWriter(f)
	return d, nil
}

// deadLetter is a line of the file.
type deadLetter struct {
	Input  string `json:"input"`
	File   string `json:"file"`
	Line   int64  `json:"line"`
	Offset int64  `json:"offset"`
	Error  string `json:"error"`
	Reason string `json:"reason"`
	Event  string `json:"event"`
}

func (d *deadLetters) add(x job.Dropped) {
	if len(d.counts) == 0 {
		d.first = fmt.Sprintf("input %q, line %d: %s", x.Input, x.Line, x.Reason)
	}
	d.counts[x.Name]++
	file := d.places[x.Input]
	if file == "" {
		file = x.Path
	}
	if d.show != nil && d.counts[x.Name] <= dropSamples {
		d.show(fmt.Sprintf("dropped: %s:%d: %s: %s: %s", file, x.Line, x.Name, x.Reason, fitCell(string(x.Text), dropWidth)))
	}
	if d.w == nil {
		return
	}
	b, err := json.Marshal(deadLetter{x.Input, file, x.Line, x.Offset, x.Name, x.Reason, string(x.Text)})
	if err == nil {
		_, err = d.w.Write(append(b, '\n'))
	}
	d.err = errors.Join(d.err, err)
}

// reasons lists the reasons and how often each came, in the order of their names.
func (d *deadLetters) reasons() string {
	var list []string
	for name, n := range d.counts {
		list = append(list, fmt.Sprintf("%s %s", name, grouped(n)))
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

func (d *deadLetters) close() error {
	if d.file == nil {
		return nil
	}
	return errors.Join(d.err, d.w.Flush(), d.file.Close())
}
