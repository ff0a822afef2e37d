package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/Azure/go-amqp"
)

// Each partition has five readers of a group at most.
const (
	idlePartitions = 100
	readersPerPart = 5
)

// idle opens connections that do nothing: with a link that sends, and with one that waits for
// events. What they take is the growth of the program's memory by the number of them.
func (b *bench) idle(ctx context.Context) error {
	b.row("connections", "with", "before, MB", "after, MB", "KiB each", "opened a second")
	for _, receive := range []bool{false, true} {
		if err := b.idleOf(ctx, receive); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) idleOf(ctx context.Context, receive bool) (err error) {
	p, err := b.start(ctx, "", "always")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	var groups []string
	for i := range (b.conns + idlePartitions*readersPerPart - 1) / (idlePartitions * readersPerPart) {
		groups = append(groups, fmt.Sprintf("g%d", i))
	}
	if err := p.makeHub(ctx, "idle", idlePartitions, groups...); err != nil {
		return err
	}
	time.Sleep(time.Second) // what the start has left is given back
	before, err := p.resident()
	if err != nil {
		return err
	}
	conns := make([]*amqp.Conn, b.conns)
	defer func() {
		for _, c := range conns {
			if c != nil {
				_ = c.Close()
			}
		}
	}()
	began := time.Now()
	if err := b.openAll(ctx, p, conns, groups, receive); err != nil {
		return err
	}
	took := time.Since(began)
	time.Sleep(5 * time.Second)
	after, err := p.resident()
	if err != nil {
		return err
	}
	link := "a sender"
	if receive {
		link = "a receiver"
	}
	b.row(thousands(float64(b.conns)), link, fmt.Sprint(before>>20), fmt.Sprint(after>>20), fmt.Sprintf("%.1f", float64(after-before)/1024/float64(b.conns)), thousands(float64(b.conns)/took.Seconds()))
	return nil
}

// openAll opens the connections, some at a time.
func (b *bench) openAll(ctx context.Context, p *program, conns []*amqp.Conn, groups []string, receive bool) error {
	errs := make([]error, 16)
	var wg sync.WaitGroup
	for k := range errs {
		wg.Go(func() {
			for i := k; i < len(conns) && errs[k] == nil; i += len(errs) {
				conns[i], errs[k] = open(ctx, p, groups, i, receive)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func open(ctx context.Context, p *program, groups []string, i int, receive bool) (*amqp.Conn, error) {
	c, err := amqp.Dial(ctx, "amqp://"+p.amqp, &amqp.ConnOptions{SASLType: amqp.SASLTypePlain(p.keyName, p.key), IdleTimeout: -1})
	if err != nil {
		return nil, err
	}
	s, err := c.NewSession(ctx, nil)
	if err != nil {
		return c, err
	}
	part := i % idlePartitions
	if receive {
		group := groups[i/(idlePartitions*readersPerPart)]
		_, err = s.NewReceiver(ctx, fmt.Sprintf("idle/ConsumerGroups/%s/Partitions/%d", group, part), &amqp.ReceiverOptions{Credit: 300})
	} else {
		_, err = s.NewSender(ctx, fmt.Sprintf("idle/Partitions/%d", part), nil)
	}
	return c, err
}
