//go:build !race && linux

package parquet

// limited: the memory of a child is.
const limited = true
