//go:build race && linux

package parquet

// limited: the race detector takes more memory than any limit that would be one.
const limited = false
