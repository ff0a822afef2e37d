// Package protobuf turns messages of Protocol Buffers into JSON text.
package protobuf
