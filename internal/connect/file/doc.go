// Package file reads files and directories as they grow, and writes rows to a file.
package file
