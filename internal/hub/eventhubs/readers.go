package eventhubs

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"weir/internal/hub"
	"weir/internal/hub/amqp"
)

// MaxReaders is how many receivers without an owner level a partition has in a consumer
// group, as in Event Hubs.
const MaxReaders = 5

// readers knows who reads which partition in which group, to keep the rules of owner levels
// (epochs, eventhubs.md 1.1, item 9): one receiver with a level, or up to MaxReaders without.
type readers struct {
	mu   sync.Mutex // guards what follows
	open map[readerPlace][]*reader
}

type readerPlace struct {
	partition *hub.Partition
	group     string // lower case
}

// reader is one of them.
type reader struct {
	place  readerPlace
	name   string          // com.microsoft:receiver-name, for texts
	epoch  int64           // -1: it has none
	life   context.Context // of the link
	detach func(*amqp.Error)
}

// add lets a reader in, after those are detached that it displaces, or says why not.
func (r *readers) add(n *reader) error {
	r.mu.Lock()
	list := slices.DeleteFunc(slices.Clone(r.open[n.place]), (*reader).ended)
	if err := admit(list, n); err != nil {
		r.mu.Unlock()
		return err
	}
	var displaced []*reader
	if n.epoch >= 0 {
		displaced, list = list, nil
	}
	if r.open == nil {
		r.open = map[readerPlace][]*reader{}
	}
	r.open[n.place] = append(list, n)
	r.mu.Unlock()
	for _, old := range displaced {
		old.detach(&amqp.Error{Condition: condStolen, Description: fmt.Sprintf(
			"New receiver '%.100s' with higher epoch of '%d' is created hence current receiver '%.100s' with epoch '%s' is getting disconnected. If you are recreating the receiver, make sure a higher epoch is used.",
			n.name, n.epoch, old.name, old.level())})
	}
	return nil
}

// admit says why a reader may not join others.
func admit(list []*reader, n *reader) error {
	for _, old := range list {
		switch {
		case n.epoch < 0 && old.epoch >= 0:
			return &amqp.Error{Condition: condStolen, Description: fmt.Sprintf(
				"At least one receiver for the endpoint is created with epoch of '%d', and so non-epoch receiver is not allowed. Either reconnect with a higher epoch, or make sure all epoch receivers are closed or disconnected. The receiver with the epoch is '%.100s'.",
				old.epoch, old.name)}
		case n.epoch >= 0 && old.epoch > n.epoch:
			return &amqp.Error{Condition: condStolen, Description: fmt.Sprintf(
				"Receiver '%.100s' with a higher epoch '%d' already exists. Receiver '%.100s' with epoch %d cannot be created. Make sure you are creating receiver with increasing epoch value to ensure connectivity, or ensure all old epoch receivers are closed or disconnected.",
				old.name, old.epoch, n.name, n.epoch)}
		}
	}
	if n.epoch < 0 && len(list) >= MaxReaders {
		names := make([]string, len(list))
		for i, old := range list {
			names[i] = fmt.Sprintf("%.100s", old.name)
		}
		return &amqp.Error{Condition: condLimit, Description: fmt.Sprintf(
			"Exceeded the maximum number of allowed receivers per partition in a consumer group which is %d. List of connected receivers - %s.", MaxReaders, strings.Join(names, ", "))}
	}
	return nil
}

// remove forgets a reader; one that was displaced is forgotten already.
func (r *readers) remove(n *reader) {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.open[n.place]
	for i, old := range list {
		if old != n {
			continue
		}
		if len(list) == 1 {
			delete(r.open, n.place)
			return
		}
		kept := append(list[:i:i], list[i+1:]...)
		r.open[n.place] = kept
		return
	}
}

// ended reports whether the client has been told of the end of the link: it may come back
// before the goroutine of the link is through.
func (r *reader) ended() bool { return r.life.Err() != nil }

func (r *reader) level() string {
	if r.epoch < 0 {
		return "nil"
	}
	return fmt.Sprint(r.epoch)
}
