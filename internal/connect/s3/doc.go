// Package s3 reads and writes buckets of Amazon S3 and of all that speak its protocol.
//
// Objects are read by objects.Source and written by package files: here is what a bucket is,
// as an objects.Store, and how one signs in.
package s3
