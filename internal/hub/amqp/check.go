package amqp

import (
	"encoding/binary"
	"unicode/utf8"
)

// Check looks into the sections for what a decoder would stumble over: values that go beyond
// what they are in, texts that are not UTF-8, fields and keys of the wrong type. A message
// that is kept and passed on must not take its receivers down. Header and delivery
// annotations, which are for the next node only, are not looked at. It makes nothing of the
// values, so it costs no memory. The error is an *Error.
func (s *Sections) Check() error {
	if err := checkMap(s.MessageAnnotations, false); err != nil {
		return err
	}
	if err := checkProperties(s.Properties); err != nil {
		return err
	}
	if err := checkMap(s.ApplicationProperties, true); err != nil {
		return err
	}
	if err := checkBody(s.Body); err != nil {
		return err
	}
	return checkMap(s.Footer, false)
}

// checkMap checks a section that is a map. Its keys are texts, or also numbers if texts does
// not say otherwise (amqp-core 3.2.5, 3.2.10).
func checkMap(section []byte, texts bool) error {
	pairs, entries, err := MapEntries(section)
	if err != nil {
		return err
	}
	for range pairs {
		switch code := constructor(entries); code {
		case codeStr8, codeStr32, codeSym8, codeSym32:
		case codeUlong, codeSmallUlong, codeUlong0, codeLong, codeSmallLong:
			if texts {
				return malformed("a key that is no text")
			}
		default:
			return malformed("a key of the type 0x%02x", code)
		}
		for range 2 {
			if entries, err = check(entries, 0); err != nil {
				return err
			}
		}
	}
	if len(entries) > 0 {
		return malformed("%d bytes behind the last entry of a map", len(entries))
	}
	return nil
}

func constructor(b []byte) byte {
	if len(b) == 0 {
		return codeDescribed
	}
	return b[0]
}

// propertyTypes are the constructors that a field of the properties may have, by its place
// (amqp-core 3.2.4). Texts and symbols stand for each other, as clients write them.
var propertyTypes = func() [13]string {
	text := string([]byte{codeStr8, codeStr32, codeSym8, codeSym32})
	id := string([]byte{codeUlong, codeSmallUlong, codeUlong0, codeUUID, codeBin8, codeBin32, codeStr8, codeStr32})
	number := string([]byte{codeUint, codeSmallUint, codeUint0})
	return [13]string{id, string([]byte{codeBin8, codeBin32}), text, text, text, id, text, text, string([]byte{codeTimestamp}), string([]byte{codeTimestamp}), text, number, text}
}()

func checkProperties(section []byte) error {
	if section == nil {
		return nil
	}
	_, b, err := descriptor(section)
	if err != nil {
		return err
	}
	code, content, _, err := item(b)
	if err != nil {
		return err
	}
	if code != codeList0 && code != codeList8 && code != codeList32 {
		return malformed("properties that are no list")
	}
	count, b, err := elements(code, content)
	if err != nil {
		return err
	}
	if count > len(propertyTypes) {
		return malformed("%d properties of %d", count, len(propertyTypes))
	}
	for i := range count {
		if code := constructor(b); code != codeNull && !contains(propertyTypes[i], code) {
			return malformed("the property at %d has the type 0x%02x", i, code)
		}
		if b, err = check(b, 0); err != nil {
			return err
		}
	}
	if len(b) > 0 {
		return malformed("%d bytes behind the last property", len(b))
	}
	return nil
}

func contains(codes string, code byte) bool {
	for i := range len(codes) {
		if codes[i] == code {
			return true
		}
	}
	return false
}

func checkBody(body []byte) error {
	for len(body) > 0 {
		kind, b, err := descriptor(body)
		if err != nil {
			return err
		}
		switch code := constructor(b); {
		case kind == SectionData && code != codeBin8 && code != codeBin32:
			return malformed("a data section that is not binary")
		case kind == SectionSequence && code != codeList0 && code != codeList8 && code != codeList32:
			return malformed("a sequence section that is no list")
		}
		if body, err = check(b, 0); err != nil {
			return err
		}
	}
	return nil
}

// check checks the first value of b and returns what comes behind it.
func check(b []byte, depth int) ([]byte, error) {
	if depth > MaxDepth {
		return nil, malformed("values are nested deeper than %d", MaxDepth)
	}
	if constructor(b) == codeDescribed && len(b) > 0 {
		b, err := check(b[1:], depth+1)
		if err != nil {
			return nil, err
		}
		return check(b, depth+1)
	}
	code, content, rest, err := item(b)
	if err != nil {
		return nil, err
	}
	return rest, checkItem(code, content, depth)
}

// checkItem checks a value whose constructor and content item has found.
func checkItem(code byte, content []byte, depth int) error {
	switch code {
	case codeNull, codeTrue, codeFalse, codeUint0, codeUlong0, codeList0,
		codeUbyte, codeByte, codeSmallUint, codeSmallUlong, codeSmallInt, codeSmallLong, codeUshort, codeShort,
		codeUint, codeInt, codeFloat, codeChar, codeDecimal32, codeUlong, codeLong, codeDouble, codeTimestamp, codeDecimal64,
		codeDecimal128, codeUUID, codeBin8, codeBin32:
		return nil
	case codeBool:
		if content[0] > 1 {
			return malformed("a boolean of %d", content[0])
		}
		return nil
	case codeStr8, codeStr32, codeSym8, codeSym32: // symbols should be ASCII, and clients do not see to it
		if !utf8.Valid(content) {
			return malformed("a text is not UTF-8")
		}
		return nil
	case codeList8, codeList32, codeMap8, codeMap32:
		return checkElements(code, content, depth)
	case codeArray8, codeArray32:
		return checkArray(code, content, depth)
	}
	return malformed("0x%02x is no constructor of a value", code)
}

func checkElements(code byte, content []byte, depth int) error {
	count, b, err := elements(code, content)
	if err != nil {
		return err
	}
	if (code == codeMap8 || code == codeMap32) && count%2 != 0 {
		return malformed("a map with a key without a value")
	}
	for range count {
		if b, err = check(b, depth+1); err != nil {
			return err
		}
	}
	if len(b) > 0 {
		return malformed("%d bytes behind the last element", len(b))
	}
	return nil
}

func checkArray(code byte, content []byte, depth int) error {
	var n uint32
	switch {
	case depth >= MaxDepth:
		return malformed("values are nested deeper than %d", MaxDepth)
	case code == codeArray8 && len(content) >= 2:
		n, content = uint32(content[0]), content[1:]
	case code == codeArray32 && len(content) >= 5:
		n, content = binary.BigEndian.Uint32(content), content[4:]
	default:
		return errShort
	}
	if content[0] == codeDescribed {
		rest, err := check(content[1:], depth+1)
		if err != nil {
			return err
		}
		if content = rest; len(content) == 0 {
			return errShort
		}
	}
	element, content := content[0], content[1:]
	if uint64(n) > uint64(len(content)) { // as decodeArray does it
		return malformed("an array of %d elements in %d bytes", n, len(content))
	}
	for range n {
		value, rest, err := itemContent(element, content)
		if err != nil {
			return err
		}
		if err := checkItem(element, value, depth+1); err != nil {
			return err
		}
		content = rest
	}
	if len(content) > 0 {
		return malformed("%d bytes behind the last element of an array", len(content))
	}
	return nil
}
