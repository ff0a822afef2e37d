// Package web is the HTTP interface of the service.
package web
