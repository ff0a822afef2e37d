package hub

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Groups are the names of the consumer groups in their order, DefaultGroup first.
func (h *Hub) Groups() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := make([]string, 0, 1+len(h.record.Groups))
	for _, g := range h.record.Groups {
		list = append(list, g.Name)
	}
	slices.SortFunc(list, func(x, y string) int { return strings.Compare(strings.ToLower(x), strings.ToLower(y)) })
	return slices.Insert(list, 0, DefaultGroup)
}

// HasGroup reports whether a consumer group exists, without case.
func (h *Hub) HasGroup(name string) bool {
	_, ok := h.group(name)
	return ok
}

// group finds a group by its name, without case.
func (h *Hub) group(name string) (groupRecord, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.record.group(name)
}

func (r *hubRecord) group(name string) (groupRecord, bool) {
	if strings.EqualFold(name, DefaultGroup) {
		return groupRecord{Name: DefaultGroup, Created: r.Created}, true
	}
	for _, g := range r.Groups {
		if strings.EqualFold(g.Name, name) {
			return g, true
		}
	}
	return groupRecord{}, false
}

// addGroups adds groups that are not there.
func (r *hubRecord) addGroups(names []string, now time.Time) {
	groups := slices.Clone(r.Groups) // others may be reading it
	for _, name := range names {
		r.NextGroup++
		groups = append(groups, groupRecord{Name: name, ID: r.NextGroup, Created: now})
	}
	r.Groups = groups
}

// CreateGroup makes a consumer group; it is durable when CreateGroup returns. ErrGroupExists,
// ErrBadName and ErrTooMany say why not.
func (h *Hub) CreateGroup(name string) error {
	if err := checkGroup(name); err != nil {
		return err
	}
	return h.change(func(r *hubRecord) error {
		if _, ok := r.group(name); ok {
			return fmt.Errorf("%w: %q of %s", ErrGroupExists, name, h.name)
		}
		if len(r.Groups) >= h.b.o.MaxGroups {
			return fmt.Errorf("%w consumer groups: %d is the most of an event hub", ErrTooMany, h.b.o.MaxGroups)
		}
		r.addGroups([]string{name}, h.b.now().UTC())
		return nil
	})
}

// EnsureGroup makes a consumer group unless it is there, as Kafka clients expect when they
// use one for the first time.
func (h *Hub) EnsureGroup(name string) error {
	if h.HasGroup(name) {
		return nil
	}
	err := h.CreateGroup(name)
	if err != nil && h.HasGroup(name) {
		return nil // somebody else was faster
	}
	return err
}

// RemoveGroup removes a consumer group and its offsets. DefaultGroup cannot go.
func (h *Hub) RemoveGroup(name string) error {
	if strings.EqualFold(name, DefaultGroup) {
		return fmt.Errorf("%w: %s is the consumer group that every event hub has", ErrBadName, DefaultGroup)
	}
	var id int64
	err := h.change(func(r *hubRecord) error {
		g, ok := r.group(name)
		if !ok {
			return h.noGroup(name)
		}
		id = g.ID
		r.Groups = slices.DeleteFunc(slices.Clone(r.Groups), func(o groupRecord) bool { return o.ID == g.ID })
		return nil
	})
	if err == nil {
		h.offsets.forget(id)
	}
	return err
}

func (h *Hub) noGroup(name string) error {
	return fmt.Errorf("%w: %.80q of %s", ErrNoGroup, name, h.name)
}

// checkGroup says what is wrong with the name of a consumer group. Kafka clients choose
// names freely, so all that can be printed will do.
func checkGroup(name string) error {
	ok := len(name) > 0 && len(name) <= 256 && utf8.ValidString(name) && strings.TrimSpace(name) == name
	for _, c := range name {
		ok = ok && unicode.IsPrint(c)
	}
	if !ok {
		return fmt.Errorf("%w: %.80q; the name of a consumer group is printed text, without spaces around it, of 256 bytes at most", ErrBadName, name)
	}
	return nil
}

// change changes what hub.json says, durably. f gets a copy whose slices it must not change
// in place.
func (h *Hub) change(f func(*hubRecord) error) error {
	h.writing.Lock()
	defer h.writing.Unlock()
	if h.ended.Load() {
		return ErrClosed
	}
	h.mu.Lock()
	r := h.record
	h.mu.Unlock()
	if err := f(&r); err != nil {
		return err
	}
	if err := writeJSON(h.fs, hubFile, r); err != nil {
		return fmt.Errorf("write %s: %w", h.fs.Path(hubFile), err)
	}
	h.mu.Lock()
	h.record = r
	h.mu.Unlock()
	return nil
}
