package amqp

import (
	"encoding/binary"
	"time"
)

// appendArray appends an array (amqp-core 1.6.24): one constructor, then the elements without
// theirs. Elements of fixed size take their long form, for all to have the same.
func appendArray(dst []byte, list Array) []byte {
	mark := len(dst)
	dst = append(dst, codeArray32, 0, 0, 0, 0, 0, 0, 0, 0)
	if len(list) == 0 {
		return endCompound(append(dst, codeNull), mark, codeArray8, 0)
	}
	code := arrayCode(list[0])
	if code == codeDescribed {
		return endCompound(appendDescribedArray(dst, list), mark, codeArray8, len(list))
	}
	dst = append(dst, code)
	for _, e := range list {
		dst = appendElement(dst, code, e)
	}
	return endCompound(dst, mark, codeArray8, len(list))
}

// appendDescribedArray appends the constructor and the elements of an array of described
// values: the descriptor of the first is that of all.
func appendDescribedArray(dst []byte, list Array) []byte {
	first := list[0].(Described)
	dst = AppendValue(append(dst, codeDescribed), first.Descriptor)
	code := arrayCode(first.Value)
	if code == codeDescribed {
		panic("amqp: an array of values that are described twice")
	}
	dst = append(dst, code)
	for _, e := range list {
		dst = appendElement(dst, code, e.(Described).Value)
	}
	return dst
}

// arrayCode is the constructor for elements such as v.
func arrayCode(v any) byte {
	switch v := v.(type) {
	case nil:
		panic("amqp: an array of nulls")
	case bool:
		return codeBool
	case uint32:
		return codeUint
	case uint64:
		return codeUlong
	case int32:
		return codeInt
	case int64, int:
		return codeLong
	case string:
		return codeStr32
	case Symbol:
		return codeSym32
	case []byte:
		return codeBin32
	case []any:
		return codeList32
	case []Pair:
		return codeMap32
	case Array:
		return codeArray32
	case time.Time:
		return codeTimestamp
	case Described:
		return codeDescribed
	default:
		return AppendValue(nil, v)[0]
	}
}

// appendElement appends v without its constructor, which is code. The encoding of v is made
// long where a short one was chosen.
func appendElement(dst []byte, code byte, v any) []byte {
	at := len(dst)
	dst = AppendValue(dst, v)
	got := dst[at]
	if got == code {
		return append(dst[:at], dst[at+1:]...)
	}
	value := append([]byte(nil), dst[at:]...)
	dst = dst[:at]
	switch code {
	case codeTimestamp: // the zero time
		return binary.BigEndian.AppendUint64(dst, uint64(v.(time.Time).UnixMilli()))
	case codeBool:
		return append(dst, 2-(got-codeNull)) // codeTrue is 1, codeFalse is 0
	case codeUint, codeInt:
		return binary.BigEndian.AppendUint32(dst, uint32(smallNumber(value)))
	case codeUlong, codeLong:
		return binary.BigEndian.AppendUint64(dst, uint64(smallNumber(value)))
	case codeStr32, codeSym32, codeBin32:
		return append(binary.BigEndian.AppendUint32(dst, uint32(value[1])), value[2:]...)
	case codeList32, codeMap32, codeArray32:
		if got == codeList0 {
			return append(dst, 0, 0, 0, 4, 0, 0, 0, 0)
		}
		dst = binary.BigEndian.AppendUint32(dst, uint32(value[1])+3)
		return append(binary.BigEndian.AppendUint32(dst, uint32(value[2])), value[3:]...)
	}
	panic("amqp: an array with elements of different types")
}

// smallNumber is the number of a short encoding.
func smallNumber(value []byte) int64 {
	switch value[0] {
	case codeSmallUint, codeSmallUlong:
		return int64(value[1])
	case codeSmallInt, codeSmallLong:
		return int64(int8(value[1]))
	case codeUint0, codeUlong0:
		return 0
	}
	panic("amqp: an array with elements of different types")
}
