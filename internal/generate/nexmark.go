package generate

import (
	"math"
	"strconv"
)

// Nexmark is the stream of an auction house that the Nexmark benchmark defines: of every
// 50 events one is a person that registers, three are auctions that open, and 46 are bids.
// The kinds share one stream and tell each other apart by event_type:
//
//	{"event_type":"person","id":1000,"name":"Peter Jones",...,"dateTime":"...","extra":"..."}
//	{"event_type":"auction","id":1000,"itemName":"...",...,"seller":1000,"category":10,"extra":"..."}
//	{"event_type":"bid","auction":1000,"bidder":1001,"price":2345,"channel":"Google",...,"extra":"..."}
//
// The proportions, the popular ("hot") auctions, sellers, bidders and channels, the prices
// and the sizes are those of the benchmark's generator; the texts are our own. Only the
// last 100 auctions get bids, and auctions end after about as many more have opened.
type Nexmark struct{ Settings }

// The published parameters.
const (
	nexmarkPersons    = 1
	nexmarkAuctions   = 3
	nexmarkCycle      = 50   // events, of which the rest are bids
	nexmarkFirstID    = 1000 // of persons and auctions
	nexmarkCategories = 5
	nexmarkFirstCat   = 10
	nexmarkInFlight   = 100  // auctions that get bids
	nexmarkActive     = 1000 // persons that do something
	nexmarkLead       = 10   // ids that bids and auctions may run ahead
	nexmarkHotBatch   = 100  // one in so many auctions and persons is hot
	nexmarkChannels   = 10_000

	nexmarkPersonBytes  = 200
	nexmarkAuctionBytes = 500
	nexmarkBidBytes     = 100
)

// Stream starts the stream.
func (x Nexmark) Stream() Stream {
	return &nexmark{rng: rng(x.Seed), clock: newClock(x.Settings), rate: int64(x.Rate)}
}

type nexmark struct {
	rng     rng
	clock   clock
	stamper stamper
	rate    int64
	n       int64 // events so far
}

var (
	nexmarkFirst  = []string{"Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie", "Sarah", "Deiter", "Walter"}
	nexmarkLast   = []string{"Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones", "Noris"}
	nexmarkCities = []string{"Phoenix", "Los Angeles", "San Francisco", "Boise", "Portland", "Bend", "Redmond", "Seattle", "Kent", "Cheyenne"}
	nexmarkStates = []string{"AZ", "CA", "ID", "OR", "WA", "WY"}
	nexmarkHot    = []string{"Google", "Facebook", "Baidu", "Apple"}
)

// Append adds the next event.
func (s *nexmark) Append(b []byte) []byte {
	n := s.n
	t := s.clock.next(&s.rng)
	s.n++
	start := len(b)
	switch offset := n % nexmarkCycle; {
	case offset < nexmarkPersons:
		b = s.person(b, n, t)
		return s.end(b, start, nexmarkPersonBytes)
	case offset < nexmarkPersons+nexmarkAuctions:
		b = s.auction(b, n, t)
		return s.end(b, start, nexmarkAuctionBytes)
	}
	b = s.bid(b, n, t)
	return s.end(b, start, nexmarkBidBytes)
}

// lastPerson is the number of the newest person at event n, counted from 0.
func lastPerson(n int64) int64 {
	return n/nexmarkCycle*nexmarkPersons + min(n%nexmarkCycle, nexmarkPersons-1)
}

// lastAuction is the number of the newest auction at event n, counted from 0.
func lastAuction(n int64) int64 {
	cycle, offset := n/nexmarkCycle, n%nexmarkCycle-nexmarkPersons
	if offset < 0 {
		cycle, offset = cycle-1, nexmarkAuctions-1
	}
	return max(cycle*nexmarkAuctions+min(offset, nexmarkAuctions-1), 0)
}

// anyPerson is a person that is active at event n, or will be soon.
func (s *nexmark) anyPerson(n int64) int64 {
	people := lastPerson(n) + 1
	active := min(people, nexmarkActive)
	return people - active + int64(s.rng.below(uint64(active+nexmarkLead)))
}

func (s *nexmark) person(b []byte, n, t int64) []byte {
	b = append(b, `{"event_type":"person","id":`...)
	b = strconv.AppendInt(b, nexmarkFirstID+lastPerson(n), 10)
	b = append(b, `,"name":"`...)
	b = append(b, s.one(nexmarkFirst)...)
	b = append(b, ' ')
	b = append(b, s.one(nexmarkLast)...)
	b = append(b, `","emailAddress":"`...)
	b = s.letters(b, 7)
	b = append(b, '@')
	b = s.letters(b, 5)
	b = append(b, `.com","creditCard":"`...)
	for i := range 4 {
		if i > 0 {
			b = append(b, ' ')
		}
		b = strconv.AppendUint(b, 1000+s.rng.below(9000), 10)
	}
	b = append(b, `","city":"`...)
	b = append(b, s.one(nexmarkCities)...)
	b = append(b, `","state":"`...)
	b = append(b, s.one(nexmarkStates)...)
	return s.time(append(b, '"'), "dateTime", t)
}

