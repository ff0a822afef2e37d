// Package redis writes streams and hashes of Redis.
package redis
