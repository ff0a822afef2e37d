// Package text reads the text of files and objects in chunks of whole events, from spots that
// stay, so that the same chunk can be read again. What is packed is unpacked, other encodings
// become UTF-8.
package text
