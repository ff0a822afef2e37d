// Package hub is the connector of jobs to the broker of the same process: inputs read its
// partitions and outputs append to them, without a network between.
package hub
