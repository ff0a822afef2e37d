package kafka

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// fill sets the fields of a request at random.
func fill(r *rand.Rand, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			switch v.Type().Field(i).Name {
			case "UnknownTags", "Version":
			case "HighWatermark": // a tag that clients do not send
				v.Field(i).SetInt(math.MaxInt64)
			case "ReplicaState": // and another one
				v.Field(i).Addr().Interface().(interface{ Default() }).Default()
			default:
				fill(r, v.Field(i))
			}
		}
	case reflect.Slice:
		n := r.IntN(4)
		if n == 3 {
			return // null
		}
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			fill(r, v.Index(i))
		}
	case reflect.Pointer:
		if r.IntN(2) == 0 {
			v.Set(reflect.New(v.Type().Elem()))
			fill(r, v.Elem())
		}
	case reflect.String:
		v.SetString("some text that is long"[:r.IntN(20)])
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(int8(r.Uint32())))
	case reflect.Uint8:
		v.SetUint(r.Uint64N(256))
	case reflect.Array:
		for i := range v.Len() {
			fill(r, v.Index(i))
		}
	}
}

// eachRequest calls f with requests of every kind and version.
func eachRequest(t *testing.T, times int, f func(t *testing.T, q kmsg.Request, body []byte)) {
	r := rand.New(rand.NewPCG(1, 2))
	for key, a := range apis {
		if a.request == nil {
			continue
		}
		for version := int16(0); version <= a.max; version++ {
			for range times {
				q := a.request()
				fill(r, reflect.ValueOf(q).Elem())
				q.SetVersion(version)
				if q.Key() != key {
					t.Fatalf("request %d has the key %d", key, q.Key())
				}
				f(t, q, q.AppendTo(nil))
			}
		}
	}
}

func TestShapesAreThoseOfRequests(t *testing.T) {
	for key, a := range apis {
		if _, ok := shapes[key]; !ok && key != int16(kmsg.Produce) {
			t.Errorf("request %d has no shape", key)
		}
		if a.request != nil {
			q := a.request()
			if q.SetVersion(0); a.max > q.MaxVersion() {
				t.Errorf("%s is served up to v%d, and known up to v%d", kmsg.NameForKey(key), a.max, q.MaxVersion())
			}
			for v := range a.max + 1 {
				if q.SetVersion(v); q.IsFlexible() != isFlexible(key, v) {
					t.Errorf("%s v%d: flexible is %v", kmsg.NameForKey(key), v, q.IsFlexible())
				}
			}
		}
	}
	eachRequest(t, 20, func(t *testing.T, q kmsg.Request, body []byte) {
		if _, err := parsed[q.Key()].check(q.Key(), q.GetVersion(), body, 1000); err != nil {
			t.Fatalf("%s v%d %x: %v", kmsg.NameForKey(q.Key()), q.GetVersion(), body, err)
		}
		if err := q.ReadFrom(body); err != nil {
			t.Fatalf("%s v%d %x: %v", kmsg.NameForKey(q.Key()), q.GetVersion(), body, err)
		}
	})
}

func TestShapesRefuseWhatIsCutOffOrTooLong(t *testing.T) {
	eachRequest(t, 3, func(t *testing.T, q kmsg.Request, body []byte) {
		s := parsed[q.Key()]
		for n := range body {
			if _, err := s.check(q.Key(), q.GetVersion(), body[:n], 1000); err == nil {
				t.Fatalf("%s v%d %x: the first %d bytes pass", kmsg.NameForKey(q.Key()), q.GetVersion(), body, n)
			}
		}
		if _, err := s.check(q.Key(), q.GetVersion(), append(body, 0), 1000); err == nil {
			t.Fatalf("%s v%d: a byte more passes", kmsg.NameForKey(q.Key()), q.GetVersion())
		}
	})
}

// What is changed at random passes the walker only if the decoder can take it without harm.
func TestShapesGuardTheDecoder(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	passed := 0
	eachRequest(t, 10, func(t *testing.T, q kmsg.Request, body []byte) {
		for range 10 {
			b := append([]byte(nil), body...)
			for range 1 + r.IntN(3) {
				if len(b) > 0 {
					b[r.IntN(len(b))] = []byte{0, 1, 0x7f, 0x80, 0xff, byte(r.Uint32())}[r.IntN(6)]
				}
			}
			if _, err := parsed[q.Key()].check(q.Key(), q.GetVersion(), b, 1000); err == nil {
				passed++
				start := time.Now()
				q.ReadFrom(b) // an error is fine
				if d := time.Since(start); d > time.Second {
					t.Fatalf("%s v%d %x takes %s", kmsg.NameForKey(q.Key()), q.GetVersion(), b, d)
				}
			}
		}
	})
	if passed == 0 {
		t.Error("nothing passes")
	}
}

func TestShapeLimits(t *testing.T) {
	f := func(name string, key, version int16, body []byte, want string) {
		t.Helper()
		_, err := parsed[key].check(key, version, body, 1000)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %q; want %q", name, got, want)
		}
	}
	many := binary.AppendUvarint(nil, 0xffffffff)
	// Two empty texts, and 2^32-1 tags: the decoder would count them all.
	f("tags without end", 18, 3, append([]byte{1, 1}, many...), string(errShort))
	f("an array without end", 3, 9, append(many, 0, 0, 0, 0), string(errShort))
	f("an array of a negative length", 3, 1, []byte{0xff, 0xff, 0xff, 0xf0}, string(errShort))
	f("null", 3, 1, []byte{0xff, 0xff, 0xff, 0xff}, "")
	list := make([]byte, 4+2*1001)
	binary.BigEndian.PutUint32(list, 1001)
	f("too many entries", 3, 1, list, "it has more than 1000 entries")
	f("a byte too many", 3, 1, []byte{0, 0, 0, 0, 9}, "1 bytes are left behind it")

	fetch := kmsg.NewPtrFetchRequest()
	fetch.SetVersion(17)
	f("fetch", 1, 17, fetch.AppendTo(nil), "")
	fetch.ReplicaState.ID = 5
	f("a follower", 1, 17, fetch.AppendTo(nil), string(errShort))
}

func FuzzRequest(f *testing.F) {
	r := rand.New(rand.NewPCG(5, 6))
	for key, a := range apis {
		if a.request == nil {
			continue
		}
		for _, v := range []int16{0, a.max} {
			q := a.request()
			fill(r, reflect.ValueOf(q).Elem())
			q.SetVersion(v)
			f.Add(key, v, q.AppendTo(nil))
		}
	}
	f.Fuzz(func(t *testing.T, key, version int16, body []byte) {
		a := apis[key]
		if a == nil || a.request == nil || version < 0 || version > a.max || len(body) > 1<<16 {
			return
		}
		if _, err := parsed[key].check(key, version, body, 1000); err != nil {
			return
		}
		q := a.request()
		q.SetVersion(version)
		q.ReadFrom(body) // must end, and take no more than entries allow
	})
}
