// Package all links the connectors that the program has: importing it registers them.
package all
