// Package files writes finished files with predictable names, to a directory or a store of
// objects: the core of the outputs blob, azure-blob and s3.
//
// Rows go to files of our own: beside the final ones in a directory ".weir-" and a hash of
// the job and the output, or in the state of the output if the files go to a store. A journal
// in the state has, epoch by epoch, how long each file is and the checksum of what came;
// after a crash the files are cut to the last epoch that is whole. When no more row can come
// to a file, because the watermark has passed the span of time in its name, it is ended,
// packed and made durable. In a directory it is renamed then, and gets its line in the
// manifest. To a store it is sent in the background: an object appears whole or not at all,
// and its metadata say whose it is, so that sending it again after a crash or an answer that
// never came finds it there.
//
// Names depend on the rows and on what was written before them only. A value of a column
// in a name is escaped one-to-one, so that no value leads to another directory.
package files
