//go:build !amd64

package codec

// markers are the vector codes that this processor can run: none here.
var markers []marker
