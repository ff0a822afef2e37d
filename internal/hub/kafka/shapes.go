package kafka

// shapes are the requests that the server takes, apart from Produce, which it decodes
// itself: from which version on they are flexible (KIP-482), and their fields in order.
//
// A field is i8, i16, i32, i64, uuid, str or bytes; "[ fields ]" is an array of structs and
// "[]field" one of values; "3-5:" before a field are the versions that have it. A test holds
// the shapes to the encoder of kmsg.
var shapes = map[int16]struct {
	flexible int16
	fields   string
}{
	1:  {12, "0-14:i32 i32 i32 3-:i32 4-:i8 7-:i32 7-:i32 [ 0-12:str 13-:uuid [ i32 9-:i32 i64 12-:i32 5-:i64 i32 ] ] 7-:[ 7-12:str 13-:uuid []i32 ] 11-:str"},
	2:  {6, "i32 2-:i8 [ str [ i32 4-:i32 i64 0-0:i32 ] ] 10-:i32"},
	3:  {9, "[ 10-:uuid str ] 4-:i8 8-10:i8 8-:i8"},
	8:  {8, "str 1-:i32 1-:str 7-:str 2-4:i64 [ 0-9:str 10-:uuid [ i32 i64 1-1:i64 6-:i32 str ] ]"},
	9:  {6, "0-7:str 0-7:[ str []i32 ] 8-:[ str 9-:str 9-:i32 [ 8-9:str 10-:uuid []i32 ] ] 7-:i8"},
	10: {3, "0-3:str 1-:i8 4-:[]str"},
	11: {6, "str i32 1-:i32 str 5-:str str [ str bytes ] 8-:str"},
	12: {4, "str i32 str 3-:str"},
	13: {4, "str 0-2:str 3-:[ str str 5-:str ]"},
	14: {4, "str i32 str 3-:str 5-:str 5-:str [ str bytes ]"},
	15: {5, "[]str 3-:i8"},
	16: {3, "4-:[]str 5-:[]str"},
	17: {rigid, "str"},
	18: {3, "3-:str 3-:str 5-:str 5-:i32"},
	19: {5, "[ str i32 i16 [ i32 []i32 ] [ str str ] ] i32 1-:i8"},
	20: {4, "0-5:[]str 6-:[ str uuid ] i32"},
	22: {2, "str i32 3-:i64 3-:i16"},
	23: {4, "3-:i32 [ str [ i32 2-:i32 i32 ] ]"},
	32: {4, "[ i8 str []str ] 1-:i8 3-:i8"},
	35: {2, "[ str []i32 ]"},
	36: {2, "bytes"},
	37: {2, "[ str i32 [ []i32 ] ] i32 i8"},
	42: {2, "[]str"},
	44: {1, "[ i8 str [ str i8 str ] ] i8"},
	47: {rigid, "str [ str [ i32 ] ]"},
	60: {0, "i8 1-:i8 2-:i8"},
}

// rigid is the flexible version of requests that have none.
const rigid = 1 << 14
