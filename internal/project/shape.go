package project

import (
	"slices"

	"weir/internal/connect"
)

// The settings of weir.yaml that do not belong to a connector. The reader, the JSON Schema
// and the manual go by these tables.

// topKeys are the keys of the file.
var topKeys = []string{"version", "job", "inputs", "outputs", "functions", "tests"}

// jobFields are the settings of the job, beside "time".
var jobFields = []connect.Field{
	{Name: "name", Type: connect.Text, Doc: "What the job is called. Default: the name of the folder."},
	{Name: "query", Type: connect.Text, Required: true, Doc: "A query file, or the query itself as a block (|)."},
	{Name: "compatibility", Type: connect.Enum, Values: []string{"1.0", "1.1", "1.2"}, Default: "1.2", Doc: "The compatibility level: the rules of the language."},
	{Name: "on_output_error", Type: connect.Enum, Values: []string{string(Stop), string(Retry), string(Drop), string(DeadLetter)}, Default: string(Stop),
		Doc: "What becomes of a row that an output does not take: the job stops, or tries again until somebody sees to it, or drops the row, or keeps it as a dead letter."},
	{Name: "on_query_error", Type: connect.Enum, Values: []string{"stop", "drop"}, Default: "stop",
		Doc: "What a query error does, such as a CAST that cannot convert: stop the job, or drop the row."},
	{Name: "shards", Type: connect.Int, Doc: "Into how many parts the keys are divided. Default: one."},
	{Name: "checkpoint", Type: connect.Duration, Doc: "The time between two checkpoints."},
}

// timeFields are the settings of "time" in "job" (saql.md 4.3).
var timeFields = []connect.Field{
	{Name: "late_arrival", Type: connect.Duration, Values: []string{"none"}, Default: "5s", Doc: "How much later than its own time an event may arrive; none is no limit."},
	{Name: "out_of_order", Type: connect.Duration, Values: []string{"none"}, Default: "0s", Doc: "How far behind the newest event one may be; none is no limit."},
	{Name: "policy", Type: connect.Enum, Values: []string{"adjust", "drop"}, Default: "adjust", Doc: "What happens to events beyond the limits: their time is moved, or they are dropped."},
}

// inputFields and outputFields are the settings that inputs and outputs of any type have,
// beside "type" and "format".
var inputFields = []connect.Field{
	{Name: "sample", Type: connect.Path, Doc: "A file of events for runs and tests on this machine."},
	{Name: "reference", Type: connect.Bool, Doc: "The input is reference data: a table that the query joins, not a stream."},
	{Name: "max_versions", Type: connect.Int, Doc: "Of reference data: how many versions are known at a time. Rows of the time of older ones are joined with the oldest."},
	{Name: "arrival", Type: connect.Enum, Values: []string{"source", "event"},
		Doc: "When events count as arrived: when the source says, or at their own time, so that old data can be run again and nothing is late."},
}

var outputFields = []connect.Field{
	{Name: "on_error", Type: connect.Enum, Values: []string{string(Stop), string(Retry), string(Drop), string(DeadLetter)}, Doc: "As on_output_error of the job, for this output."},
}

// formatFields are the settings of "format". It may also be the type alone.
var formatFields = []connect.Field{
	{Name: "type", Type: connect.Enum, Values: []string{"json", "csv", "avro", "parquet", "protobuf"}, Doc: "How events lie in bytes. Default: inputs find out; outputs write JSON, an object a line. Avro and Parquet are of files, Avro and Protobuf of messages."},
	{Name: "encoding", Type: connect.Enum, Values: []string{"utf8"}, Doc: "The encoding of texts; there is only one."},
	{Name: "delimiter", Type: connect.Enum, Values: []string{"comma", "semicolon", "tab", "space", "bar", ",", ";", "|"}, Doc: "What stands between the columns of CSV."},
	{Name: "array", Type: connect.Bool, Doc: "Outputs: a file or message is one JSON array, not an object a line."},
	{Name: "header", Type: connect.Bool, Doc: "CSV has a row of names first. Default: true."},
	{Name: "compression", Type: connect.Enum, Values: []string{"none", "gzip", "deflate", "zstd", "snappy"}, Doc: "How the bytes are packed. Default: inputs find out; outputs go by the file's name. Files of Avro and Parquet have it inside."},
	{Name: "schema", Type: connect.Path, Doc: "Inputs of messages: a file with the schema of Avro, or for Protobuf a .proto file or a set of file descriptors."},
	{Name: "message", Type: connect.Text, Doc: "Protobuf: the message of the schema that events are. It can be left out if there is only one."},
	{Name: "registry", Type: connect.Secret, Doc: "Inputs of messages that begin with the number of their schema: the URL of the schema registry, https://user:password@host."},
}

// functionFields are the settings of a function: one of file and script.
var functionFields = []connect.Field{
	{Name: "file", Type: connect.Path, Doc: "A file with the function in JavaScript."},
	{Name: "script", Type: connect.Text, Doc: "The function itself in JavaScript."},
	{Name: "aggregate", Type: connect.Bool, Doc: "It is an aggregate, UDA.NAME; else a function, UDF.NAME."},
}

// bare are fields as an overlay has them: none is required, and none has a default.
func bare(fields []connect.Field) []connect.Field {
	list := slices.Clone(fields)
	for i := range list {
		list[i].Required, list[i].Default = false, ""
	}
	return list
}

// testsField is "tests" at the top.
var testsField = connect.Field{Name: "tests", Type: connect.List, Doc: "The files with tests of the job; * stands for any letters. Default: *_test.yaml and tests/*_test.yaml."}
