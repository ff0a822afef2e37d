package jsonline

import (
	"errors"
	"fmt"
	"io"
)

// Damage ends a container: nothing in it can be read, or nothing more.
type Damage struct {
	Reason string
	// Cut: it ends too early; a file that is being written may go on some time.
	Cut bool
}

// Error is the reason.
func (d *Damage) Error() string { return d.Reason }

// Damagef is damage with its reason.
func Damagef(format string, args ...any) error { return &Damage{Reason: fmt.Sprintf(format, args...)} }

// CutOff is err, or if that is the end of the bytes the damage that they end too early.
func CutOff(err error, what string) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &Damage{Reason: what + " is cut off", Cut: true}
	}
	return err
}
