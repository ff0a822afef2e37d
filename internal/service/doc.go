// Package service makes running jobs of written ones, and keeps their state and versions.
package service
