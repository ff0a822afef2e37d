// Package parquet reads and writes Parquet files, with github.com/parquet-go/parquet-go.
//
// Reading, rows become lines of JSON at once, with no Go value in between. Neither that library
// nor any other survives all files that are made to harm it (docs/adr/0012-parquet.md), so files
// are read in three shells. What the footer and the headers of pages promise is checked before
// anything is allocated for it. A panic of the library becomes an error. And the whole of it runs
// in a child process with a limit of memory, where the system has such limits: Spawn.
package parquet

// Magic is how a Parquet file begins and ends.
const Magic = "PAR1"
