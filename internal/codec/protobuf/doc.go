// Package protobuf turns messages of Protocol Buffers into JSON text, by the descriptors of a
// .proto file or of a descriptor set. It reads the bytes itself, with no message built of them.
package protobuf
