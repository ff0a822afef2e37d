package kafka

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"weir/internal/connect"
)

const (
	// endLimit is how long the end of a transaction may take, and abortLimit that of one that
	// is given up: the next session ends it otherwise.
	endLimit   = 20 * time.Second
	abortLimit = 2 * time.Second
	// againAfter is the pause before a request that another one is in the way of.
	againAfter = 20 * time.Millisecond
	// ownerSuffix makes the name of the group that says which process has the id.
	ownerSuffix = "/owner"
)

// errTwice: another process writes in the name of the job.
var errTwice = errors.New("another process has begun to write in the name of this job: the job is running twice; stop the one or the other, and do not copy its state")

// session is a client that writes, from one failure to the next.
//
// With transactions, a session begins by asking for the id (InitProducerID). The brokers then end
// what the one before has left: they abort it, or complete its commit if that was decided. Only
// behind that the number of the last epoch is read, from the group, so it is what the topic
// has.
//
// A client whose id somebody else has asked for is refused; and so is one whose transaction took
// too long. To tell them apart, a process claims the id when it opens the output: it writes a
// token of its own into a second group, before it asks for the id. A session that finds
// another token, before or after it has asked, belongs to a process that was replaced. After, since
// whoever claims the id later also asks for it later, and reads the number of the epoch after that.
type session struct {
	cl     *kgo.Client
	id     int64 // of the producer, and the number of this session's
	number int16
	epoch  int64 // that the brokers have
	open   bool  // a transaction is
}

// open makes the session, if there is none.
func (p *publisher) open(ctx context.Context) error {
	if p.session != nil {
		return nil
	}
	opts := []kgo.Opt{
		kgo.RequiredAcks(kgo.AllISRAcks()), kgo.ProducerBatchMaxBytes(int32(p.limit)), kgo.MaxBufferedBytes(maxBuffered),
		kgo.MaxBufferedRecords(maxRecords), kgo.ProducerBatchCompression(codecOf(p.compression)), kgo.DefaultProduceTopic(p.topic),
	}
	if p.transactional {
		// Offsets are committed by requests of our own, as clients did before KIP-890.
		v := kversion.Stable()
		v.SetMaxKeyVersion(int16(kmsg.TxnOffsetCommit), 4)
		opts = append(opts, kgo.TransactionalID(p.id), kgo.TransactionTimeout(p.timeout), kgo.MaxVersions(v))
	}
	cl, err := p.link.client(p.health, opts...)
	if err != nil {
		return err
	}
	s := &session{cl: cl}
	if p.transactional {
		ctx, cancel := limited(ctx)
		defer cancel()
		if err := s.begin(ctx, p); err != nil {
			cl.Close()
			return err
		}
	}
	p.session = s
	return nil
}

func codecOf(name string) kgo.CompressionCodec {
	switch name {
	case "gzip":
		return kgo.GzipCompression()
	case "snappy":
		return kgo.SnappyCompression()
	case "lz4":
		return kgo.Lz4Compression()
	case "zstd":
		return kgo.ZstdCompression()
	}
	return kgo.NoCompression()
}

// begin gets the id, and what the brokers have.
func (s *session) begin(ctx context.Context, p *publisher) error {
	if p.token == "" {
		token := rand.Text()
		if err := s.claim(ctx, p, token); err != nil {
			return err
		}
		p.token = token
	} else if err := s.owns(ctx, p); err != nil {
		return err
	}
	if err := s.identify(ctx); err != nil {
		return err
	}
	if err := s.owns(ctx, p); err != nil {
		return err
	}
	var err error
	s.epoch, _, err = s.offset(ctx, p, p.id)
	return err
}

// claim writes the token.
func (s *session) claim(ctx context.Context, p *publisher, token string) error {
	var list kadm.Offsets
	list.Add(kadm.Offset{Topic: p.topic, At: 0, LeaderEpoch: -1, Metadata: token})
	answers, err := kadm.NewClient(s.cl).CommitOffsets(ctx, p.id+ownerSuffix, list)
	if err == nil {
		err = answers.Error()
	}
	if err != nil {
		return fmt.Errorf("claim the transactional id %s: %w", p.id, err)
	}
	return nil
}

// owns says whether the id is this process's. A token that brokers have forgotten (they do,
// after a week) is written again.
func (s *session) owns(ctx context.Context, p *publisher) error {
	_, token, err := s.offset(ctx, p, p.id+ownerSuffix)
	switch {
	case err != nil:
		return err
	case token == "":
		return s.claim(ctx, p, p.token)
	case token != p.token:
		return connect.Permanent(fmt.Errorf("%s: transactional id %s: %w", p.link.at("topic "+p.topic), p.id, errTwice))
	}
	return nil
}

// identify asks for the producer's number. While the brokers end what was left open they say
// so.
func (s *session) identify(ctx context.Context) (err error) {
	for {
		s.id, s.number, err = s.cl.ProducerID(ctx)
		if err == nil || !errors.Is(err, kerr.ConcurrentTransactions) {
			return err
		}
		if err := pause(ctx, err); err != nil {
			return err
		}
	}
}

