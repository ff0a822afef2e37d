//go:build !amd64

package codec

// vectorClassify is nil: there is no vector code for this processor.
var vectorClassify func(data *byte, words int, quotes, newlines, specials *uint64) uint64
