package redis

import (
	"context"
	"strconv"

	goredis "github.com/redis/go-redis/v9"

	"weir/internal/connect"
	"weir/internal/connect/message"
)

// addScript adds messages to a stream, those that are not in it. KEYS: the stream, its mark
// ("EPOCH INDEX", of the last message that was added). ARGV: epoch; index of the message of the
// stream before, -1 if it is the first one of the epoch; max length or ""; life of the mark in
// seconds; then per message its index, how many texts follow, and these: names and values.
//
// A script is not taken back if a command in it fails, so the mark then has what was added.
var addScript = goredis.NewScript(`
local epoch, before = tonumber(ARGV[1]), tonumber(ARGV[2])
local e, last = -1, -1
local mark = redis.call('GET', KEYS[2])
if mark then
  local a, b = string.match(mark, '^(%d+) (%d+)$')
  if not a then return redis.error_reply('ERR the mark of the stream is not one of Weir') end
  e, last = tonumber(a), tonumber(b)
end
if e > epoch then return 0 end
if e < epoch then last = -1 end
if before > last then return redis.error_reply('GAP what comes before is not there') end
local added, failed = 0, nil
local i = 5
while i <= #ARGV do
  local index, n = tonumber(ARGV[i]), tonumber(ARGV[i + 1])
  if index > last then
    local r
    if ARGV[3] == '' then
      r = redis.pcall('XADD', KEYS[1], '*', unpack(ARGV, i + 2, i + 1 + n))
    else
      r = redis.pcall('XADD', KEYS[1], 'MAXLEN', '~', ARGV[3], '*', unpack(ARGV, i + 2, i + 1 + n))
    end
    if type(r) == 'table' and r.err then failed = r break end
    last, added = index, added + 1
  end
  i = i + 2 + n
end
if added > 0 then redis.call('SET', KEYS[2], string.format('%d %d', epoch, last), 'EX', ARGV[4]) end
return failed or added
`)

// The size of a step: messages and bytes of one stream that are added at once, and the bytes of
// all streams that wait.
const (
	stepRows    = 200
	stepBytes   = 64 << 10
	maxCollects = 2 << 20
)

// step is what is added to a stream at once.
type step struct {
	key    string
	before int // index of the message of the stream before; -1 if there is none
	last   int
	rows   int
	bytes  int
	args   []any
}

// adding is an epoch on its way into streams.
type adding struct {
	p       *publisher
	pipe    goredis.Pipeliner
	sent    []*goredis.Cmd
	size    int // bytes in the pipe
	open    map[string]*step
	order   []*step // those of open, in the order in which they began
	waiting int     // bytes of all that are open
	done    map[string]int
}

// maxStreams is how many streams of an epoch it is remembered of how far they are; more are
// asked about again.
const maxStreams = 100_000

// add adds the messages of an epoch to their streams.
func (p *publisher) add(ctx context.Context, messages *message.Spool) error {
	err := p.addAll(ctx, messages)
	if goredis.HasErrorPrefix(err, "NOSCRIPT") {
		if err = p.load(ctx); err == nil {
			err = p.addAll(ctx, messages)
		}
	}
	if err != nil && !connect.IsPermanent(err) {
		return p.fail(ctx, "add to streams", err)
	}
	return err
}

// load makes the script known, to every node.
func (p *publisher) load(ctx context.Context) error {
	if c, ok := p.client.(*goredis.ClusterClient); ok {
		return c.ForEachMaster(ctx, func(ctx context.Context, node *goredis.Client) error { return addScript.Load(ctx, node).Err() })
	}
	return addScript.Load(ctx, p.client).Err()
}

func (p *publisher) addAll(ctx context.Context, messages *message.Spool) error {
	a := &adding{p: p, pipe: p.client.Pipeline(), open: map[string]*step{}, done: map[string]int{}}
	err := messages.Each(0, func(i int, m *message.Message) error { return a.take(ctx, i, m) })
	if err != nil {
		return err
	}
	a.close(ctx)
	return a.flush(ctx)
}

// take puts a message with those of its stream.
func (a *adding) take(ctx context.Context, index int, m *message.Message) error {
	s := a.open[string(m.To)]
	if s == nil {
		s = &step{key: string(m.To), before: -1}
		if last, ok := a.done[s.key]; ok {
			s.before = last
		}
		a.open[s.key] = s
		a.order = append(a.order, s)
	}
	if err := a.layOut(s, index, m.Body); err != nil {
		return err
	}
	s.last, s.rows, s.bytes = index, s.rows+1, s.bytes+len(m.Body)
	a.waiting += len(m.Body)
	if s.rows < stepRows && s.bytes < stepBytes && a.waiting < maxCollects {
		return nil
	}
	a.close(ctx)
	if a.size > pipeBytes {
		return a.flush(ctx)
	}
	return nil
}

// layOut adds the arguments of a message to a step.
func (a *adding) layOut(s *step, index int, row []byte) error {
	at := len(s.args)
	s.args = append(s.args, index, 0)
	a.p.fields = a.p.fields[:0]
	if !a.p.json {
		var err error
		if a.p.fields, err = fieldsOf(a.p.fields, row); err != nil {
			return connect.Permanent(err)
		}
	}
	if len(a.p.fields) <= MaxFields {
		for _, f := range a.p.fields {
			if !f.null {
				s.args = append(s.args, f.name, f.value)
			}
		}
	}
	if len(s.args) == at+2 { // a message has at least one field
		s.args = append(s.args, jsonField, string(row))
	}
	s.args[at+1] = len(s.args) - at - 2
	return nil
}

// close puts all steps that are open into the pipe.
func (a *adding) close(ctx context.Context) {
	for _, s := range a.order {
		args := append([]any{a.p.epoch, s.before, a.p.maxLen, strconv.Itoa(int(MarkLife.Seconds()))}, s.args...)
		a.sent = append(a.sent, addScript.EvalSha(ctx, a.pipe, []string{s.key, tagged(s.key, a.p.sender)}, args...))
		a.size += s.bytes
		if len(a.done) < maxStreams {
			a.done[s.key] = s.last
		} else if _, ok := a.done[s.key]; ok {
			a.done[s.key] = s.last
		}
	}
	clear(a.open)
	a.order, a.waiting = a.order[:0], 0
}

// flush sends the pipe and waits for the answers.
func (a *adding) flush(ctx context.Context) error {
	if len(a.sent) == 0 {
		return nil
	}
	_, err := a.pipe.Exec(ctx)
	a.pipe, a.sent, a.size = a.p.client.Pipeline(), a.sent[:0], 0
	return err
}
