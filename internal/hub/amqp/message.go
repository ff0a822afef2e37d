package amqp

import "time"

// The sections of a message, by the codes of their descriptors (amqp-core 3.2).
const (
	SectionHeader                = 0x70
	SectionDeliveryAnnotations   = 0x71
	SectionMessageAnnotations    = 0x72
	SectionProperties            = 0x73
	SectionApplicationProperties = 0x74
	SectionData                  = 0x75
	SectionSequence              = 0x76
	SectionValue                 = 0x77
	SectionFooter                = 0x78
)

// Sections are the parts of an encoded message, each with its descriptor; nil is one that is
// not there. They are slices of the message, and end to end they are the message.
type Sections struct {
	Header, DeliveryAnnotations, MessageAnnotations, Properties, ApplicationProperties []byte
	// Body is one section or several: data, or sequences, or a single value.
	Body   []byte
	Footer []byte
}

// Split finds the sections of a message. It looks at their order and their bounds and not
// into them. The error is an *Error.
func Split(message []byte) (Sections, error) {
	var s Sections
	last := uint64(0)
	for b := message; len(b) > 0; {
		kind, value, err := descriptor(b)
		if err != nil {
			return s, err
		}
		rest, err := skip(value)
		if err != nil {
			return s, err
		}
		section := b[: len(b)-len(rest) : len(b)-len(rest)]
		several := kind == last && (kind == SectionData || kind == SectionSequence)
		body := kind >= SectionData && kind <= SectionValue
		switch {
		case kind < SectionHeader || kind > SectionFooter:
			return s, malformed("a section that AMQP does not have")
		case several:
			s.Body = s.Body[:len(s.Body)+len(section)]
		case kind <= last || body && s.Body != nil:
			return s, malformed("the section 0x%02x behind the section 0x%02x", kind, last)
		case body:
			s.Body = b[:len(section)] // with the capacity for those that follow
		default:
			s.set(kind, section)
		}
		last, b = kind, rest
	}
	s.Body = s.Body[:len(s.Body):len(s.Body)]
	return s, nil
}

func (s *Sections) set(kind uint64, section []byte) {
	switch kind {
	case SectionHeader:
		s.Header = section
	case SectionDeliveryAnnotations:
		s.DeliveryAnnotations = section
	case SectionMessageAnnotations:
		s.MessageAnnotations = section
	case SectionProperties:
		s.Properties = section
	case SectionApplicationProperties:
		s.ApplicationProperties = section
	case SectionFooter:
		s.Footer = section
	}
}

// AppendSection appends the descriptor of a section, which the caller's value must follow.
func AppendSection(dst []byte, section byte) []byte {
	return append(dst, codeDescribed, codeSmallUlong, section)
}

// NextData takes the first data section off a body and returns its bytes; ok is false when
// the body does not begin with one. The data sections of a batch of Event Hubs are messages.
func NextData(body []byte) (data, rest []byte, ok bool) {
	if len(body) == 0 {
		return nil, nil, false
	}
	kind, b, err := descriptor(body)
	if err != nil || kind != SectionData {
		return nil, nil, false
	}
	code, content, rest, err := item(b)
	if err != nil || code != codeBin8 && code != codeBin32 {
		return nil, nil, false
	}
	return content, rest, true
}

// Body is the payload of a message: its data, joined if it has several sections of it, or the
// bytes of a value that is a text or binary. Of any other body it is the encoded sections. A
// single data section is not copied.
func Body(message []byte) ([]byte, error) {
	s, err := Split(message)
	if err != nil {
		return nil, err
	}
	return payload(s.Body)
}

func payload(body []byte) ([]byte, error) {
	if len(body) == 0 {
		return nil, nil
	}
	kind, b, err := descriptor(body)
	if err != nil {
		return nil, err
	}
	switch kind {
	case SectionData:
		return joinData(body)
	case SectionValue:
		if b[0] == codeDescribed {
			return body, nil
		}
		code, content, _, err := item(b)
		switch code {
		case codeNull:
			return nil, err
		case codeBin8, codeBin32, codeStr8, codeStr32, codeSym8, codeSym32:
			return content, err
		}
	}
	return body, nil
}

func joinData(body []byte) ([]byte, error) {
	all, rest, ok := NextData(body)
	if ok && len(rest) == 0 {
		return all, nil
	}
	for joined := false; len(rest) > 0; joined = true {
		var more []byte
		if more, rest, ok = NextData(rest); !ok {
			break
		}
		if !joined {
			all = append(make([]byte, 0, len(body)), all...)
		}
		all = append(all, more...)
	}
	if !ok {
		return nil, malformed("a data section that is not binary")
	}
	return all, nil
}

