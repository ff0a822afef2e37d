package main

import (
	"io"
	"os"

	"golang.org/x/term"
)

// console is what verbs may use of the world: three streams, and what is known of the
// terminal behind them.
type console struct {
	in       io.Reader
	out, err io.Writer
	outTTY   bool // a person looks at out
	errTTY   bool
	outColor bool
	errColor bool
	width    int // of the terminal, in cells
}

// newConsole looks at three files.
func newConsole(in, out, err *os.File) *console {
	c := &console{in: in, out: out, err: err, width: 80}
	c.outTTY = term.IsTerminal(int(out.Fd()))
	c.errTTY = term.IsTerminal(int(err.Fd()))
	for _, f := range []*os.File{out, err} {
		if w, _, e := term.GetSize(int(f.Fd())); e == nil && w > 0 {
			c.width = w
			break
		}
	}
	return c
}

// setColor decides about colour: the flag, then the usual variables, then the terminal.
func (c *console) setColor(flag string) {
	on := func(tty bool) bool {
		switch {
		case flag == "always":
			return true
		case flag == "never", os.Getenv("NO_COLOR") != "":
			return false
		case os.Getenv("CLICOLOR_FORCE") != "" && os.Getenv("CLICOLOR_FORCE") != "0":
			return true
		}
		return tty && os.Getenv("TERM") != "dumb"
	}
	c.outColor, c.errColor = on(c.outTTY), on(c.errTTY)
}

// The colours in use, as the parameters of an escape sequence.
const (
	red   = "1;31"
	green = "32"
	bold  = "1"
	dim   = "2"
)

// paint colours s if on is set.
func (c *console) paint(on bool, color, s string) string {
	if !on {
		return s
	}
	return "\x1b[" + color + "m" + s + "\x1b[0m"
}
