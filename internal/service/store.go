package service

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir/internal/disk"
	"weir/internal/job"
)

// The data directory:
//
//	lock                          held by the process that serves it
//	jobs/NAME/job.json            what is wanted of the job (record)
//	jobs/NAME/history.json        its last runs
//	jobs/NAME/versions/N/version.json
//	jobs/NAME/versions/N/files/   the files of the version, as they were deployed
//	jobs/NAME/state/              what the runner keeps
//	jobs/NAME/home/               where relative paths of a job without directory lead
//	staging/                      a deployment while it is checked
//
// Every file is written whole beside its place, synced and renamed.
const (
	jobsDir    = "jobs"
	stagingDir = "staging"
	lockFile   = "lock"
	recordFile = "job.json"
	runsFile   = "history.json"
)

// storeFormat is the version of the layout above.
const storeFormat = 1

// Desired is what is wanted of a job; it survives the service.
type Desired string

// What can be wanted.
const (
	Run  Desired = "running"
	Stop Desired = "stopped"
)

// record is job.json.
type record struct {
	Format  int       `json:"format"`
	Name    string    `json:"name"`
	Path    string    `json:"path,omitempty"` // of a job that is a directory or file elsewhere
	Desired Desired   `json:"desired"`
	Version int       `json:"version"` // that runs, or is started next
	Last    int       `json:"last"`    // the newest version made
	Ran     int       `json:"ran"`     // the version that the state is of; 0 if it never ran
	Created time.Time `json:"created"`
	Seen    string    `json:"seen,omitempty"` // digest of the files deployed last, whatever is in force
	// Start, At and Discard are about the next start; a start that has begun leaves "last".
	Start   job.StartMode `json:"start"`
	At      time.Time     `json:"at,omitzero"`
	Discard bool          `json:"discard,omitempty"`
}

// Version is an immutable version of a job.
type Version struct {
	Version int       `json:"version"`
	Created time.Time `json:"created"`
	By      string    `json:"by" doc:"Who made it: rest, directory, or a rollback."`
	Kind    string    `json:"kind" doc:"The form that the job was written in."`
	Main    string    `json:"main" doc:"The file, or directory \".\", that the job is loaded from."`
	Path    string    `json:"path,omitempty" doc:"Where the job lies, if it was not sent."`
	Hash    string    `json:"hash" doc:"A digest of its files."`
	Files   []string  `json:"files"`
	Note    string    `json:"note,omitempty" doc:"Why it cannot be started again, if so."`
}

// Past is a run of a job that has ended.
type Past struct {
	Version int       `json:"version"`
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended"`
	State   string    `json:"state" enum:"stopped,failed,completed"`
	Reason  string    `json:"reason,omitempty"`
	From    string    `json:"from" doc:"The start mode."`
	Events  int64     `json:"events"`
	Rows    int64     `json:"rows"`
}

// maxHistory is how many runs of a job are kept.
const maxHistory = 100

// store is the data directory.
type store struct{ fs disk.FS }

// readAll reads a file of at most limit bytes.
func readAll(d disk.FS, name string, limit int64) ([]byte, error) {
	f, err := d.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		return nil, fmt.Errorf("%s is larger than %d bytes", d.Path(name), limit)
	}
	return b, err
}

// maxRecordBytes bounds the JSON files of the data directory.
const maxRecordBytes = 4 << 20

// readJSON reads a file of ours.
func readJSON(d disk.FS, name string, to any) error {
	b, err := readAll(d, name, maxRecordBytes)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, to); err != nil {
		return fmt.Errorf("%s is damaged: %w", d.Path(name), err)
	}
	return nil
}

// writeJSON writes a file of ours.
func writeJSON(d disk.FS, name string, from any) error {
	b, err := json.MarshalIndent(from, "", "  ")
	if err != nil {
		panic("service: " + err.Error())
	}
	return disk.WriteWhole(d, name, append(b, '\n'))
}

func dirOf(name string) string { return path.Join(jobsDir, name) }

func versionDir(name string, n int) string {
	return path.Join(dirOf(name), "versions", strconv.Itoa(n))
}

