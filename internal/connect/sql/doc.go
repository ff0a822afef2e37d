// Package sql writes rows to SQLite, PostgreSQL, MySQL, MariaDB and SQL Server.
//
// # An epoch is a transaction
//
// Rows of an epoch are kept aside until Prepare, which opens a transaction, moves the row of
// the job in the table of epochs from the last number to this one, and writes the rows.
// Commit commits. So the database has the rows of an epoch and its number, or neither.
//
// The number is moved by UPDATE ... WHERE epoch = last, as the first thing. Its lock is what
// makes a second chance safe: when the answer to a COMMIT is lost, a new transaction waits
// until the server has finished with the old one, and then either finds the number moved
// (the epoch is there, nothing is to be done) or moves it itself. The same holds against a
// process that was thought dead.
//
// # Outputs of one job on one database share a transaction
//
// Two transactions of one job, each waiting for its Commit, could wait for each other's
// locks for ever, and SQLite has one writer only. A link is the connection that sinks of one
// job to one database share; the first Commit commits what all have prepared. A transaction
// that waits for its Commit too long is rolled back, so that it does not keep others out; the
// Commit then makes it again from the rows, which are kept until then.
//
// # Rows that are refused
//
// Values are made fit for their columns before they are sent: see value.go. What the
// database still refuses is found by halving the statement, behind a savepoint, until a
// single row is left, as the original does.
package sql
