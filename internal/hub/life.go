package hub

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"weir/internal/disk"
	"weir/internal/hub/log"
)

// A hub is there when its hubFile is. A removal renames that file to removedFile, which goes
// last of all. So a directory is a hub, or one that is being removed, or has nothing yet.
const (
	hubFile     = "hub.json"
	removedFile = "removed.json"
	logDir      = "log"
)

// hubRecord is the content of hubFile.
type hubRecord struct {
	Name           string        `json:"name"`
	Partitions     int           `json:"partitions"`
	Retention      time.Duration `json:"retention_ns"`
	RetentionBytes int64         `json:"retention_bytes,omitempty"`
	Groups         []groupRecord `json:"groups,omitempty"`
	NextGroup      int64         `json:"next_group"` // number for a group to come
	Created        time.Time     `json:"created"`
}

// groupRecord is a consumer group. A group that is made again gets another number, so that
// the offsets of the old one are not its own.
type groupRecord struct {
	Name    string    `json:"name"`
	ID      int64     `json:"id"` // from 1; 0 is DefaultGroup
	Created time.Time `json:"created"`
}

// complete fills in the defaults and says what is wrong.
func (c *Config) complete(maxGroups int) error {
	if err := checkName(c.Name); err != nil {
		return err
	}
	if c.Partitions == 0 {
		c.Partitions = DefaultPartitions
	}
	if c.Partitions < 1 || c.Partitions > MaxPartitions {
		return fmt.Errorf("%w: %d partitions are asked for; it is 1 to %d", ErrBadConfig, c.Partitions, MaxPartitions)
	}
	if c.Retention == 0 {
		c.Retention = DefaultRetention
	}
	if c.Retention < 0 || c.RetentionBytes < 0 {
		return fmt.Errorf("%w: the retention is negative", ErrBadConfig)
	}
	return c.completeGroups(maxGroups)
}

// completeGroups leaves out DefaultGroup and groups that are named twice.
func (c *Config) completeGroups(most int) error {
	seen := map[string]bool{strings.ToLower(DefaultGroup): true}
	var groups []string
	for _, g := range c.Groups {
		if seen[strings.ToLower(g)] {
			continue
		}
		if err := checkGroup(g); err != nil {
			return err
		}
		seen[strings.ToLower(g)] = true
		groups = append(groups, g)
	}
	if len(groups) > most {
		return fmt.Errorf("%w consumer groups: %d are asked for and %d is the most", ErrTooMany, len(groups), most)
	}
	c.Groups = groups
	return nil
}

// checkName says what is wrong with the name of a hub or key: Event Hubs' rule is letters,
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

// Create makes a hub; it is durable when Create returns. ErrExists, ErrBadName, ErrBadConfig
// and ErrTooMany say why not.
func (b *Broker) Create(c Config) (*Hub, error) {
	if err := c.complete(b.o.MaxGroups); err != nil {
		return nil, err
	}
	b.admin.Lock()
	defer b.admin.Unlock()
	dir := strings.ToLower(c.Name)
	if err := b.mayCreate(c.Name, dir); err != nil {
		return nil, err
	}
	// Nothing of a hub that had the name before may come back: neither events nor keys.
	if err := errors.Join(b.erase(dir), b.forgetKeys()); err != nil {
		return nil, fmt.Errorf("clear what an event hub called %q has left: %w", c.Name, err)
	}
	h, err := b.make(c, dir)
	if err != nil {
		// It may be on the disk already.
		return nil, errors.Join(fmt.Errorf("make the event hub %q: %w", c.Name, err), b.erase(dir))
	}
	b.mu.Lock()
	b.hubs[dir] = h
	b.mu.Unlock()
	return h, nil
}