// names are the jobs in the data directory.
func (s store) names() ([]string, error) {
	list, err := s.fs.ReadDir(jobsDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, e := range list {
		if e.Dir && ValidName(e.Name) {
			names = append(names, e.Name)
		}
	}
	return names, err
}

// record reads what is wanted of a job.
func (s store) record(name string) (record, error) {
	var r record
	err := readJSON(s.fs, path.Join(dirOf(name), recordFile), &r)
	if err == nil && r.Format > storeFormat {
		return r, fmt.Errorf("%s was written by a newer release (format %d, this one knows %d)",
			s.fs.Path(path.Join(dirOf(name), recordFile)), r.Format, storeFormat)
	}
	return r, err
}

func (s store) saveRecord(r record) error {
	r.Format = storeFormat
	return writeJSON(s.fs, path.Join(dirOf(r.Name), recordFile), r)
}

// runs reads the last runs of a job, newest last.
func (s store) runs(name string) []Past {
	var list []Past
	if readJSON(s.fs, path.Join(dirOf(name), runsFile), &list) != nil {
		return nil // it is for people only: a job runs without it
	}
	return list
}

// addRun keeps a run that has ended.
func (s store) addRun(name string, p Past) error {
	list := append(s.runs(name), p)
	list = list[max(0, len(list)-maxHistory):]
	return writeJSON(s.fs, path.Join(dirOf(name), runsFile), list)
}

// versions reads the versions of a job, oldest first.
func (s store) versions(name string) ([]Version, error) {
	list, err := s.fs.ReadDir(path.Join(dirOf(name), "versions"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []Version
	for _, e := range list {
		if n, err := strconv.Atoi(e.Name); err == nil && e.Dir {
			if v, err := s.version(name, n); err == nil {
				out = append(out, v)
			}
		}
	}
	slices.SortFunc(out, func(a, b Version) int { return a.Version - b.Version })
	return out, nil
}

func (s store) version(name string, n int) (Version, error) {
	var v Version
	err := readJSON(s.fs, path.Join(versionDir(name, n), "version.json"), &v)
	return v, err
}

// saveVersion writes the files of a version and then the version, so that one without
// version.json has never been.
func (s store) saveVersion(name string, v Version, b Bundle) error {
	dir := versionDir(name, v.Version)
	if err := removeAll(s.fs, dir); err != nil { // what a crash has left
		return err
	}
	if err := s.saveFiles(path.Join(dir, "files"), b); err != nil {
		return err
	}
	if err := writeJSON(s.fs, path.Join(dir, "version.json"), v); err != nil {
		return err
	}
	return s.fs.SyncDir(path.Dir(dir))
}

// saveFiles writes the files of a bundle into a directory.
func (s store) saveFiles(dir string, b Bundle) error {
	if err := s.fs.MkdirAll(dir); err != nil {
		return err
	}
	for _, name := range b.names() {
		to := path.Join(dir, name)
		if err := s.fs.MkdirAll(path.Dir(to)); err != nil {
			return err
		}
		if err := disk.WriteWhole(s.fs, to, []byte(b[name])); err != nil {
			return err
		}
	}
	return nil
}

// bundle reads the files of a version back.
func (s store) bundle(name string, v Version) (Bundle, error) {
	b := Bundle{}
	for _, f := range v.Files {
		if !cleanName(f) {
			return nil, fmt.Errorf("version %d of job %q names a file %q", v.Version, name, f)
		}
		text, err := readAll(s.fs, path.Join(versionDir(name, v.Version), "files", f), maxFileBytes)
		if err != nil {
			return nil, err
		}
		b[f] = string(text)
	}
	return b, nil
}

// removeAll removes a directory and what is in it; one that is not there is no error.
func removeAll(d disk.FS, dir string) error {
	list, err := d.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range list {
		name := path.Join(dir, e.Name)
		if e.Dir {
			err = removeAll(d, name)
		} else {
			err = d.Remove(name)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return d.Remove(dir)
}

// ValidName reports whether a text can name a job: letters in lower case, digits and dashes,
// at most 63, the first no dash.
func ValidName(name string) bool {
	if name == "" || len(name) > 63 || name[0] == '-' {
		return false
	}
	return !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-'
	})
}

// NameOf makes a name for a job of a text: "Team Downtime" becomes team-downtime. It is empty
// if nothing is left.
func NameOf(text string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, text)
	name = strings.Trim(name, "-")
	return strings.TrimRight(name[:min(len(name), 63)], "-")
}