// pause waits before a request is made again, because of an error.
func pause(ctx context.Context, because error) error {
	select {
	case <-time.After(againAfter):
		return nil
	case <-ctx.Done():
		return because
	}
}

// offset is what a group has: 0 if nothing. It waits for transactions that are being ended.
func (s *session) offset(ctx context.Context, p *publisher, group string) (at int64, metadata string, err error) {
	q := kmsg.NewPtrOffsetFetchRequest()
	q.Group, q.RequireStable = group, true
	t := kmsg.NewOffsetFetchRequestTopic()
	t.Topic, t.Partitions = p.topic, []int32{0}
	q.Topics = []kmsg.OffsetFetchRequestTopic{t}
	for {
		r, err := q.RequestWith(ctx, s.cl)
		if err == nil {
			err = kerr.ErrorForCode(r.ErrorCode)
		}
		if err == nil {
			at, metadata, err = offsetOf(r)
		}
		switch {
		case errors.Is(err, kerr.GroupIDNotFound): // nobody has committed yet
			return 0, "", nil
		case err == nil || !errors.Is(err, kerr.UnstableOffsetCommit):
			return at, metadata, err
		}
		if err := pause(ctx, err); err != nil {
			return 0, "", err
		}
	}
}

// offsetOf is what an answer about one partition says.
func offsetOf(r *kmsg.OffsetFetchResponse) (at int64, metadata string, err error) {
	if len(r.Topics) == 0 || len(r.Topics[0].Partitions) == 0 {
		return 0, "", nil
	}
	x := &r.Topics[0].Partitions[0]
	if err := kerr.ErrorForCode(x.ErrorCode); err != nil {
		return 0, "", err
	}
	if x.Metadata != nil {
		metadata = *x.Metadata
	}
	return max(x.Offset, 0), metadata, nil
}

// commit puts the number of the epoch into the transaction and commits it. That it does so is
// not cut short: an answer that nobody waits for leaves open what was done.
func (s *session) commit(ctx context.Context, p *publisher, epoch int64) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endLimit)
	defer cancel()
	err := s.addOffsets(ctx, p)
	if err == nil {
		err = s.commitOffset(ctx, p, epoch)
	}
	if err != nil {
		return fmt.Errorf("add the number of the epoch to the transaction: %w", err)
	}
	if err := s.same(ctx); err != nil {
		return err
	}
	if err := s.cl.EndTransaction(ctx, kgo.TryCommit); err != nil {
		return fmt.Errorf("commit the transaction: %w", err)
	}
	s.open, s.epoch = false, epoch
	return nil
}

// same sees to it that the client is who it was when the session began. After some errors a client
// asks for its number anew, and sends what is left under that one: the brokers have then thrown
// away what came before.
func (s *session) same(ctx context.Context) error {
	id, number, err := s.cl.ProducerID(ctx)
	if err == nil && (id != s.id || number != s.number) {
		err = kerr.ProducerFenced
	}
	return err
}

func (s *session) addOffsets(ctx context.Context, p *publisher) error {
	q := kmsg.NewPtrAddOffsetsToTxnRequest()
	q.TransactionalID, q.ProducerID, q.ProducerEpoch, q.Group = p.id, s.id, s.number, p.id
	for {
		r, err := q.RequestWith(ctx, s.cl)
		if err == nil {
			err = kerr.ErrorForCode(r.ErrorCode)
		}
		if err == nil || !errors.Is(err, kerr.ConcurrentTransactions) {
			return err
		}
		if err := pause(ctx, err); err != nil {
			return err
		}
	}
}

func (s *session) commitOffset(ctx context.Context, p *publisher, epoch int64) error {
	q := kmsg.NewPtrTxnOffsetCommitRequest()
	q.TransactionalID, q.ProducerID, q.ProducerEpoch, q.Group, q.Generation = p.id, s.id, s.number, p.id, -1
	x := kmsg.NewTxnOffsetCommitRequestTopicPartition()
	x.Offset = epoch
	t := kmsg.NewTxnOffsetCommitRequestTopic()
	t.Topic = p.topic
	t.Partitions = append(t.Partitions, x)
	q.Topics = append(q.Topics, t)
	r, err := q.RequestWith(ctx, s.cl)
	if err != nil {
		return err
	}
	for _, t := range r.Topics {
		for _, x := range t.Partitions {
			if err := kerr.ErrorForCode(x.ErrorCode); err != nil {
				return err
			}
		}
	}
	return nil
}

// close ends the client. A transaction that is open is aborted, so that readers need not wait
// for it; if brokers do not answer, they do that by themselves.
func (s *session) close(h *health) {
	if s.open && h.any() == nil {
		ctx, cancel := context.WithTimeout(context.Background(), abortLimit)
		if s.cl.AbortBufferedRecords(ctx) == nil {
			_ = s.cl.EndTransaction(ctx, kgo.TryAbort) // the next session does it otherwise
		}
		cancel()
	}
	s.cl.Close()
}
