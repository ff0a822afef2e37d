package amqp

import "encoding/binary"

// The descriptors of performatives and of what is in them (amqp-core 2.7, 2.8, 3.4, 3.5, 5.3).
const (
	codeOpen        = 0x10
	codeBegin       = 0x11
	codeAttach      = 0x12
	codeFlow        = 0x13
	codeTransfer    = 0x14
	codeDisposition = 0x15
	codeDetach      = 0x16
	codeEnd         = 0x17
	codeClose       = 0x18
	codeError       = 0x1d
	codeReceived    = 0x23
	codeAccepted    = 0x24
	codeRejected    = 0x25
	codeReleased    = 0x26
	codeModified    = 0x27
	codeSource      = 0x28
	codeTarget      = 0x29

	codeSASLMechanisms = 0x40
	codeSASLInit       = 0x41
	codeSASLChallenge  = 0x42
	codeSASLResponse   = 0x43
	codeSASLOutcome    = 0x44
)

// The types of frames (amqp-core 2.3, 5.3.1).
const (
	frameAMQP = 0
	frameSASL = 1
)

const frameHeader = 8 // bytes: size, data offset, type, channel

// The protocol headers of SASL and of AMQP itself (amqp-core 2.2, 5.3.2).
const (
	headerSASL = "AMQP\x03\x01\x00\x00"
	headerAMQP = "AMQP\x00\x01\x00\x00"
)

// startFrame begins a frame with the performative of that code and so many fields, all of
// which the caller appends: clients read them by their places (eventhubs.md 1.2, quirk 3).
func startFrame(dst []byte, kind byte, channel uint16, code byte, fieldCount byte) ([]byte, int) {
	mark := len(dst)
	return append(dst, 0, 0, 0, 0, 2, kind, byte(channel>>8), byte(channel),
		codeDescribed, codeSmallUlong, code,
		codeList32, 0, 0, 0, 0, 0, 0, 0, fieldCount), mark
}

// endFrame writes the sizes of the frame that began at mark and of its performative. A payload
// is appended by endPayload instead.
func endFrame(dst []byte, mark int) []byte {
	binary.BigEndian.PutUint32(dst[mark+12:], uint32(len(dst)-mark-16))
	binary.BigEndian.PutUint32(dst[mark:], uint32(len(dst)-mark))
	return dst
}

// appendState appends a terminal state without an error.
func appendOutcome(dst []byte, code byte) []byte {
	return append(dst, codeDescribed, codeSmallUlong, code, codeList0)
}

// appendRejected appends the outcome rejected{error}.
func appendRejected(dst []byte, e *Error) []byte {
	dst, mark := startList(AppendSection(dst, codeRejected))
	return endList(appendError(dst, e), mark, 1)
}

// appendError appends an error, or a null.
func appendError(dst []byte, e *Error) []byte {
	if e == nil {
		return append(dst, codeNull)
	}
	dst, mark := startList(AppendSection(dst, codeError))
	dst = AppendSymbol(dst, e.Condition)
	dst = AppendString(dst, e.Description)
	if e.Info == nil {
		dst = append(dst, codeNull)
	} else {
		dst = AppendFields(dst, e.Info)
	}
	return endList(dst, mark, 3)
}

// appendEmptyFrame appends what keeps a connection alive (amqp-core 2.4.5).
func appendEmptyFrame(dst []byte) []byte {
	return append(dst, 0, 0, 0, 8, 2, frameAMQP, 0, 0)
}

// transferFrame is the head of a transfer. Its size is fixed, so that the payload of a frame
// can be told before.
type transferFrame struct {
	channel          uint16
	handle, delivery uint32
	format           uint32
	settled, more    bool
	aborted          bool
}

const transferHead = frameHeader + 3 + 3 + 5 + 5 + 10 + 5 + 7 // bytes before the payload

func (t *transferFrame) append(dst []byte, payload int) []byte {
	size := uint32(transferHead + payload)
	return append(dst,
		byte(size>>24), byte(size>>16), byte(size>>8), byte(size), 2, frameAMQP, byte(t.channel>>8), byte(t.channel),
		codeDescribed, codeSmallUlong, codeTransfer,
		codeList8, transferHead-frameHeader-5, 11,
		codeUint, byte(t.handle>>24), byte(t.handle>>16), byte(t.handle>>8), byte(t.handle),
		codeUint, byte(t.delivery>>24), byte(t.delivery>>16), byte(t.delivery>>8), byte(t.delivery),
		// The tag must be unique on the link while a delivery is unsettled; the number is.
		codeBin8, 8, 0, 0, 0, 0, byte(t.delivery>>24), byte(t.delivery>>16), byte(t.delivery>>8), byte(t.delivery),
		codeUint, byte(t.format>>24), byte(t.format>>16), byte(t.format>>8), byte(t.format),
		boolCode(t.settled), boolCode(t.more),
		codeNull, codeNull, // rcv-settle-mode, state
		codeFalse, boolCode(t.aborted), codeFalse) // resume, aborted, batchable
}

func boolCode(v bool) byte {
	if v {
		return codeTrue
	}
	return codeFalse
}

// appendDisposition begins a disposition and leaves the last two fields, state and batchable,
// to the caller, as it does endFrame.
func appendDisposition(dst []byte, channel uint16, receiver bool, first, last uint32) ([]byte, int) {
	dst, mark := startFrame(dst, frameAMQP, channel, codeDisposition, 6)
	dst = append(dst, boolCode(receiver))
	return AppendUint(AppendUint(dst, first), last), mark
}

// transfer is a transfer that has come.
type transfer struct {
	handle                          uint32
	id                              uint32
	hasID                           bool
	format                          uint32
	settled, more, aborted, resumed bool
}

func decodeTransfer(f *fields) (t transfer) {
	var ok bool
	if t.handle, ok = f.uint(); !ok {
		f.fail("a transfer without a handle")
	}
	t.id, t.hasID = f.uint()
	f.raw() // delivery-tag
	t.format, _ = f.uint()
	t.settled = f.bool()
	t.more = f.bool()
	f.raw() // rcv-settle-mode
	f.raw() // state
	t.resumed = f.bool()
	t.aborted = f.bool()
	return t
}

// flow is a flow that has come.
type flow struct {
	nextIncoming, incomingWindow uint32
	handle                       uint32
	hasHandle                    bool
	deliveryCount                uint32
	hasCount                     bool
	credit                       uint32
	hasCredit                    bool
	drain, echo                  bool
}

func decodeFlow(f *fields) (w flow) {
	var ok bool
	w.nextIncoming, _ = f.uint() // null before our begin is known: our first id, 0
	if w.incomingWindow, ok = f.uint(); !ok {
		f.fail("a flow without an incoming-window")
	}
	f.raw() // next-outgoing-id
	f.raw() // outgoing-window
	w.handle, w.hasHandle = f.uint()
	w.deliveryCount, w.hasCount = f.uint()
	w.credit, w.hasCredit = f.uint()
	f.raw() // available
	w.drain = f.bool()
	w.echo = f.bool()
	return w
}
