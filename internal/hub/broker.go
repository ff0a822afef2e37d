package hub

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"weir/internal/disk"
)

// Broker has the hubs of a namespace. Any number of goroutines may use it.
type Broker struct {
	o    Options
	log  *slog.Logger
	now  func() time.Time
	lock io.Closer

	wake chan *Partition // to be tended before its time
	stop chan struct{}   // closed by Close
	done chan struct{}   // closed by tend

	denied   atomic.Int64  // tokens and keys that were refused
	revision atomic.Uint64 // how often rules were replaced

	// admin is held by who changes what hubs and keys there are. It is taken before mu, which
	// is held for moments only.
	admin sync.Mutex
	stale bool // keys.json has keys that are gone; admin is held

	mu     sync.RWMutex // guards what follows
	hubs   map[string]*Hub
	rules  []Rule // never changed, only replaced; then revision counts
	closed bool
}

// Open takes the directory of a broker and opens its hubs. disk.ErrLocked says that another
// process has it.
func Open(o Options) (*Broker, error) {
	o = o.withDefaults()
	lock, err := o.FS.Lock("lock")
	if err != nil {
		return nil, fmt.Errorf("lock the hub's directory %s: %w", o.FS.Path("."), err)
	}
	b := &Broker{o: o, log: o.Log, now: o.Now, lock: lock, hubs: map[string]*Hub{},
		wake: make(chan *Partition, 64), stop: make(chan struct{}), done: make(chan struct{})}
	err = b.open()
	go b.tend()
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

func (o Options) withDefaults() Options {
	if o.Namespace == "" {
		o.Namespace = DefaultNamespace
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	for _, d := range []struct {
		v   *int
		def int
	}{{&o.MaxHubs, DefaultMaxHubs}, {&o.MaxGroups, DefaultMaxGroups}, {&o.MaxMessage, DefaultMaxMessage}, {&o.MaxBatch, DefaultMaxBatch},
		{&o.MaxProducers, DefaultMaxProducers}, {&o.MaxRules, DefaultMaxRules}} {
		if *d.v <= 0 {
			*d.v = d.def
		}
	}
	return o
}

// hubsDir has a directory for each hub, named as it in lower case.
const hubsDir = "hubs"

func (b *Broker) open() error {
	if err := b.o.FS.MkdirAll(hubsDir); err != nil {
		return err
	}
	names, err := b.o.FS.ReadDir(hubsDir)
	if err != nil {
		return err
	}
	if err := b.reopenAll(names); err != nil {
		return err
	}
	return b.openKeys()
}

// openAtOnce is how many hubs are opened at a time: what takes time is the disk's answer.
const openAtOnce = 8

func (b *Broker) reopenAll(names []disk.Info) error {
	errs := make([]error, len(names))
	turn := make(chan struct{}, openAtOnce)
	var all sync.WaitGroup
	for i, n := range names {
		if !n.Dir {
			continue
		}
		turn <- struct{}{}
		all.Go(func() {
			defer func() { <-turn }()
			h, err := b.reopen(n.Name)
			if err != nil {
				errs[i] = fmt.Errorf("open the event hub %s: %w", n.Name, err)
			}
			if h != nil {
				b.mu.Lock()
				defer b.mu.Unlock()
				b.hubs[n.Name] = h
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// reopen opens the hub of a directory. It is nil if a crash has cut its making or its
// removal off; then the directory is removed.
func (b *Broker) reopen(dir string) (*Hub, error) {
	_, err := b.o.FS.Stat(path.Join(hubsDir, dir, hubFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, b.clear(dir)
	}
	if err != nil {
		return nil, err
	}
	return b.openHub(dir)
}

// Namespace is the name that clients see.
func (b *Broker) Namespace() string { return b.o.Namespace }

// Limits are the options that clients are told: the most bytes of an event and of a batch.
func (b *Broker) Limits() (message, batch int) { return b.o.MaxMessage, b.o.MaxBatch }

// Hub finds a hub by its name, without case.
func (b *Broker) Hub(name string) (*Hub, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.closed {
		return nil, ErrClosed
	}
	h, ok := b.hubs[strings.ToLower(name)]
	if !ok {
		return nil, fmt.Errorf("%w: %.80q", ErrNoHub, name)
	}
	return h, nil
}

// Hubs are all hubs in the order of their names.
func (b *Broker) Hubs() []*Hub {
	b.mu.RLock()
	defer b.mu.RUnlock()
	list := make([]*Hub, 0, len(b.hubs))
	for _, h := range b.hubs {
		list = append(list, h)
	}
	slices.SortFunc(list, func(x, y *Hub) int { return strings.Compare(x.dir, y.dir) })
	return list
}

// Close closes the hubs, after what is being appended, and frees the directory.
func (b *Broker) Close() error {
	b.admin.Lock()
	defer b.admin.Unlock()
	b.mu.Lock()
	was := b.closed
	b.closed = true
	b.mu.Unlock()
	if was {
		return nil
	}
	close(b.stop)
	<-b.done
	var err error
	for _, h := range b.Hubs() {
		err = errors.Join(err, h.close())
	}
	return errors.Join(err, b.lock.Close())
}

// TendInterval is how often a broker looks after what has expired and writes down the state
// of producers.
const TendInterval = time.Minute

// tend looks after the hubs until Close.
func (b *Broker) tend() {
	defer close(b.done)
	tick := time.NewTicker(TendInterval)
	defer tick.Stop()
	for {
		select {
		case <-b.stop:
			return
		case p := <-b.wake:
			p.tend()
		case <-tick.C:
			b.tendAll()
		}
	}
}

func (b *Broker) tendAll() {
	for _, h := range b.Hubs() {
		for _, p := range h.Partitions() {
			select {
			case <-b.stop:
				return
			default:
				p.tend()
			}
		}
	}
}
