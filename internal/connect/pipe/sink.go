package pipe

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"weir/internal/connect"
	"weir/internal/connect/message"
)

// maxRow is the longest row that is written, in bytes.
const maxRow = 16 << 20

// maxAhead is how many rows may be written before the first of them is acknowledged.
const maxAhead = 1024

// publisher writes the rows of epochs to a program.
type publisher struct {
	c    connect.Config
	log  *slog.Logger
	acks bool

	p     *process
	out   *bufio.Writer
	taken chan struct{} // a line of the program, which is an acknowledgement
	epoch int64         // that was written last, and how many of its rows are done
	done  int
	begun time.Time // of the program, and how long the next start waits
	pause time.Duration
}

func openSink(ctx context.Context, c connect.Config, env connect.SinkEnv) (connect.Sink, error) {
	fail := func(err error) (connect.Sink, error) { return nil, fmt.Errorf("output %s: %w", env.Output, err) }
	if problems := check(c, false); len(problems) > 0 {
		return fail(connect.Permanent(fmt.Errorf("%s; %s", problems[0].Text, problems[0].Hint)))
	}
	switch {
	case !allowed(ctx):
		return fail(connect.Permanent(errNotAllowed))
	case env.Format.Type != "" && env.Format.Type != "json" || env.Format.Array:
		return fail(connect.Permanent(errors.New("a pipe has lines of JSON; remove the format")))
	}
	if _, err := lookPath(c); err != nil {
		return fail(connect.Permanent(err))
	}
	rows, err := message.NewRows(message.Options{Columns: env.Columns, Format: env.Format, Limit: maxRow})
	if err != nil {
		return fail(connect.Permanent(err))
	}
	if env.Log == nil {
		env.Log = slog.New(slog.DiscardHandler)
	}
	s, err := message.NewSink(ctx, env, message.Sender(env), rows, &publisher{c: c, log: env.Log, acks: c.Text("acknowledge") == acknowledgeLines})
	if err != nil {
		return fail(err)
	}
	return s, nil
}

// Committed implements message.Publisher: a pipe knows nothing.
func (p *publisher) Committed(context.Context, int64) (int64, error) { return -1, nil }

// Publish implements message.Publisher.
func (p *publisher) Publish(ctx context.Context, epoch int64, messages *message.Spool) error {
	if epoch != p.epoch {
		p.epoch, p.done = epoch, 0
	}
	if err := p.run(ctx); err != nil {
		return err
	}
	// A program that takes nothing is ended, which frees who writes to it.
	still := time.AfterFunc(p.c.Duration("timeout"), p.p.abort)
	moved := func() { still.Reset(p.c.Duration("timeout")) }
	stopped := context.AfterFunc(ctx, p.p.abort)
	err := p.write(messages, moved)
	if !stopped() || !still.Stop() || err != nil {
		err = errors.Join(p.lost(err), ctx.Err())
	}
	return err
}

// write writes the rows that are not done, and waits for their acknowledgements.
func (p *publisher) write(messages *message.Spool, moved func()) error {
	written := p.done
	err := messages.Each(p.done, func(_ int, m *message.Message) error {
		if _, err := p.out.Write(m.Body); err != nil {
			return err
		}
		if err := p.out.WriteByte('\n'); err != nil {
			return err
		}
		written++
		moved()
		if p.acks && written-p.done >= maxAhead {
			if err := p.out.Flush(); err != nil {
				return err
			}
			return p.answers(written-maxAhead/2, moved)
		}
		return nil
	})
	if err == nil {
		err = p.out.Flush()
	}
	if err == nil && p.acks {
		err = p.answers(written, moved)
	}
	if err == nil {
		p.done = written
	}
	return err
}

// answers waits until so many rows of the epoch are acknowledged.
func (p *publisher) answers(until int, moved func()) error {
	for p.done < until {
		if _, ok := <-p.taken; !ok {
			return io.ErrUnexpectedEOF
		}
		p.done++
		moved()
	}
	return nil
}

// run starts the program, if it does not run. One that has just been started waits.
func (p *publisher) run(ctx context.Context) error {
	if p.p != nil {
		select {
		case <-p.p.exited:
			p.lost(nil)
		default:
			return nil
		}
	}
	least := p.c.Duration("restart")
	if time.Since(p.begun) > lively {
		p.pause = 0
	}
	if p.pause > 0 {
		t := time.NewTimer(p.pause)
		defer t.Stop()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
	}
	p.pause = min(max(2*p.pause, least), max(longestRestart, least))
	p.begun = time.Now()
	var err error
	if p.p, err = start(p.c, false, p.log); err != nil {
		return err
	}
	p.out = bufio.NewWriterSize(p.p.in, 64<<10)
	p.taken = make(chan struct{}, maxAhead)
	go p.hear(p.p.out, p.taken)
	return nil
}

// hear counts the lines that the program prints; without acknowledgements they are for nobody.
func (p *publisher) hear(from io.Reader, taken chan<- struct{}) {
	defer close(taken)
	r := bufio.NewReaderSize(from, 64<<10)
	for {
		_, err := r.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil {
			return
		}
		if p.acks {
			taken <- struct{}{}
		}
	}
}

// lost forgets the program, and says why it is gone.
func (p *publisher) lost(err error) error {
	// Who acknowledges more than was asked for must not hold the reader. They are not looked up
	// in p later: those of the next program are not for us.
	go func(taken <-chan struct{}, out *os.File) {
		for range taken {
		}
		out.Close()
	}(p.taken, p.p.out)
	p.p.end()
	why := p.p.why()
	p.p = nil
	if err == nil {
		return why
	}
	return fmt.Errorf("%w (%w)", why, err)
}

// Sync implements message.Publisher: what the program has done with its rows is its own.
func (p *publisher) Sync(context.Context) error { return nil }

// Close implements message.Publisher: the program is told by the end of its input.
func (p *publisher) Close() error {
	if p.p != nil {
		p.lost(nil)
	}
	return nil
}
