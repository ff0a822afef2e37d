// Package blob writes finished files with predictable names.
package blob
