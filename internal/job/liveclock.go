package job

import (
	"hash/fnv"
	"maps"
	"slices"
	"time"

	"weir/internal/vec"
)

// instant is a point in time as the library has it.
func instant(t vec.Time) time.Time {
	days, rest := t/vec.Day-719162, t%vec.Day
	return time.Unix(int64(days)*86400+int64(rest/vec.Second), int64(rest%vec.Second)*100).UTC()
}

func sortedNames[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// objectHash tells texts of a partition apart: offsets begin anew in each.
func objectHash(name string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(name))
	return h.Sum32()
}