func (s *nexmark) auction(b []byte, n, t int64) []byte {
	seller := lastPerson(n) / nexmarkHotBatch * nexmarkHotBatch
	if s.rng.below(4) == 0 {
		seller = s.anyPerson(n)
	}
	first := s.price()
	b = append(b, `{"event_type":"auction","id":`...)
	b = strconv.AppendInt(b, nexmarkFirstID+lastAuction(n), 10)
	b = append(b, `,"itemName":"`...)
	b = s.letters(b, 20)
	b = append(b, `","description":"`...)
	b = s.letters(b, 100)
	b = append(b, `","initialBid":`...)
	b = strconv.AppendInt(b, first, 10)
	b = append(b, `,"reserve":`...)
	b = strconv.AppendInt(b, first+s.price(), 10)
	b = s.time(b, "dateTime", t)
	b = s.time(b, "expires", t+s.length())
	b = append(b, `,"seller":`...)
	b = strconv.AppendInt(b, nexmarkFirstID+seller, 10)
	b = append(b, `,"category":`...)
	return strconv.AppendInt(b, nexmarkFirstCat+int64(s.rng.below(nexmarkCategories)), 10)
}

// length is how long an auction runs, in milliseconds: up to twice as long as it takes to
// open the auctions that may be in flight.
func (s *nexmark) length() int64 {
	events := int64(nexmarkInFlight * nexmarkCycle / nexmarkAuctions)
	horizon := events * 1000 / s.rate
	return 1 + int64(s.rng.below(uint64(max(2*horizon, 1))))
}

func (s *nexmark) bid(b []byte, n, t int64) []byte {
	last := lastAuction(n)
	auction := last / nexmarkHotBatch * nexmarkHotBatch
	if s.rng.below(2) == 0 {
		oldest := max(last-nexmarkInFlight, 0)
		auction = oldest + int64(s.rng.below(uint64(last-oldest+1+nexmarkLead)))
	}
	bidder := lastPerson(n)/nexmarkHotBatch*nexmarkHotBatch + 1
	if s.rng.below(4) == 0 {
		bidder = s.anyPerson(n)
	}
	b = append(b, `{"event_type":"bid","auction":`...)
	b = strconv.AppendInt(b, nexmarkFirstID+auction, 10)
	b = append(b, `,"bidder":`...)
	b = strconv.AppendInt(b, nexmarkFirstID+bidder, 10)
	b = append(b, `,"price":`...)
	b = strconv.AppendInt(b, s.price(), 10)
	b = s.channel(b)
	return s.time(b, "dateTime", t)
}

// channel adds where a bid came from: half of the bids from one of four places.
func (s *nexmark) channel(b []byte) []byte {
	b = append(b, `,"channel":"`...)
	const path, item = `","url":"https://www.nexmark.com/`, `/item.htm?query=1`
	if i := s.rng.next(); i>>63 == 0 {
		hot := nexmarkHot[i%uint64(len(nexmarkHot))]
		b = append(b, hot...)
		b = append(b, path...)
		// The page of a popular place is always the same one.
		fixed := rng(i % uint64(len(nexmarkHot)))
		b = s.directories(b, &fixed)
		return append(b, item+`"`...)
	}
	number := s.rng.below(nexmarkChannels)
	b = append(b, "channel-"...)
	b = strconv.AppendUint(b, number, 10)
	b = append(b, path...)
	fixed := rng(number + uint64(len(nexmarkHot)))
	b = s.directories(b, &fixed)
	b = append(b, item...)
	if fixed.below(10) > 0 {
		b = append(b, `&channel_id=`...)
		b = strconv.AppendUint(b, fixed.below(1<<31), 10)
	}
	return append(b, '"')
}

// directories adds three names of five letters.
func (s *nexmark) directories(b []byte, r *rng) []byte {
	for i := range 3 {
		if i > 0 {
			b = append(b, '/')
		}
		b = appendLetters(b, r, 5)
	}
	return b
}

// price is 10 to the power of 0..6, in cents.
func (s *nexmark) price() int64 {
	return int64(math.Round(math.Pow(10, 6*s.rng.unit()) * 100))
}

// end pads an event to its usual size, give or take a fifth, and closes it.
func (s *nexmark) end(b []byte, start, size int) []byte {
	b = append(b, `,"extra":"`...)
	want := size - size/5 + int(s.rng.below(uint64(2*size/5+1)))
	if n := want - (len(b) - start); n > 0 {
		b = s.letters(b, n)
	}
	return append(b, "\"}\n"...)
}

func (s *nexmark) one(list []string) string { return list[s.rng.below(uint64(len(list)))] }

func (s *nexmark) time(b []byte, name string, t int64) []byte {
	b = append(b, `,"`...)
	b = append(b, name...)
	b = append(b, `":"`...)
	b = s.stamper.append(b, t)
	return append(b, '"')
}

func (s *nexmark) letters(b []byte, n int) []byte { return appendLetters(b, &s.rng, n) }

// appendLetters adds n letters, twelve from each random number.
func appendLetters(b []byte, r *rng, n int) []byte {
	for n > 0 {
		x := r.next() >> 4
		for range min(n, 12) {
			b = append(b, 'a'+byte(x&31)%26)
			x >>= 5
		}
		n -= min(n, 12)
	}
	return b
}

// NexmarkSide is the table that query 13 looks bids up in: key and value, one JSON line
// for each of 10,000 keys.
func NexmarkSide() []byte {
	var b []byte
	r := rng(13)
	for key := range int64(nexmarkChannels) {
		b = append(b, `{"key":`...)
		b = strconv.AppendInt(b, key, 10)
		b = append(b, `,"value":"`...)
		b = appendLetters(b, &r, 10)
		b = append(b, "\"}\n"...)
	}
	return b
}
