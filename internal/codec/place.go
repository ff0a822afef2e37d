package codec

// LinesOf reports whether JSON text that starts with head has an event per line, so that
// it can be cut at line ends and decoded in pieces. last says that head is the whole text.
func LinesOf(head []byte, last bool) bool {
	mode, ok := detectFraming(head, last, MaxEventBytes)
	return ok && mode == framingLines
}

// Position is the offset and the line of the byte that the next Decode starts with.
func (p *positions) Position() (offset, line int64) { return p.nextBase, p.nextLine }
