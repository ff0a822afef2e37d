package generate

import (
	"fmt"
	"strconv"
)

// Downtime is the stream of health reports of many teams' services:
//
//	{"TeamId":"Team01","ServiceId":"Team01POI","Date":"2018-01-10T10:10:10.123Z","StatusCode":404,"Status":false}
//
// Status says whether the service answered as it should (a code under 400).
type Downtime struct {
	Settings
	// Teams is the number of teams, each with the services POI, User and Trip.
	Teams int
	// Outages makes services answer well except in outages of 5 to 180 seconds, as
	// people know them. Without it each of ten codes comes as often as the others, so
	// that 3 of 10 events are server errors: what benchmarks count.
	Outages bool
}

// DefaultTeams is the usual number of teams.
const DefaultTeams = 100

// services are the three services of each team.
var services = [...]string{"POI", "User", "Trip"}

// codes are the status codes; the last three are server errors.
var codes = [...]int{200, 201, 204, 301, 302, 400, 404, 500, 502, 503}

const firstServerError = 7

// Check says what is wrong with the settings.
func (d Downtime) Check() error {
	if d.Teams < 1 || d.Teams > 10_000_000 {
		return fmt.Errorf("there are %d teams; there must be 1 to 10000000", d.Teams)
	}
	return d.Settings.Check()
}

// Stream starts the stream.
func (d Downtime) Stream() Stream {
	s := &downtime{
		rng:     rng(d.Seed),
		clock:   newClock(d.Settings),
		seed:    d.Seed,
		outages: d.Outages,
		heads:   make([]string, 0, min(d.Teams, maxHeads)*len(services)),
		pairs:   uint64(d.Teams) * uint64(len(services)),
	}
	for i := range min(s.pairs, uint64(maxHeads*len(services))) {
		s.heads = append(s.heads, string(appendHead(nil, i)))
	}
	for i, c := range codes {
		s.tails[i] = fmt.Sprintf(`","StatusCode":%d,"Status":%t}`+"\n", c, c < 400)
	}
	return s
}

// maxHeads bounds the teams whose text is kept ready.
const maxHeads = 50_000

type downtime struct {
	rng     rng
	clock   clock
	stamper stamper
	seed    uint64
	outages bool
	pairs   uint64 // teams times services
	heads   []string
	tails   [len(codes)]string
}

// appendHead adds the start of an event of service i%3 of team i/3.
func appendHead(b []byte, i uint64) []byte {
	n := uint64(len(services))
	team := i/n + 1
	b = append(b, `{"TeamId":"`...)
	b = appendTeam(b, team)
	b = append(b, `","ServiceId":"`...)
	b = appendTeam(b, team)
	b = append(b, services[i%n]...)
	return append(b, `","Date":"`...)
}

func appendTeam(b []byte, team uint64) []byte {
	b = append(b, "Team"...)
	if team < 10 {
		b = append(b, '0')
	}
	return strconv.AppendUint(b, team, 10)
}

// Append adds the next event.
func (s *downtime) Append(b []byte) []byte {
	t := s.clock.next(&s.rng)
	i := s.rng.below(s.pairs)
	if i < uint64(len(s.heads)) {
		b = append(b, s.heads[i]...)
	} else {
		b = appendHead(b, i)
	}
	b = s.stamper.append(b, t)
	return append(b, s.tails[s.code(i, t)]...)
}

// code is the position of the status code that service i answers with at time t.
func (s *downtime) code(i uint64, t int64) int {
	if !s.outages {
		return int(s.rng.below(uint64(len(codes))))
	}
	if s.down(i, t/1000) {
		return firstServerError + int(s.rng.below(uint64(len(codes)-firstServerError)))
	}
	return int(s.rng.below(3))
}

// An outage starts in one of outageEvery minutes and takes 5 to longestOutage seconds.
const (
	outageEvery   = 24
	longestOutage = 180
)

// down reports whether service i is out in a second. It follows from the seed alone:
// no list of outages is kept, and jitter does not matter.
func (s *downtime) down(i uint64, second int64) bool {
	minute := second / 60
	for m := minute; m >= minute-longestOutage/60; m-- {
		h := mix(mix(s.seed+i*0x9e3779b97f4a7c15) + uint64(m))
		if h%outageEvery != 0 {
			continue
		}
		start := m*60 + int64(h>>8%60)
		if second >= start && second < start+5+int64(h>>32%(longestOutage-4)) {
			return true
		}
	}
	return false
}
