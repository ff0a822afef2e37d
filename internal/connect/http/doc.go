// Package http takes events that are posted to us and posts rows to others.
package http
