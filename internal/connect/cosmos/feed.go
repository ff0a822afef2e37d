package cosmos

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/data/azcosmos"

	"weir/internal/connect"
	"weir/internal/connect/intake"
	"weir/internal/connect/message"
	"weir/internal/vec"
)

const (
	// pageItems is how many documents are asked for at once; the service gives at most 4 MiB.
	pageItems = 1000
	// longestRetry is the pause before a feed that fails is asked again.
	longestRetry = 30 * time.Second
	// lag is how much later than others a replica of the service may know of a change, as far as
	// we wait for it before we say that nothing older will come.
	lag = 5 * time.Second
	// tokenName is the property of the last record of a page: the place in the feed behind it.
	tokenName = "next"
)

// part is a range of the feed, which a goroutine reads into a log.
type part struct {
	s     *source
	index int
	log   *intake.Log

	mu      sync.Mutex
	n       rangeNote
	clock   vec.Time // all that arrived before it is in the log; 0 if it is not known
	quiet   int      // how often the feed had nothing
	asked   int      // how often it was asked
	failed  error
	readers map[chan struct{}]struct{}

	stop context.CancelFunc // nil if nothing runs
	done chan struct{}
}

// openPart opens the log of a range, and finds the place in the feed that goes with its end.
func openPart(s *source, index int, n rangeNote) (*part, error) {
	env := s.env
	var err error
	if env.State, err = s.env.State.Sub("range-" + strconv.Itoa(index)); err != nil {
		return nil, err
	}
	l, err := intake.Open(env, s.log)
	if err != nil {
		return nil, err
	}
	p := &part{s: s, index: index, log: l, n: n, readers: map[chan struct{}]struct{}{}}
	_, next, _ := l.Range()
	if next < n.Next {
		err = connect.Permanent(fmt.Errorf("the log in %s ends at %d, and had come to %d: documents that were read are gone; start the job without its state", env.State.Path("log"), next, n.Next))
	} else if next > n.Next {
		err = l.Each(time.Time{}, func(first int64, _ time.Time, records []intake.Record) error {
			if last := &records[len(records)-1]; first >= n.Next && len(last.Properties) > 0 {
				p.n.Token, p.n.Last = last.Properties[0].Value, secondsOf(last)
			}
			return nil
		})
		p.n.Next = next
	}
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return p, nil
}

// note is the range as it stands.
func (p *part) note() rangeNote {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.n
}

// fromNow is a place in the feed behind all that is there, in the library's form.
func (p *part) fromNow() string {
	n := p.note()
	type entry struct {
		Min   string `json:"minInclusive"`
		Max   string `json:"maxExclusive"`
		Token string `json:"continuationToken"`
	}
	b, err := json.Marshal(struct {
		Version    int     `json:"version"`
		ResourceID string  `json:"resourceId"`
		Entries    []entry `json:"continuation"`
	}{1, p.s.target.rid, []entry{{n.Min, n.Max, "*"}}})
	if err != nil {
		panic("cosmos: " + err.Error()) // texts and a number
	}
	return string(b)
}

// beginAt has the feed read from a time in Unix seconds on, 0 for all, or from a token, which the
// service knows when it returns. It gives the position of the first document that comes.
func (p *part) beginAt(ctx context.Context, since int64, token string) (connect.Position, error) {
	p.halt()
	_, next, _ := p.log.Range()
	p.mu.Lock()
	p.n.Begun, p.n.Since, p.n.Base, p.n.Next, p.n.Token, p.n.Last = true, since, next, next, token, 0
	p.clock = 0
	p.mu.Unlock()
	if token != "" { // what comes from now on must come, whatever happens
		if _, err := p.page(ctx); err != nil {
			p.mu.Lock()
			p.n.Begun = false
			p.mu.Unlock()
			return "", err
		}
	}
	if err := p.s.save(); err != nil {
		return "", err
	}
	p.start()
	return message.Position(next), nil
}

// start has the feed read.
func (p *part) start() {
	ctx, cancel := context.WithCancel(context.Background())
	p.stop, p.done = cancel, make(chan struct{})
	go p.run(ctx)
}

// halt ends the reading and waits for it.
func (p *part) halt() {
	if p.stop != nil {
		p.stop()
		<-p.done
		p.stop = nil
	}
}

// run reads until ctx ends, or until an error that no retry heals.
func (p *part) run(ctx context.Context) {
	defer close(p.done)
	wait := p.s.poll
	for ctx.Err() == nil {
		more, err := p.page(ctx)
		if ctx.Err() != nil {
			return
		}
		p.told(err)
		switch {
		case err != nil && connect.IsPermanent(err):
			return
		case err != nil:
			wait = min(max(2*wait, 100*time.Millisecond), longestRetry)
			var f *fault
			if errors.As(err, &f) && f.after > 0 {
				wait = f.after
			}
		case more:
			wait = p.s.poll
			continue
		default:
			wait = p.s.poll
		}
		if pause(ctx, wait) != nil {
			return
		}
	}
}

// told notes how the last request went.
func (p *part) told(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failed = err
	p.signal()
}

// signal wakes the readers. p.mu is held.
func (p *part) signal() {
	for r := range p.readers {
		select {
		case r <- struct{}{}:
		default:
		}
	}
}

