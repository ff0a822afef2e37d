package job

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"maps"
	"slices"

	"weir/internal/connect"
	"weir/internal/disk"
	"weir/internal/state"
	"weir/internal/vec"
)

// A checkpoint is the whole state of a job behind an epoch. Its file is a run of frames: the
// head, the body in blocks, and a commit record with length and checksum of the body. It is
// written beside, synced, renamed; two are kept, and with them the epochs of the manifest
// since the older one, so that a damaged file costs time and nothing else.

const (
	checkpointDir     = "checkpoint"
	checkpointExt     = ".ckpt"
	checkpointMagic   = "weir checkpoint"
	checkpointEnd     = "weir checkpoint end"
	checkpointVersion = 2
	// firstCheckpoint is the version before there were versions of reference data.
	firstCheckpoint = 1
	checkpointBlock = 1 << 20
	// keptCheckpoints is how many files are kept.
	keptCheckpoints = 2
)

// EngineVersion names the program in the files that it writes, for people.
const EngineVersion = "weir 0.4"

// snapshot is what a checkpoint holds.
type snapshot struct {
	Engine     string
	Job        string // its name when the state was begun
	Version    int
	Query      string // the text of the plan's query: a change needs a look at what can be kept
	Epoch      int64
	Clock      vec.Time // of the epoch
	Start      vec.Time // results before it are not wanted (saql.md 4.9)
	Began      vec.Time // when the job was first started: arrival of partitions without events
	ReadFrom   vec.Time // where reading began
	Shards     int
	Inputs     []inputSnapshot  // in the order of the plan: epochs behind the checkpoint number them so
	Outputs    []outputSnapshot // likewise
	References []referenceSnapshot
	Image      []byte // of the graph
}

type inputSnapshot struct {
	Name          string
	Events, Bytes int64
	Errors        map[string]int64
	Parts         []partSnapshot
}

type partSnapshot struct {
	Name     string
	Position connect.Position
	Ended    bool
	Events   int64
	Arrival  vec.Time // of the last event
	Read     vec.Time // clock of the epoch that read it
	Clock    vec.Time // latest tick
	Mode     textMode // of the text that it is in
}

type outputSnapshot struct {
	Name     string
	Epoch    int64 // last epoch that has rows in the target; they were synced
	Rows     int64
	Rejected map[string]int64
	LastTime vec.Time
}

func (s *snapshot) encode() []byte {
	w := state.NewWriter()
	w.String(s.Engine)
	w.String(s.Job)
	w.Int(int64(s.Version))
	w.String(s.Query)
	w.Int(s.Epoch)
	w.Int(int64(s.Clock))
	w.Int(int64(s.Start))
	w.Int(int64(s.Began))
	w.Int(int64(s.ReadFrom))
	w.Int(int64(s.Shards))
	w.Uint(uint64(len(s.Inputs)))
	for _, in := range s.Inputs {
		w.String(in.Name)
		w.Int(in.Events)
		w.Int(in.Bytes)
		saveCounts(w, in.Errors)
		w.Uint(uint64(len(in.Parts)))
		for _, p := range in.Parts {
			w.String(p.Name)
			w.String(string(p.Position))
			w.Bool(p.Ended)
			w.Int(p.Events)
			w.Int(int64(p.Arrival))
			w.Int(int64(p.Read))
			w.Int(int64(p.Clock))
			w.Uint(uint64(p.Mode))
		}
	}
	w.Uint(uint64(len(s.Outputs)))
	for _, out := range s.Outputs {
		w.String(out.Name)
		w.Int(out.Epoch)
		w.Int(out.Rows)
		saveCounts(w, out.Rejected)
		w.Int(int64(out.LastTime))
	}
	w.Uint(uint64(len(s.References)))
	for _, r := range s.References {
		w.String(r.Name)
		w.String(r.ID)
		w.Uint(uint64(len(r.Versions)))
		for i := range r.Versions {
			r.Versions[i].save(w)
		}
	}
	w.Uint(uint64(len(s.Image)))
	return w.Bytes() // the image stands behind it
}

