// Package crashtest kills the real program at random moments while a producer sends numbered
// events, and holds what its outputs have to what a run in peace gives. It has tests only.
//
// The short form runs with all tests. The long one is
//
//	go test ./internal/crashtest -run Kill -timeout 1h -kills 200 -events 1000000
//
// With WEIR_TEST_POSTGRES set to a connection string, PostgreSQL is one of the outputs
// (scripts/servers.sh sets it).
package crashtest
