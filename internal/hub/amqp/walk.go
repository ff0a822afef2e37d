package amqp

// MapEntries is what stands in a section that is a map: how many pairs, and their encoded keys
// and values end to end, to be walked with NextEntry or appended to a map as they are. No
// section is an empty map.
func MapEntries(section []byte) (pairs int, entries []byte, err error) {
	if section == nil {
		return 0, nil, nil
	}
	_, b, err := descriptor(section)
	if err != nil {
		return 0, nil, err
	}
	code, content, _, err := item(b)
	switch {
	case err != nil:
		return 0, nil, err
	case code == codeNull:
		return 0, nil, nil
	case code != codeMap8 && code != codeMap32:
		return 0, nil, malformed("0x%02x where a map was expected", code)
	}
	count, entries, err := elements(code, content)
	if err == nil && count%2 != 0 {
		err = malformed("a map with a key without a value")
	}
	return count / 2, entries, err
}

// NextEntry takes the first entry off what MapEntries returned. key is the text of the key,
// nil if it is none; value and entry are encoded, entry with its key.
func NextEntry(entries []byte) (key, value, entry, rest []byte, err error) {
	behind, err := skip(entries)
	if err != nil {
		return nil, nil, nil, nil, err
	}
	if rest, err = skip(behind); err != nil {
		return nil, nil, nil, nil, err
	}
	value = behind[:len(behind)-len(rest)]
	entry = entries[:len(entries)-len(rest)]
	return Text(entries), value, entry, rest, nil
}

// Text is the bytes of a string, symbol or binary that b begins with; nil if it is none.
func Text(b []byte) []byte {
	if len(b) == 0 || b[0] == codeDescribed {
		return nil
	}
	code, content, _, err := item(b)
	if err != nil {
		return nil
	}
	switch code {
	case codeBin8, codeBin32, codeStr8, codeStr32, codeSym8, codeSym32:
		return content
	}
	return nil
}
