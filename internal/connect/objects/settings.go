package objects

import (
	"fmt"
	"strings"
	"time"

	"weir/internal/connect"
)

// Settings are those of an input.
type Settings struct {
	Path, DateFormat, TimeFormat string
	Partitions                   int
	ByName                       bool // in a folder the order is that of names, not of times
	Append                       bool // objects are read on as they grow
	Poll, MaxPoll                time.Duration
	LookBack, Relist             time.Duration
	MaxOpen                      int
	Refresh                      time.Duration // of reference data
}

// SourceFields are the settings of inputs that read objects. what is an object for people.
func SourceFields(what string) []connect.Field {
	return []connect.Field{
		{Name: "path", Type: connect.Text, Input: true, Doc: "Which " + what + "s to read, by their names: text, {date}, {time}, {datetime:yyyy} and {partition}; or with the wildcards *, ? and **. Without wildcards it is how the names begin. Default: all."},
		{Name: "date_format", Type: connect.Text, Input: true, Default: "yyyy/MM/dd", Doc: "What {date} is in the names that are read."},
		{Name: "time_format", Type: connect.Text, Input: true, Default: "HH", Doc: "What {time} is in the names that are read."},
		{Name: "partitions", Type: connect.Int, Input: true, Default: "1", Doc: "With {partition} in the path: how many there are, from 0 on."},
		{Name: "order", Type: connect.Enum, Values: []string{"modified", "name"}, Input: true, Default: "modified", Doc: "The order in which " + what + "s of the same date and time are read that are found at once. Earlier dates come first."},
		{Name: "append", Type: connect.Bool, Input: true, Default: "false", Doc: "Go on reading " + what + "s as they are appended to. Otherwise each is read once, as it is then."},
		{Name: "poll", Type: connect.Duration, Input: true, Default: "1s", Doc: "How soon to look for new " + what + "s when all are read. As long as there are none it doubles."},
		{Name: "max_poll", Type: connect.Duration, Input: true, Default: "90s", Doc: "The longest time between two looks."},
		{Name: "look_back", Type: connect.Duration, Input: true, Default: "24h", Doc: "With more than 5,000 " + what + "s below a path with {date}: which dates each look lists; the others are listed every `relist`. With `append`: for how long one is read on that does not grow."},
		{Name: "relist", Type: connect.Duration, Input: true, Default: "10m", Doc: "How often all names are listed, if they are many."},
		{Name: "max_open", Type: connect.Int, Input: true, Default: "64", Doc: "With `append`: how many are read on at a time. Beyond it the one that was read least recently is read no further."},
		{Name: "refresh", Type: connect.Duration, Input: true, Default: "1m", Doc: "Reference data with {date} or {time} in the path: how often to look for a new version."},
		{Name: "metadata_columns", Type: connect.Bool, Input: true, Default: "true", Doc: "`SELECT *` shows `EventProcessedUtcTime`, `PartitionId`, `BlobName` and `BlobLastModifiedUtcTime`. Queries can name them in any case."},
	}
}

// SettingsOf are the settings that a configuration has.
func SettingsOf(c connect.Config) Settings {
	return Settings{Path: c.Text("path"), DateFormat: c.Text("date_format"), TimeFormat: c.Text("time_format"), Partitions: int(c.Int("partitions")),
		ByName: c.Text("order") == "name", Append: c.Bool("append"), Poll: c.Duration("poll"), MaxPoll: c.Duration("max_poll"),
		LookBack: c.Duration("look_back"), Relist: c.Duration("relist"), MaxOpen: int(c.Int("max_open")), Refresh: c.Duration("refresh")}
}

// maxPartitions is how many partitions an input may have.
const maxPartitions = 4096

// CheckSource finds what is wrong with the settings of an input.
func CheckSource(c connect.Config) []connect.Problem {
	var list []connect.Problem
	problem := func(field, text, hint string) {
		list = append(list, connect.Problem{Field: field, Text: text, Hint: hint})
	}
	s := SettingsOf(c)
	p, err := ParsePattern(s.Path, s.DateFormat, s.TimeFormat, false)
	switch {
	case err != nil:
		problem("path", err.Error(), "")
	case p.Partitioned() && (s.Partitions < 1 || s.Partitions > maxPartitions):
		problem("partitions", fmt.Sprintf("%d partitions are too few or too many", s.Partitions), fmt.Sprintf("it is 1 to %d", maxPartitions))
	case !p.Partitioned() && s.Partitions != 1:
		problem("partitions", "nothing in the path says which partition a name is of", "put {partition} in the path")
	}
	for _, name := range []string{"poll", "max_poll", "look_back", "relist", "refresh"} {
		if c.Duration(name) <= 0 {
			problem(name, "must be more than 0", "leave it out for the default")
		}
	}
	if s.MaxPoll < s.Poll {
		problem("max_poll", "is less than \"poll\"", "leave it out for 90s")
	}
	if s.MaxOpen < 1 {
		problem("max_open", "must be at least 1", "leave it out for 64")
	}
	return list
}

// isCSV tells by the format, else by the name of the object.
func isCSV(f connect.Format, name string) bool {
	if f.Type != "" {
		return strings.EqualFold(f.Type, "csv")
	}
	name = strings.ToLower(name)
	for _, packed := range []string{".gz", ".zst", ".deflate", ".sz", ".snappy"} {
		name = strings.TrimSuffix(name, packed)
	}
	return strings.HasSuffix(name, ".csv") || strings.HasSuffix(name, ".tsv") || strings.HasSuffix(name, ".psv")
}
