package service

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"weir/internal/connect"
	"weir/internal/connect/table"
	"weir/internal/job"
	"weir/internal/project"
)

// TableView is a table that an output of a job writes.
type TableView struct {
	Name      string `json:"name" doc:"JOB.OUTPUT"`
	Job       string `json:"job"`
	Output    string `json:"output"`
	Documents int64  `json:"documents"`
	First     int64  `json:"first" doc:"The position of the oldest change that is kept."`
	Last      int64  `json:"last" doc:"The position of the newest change; one less than first if there is none."`
}

// DocumentView is a document of a table, or a change of it.
type DocumentView struct {
	table.Document
	Time time.Time `json:"time,omitzero" doc:"Of the row."`
}

// maxFeedWait is how long a reader of a feed may wait for a change.
const maxFeedWait = time.Minute

// tableOutputs are the outputs of the version of a job that is in force that are tables.
func (m *managed) tableOutputs() ([]project.Output, error) {
	m.mu.Lock()
	var a *Assembly
	if m.run != nil {
		a = m.run.assembly
	}
	version := m.rec.Version
	m.mu.Unlock()
	if a == nil {
		var err error
		if a, err = m.assemble(version); err != nil {
			return nil, err
		}
	}
	var list []project.Output
	for _, o := range a.Job.Outputs {
		if o.Connector != nil && o.Connector.Name == "table" {
			list = append(list, o)
		}
	}
	return list, nil
}

// openTable opens the table of an output for reading. A table that no row has come to yet is an
// error that wraps fs.ErrNotExist.
func (m *managed) openTable(o project.Output) (*table.Store, error) {
	file := table.PathOf(o.Config, nil)
	if file == "" {
		file = m.s.store.fs.Path(path.Join(dirOf(m.name), "state", job.OutputDir(o.Name), table.DefaultFile))
	}
	return table.Open(file)
}

// Tables are the tables that outputs of jobs write.
func (s *Service) Tables(ctx context.Context) ([]TableView, error) {
	list := []TableView{}
	for _, m := range s.all() {
		outputs, err := m.tableOutputs()
		if err != nil {
			continue // a job that does not load any more says so in its view
		}
		for _, o := range outputs {
			v := TableView{Name: m.name + "." + o.Name, Job: m.name, Output: o.Name, First: 1}
			t, err := m.openTable(o)
			switch {
			case errors.Is(err, fs.ErrNotExist):
			case err != nil:
				return nil, err
			default:
				r, err := t.Range(ctx)
				if err = errors.Join(err, t.Close()); err != nil {
					return nil, err
				}
				v.Documents, v.First, v.Last = r.Documents, r.First, r.Last
			}
			list = append(list, v)
		}
	}
	return list, nil
}

// table finds and opens a table by its name, JOB.OUTPUT.
func (s *Service) table(name string) (*table.Store, error) {
	jobName, output, _ := strings.Cut(name, ".")
	m, err := s.find(jobName)
	if err != nil {
		return nil, err
	}
	outputs, err := m.tableOutputs()
	if err != nil {
		return nil, err
	}
	var known []string
	for _, o := range outputs {
		known = append(known, m.name+"."+o.Name)
		if strings.EqualFold(o.Name, output) {
			t, err := m.openTable(o)
			if errors.Is(err, fs.ErrNotExist) {
				err = fmt.Errorf("%w: no row has come to the table %q yet", ErrNoPart, name)
			}
			return t, err
		}
	}
	return nil, m.noSuch("table", name, known...)
}

// Documents gives documents of a table in the order of their partitions and ids: those whose
// id begins with a prefix, behind the document of a partition and id, at most n.
func (s *Service) Documents(ctx context.Context, name, prefix, afterPartition, afterID string, n int) ([]DocumentView, error) {
	t, err := s.table(name)
	if err != nil {
		return nil, err
	}
	defer t.Close()
	list, err := t.Scan(ctx, table.Query{Prefix: prefix, AfterPartition: afterPartition, AfterID: afterID, Limit: n})
	return viewDocuments(list), err
}

// Feed gives changes of a table behind a position, oldest first, at most n. If there are none
// it waits for one for as long as wait says.
func (s *Service) Feed(ctx context.Context, name string, after int64, n int, wait time.Duration) ([]DocumentView, error) {
	t, err := s.table(name)
	if err != nil {
		return nil, err
	}
	defer t.Close()
	if wait > 0 {
		waiting, cancel := context.WithTimeout(ctx, min(wait, maxFeedWait))
		err := t.Wait(waiting, after)
		cancel()
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return nil, err
		}
	}
	list, err := t.Feed(ctx, after, n)
	if errors.Is(err, connect.ErrGone) {
		return nil, fmt.Errorf("%w: %w", ErrGone, err)
	}
	return viewDocuments(list), err
}

func viewDocuments(list []table.Document) []DocumentView {
	out := []DocumentView{}
	for _, d := range list {
		out = append(out, DocumentView{d, civil(d.Time)})
	}
	return out
}
