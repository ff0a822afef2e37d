package files

import (
	"weir/internal/connect"
	"weir/internal/disk"
)

// ProbeDirectory looks whether files can be made in a directory, which need not be there yet.
func ProbeDirectory(dir string) []connect.Problem {
	if err := disk.Reach(dir); err != nil {
		return []connect.Problem{{Field: "directory", Text: err.Error(), Hint: "who runs the job has to be able to write there"}}
	}
	return nil
}
