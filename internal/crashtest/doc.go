// Package crashtest kills the real program at random moments while a producer sends numbered
// events, and holds what its outputs have to what a run in peace gives. It has tests only.
//
// The short form runs with all tests. The long one is
//
//	go test ./internal/crashtest -run Kill -timeout 1h -kills 200 -events 1000000
//
// TestHubKill does the same to the hub under the load of clients that others wrote: senders of
// the Event Hubs SDK for Go, which send again what was not acknowledged, idempotent Kafka
// producers, and a reader of all that becomes visible. It was tried with bugs put in: a log that
// cuts its last batch when it is opened, producers that are forgotten, and no deduplication; each
// is found within twelve kills. On the file system that loses power, a test of its own takes the
// fsync out and fails if nothing is found.
//
// With WEIR_TEST_POSTGRES set to a connection string, PostgreSQL is one of the outputs
// (scripts/servers.sh sets it).
package crashtest