// page reads the next page of the feed into the log. more says that there may be another one at
// once.
func (p *part) page(ctx context.Context) (more bool, err error) {
	select {
	case p.s.slots <- struct{}{}:
		defer func() { <-p.s.slots }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	p.mu.Lock()
	n := p.n
	p.asked++
	asked := p.asked
	p.mu.Unlock()
	o := &azcosmos.ChangeFeedOptions{MaxItemCount: pageItems}
	if n.Since > 0 {
		since := time.Unix(n.Since, 0)
		o.StartFrom = &since
	}
	if n.Token != "" {
		o.Continuation = &n.Token
	} else {
		o.FeedRange = &azcosmos.FeedRange{MinInclusive: n.Min, MaxExclusive: n.Max}
	}
	r, err := p.s.target.ReadChangeFeed(ctx, o)
	if errors.Is(err, azcosmos.ErrFeedRangeUnresolved) {
		return false, connect.Permanent(fmt.Errorf("%s has nothing of the range %q to %q any more; start the job without its state", p.s.target.where, n.Min, n.Max))
	}
	if err == nil && len(r.Items) > 0 {
		err = p.undivided(ctx, n)
	}
	if err != nil {
		if connect.IsPermanent(err) {
			return false, err
		}
		return false, p.s.target.failed(err)
	}
	if len(r.Items) > 0 {
		return true, p.keep(ctx, &r)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n.Token, p.quiet = r.ContinuationToken, asked
	if t, err := http.ParseTime(r.RawResponse.Header.Get("Date")); err == nil {
		p.clock = max(p.clock, toTime(t.Add(-lag).Unix()))
	}
	return false, nil
}

// undivided finds ranges that were merged with others: the library reads all of the new one, so
// documents would come twice.
func (p *part) undivided(ctx context.Context, n rangeNote) error {
	now, err := p.s.target.ReadFeedRanges(ctx, nil) // the library has them
	if err != nil {
		return err
	}
	for _, r := range now {
		if r.MinInclusive < n.Max && n.Min < r.MaxExclusive && (r.MinInclusive < n.Min || r.MaxExclusive > n.Max) {
			return connect.Permanent(fmt.Errorf("partitions of the %s were merged, and the feed of %q to %q cannot be told from its neighbour's any more; start the job without its state", p.s.target.where, n.Min, n.Max))
		}
	}
	return nil
}

// keep puts a page into the log, with the place behind it, all or nothing.
func (p *part) keep(ctx context.Context, r *azcosmos.ChangeFeedResponse) error {
	last := p.note().Last
	var text []byte
	ends := make([]int, len(r.Items))
	times := make([]byte, 0, 8*len(r.Items))
	for i, doc := range r.Items {
		var seconds int64
		text, seconds = appendItem(text, doc, p.s.system)
		ends[i] = len(text)
		last = max(last, seconds) // children of a range that split take turns
		times = binary.LittleEndian.AppendUint64(times, uint64(last))
	}
	records := make([]intake.Record, len(r.Items))
	from := 0
	for i, end := range ends {
		records[i].Key, records[i].Value = times[8*i:8*i+8], text[from:end]
		from = end
	}
	records[len(records)-1].Properties = []intake.Property{{Name: tokenName, Value: r.ContinuationToken}}
	first, err := p.log.Keep(ctx, records)
	if errors.Is(err, intake.ErrTooLarge) {
		return connect.Permanent(fmt.Errorf("a page of the feed has %d bytes, more than the log takes; raise max_log", len(text)))
	}
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n.Next, p.n.Token, p.n.Last = first+int64(len(records)), r.ContinuationToken, last
	p.clock = 0
	return nil
}

// catchUp waits until all that is in the feed now is in the log; false if that takes long.
func (p *part) catchUp(ctx context.Context) bool {
	ready := make(chan struct{}, 1)
	p.watch(ready)
	defer p.unwatch(ready)
	p.mu.Lock()
	asked := p.asked
	p.mu.Unlock()
	t := time.NewTimer(seekPatience)
	defer t.Stop()
	for {
		p.mu.Lock()
		quiet := p.quiet
		p.mu.Unlock()
		if quiet > asked {
			return true
		}
		select {
		case <-ready:
		case <-ctx.Done():
			return false
		case <-t.C:
			return false
		}
	}
}

// watch has ready signalled when something happens; unwatch ends that.
func (p *part) watch(ready chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.readers[ready] = struct{}{}
}

func (p *part) unwatch(ready chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.readers, ready)
}

// secondsOf is when the document of a record was changed, in Unix seconds.
func secondsOf(r *intake.Record) int64 {
	if len(r.Key) != 8 {
		return 0
	}
	return int64(binary.LittleEndian.Uint64(r.Key))
}

func arrivalOf(r *intake.Record) vec.Time { return toTime(secondsOf(r)) }

// unixSeconds is 1970-01-01 as a vec.Time, in seconds.
const unixSeconds = 62_135_596_800

func toTime(seconds int64) vec.Time { return vec.Time(seconds+unixSeconds) * vec.Second }

func unix(t vec.Time) int64 {
	if t <= 0 {
		return 0
	}
	return int64(t/vec.Second) - unixSeconds
}
