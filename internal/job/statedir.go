package job

import (
	"bufio"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"strings"

	"weir/internal/disk"
)

// The state directory of a job:
//
//	LOCK          held by the process that runs the job
//	FORMAT        version of the format and identity of the state
//	START         when the job has begun, until there is a checkpoint
//	manifest/     the log of epochs
//	checkpoint/   the state at an epoch; two are kept
//	dead/         dead letters
//	reference/x/  the versions of reference data x that epochs have seen
//	STARTS        how many starts have ended badly
//	inputs/x/     what the source of input x keeps
//	outputs/x/    what the sink of output x keeps

const (
	lockName   = "LOCK"
	formatName = "FORMAT"
	// formatVersion is that of the directory; manifest and checkpoints have their own.
	formatVersion = 1
)

// stateDir is an open and locked state directory.
type stateDir struct {
	fs       disk.FS
	lock     io.Closer
	instance string
}

// openState locks the directory, and gives it an instance if it has none.
func openState(fs disk.FS) (*stateDir, error) {
	lock, err := fs.Lock(lockName)
	if errors.Is(err, disk.ErrLocked) {
		return nil, fmt.Errorf("another process runs a job with the state directory %s: %w; stop that one, or give this job another directory", fs.Path("."), err)
	}
	if err != nil {
		return nil, fmt.Errorf("state directory %s: %w", fs.Path("."), err)
	}
	d := &stateDir{fs: fs, lock: lock}
	if err := d.prepare(); err != nil {
		lock.Close()
		return nil, err
	}
	return d, nil
}

func (d *stateDir) prepare() error {
	for _, dir := range []string{manifestDir, checkpointDir, deadDir} {
		if err := d.fs.MkdirAll(dir); err != nil {
			return fmt.Errorf("state directory %s: %w", d.fs.Path("."), err)
		}
	}
	text, err := readAll(d.fs, formatName)
	if isNotExist(err) {
		return d.renew()
	}
	if err != nil {
		return err
	}
	var version int
	if _, err := fmt.Sscanf(string(text), "weir state %d\ninstance %32s\n", &version, &d.instance); err != nil && version == 0 || version == formatVersion && len(d.instance) != 32 {
		return &DamageError{d.fs.Path(formatName), 0, "it does not say what the directory is"}
	}
	if version != formatVersion {
		return fmt.Errorf("state directory %s has version %d of the format, and this program knows version %d; use the program that wrote it, or another directory", d.fs.Path("."), version, formatVersion)
	}
	return d.fs.SyncDir(".") // a process that was killed may not have made the name durable
}

// renew makes a new identity: nothing in the directory belongs to it yet.
func (d *stateDir) renew() error {
	var id [16]byte
	rand.Read(id[:])
	d.instance = hex.EncodeToString(id[:])
	_, err := writeWhole(d.fs, ".", formatName, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "weir state %d\ninstance %s\n", formatVersion, d.instance)
		return err
	})
	return err
}

// discard forgets all that the job knew. Dead letters stay, and what sources and sinks keep:
// sinks tell instances apart.
func (d *stateDir) discard() error {
	if err := d.renew(); err != nil { // what is left after a crash belongs to another instance
		return err
	}
	for dir, ext := range map[string]string{manifestDir: manifestExt, checkpointDir: checkpointExt} {
		list, err := d.fs.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, f := range list {
			if strings.HasSuffix(f.Name, ext) {
				if err := d.fs.Remove(dir + "/" + f.Name); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (d *stateDir) close() error { return d.lock.Close() }

// OutputDir is the directory that an output has for itself in the state directory of a job.
func OutputDir(output string) string { return "outputs/" + dirName(output) }

// dirName is a name as a directory: letters, digits and - stand for themselves, all else is
// written as _ and its bytes, so that no two names share a directory.
func dirName(name string) string {
	var b strings.Builder
	for _, c := range []byte(strings.ToLower(name)) {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "_%02x", c)
		}
	}
	return b.String()
}

func isNotExist(err error) bool { return errors.Is(err, iofs.ErrNotExist) }

// readAll is the content of a file.
func readAll(fs disk.FS, name string) ([]byte, error) {
	f, err := fs.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// readStart is up to n first bytes of a file.
func readStart(fs disk.FS, name string, n int64) ([]byte, error) {
	f, err := fs.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, n))
}

// writeWhole makes a file of a directory that is there whole or not at all, also after a loss
// of power. It gives the size.
func writeWhole(fs disk.FS, dir, name string, write func(w io.Writer) error) (int64, error) {
	path := name
	if dir != "." {
		path = dir + "/" + name
	}
	size, err := writeBeside(fs, path+".tmp", write)
	if err != nil {
		fs.Remove(path + ".tmp") // gives its space back; the next try makes it anew in any case
		return 0, err
	}
	if err := fs.Rename(path+".tmp", path); err != nil {
		return 0, err
	}
	return size, fs.SyncDir(dir)
}

func writeBeside(fs disk.FS, path string, write func(w io.Writer) error) (int64, error) {
	f, err := fs.Create(path)
	if err != nil {
		return 0, err
	}
	defer f.Close() // what counts is synced
	w := bufio.NewWriterSize(f, 64<<10)
	if err := write(w); err != nil {
		return 0, err
	}
	if err := w.Flush(); err != nil {
		return 0, err
	}
	if err := f.Sync(); err != nil {
		return 0, err
	}
	return f.Seek(0, io.SeekCurrent)
}
