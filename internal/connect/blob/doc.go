// Package blob writes finished files with predictable names.
//
// Rows go to files in a directory of our own beside the final ones, ".weir-" and a hash of
// the job and the output. A journal in the state directory has, epoch by epoch, how long
// each file is and the checksum of what came; after a crash the files are cut to the last
// epoch that is whole. When no more row can come to a file, because the watermark has
// passed the span of time in its name, it is ended, packed, made durable and renamed; then
// it gets its line in the manifest.
//
// Names depend on the rows and on what was written before them only. A value of a column
// in a name is escaped one-to-one, so that no value leads to another directory.
package blob
