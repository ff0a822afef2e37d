package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"weir/internal/connect"
	"weir/internal/connect/message"
)

// quiet is a logger of the client that says nothing: what matters is in the errors.
type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}

// publisher writes the messages of epochs.
type publisher struct {
	client  goredis.UniversalClient
	where   string
	mode    string
	json    bool // the row is one field of JSON
	maxLen  string
	ttl     time.Duration
	timeout time.Duration
	sender  string
	log     *slog.Logger

	written  bool // since the last Sync
	forgets  bool // Redis was asked to sync and cannot: it was told
	fields   []field
	lastSent int // index of the first message that the epoch under way has not sent (hash, publish)
	epoch    int64
}

func openSink(ctx context.Context, c connect.Config, env connect.SinkEnv) (connect.Sink, error) {
	fail := func(err error) (connect.Sink, error) { return nil, fmt.Errorf("output %s: %w", env.Output, err) }
	if problems := check(c, false); len(problems) > 0 {
		return fail(connect.Permanent(fmt.Errorf("%s; %s", problems[0].Text, problems[0].Hint)))
	}
	if t := env.Format.Type; t != "" && t != "json" || env.Format.Array {
		return fail(connect.Permanent(errors.New("rows of Redis are fields or JSON; remove the format")))
	}
	rows, err := message.NewRows(message.Options{Columns: env.Columns, To: c.Text("key"), Limit: MaxRow, CheckTo: badKey})
	if err != nil {
		return fail(connect.Permanent(err))
	}
	client, err := open(c)
	if err != nil {
		return fail(err)
	}
	if env.Log == nil {
		env.Log = slog.New(slog.DiscardHandler)
	}
	p := &publisher{client: client, where: where(c), mode: c.Text("mode"), json: c.Text("body") == bodyJSON, ttl: c.Duration("ttl"),
		timeout: c.Duration("timeout"), sender: message.Sender(env), log: env.Log}
	if n := c.Int("max_len"); n > 0 {
		p.maxLen = strconv.FormatInt(n, 10)
	}
	s, err := message.NewSink(ctx, env, p.sender, rows, p)
	if err != nil {
		return fail(err)
	}
	return s, nil
}

// badKey says why a row cannot have a key.
func badKey(key []byte) string {
	if len(key) == 0 {
		return "the key is empty"
	}
	return ""
}

// doneKey has the last epoch that is whole.
func (p *publisher) doneKey() string { return "weir:epoch:" + p.sender }

// Committed implements message.Publisher.
func (p *publisher) Committed(ctx context.Context, noted int64) (int64, error) {
	if p.mode == modePublish {
		// What nobody heard cannot be known; what was answered is not published again.
		if err := p.client.Ping(ctx).Err(); err != nil {
			return 0, p.fail(ctx, "ping", atStart(err))
		}
		return -1, nil
	}
	text, err := p.client.Get(ctx, p.doneKey()).Result()
	if errors.Is(err, goredis.Nil) {
		return noted, nil
	}
	if err != nil {
		return 0, p.fail(ctx, "read what was committed", atStart(err))
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, connect.Permanent(fmt.Errorf("%s: the key %q holds %.40q, and not the number of an epoch: somebody else has written it", p.where, p.doneKey(), text))
	}
	return max(n, noted), nil
}

// fail says what was being done.
func (p *publisher) fail(ctx context.Context, what string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if d, ok := ctx.Deadline(); ok && !time.Now().Before(d) { // the connection heard of it first
		return context.DeadlineExceeded
	}
	wrapped := fmt.Errorf("%s: %s: %w", p.where, what, hinted(err))
	if connect.IsPermanent(err) {
		return connect.Permanent(wrapped)
	}
	return wrapped
}

// Publish implements message.Publisher.
func (p *publisher) Publish(ctx context.Context, epoch int64, messages *message.Spool) error {
	p.written = true
	if epoch != p.epoch {
		p.epoch, p.lastSent = epoch, 0
	}
	var err error
	if p.mode == modeStream {
		err = p.add(ctx, messages)
	} else {
		err = p.send(ctx, messages)
	}
	if err != nil || p.mode == modePublish {
		return err
	}
	if err := p.client.Set(ctx, p.doneKey(), epoch, MarkLife).Err(); err != nil {
		return p.fail(ctx, "write down what is committed", err)
	}
	return nil
}

