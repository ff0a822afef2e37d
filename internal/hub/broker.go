package hub

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"weir/internal/disk"
	"weir/internal/hub/log"
)

// Broker has the hubs of a namespace. Any number of goroutines may use it.
type Broker struct {
	o    Options
	log  *slog.Logger
	now  func() time.Time
	lock io.Closer

	mu     sync.RWMutex // guards what follows
	hubs   map[string]*Hub
	keys   keyring
	closed bool
}

// Open takes the directory of a broker and opens its hubs. disk.ErrLocked says that another
// process has it.
func Open(o Options) (*Broker, error) {
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
	}{{&o.MaxHubs, DefaultMaxHubs}, {&o.MaxGroups, DefaultMaxGroups}, {&o.MaxMessage, DefaultMaxMessage}, {&o.MaxBatch, DefaultMaxBatch}} {
		if *d.v <= 0 {
			*d.v = d.def
		}
	}
	lock, err := o.FS.Lock("lock")
	if err != nil {
		return nil, fmt.Errorf("lock the hub's directory %s: %w", o.FS.Path("."), err)
	}
	b := &Broker{o: o, log: o.Log, now: o.Now, lock: lock, hubs: map[string]*Hub{}}
	if err := b.open(); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

const hubsDir = "hubs"

func (b *Broker) open() error {
	if err := b.openKeys(); err != nil {
		return err
	}
	if err := b.o.FS.MkdirAll(hubsDir); err != nil {
		return err
	}
	names, err := b.o.FS.ReadDir(hubsDir)
	if err != nil {
		return err
	}
	for _, n := range names {
		if !n.Dir {
			continue
		}
		h, err := b.openHub(n.Name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // a crash has cut its making or its removal off
		}
		if err != nil {
			return fmt.Errorf("open the event hub %s: %w", n.Name, err)
		}
		b.hubs[n.Name] = h
	}
	return nil
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

// Create makes a hub; it is durable when Create returns.
func (b *Broker) Create(c Config) (*Hub, error) {
	if err := c.complete(); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	dir := strings.ToLower(c.Name)
	switch {
	case b.closed:
		return nil, ErrClosed
	case b.hubs[dir] != nil:
		return nil, fmt.Errorf("%w: %q", ErrExists, c.Name)
	case len(b.hubs) >= b.o.MaxHubs:
		return nil, fmt.Errorf("%w event hubs: %d is the most", ErrTooMany, b.o.MaxHubs)
	}
	if err := b.o.FS.MkdirAll(path.Join(hubsDir, dir)); err != nil {
		return nil, err
	}
	r := hubRecord{Name: c.Name, Partitions: c.Partitions, Retention: c.Retention, RetentionBytes: c.RetentionBytes, Groups: c.Groups, Created: b.now().UTC()}
	if err := writeJSON(b.o.FS, path.Join(hubsDir, dir), hubFile, r); err != nil {
		return nil, err
	}
	h, err := b.openHub(dir)
	if err != nil {
		return nil, err
	}
	b.hubs[dir] = h
	return h, nil
}

// Close closes the hubs, after what is being appended, and frees the directory.
func (b *Broker) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil
	}
	b.closed = true
	var err error
	for _, h := range b.hubs {
		err = errors.Join(err, h.close())
	}
	return errors.Join(err, b.lock.Close())
}

// complete fills in the defaults and says what is wrong.
func (c *Config) complete() error {
	if err := checkName(c.Name); err != nil {
		return err
	}
	if c.Partitions == 0 {
		c.Partitions = DefaultPartitions
	}
	if c.Partitions < 1 || c.Partitions > MaxPartitions {
		return fmt.Errorf("%d partitions are asked for; it is 1 to %d", c.Partitions, MaxPartitions)
	}
	if c.Retention <= 0 {
		c.Retention = DefaultRetention
	}
	return nil
}

// checkName says what is wrong with the name of a hub or group: Event Hubs' rule is letters,
// digits, periods, hyphens and underscores, a letter or digit first and last.
func checkName(name string) error {
	ok := len(name) > 0 && len(name) <= 256
	for i, c := range []byte(name) {
		alnum := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		inner := i > 0 && i < len(name)-1 && (c == '.' || c == '-' || c == '_')
		ok = ok && (alnum || inner)
	}
	if !ok {
		return fmt.Errorf("%w: %.80q; letters, digits, and within it periods, hyphens and underscores; 256 at most", ErrBadName, name)
	}
	return nil
}

// hubFile describes a hub in its directory.
const hubFile = "hub.json"

type hubRecord struct {
	Name           string        `json:"name"`
	Partitions     int           `json:"partitions"`
	Retention      time.Duration `json:"retention_ns"`
	RetentionBytes int64         `json:"retention_bytes,omitempty"`
	Groups         []string      `json:"groups,omitempty"`
	Created        time.Time     `json:"created"`
}

func (b *Broker) openHub(dir string) (*Hub, error) {
	var r hubRecord
	if err := readJSON(b.o.FS, path.Join(hubsDir, dir, hubFile), &r); err != nil {
		return nil, err
	}
	sub, err := b.o.FS.Sub(path.Join(hubsDir, dir, "log"))
	if err != nil {
		return nil, err
	}
	l, err := log.Open(sub, log.Options{Partitions: r.Partitions, Fsync: b.o.Fsync, MaxAppend: 2*b.o.MaxBatch + 1<<20, // a batch, and what its records are wrapped in
		Expire: r.Retention, ExpireBytes: r.RetentionBytes, Log: b.log, Now: b.now})
	if err != nil {
		return nil, err
	}
	h := &Hub{b: b, dir: dir, record: r, log: l, offsets: map[groupPartition]Commit{}}
	for i := range l.Partitions() {
		h.parts = append(h.parts, &Partition{Partition: l.Partition(i), hub: h, id: i, producers: map[string]*producerState{}})
	}
	return h, nil
}

// writeJSON writes a file that is whole or as it was.
func writeJSON(f disk.FS, dir, name string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	temp := path.Join(dir, name+".new")
	w, err := f.Create(temp)
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	if err == nil {
		err = w.Sync()
	}
	if err = errors.Join(err, w.Close()); err != nil {
		return err
	}
	if err := f.Rename(temp, path.Join(dir, name)); err != nil {
		return err
	}
	return f.SyncDir(dir)
}

func readJSON(f disk.FS, name string, v any) error {
	r, err := f.Open(name)
	if err != nil {
		return err
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, 64<<20))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%s: %w", f.Path(name), err)
	}
	return nil
}