func decodeSnapshot(version uint64, b []byte) (*snapshot, error) {
	r := state.NewReader(b)
	s := &snapshot{Engine: r.String(), Job: r.String(), Version: int(r.Int()), Query: r.String(), Epoch: r.Int(),
		Clock: vec.Time(r.Int()), Start: vec.Time(r.Int()), Began: vec.Time(r.Int()), ReadFrom: vec.Time(r.Int()), Shards: int(r.Int())}
	for range r.Count() {
		in := inputSnapshot{Name: r.String(), Events: r.Int(), Bytes: r.Int(), Errors: loadCounts(r)}
		for range r.Count() {
			in.Parts = append(in.Parts, partSnapshot{r.String(), connect.Position(r.String()), r.Bool(), r.Int(),
				vec.Time(r.Int()), vec.Time(r.Int()), vec.Time(r.Int()), textMode(r.Uint())})
		}
		s.Inputs = append(s.Inputs, in)
	}
	for range r.Count() {
		s.Outputs = append(s.Outputs, outputSnapshot{r.String(), r.Int(), r.Int(), loadCounts(r), vec.Time(r.Int())})
	}
	if version > firstCheckpoint {
		for range r.Count() {
			ref := referenceSnapshot{Name: r.String(), ID: r.String()}
			for range r.Count() {
				ref.Versions = append(ref.Versions, loadReferenceVersion(r))
			}
			s.References = append(s.References, ref)
		}
	}
	n := r.Count()
	if r.Err() == nil && r.Rest() != n {
		r.Fail()
	}
	if r.Err() != nil {
		return nil, r.Err()
	}
	s.Image = b[len(b)-n:]
	return s, nil
}

func saveCounts(w *state.Writer, m map[string]int64) {
	w.Uint(uint64(len(m)))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		w.String(k)
		w.Int(m[k])
	}
}

func loadCounts(r *state.Reader) map[string]int64 {
	m := map[string]int64{}
	for range r.Count() {
		k := r.String()
		m[k] = r.Int()
	}
	return m
}

// checkpoints is the directory of checkpoints. One goroutine at a time uses it.
type checkpoints struct {
	fs       disk.FS
	instance string
	serial   int64   // of the newest file, whatever it is worth
	epochs   []int64 // of the good files, oldest first
	serials  []int64
}

func checkpointName(serial int64) string {
	return fmt.Sprintf("%s/%020d%s", checkpointDir, serial, checkpointExt)
}

// load gives the newest good checkpoint; nil if there never was one. Damaged ones are reported
// and passed over; if no good one is left, that is an error.
func (c *checkpoints) load(log *slog.Logger) (good *snapshot, notes []string, err error) {
	list, err := listNumbered(c.fs, checkpointDir, checkpointExt)
	if err != nil {
		return nil, nil, err
	}
	for _, serial := range list {
		c.serial = max(c.serial, serial)
		name := checkpointName(serial)
		data, err := readAll(c.fs, name)
		if err != nil {
			return nil, nil, err
		}
		s, err := c.decode(name, data)
		if err == errForeign {
			continue
		}
		if err != nil {
			log.Error("a checkpoint cannot be read; the one before it is used", "error", err)
			notes = append(notes, err.Error())
			continue
		}
		good = s
		c.epochs, c.serials = append(c.epochs, s.Epoch), append(c.serials, serial)
	}
	// A process that was killed may have renamed a file and not made that durable.
	if err := c.fs.SyncDir(checkpointDir); err != nil {
		return nil, notes, err
	}
	if good == nil && len(notes) > 0 {
		return nil, notes, fmt.Errorf("no checkpoint of the job can be read: %s", notes[len(notes)-1])
	}
	return good, notes, nil
}

