// Package pipe joins a job to another program by lines of JSON.
package pipe
