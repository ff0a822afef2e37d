// Package s3 reads and writes objects of S3 and of stores that speak its protocol.
package s3
