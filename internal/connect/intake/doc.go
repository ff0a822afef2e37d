// Package intake keeps what is pushed at an input in a log (hub/log), from which the job reads
// it at its own pace. Services that forget what they have delivered, or cannot be read again
// from a place, thus become sources like all others: positions are numbers in the log, and the
// same positions give the same events.
//
// Whoever pushes appends records, and tells the other side that they were taken when Append
// has returned: they are on the disk then. The arrival of an event is the time of its append.
// Times of the service's own would not rise with the numbers; they can be metadata.
package intake