// Sync implements message.Publisher: Redis of 7.2 and later can be waited for until its file has
// what was written.
func (p *publisher) Sync(ctx context.Context) error {
	if !p.written || p.mode == modePublish {
		p.written = false
		return nil
	}
	if single, ok := p.client.(*goredis.Client); ok && !p.forgets {
		// The wait is for what its own connection has written: that is behind all else.
		pipe := single.Pipeline()
		pipe.Expire(ctx, p.doneKey(), MarkLife)
		wait := pipe.Do(ctx, "WAITAOF", 1, 0, int64(max(p.timeout/2, time.Millisecond)/time.Millisecond))
		_, err := pipe.Exec(ctx)
		switch {
		case err == nil:
			if got, _ := wait.Slice(); len(got) > 0 && got[0] != int64(1) {
				return p.fail(ctx, "wait for its append-only file", errors.New("it has not been synced in time"))
			}
		case goredis.HasErrorPrefix(err, "unknown command"), goredis.HasErrorPrefix(err, "WAITAOF cannot"), goredis.HasErrorPrefix(err, "NOPERM"):
			p.forgets = true
			p.log.Info("Redis cannot say when its file has what was written; what it loses when it crashes is not written again after a checkpoint", "error", err)
		default:
			return p.fail(ctx, "wait for its append-only file", err)
		}
	}
	p.written = false
	return nil
}

// Close implements message.Publisher.
func (p *publisher) Close() error { return p.client.Close() }

// pipeBytes is about how much is sent before answers are waited for, pipeRows how many rows.
const (
	pipeBytes = 1 << 20
	pipeRows  = 10_000
)

// send sets hashes or publishes, in order.
func (p *publisher) send(ctx context.Context, messages *message.Spool) error {
	pipe := p.client.Pipeline()
	size, from := 0, p.lastSent
	flush := func(next int) error {
		if pipe.Len() == 0 {
			return nil
		}
		_, err := pipe.Exec(ctx)
		if err != nil {
			return p.fail(ctx, "write rows", err)
		}
		pipe, size, p.lastSent = p.client.Pipeline(), 0, next
		return nil
	}
	err := messages.Each(from, func(i int, m *message.Message) error {
		if size > pipeBytes || pipe.Len() > pipeRows {
			if err := flush(i); err != nil {
				return err
			}
		}
		size += len(m.Body)
		if p.mode == modePublish {
			pipe.Publish(ctx, string(m.To), string(m.Body))
			return nil
		}
		return p.set(ctx, pipe, m)
	})
	if err != nil {
		return err
	}
	return flush(messages.Len())
}

// set sets the fields of a hash. A NULL removes its field.
func (p *publisher) set(ctx context.Context, pipe goredis.Pipeliner, m *message.Message) error {
	var err error
	if p.fields, err = fieldsOf(p.fields[:0], m.Body); err != nil {
		return connect.Permanent(err)
	}
	key := string(m.To)
	set := make([]any, 0, 2*len(p.fields))
	var gone []string
	for _, f := range p.fields {
		if f.null {
			gone = append(gone, f.name)
		} else {
			set = append(set, f.name, f.value)
		}
	}
	if len(set) > 0 {
		pipe.HSet(ctx, key, set...)
	}
	if len(gone) > 0 {
		pipe.HDel(ctx, key, gone...)
	}
	if p.ttl > 0 {
		pipe.PExpire(ctx, key, p.ttl)
	}
	return nil
}

// tagged is the name of a key that lies beside another one in a cluster: what decides where a
// key lies is what stands in its first braces, or else all of it.
func tagged(key, name string) string {
	if i := strings.IndexByte(key, '{'); i >= 0 {
		if j := strings.IndexByte(key[i:], '}'); j > 1 {
			return "weir:" + key[i:i+j+1] + ":" + name
		}
	}
	return "weir:{" + key + "}:" + name
}