// Properties are the properties of a message (amqp-core 3.2.4). Empty fields are not sent.
type Properties struct {
	MessageID, CorrelationID                                                    any // string, uint64, UUID or []byte
	UserID                                                                      []byte
	To, Subject, ReplyTo, ContentType, ContentEncoding, GroupID, ReplyToGroupID string
	Expires, Created                                                            time.Time
	GroupSequence                                                               uint32
}

// Message is a message that is made or read field by field. Header and footer are left out.
type Message struct {
	Annotations []Pair // of the message; not those of the delivery
	Properties  Properties
	Application []Pair
	Body        []byte
}

// Append appends the encoded message: annotations, properties and application properties if
// there are any, and one data section.
func (m *Message) Append(dst []byte) []byte {
	if len(m.Annotations) > 0 {
		dst = AppendFields(AppendSection(dst, SectionMessageAnnotations), m.Annotations)
	}
	dst = m.Properties.append(dst)
	if len(m.Application) > 0 {
		dst = AppendValue(AppendSection(dst, SectionApplicationProperties), m.Application)
	}
	return AppendBinary(AppendSection(dst, SectionData), m.Body)
}

// append appends the section of properties up to the last that is not empty, or nothing if
// all are.
func (p *Properties) append(dst []byte) []byte {
	start := len(dst)
	dst, mark := startList(AppendSection(dst, SectionProperties))
	last, end := 0, len(dst)
	for i := range 13 {
		at := len(dst)
		if dst = p.appendField(dst, i); dst[at] != codeNull {
			last, end = i+1, len(dst)
		}
	}
	if last == 0 {
		return dst[:start]
	}
	return endList(dst[:end], mark, last)
}

// appendField appends a field by its place in the list.
func (p *Properties) appendField(dst []byte, field int) []byte {
	text := ""
	switch field {
	case 0:
		return AppendValue(dst, p.MessageID)
	case 1:
		if p.UserID != nil {
			return AppendBinary(dst, p.UserID)
		}
	case 2:
		text = p.To
	case 3:
		text = p.Subject
	case 4:
		text = p.ReplyTo
	case 5:
		return AppendValue(dst, p.CorrelationID)
	case 6, 7:
		if symbol := [2]string{p.ContentType, p.ContentEncoding}[field-6]; symbol != "" {
			return AppendSymbol(dst, symbol)
		}
	case 8:
		return AppendTimestamp(dst, p.Expires)
	case 9:
		return AppendTimestamp(dst, p.Created)
	case 10:
		text = p.GroupID
	case 11:
		if p.GroupSequence != 0 {
			return AppendUint(dst, p.GroupSequence)
		}
	case 12:
		text = p.ReplyToGroupID
	}
	if text != "" {
		return AppendString(dst, text)
	}
	return append(dst, codeNull)
}

// Decode reads a message. Its binaries, and Body as far as Body says, are slices of message.
// The error is an *Error.
func Decode(message []byte) (Message, error) {
	var m Message
	s, err := Split(message)
	if err != nil {
		return m, err
	}
	if m.Annotations, err = DecodeMap(s.MessageAnnotations); err != nil {
		return m, err
	}
	if m.Properties, err = DecodeProperties(s.Properties); err != nil {
		return m, err
	}
	if m.Application, err = DecodeMap(s.ApplicationProperties); err != nil {
		return m, err
	}
	m.Body, err = payload(s.Body)
	return m, err
}

// DecodeMap decodes a section that is a map: annotations, application properties, a footer.
// No section is no map.
func DecodeMap(section []byte) ([]Pair, error) {
	if section == nil {
		return nil, nil
	}
	_, b, err := descriptor(section)
	if err != nil {
		return nil, err
	}
	return decodePairs(b)
}

// DecodeProperties decodes the section of properties, which may be missing.
func DecodeProperties(section []byte) (Properties, error) {
	var p Properties
	if section == nil {
		return p, nil
	}
	_, b, err := descriptor(section)
	if err != nil {
		return p, err
	}
	f, _, err := composite(b)
	if err != nil {
		return p, err
	}
	p.MessageID = f.value()
	p.UserID = f.bytes()
	p.To = f.text()
	p.Subject = f.text()
	p.ReplyTo = f.text()
	p.CorrelationID = f.value()
	p.ContentType = f.text()
	p.ContentEncoding = f.text()
	p.Expires = f.time()
	p.Created = f.time()
	p.GroupID = f.text()
	p.GroupSequence, _ = f.uint()
	p.ReplyToGroupID = f.text()
	return p, f.err
}

// DecodeValueBody decodes a body that is one value (amqp-value); ok is false for any other.
func DecodeValueBody(body []byte) (v any, ok bool, err error) {
	kind, b, err := descriptor(body)
	if err != nil || kind != SectionValue {
		return nil, false, err
	}
	v, _, err = DecodeValue(b)
	return v, true, err
}
