// Package table keeps rows as documents by key, and every change of them as a feed.
package table