func (b *Broker) mayCreate(name, dir string) error {
	b.mu.RLock()
	defer b.mu.RUnlock()
	switch {
	case b.closed:
		return ErrClosed
	case b.hubs[dir] != nil:
		return fmt.Errorf("%w: %q", ErrExists, name)
	case len(b.hubs) >= b.o.MaxHubs:
		return fmt.Errorf("%w event hubs: %d is the most", ErrTooMany, b.o.MaxHubs)
	}
	return nil
}

func (b *Broker) make(c Config, dir string) (*Hub, error) {
	if err := b.o.FS.MkdirAll(path.Join(hubsDir, dir)); err != nil {
		return nil, err
	}
	now := b.now().UTC()
	r := hubRecord{Name: c.Name, Partitions: c.Partitions, Retention: c.Retention, RetentionBytes: c.RetentionBytes, Created: now}
	r.addGroups(c.Groups, now)
	if err := writeJSON(b.o.FS, path.Join(hubsDir, dir, hubFile), r); err != nil {
		return nil, err
	}
	return b.openHub(dir)
}

// openHub opens a hub that has been made; fs.ErrNotExist says that it has not.
func (b *Broker) openHub(dir string) (*Hub, error) {
	var r hubRecord
	if err := readJSON(b.o.FS, path.Join(hubsDir, dir, hubFile), &r); err != nil {
		return nil, err
	}
	home, err := b.o.FS.Sub(path.Join(hubsDir, dir))
	if err != nil {
		return nil, err
	}
	h := &Hub{b: b, fs: home, name: r.Name, dir: dir, record: r}
	sub, err := home.Sub(logDir)
	if err != nil {
		return nil, err
	}
	if h.log, err = log.Open(sub, b.logOptions(r)); err != nil {
		return nil, err
	}
	parts := make([]*Partition, 0, r.Partitions)
	for i := range r.Partitions {
		p, err := h.openPartition(i)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("open partition %d: %w", i, err), h.log.Close())
		}
		parts = append(parts, p)
	}
	h.parts.Store(&parts)
	if h.offsets, err = openOffsets(h); err != nil {
		return nil, errors.Join(fmt.Errorf("open the offsets of the consumer groups: %w", err), h.log.Close())
	}
	return h, nil
}

// maxStored bounds the bytes of an append as the log has it: the messages, their keys, which
// may be longer than they, and what each is wrapped in. MaxBatch is reached first, but by
// batches of tiny messages with long keys.
func (b *Broker) maxStored() int { return 4*b.o.MaxBatch + 1<<20 }

// segmentsOfRetention is in how many steps events expire, at least.
const segmentsOfRetention = 8

func (b *Broker) logOptions(r hubRecord) log.Options {
	o := log.Options{Partitions: r.Partitions, Fsync: b.o.Fsync, MaxAppend: b.maxStored(), MaxPending: max(log.DefaultMaxPending, 4*int64(b.maxStored())), Expire: r.Retention, ExpireBytes: r.RetentionBytes, Log: b.log, Now: b.now}
	o.SegmentAge = min(log.DefaultSegmentAge, max(r.Retention/segmentsOfRetention, time.Second))
	if r.RetentionBytes > 0 {
		o.SegmentBytes = min(log.DefaultSegmentBytes, max(r.RetentionBytes/segmentsOfRetention, 1<<16))
	}
	return o
}

// Remove removes a hub with its events, groups, offsets and keys; it is gone when Remove
// returns no error. Its readers and who appends to it get ErrClosed.
func (b *Broker) Remove(name string) error {
	b.admin.Lock()
	defer b.admin.Unlock()
	h, err := b.Hub(name)
	if err != nil {
		return err
	}
	if err := h.fs.Rename(hubFile, removedFile); err != nil {
		return fmt.Errorf("remove the event hub %q: %w", name, err)
	}
	// Whether or not that is durable yet, it is gone for all here.
	b.mu.Lock()
	delete(b.hubs, h.dir)
	b.mu.Unlock()
	if err := h.close(); err != nil {
		b.log.Warn("an event hub that is being removed could not be closed well", "hub", h.name, "error", err)
	}
	b.stale = true
	if err = errors.Join(b.clear(h.dir), b.forgetKeys()); err != nil {
		return fmt.Errorf("remove the event hub %q: it is gone here, and what is left of it goes when a broker opens the directory again: %w", name, err)
	}
	return nil
}

