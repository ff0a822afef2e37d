// Package intake keeps what is pushed at an input in a log, from which the job reads it at its own pace.
package intake
