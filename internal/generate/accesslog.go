package generate

import "strconv"

// AccessLog is the stream of requests that a web server logs, in the fields that log
// shippers use:
//
//	{"time":"2018-01-10T10:10:10.123Z","host":"web02","remote":"10.3.44.120","method":"GET","path":"/items/1829","status":200,"bytes":5123,"agent":"curl/8.5.0"}
type AccessLog struct{ Settings }

// Stream starts the stream.
func (a AccessLog) Stream() Stream {
	return &accessLog{rng: rng(a.Seed), clock: newClock(a.Settings)}
}

type accessLog struct {
	rng     rng
	clock   clock
	stamper stamper
}

// weighted is a text and how many in 256 events have it.
type weighted struct {
	text   string
	weight uint64
}

// The weights of each list add up to 256.
var (
	hosts    = []weighted{{"web01", 96}, {"web02", 96}, {"web03", 64}}
	methods  = []weighted{{"GET", 208}, {"POST", 32}, {"PUT", 8}, {"HEAD", 6}, {"DELETE", 2}}
	paths    = []weighted{{"/", 60}, {"/items/", 80}, {"/users/", 40}, {"/search?page=", 36}, {"/static/app.js", 24}, {"/login", 16}}
	statuses = []weighted{{"200", 208}, {"304", 16}, {"302", 8}, {"404", 14}, {"403", 3}, {"500", 4}, {"502", 2}, {"503", 1}}
	agents   = []weighted{
		{"Mozilla/5.0 (Windows NT 10.0; Win64; x64)", 120},
		{"Mozilla/5.0 (iPhone; CPU iPhone OS 17_2 like Mac OS X)", 88},
		{"curl/8.5.0", 32},
		{"Googlebot/2.1", 16},
	}
)

// pick takes a text by the low 8 bits of x.
func pick(list []weighted, x uint64) string {
	x &= 255
	for _, w := range list {
		if x < w.weight {
			return w.text
		}
		x -= w.weight
	}
	return list[0].text
}

// Append adds the next event. One random number serves all lists.
func (s *accessLog) Append(b []byte) []byte {
	t := s.clock.next(&s.rng)
	x, y := s.rng.next(), s.rng.next()
	b = append(b, `{"time":"`...)
	b = s.stamper.append(b, t)
	b = append(b, `","host":"`...)
	b = append(b, pick(hosts, x)...)
	b = append(b, `","remote":"10.`...)
	b = strconv.AppendUint(b, y&15, 10)
	b = append(b, '.')
	b = strconv.AppendUint(b, y>>8&255, 10)
	b = append(b, '.')
	b = strconv.AppendUint(b, y>>16&255, 10)
	b = append(b, `","method":"`...)
	b = append(b, pick(methods, x>>8)...)
	b = append(b, `","path":"`...)
	path := pick(paths, x>>16)
	b = append(b, path...)
	if end := path[len(path)-1]; len(path) > 1 && (end == '/' || end == '=') {
		b = strconv.AppendUint(b, y>>24&4095, 10)
	}
	b = append(b, `","status":`...)
	b = append(b, pick(statuses, x>>24)...)
	b = append(b, `,"bytes":`...)
	b = strconv.AppendUint(b, 120+y>>40&0xffff, 10)
	b = append(b, `,"agent":"`...)
	b = append(b, pick(agents, x>>32)...)
	return append(b, "\"}\n"...)
}
