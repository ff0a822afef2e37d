package hub

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"path"

	"weir/internal/disk"
)

// maxFile bounds what is read of a file that must be read whole, in bytes.
const maxFile = 64 << 20

func readFile(f disk.FS, name string) ([]byte, error) {
	r, err := f.Open(name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("%s has more than %d bytes", f.Path(name), maxFile)
	}
	return data, nil
}

func writeJSON(f disk.FS, name string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return disk.WriteWhole(f, name, append(data, '\n'))
}

func readJSON(f disk.FS, name string, v any) error {
	data, err := readFile(f, name)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%s is damaged; put it back from a copy: %w", f.Path(name), err)
	}
	return nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// writeSealed writes JSON behind a line with its CRC-32C.
func writeSealed(f disk.FS, name string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return disk.WriteWhole(f, name, append(fmt.Appendf(nil, "%08x\n", crc32.Checksum(data, castagnoli)), data...))
}

// readSealed reads what writeSealed wrote. A file that has changed since is an error that
// says what it costs to do without it.
func readSealed(f disk.FS, name string, v any, cost string) error {
	data, err := readFile(f, name)
	if err != nil {
		return err
	}
	if len(data) > 9 && string(data[:9]) == fmt.Sprintf("%08x\n", crc32.Checksum(data[9:], castagnoli)) {
		if err := json.Unmarshal(data[9:], v); err == nil {
			return nil
		}
	}
	return fmt.Errorf("%s is damaged; put it back from a copy, or remove it: then %s", f.Path(name), cost)
}

// removeTree removes a file, or a directory with what is in it.
func removeTree(f disk.FS, name string, dir bool) error {
	if dir {
		list, err := f.ReadDir(name)
		if err != nil {
			return ignoreMissing(err)
		}
		for _, e := range list {
			if err := removeTree(f, path.Join(name, e.Name), e.Dir); err != nil {
				return err
			}
		}
	}
	return ignoreMissing(f.Remove(name))
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