// decode checks a file and gives what it holds.
func (c *checkpoints) decode(name string, data []byte) (*snapshot, error) {
	damage := func(pos int, why string) error { return &DamageError{c.fs.Path(name), int64(pos), why} }
	head, pos, ok := frameAt(data, 0)
	if !ok {
		return nil, damage(0, "its head is no checkpoint of Weir")
	}
	r := state.NewReader(head)
	magic, version, instance := r.String(), r.Uint(), r.String()
	switch {
	case r.Err() != nil || magic != checkpointMagic:
		return nil, damage(0, "its head is no checkpoint of Weir")
	case version < firstCheckpoint || version > checkpointVersion:
		return nil, damage(0, fmt.Sprintf("it has version %d of the format, and this program knows versions up to %d", version, checkpointVersion))
	case instance != c.instance:
		return nil, errForeign
	}
	var body []byte
	for {
		block, next, ok := frameAt(data, pos)
		if !ok {
			return nil, damage(pos, "a block does not have its checksum, or the file is cut off")
		}
		if next == len(data) {
			return decodeBody(version, body, block, func(why string) error { return damage(pos, why) })
		}
		body = append(body, block...)
		pos = next
	}
}

func decodeBody(version uint64, body, commit []byte, damage func(string) error) (*snapshot, error) {
	r := state.NewReader(commit)
	magic, size, sum := r.String(), r.Uint(), r.Uint()
	if r.Err() != nil || magic != checkpointEnd || size != uint64(len(body)) || sum != uint64(crc32.Checksum(body, castagnoli)) {
		return nil, damage("the end of the checkpoint is not there")
	}
	s, err := decodeSnapshot(version, body)
	if err != nil {
		return nil, damage(err.Error())
	}
	return s, nil
}

// write makes a checkpoint durable. It gives the size of the file.
func (c *checkpoints) write(s *snapshot) (int64, error) {
	c.serial++ // a failed one leaves its number behind
	name := fmt.Sprintf("%020d%s", c.serial, checkpointExt)
	size, err := writeWhole(c.fs, checkpointDir, name, func(w io.Writer) error {
		head := state.NewWriter()
		head.String(checkpointMagic)
		head.Uint(checkpointVersion)
		head.String(c.instance)
		if err := writeFrame(w, head.Bytes()); err != nil {
			return err
		}
		sum, size := uint32(0), 0
		for _, body := range [][]byte{s.encode(), s.Image} {
			sum, size = crc32.Update(sum, castagnoli, body), size+len(body)
			for block := range slices.Chunk(body, checkpointBlock) {
				if err := writeFrame(w, block); err != nil {
					return err
				}
			}
		}
		end := state.NewWriter()
		end.String(checkpointEnd)
		end.Uint(uint64(size))
		end.Uint(uint64(sum))
		return writeFrame(w, end.Bytes())
	})
	if err != nil {
		return 0, err
	}
	c.epochs, c.serials = append(c.epochs, s.Epoch), append(c.serials, c.serial)
	return size, nil
}

// prune removes all files but the newest good ones, durably.
func (c *checkpoints) prune() error {
	if n := len(c.serials) - keptCheckpoints; n > 0 {
		c.serials, c.epochs = c.serials[n:], c.epochs[n:]
	}
	list, err := c.fs.ReadDir(checkpointDir)
	if err != nil {
		return err
	}
	var failed error
	removed := false
	for _, f := range list {
		name := checkpointDir + "/" + f.Name
		kept := false
		for _, s := range c.serials {
			kept = kept || name == checkpointName(s)
		}
		if !kept && !f.Dir {
			failed = errors.Join(failed, c.fs.Remove(name))
			removed = true
		}
	}
	if removed && failed == nil {
		failed = c.fs.SyncDir(checkpointDir)
	}
	return failed
}

// oldest is the epoch of the oldest good checkpoint.
func (c *checkpoints) oldest() int64 {
	if len(c.epochs) == 0 {
		return 0
	}
	return c.epochs[0]
}
