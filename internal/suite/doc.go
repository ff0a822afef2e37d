// Package suite runs the tests of a job: its own and those of Azure projects.
package suite
