package kafka

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"weir/internal/connect/message"
)

// closeLimit is how long the last commit of a group may take when a source is closed.
const closeLimit = 2 * time.Second

// watch asks where the partitions end, so that time goes on in those that have nothing to
// read, and commits for the group what the job is done with.
func (p *pump) watch() {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-p.ctx.Done():
			ctx, cancel := context.WithTimeout(context.Background(), closeLimit)
			p.source.commit(ctx)
			cancel()
			return
		case <-tick.C:
		}
		p.look()
		ctx, cancel := limited(p.ctx)
		p.source.commit(ctx)
		cancel()
	}
}

// look asks for the ends. What arrives while the brokers are asked is behind them: so all that
// had arrived before that is known. Brokers that do not answer are the pump's business.
func (p *pump) look() {
	p.mu.Lock()
	feeds := make([]*feed, 0, len(p.opened))
	places := make([]place, 0, len(p.opened))
	for at, f := range p.opened {
		feeds, places = append(feeds, f), append(places, at)
	}
	p.mu.Unlock()
	if len(feeds) == 0 {
		return
	}
	now := message.ToTime(p.source.now())
	ctx, cancel := limited(p.ctx)
	defer cancel()
	ends, err := listOffsets(ctx, p.source.cl, offsetEnd, p.source.committed, places)
	if err != nil {
		return
	}
	for _, f := range feeds {
		if end, ok := ends[f.place]; ok {
			p.know(f.place, end)
			f.reached(end, now)
		}
	}
}

// commit shows others how far the job is. That it fails is no error of the job: it is logged when
// it begins to, and tried again.
func (s *source) commit(ctx context.Context) {
	s.mu.Lock()
	done := s.done
	s.done = map[place]int64{}
	s.mu.Unlock()
	if len(done) == 0 {
		return
	}
	var list kadm.Offsets
	for p, n := range done {
		list.Add(kadm.Offset{Topic: p.topic, Partition: p.partition, At: n, LeaderEpoch: -1})
	}
	answers, err := kadm.NewClient(s.cl).CommitOffsets(ctx, s.group, list)
	if err == nil {
		err = answers.Error()
	}
	if err == nil {
		s.grumble = ""
		return
	}
	s.mu.Lock()
	for p, n := range done {
		if _, newer := s.done[p]; !newer {
			s.done[p] = n
		}
	}
	s.mu.Unlock()
	err = s.link.while("consumer group "+s.group, s.health, err)
	if text := err.Error(); text != s.grumble && ctx.Err() == nil {
		s.grumble = text
		s.log.Warn("the consumer group does not show how far the job is", "error", err)
	}
}
