package amqp

import (
	"bytes"
	"strconv"
)

// terminus is a source or target as it came, field by field, for the answer to say the same
// of it (amqp-core 3.5.3, 3.5.4).
type terminus struct {
	Terminus
	given bool
	other bool // neither a source nor a target: the coordinator of transactions
	raw   [11][]byte
}

// The places of fields in a source. A target has the same up to dynamicProperties, and then
// its capabilities.
const (
	fieldAddress            = 0
	fieldDynamic            = 4
	fieldFilter             = 7
	fieldSourceCapabilities = 10
	fieldTargetCapabilities = 6
)

func decodeTerminus(field []byte, source bool) (t terminus, err error) {
	if field == nil {
		return t, nil
	}
	code, list, err := descriptor(field)
	if err != nil {
		return t, err
	}
	if source && code != codeSource || !source && code != codeTarget {
		t.other = true
		return t, nil
	}
	f, _, err := composite(list)
	if err != nil {
		return t, err
	}
	t.given = true
	for i := range t.raw {
		t.raw[i] = f.raw()
	}
	if f.err != nil {
		return t, f.err
	}
	t.Address, err = addressOf(t.raw[fieldAddress])
	if err != nil {
		return t, err
	}
	t.Dynamic = len(t.raw[fieldDynamic]) > 0 && field1(t.raw[fieldDynamic]).bool()
	capabilities := fieldTargetCapabilities
	if source {
		capabilities = fieldSourceCapabilities
		if t.Filters, err = decodeFilters(t.raw[fieldFilter]); err != nil {
			return t, err
		}
	}
	cf := field1(t.raw[capabilities])
	t.Capabilities = cf.symbols()
	return t, cf.err
}

// sentMore is how much larger a message may be when it goes out than when it came in: there are
// annotations of ours. Clients give links up on which more than the answer says is sent.
const sentMore = 64 << 10

// field1 reads a single field.
func field1(raw []byte) *fields { return &fields{b: raw, left: min(len(raw), 1)} }

// addressOf is an address as a text, whatever its type is.
func addressOf(raw []byte) (string, error) {
	if raw == nil {
		return "", nil
	}
	if raw[0] == codeDescribed {
		return "", malformed("an address that is described")
	}
	v, _, err := DecodeValue(raw)
	if err != nil {
		return "", err
	}
	if n, ok := v.(uint64); ok {
		return strconv.FormatUint(n, 10), nil
	}
	return keyText(v)
}

func decodeFilters(raw []byte) ([]Filter, error) {
	if raw == nil {
		return nil, nil
	}
	pairs, err := decodePairs(raw)
	if err != nil {
		return nil, err
	}
	filters := make([]Filter, len(pairs))
	for i, p := range pairs {
		filters[i] = Filter{Name: p.Key, Value: p.Value}
		if d, ok := p.Value.(Described); ok {
			filters[i].Descriptor, filters[i].Value = d.Descriptor, d.Value
		}
	}
	return filters, nil
}

// append appends the terminus with all its fields, the address as it is now.
func (t *terminus) append(dst []byte, address string, source bool) []byte {
	code, count := byte(codeTarget), fieldTargetCapabilities+1
	if source {
		code, count = codeSource, fieldSourceCapabilities+1
	}
	dst, mark := startList(AppendSection(dst, code))
	for i, raw := range t.raw[:count] {
		switch {
		case i == fieldAddress && address != t.Address:
			dst = AppendString(dst, address)
		case raw != nil:
			dst = append(dst, raw...)
		default:
			dst = append(dst, codeNull)
		}
	}
	return endList(dst, mark, count)
}

// decodeAttach decodes an attach of the client. What it keeps is copied.
func (s *session) decodeAttach(f *fields) (attached, error) {
	l := &Link{Conn: s.conn, session: s, MaxMessage: uint64(s.conn.limits.MessageSize), state: linkState + len(f.b)}
	a := attached{link: l}
	f.b = bytes.Clone(f.b)
	l.Name = f.text()
	var ok bool
	if l.handle, ok = f.uint(); !ok {
		f.fail("an attach without a handle")
	}
	a.receiver = f.bool()
	if l.sender = a.receiver; l.sender {
		l.MaxMessage += sentMore
	}
	sndMode, rcvMode := f.raw(), f.raw()
	if len(sndMode) > 2 || len(rcvMode) > 2 {
		f.fail("a settle mode that is no small number")
	}
	l.sndMode, l.rcvMode = append(l.sndMode, sndMode...), append(l.rcvMode, rcvMode...)
	source, target := f.raw(), f.raw()
	f.raw() // unsettled
	f.raw() // incomplete-unsettled
	if count, ok := f.uint(); ok && !l.sender {
		l.deliveryCount = count
	}
	f.raw() // max-message-size: what is in a log is sent
	f.raw() // offered-capabilities
	l.Desired = f.symbols()
	l.Properties = f.pairs()
	if f.err != nil {
		return a, f.err
	}
	var err error
	if a.source, err = decodeTerminus(source, true); err != nil {
		return a, err
	}
	if a.target, err = decodeTerminus(target, false); err != nil {
		return a, err
	}
	l.Source, l.Target = a.source.Terminus, a.target.Terminus
	return a, nil
}

// sayAttach answers an attach with its own settle modes and termini (eventhubs.md 1.2, quirks
// 1, 3, 4 and 6). Of a refused link, the terminus on our side is null. c.mu is held.
func (s *session) sayAttach(a *attached, refused bool) {
	if s.conn.dead {
		return
	}
	l := a.link
	dst, mark := s.conn.startFrame(s.channel, codeAttach, 14)
	dst = AppendUint(AppendString(dst, l.Name), l.handle)
	dst = append(dst, boolCode(!l.sender))
	dst = appendRaw(dst, l.sndMode)
	dst = appendRaw(dst, l.rcvMode)
	if refused && l.sender {
		dst = append(dst, codeNull)
	} else {
		dst = a.source.append(dst, l.Source.Address, true)
	}
	if refused && !l.sender {
		dst = append(dst, codeNull)
	} else {
		dst = a.target.append(dst, l.Target.Address, false)
	}
	dst = append(dst, codeNull, codeFalse) // unsettled, incomplete-unsettled
	dst = AppendUint(dst, 0)               // initial-delivery-count
	dst = AppendUlong(dst, l.MaxMessage)
	dst = appendSymbols(dst, l.Offered)
	dst = append(dst, codeNull) // desired-capabilities
	s.conn.out.buf = endFrame(AppendFields(dst, l.Reply), mark)
}

func appendRaw(dst, raw []byte) []byte {
	if len(raw) == 0 {
		return append(dst, codeNull)
	}
	return append(dst, raw...)
}

// appendSymbols appends an array of symbols, or a null for none.
func appendSymbols(dst []byte, list []string) []byte {
	if len(list) == 0 {
		return append(dst, codeNull)
	}
	array := make(Array, len(list))
	for i, text := range list {
		array[i] = Symbol(text)
	}
	return AppendValue(dst, array)
}