// erase removes the directory of a hub that is not open, which is a hub no more from the
// first step on.
func (b *Broker) erase(dir string) error {
	home := path.Join(hubsDir, dir)
	if err := b.o.FS.Rename(path.Join(home, hubFile), path.Join(home, removedFile)); ignoreMissing(err) != nil {
		return err
	}
	return b.clear(dir)
}

// clear removes what a hub has left that is being removed or was not made whole. A
// directory with events in it and neither file is not ours to remove.
func (b *Broker) clear(dir string) error {
	home := path.Join(hubsDir, dir)
	// Names must not come back when what they stand for has gone.
	if err := b.o.FS.SyncDir(home); err != nil {
		return ignoreMissing(err)
	}
	list, err := b.o.FS.ReadDir(home)
	if err != nil {
		return err
	}
	removed := slices.ContainsFunc(list, func(i disk.Info) bool { return i.Name == removedFile })
	for _, e := range list {
		if e.Dir && !removed || e.Name == hubFile {
			return fmt.Errorf("%s has %s and is not marked as removed: put its %s back from a copy, or remove the directory with all its events", b.o.FS.Path(home), e.Name, hubFile)
		}
	}
	for _, e := range list {
		if e.Name == removedFile {
			continue
		}
		if err := removeTree(b.o.FS, path.Join(home, e.Name), e.Dir); err != nil {
			return err
		}
	}
	// The mark goes when all else is gone for good.
	if err := b.o.FS.SyncDir(home); err != nil {
		return err
	}
	if err := removeTree(b.o.FS, home, true); err != nil {
		return err
	}
	return b.o.FS.SyncDir(hubsDir)
}

// Update changes the retention of a hub, and gives it more partitions if c.Partitions is
// more than it has; fewer is ErrBadConfig. Partitions and Retention of 0 stay as they are. Keys
// may belong to other partitions afterwards. Groups are not touched. It is durable on return.
func (b *Broker) Update(c Config) error {
	b.admin.Lock()
	defer b.admin.Unlock()
	h, err := b.Hub(c.Name)
	if err != nil {
		return err
	}
	now := h.Config()
	had := now.Partitions
	if c.Partitions == 0 {
		c.Partitions = had
	}
	if c.Retention == 0 {
		c.Retention = now.Retention
	}
	c.Groups = nil
	if err := c.complete(b.o.MaxGroups); err != nil {
		return err
	}
	if c.Partitions < had {
		return fmt.Errorf("%w: %s has %d partitions and %d are asked for; there cannot be fewer than there were", ErrBadConfig, h.name, had, c.Partitions)
	}
	if err := h.update(c); err != nil {
		return fmt.Errorf("change the event hub %q: %w", c.Name, err)
	}
	return nil
}

// update writes the change down before it is made: a log with more partitions than the file
// says would not open.
func (h *Hub) update(c Config) error {
	err := h.change(func(r *hubRecord) error {
		r.Partitions, r.Retention, r.RetentionBytes = max(c.Partitions, r.Partitions), c.Retention, c.RetentionBytes
		return nil
	})
	if err != nil {
		return err
	}
	if err := h.log.Grow(c.Partitions); err != nil {
		return err
	}
	parts := slices.Clone(h.Partitions())
	for i := len(parts); i < c.Partitions; i++ {
		p, err := h.openPartition(i)
		if err != nil {
			return err
		}
		parts = append(parts, p)
	}
	for _, p := range parts {
		p.SetExpire(c.Retention, c.RetentionBytes)
	}
	h.parts.Store(&parts)
	return nil
}
