package udf

import (
	"weir/internal/fn"
	"weir/internal/state"
	"weir/internal/vec"
)

// This file keeps the states of a stateAcc: over the end of a runtime, and in snapshots.

// run does some work with the runtime for a slot. If that fails the state of the slot is
// gone; if it exceeded a limit the runtime is, too, and the states of others move to a new one.
func (a *stateAcc) run(t *stateSlot, work func() (vec.Value, string)) (vec.Value, string) {
	if a.rt == nil {
		var err error
		if a.rt, err = newOwned(a.of.src); err != nil {
			return vec.Value{}, a.of.src.failed(err.Error())
		}
	}
	e := a.rt.engine
	v, why := e.protect(work)
	if why == "" {
		return v, ""
	}
	message := a.of.src.explain(why)
	lost := t.eaten
	a.forget(t)
	if lost {
		t.failed = message
	}
	if e.spent || e.broken {
		a.renew()
	}
	return v, message
}

// renew throws the runtime away. States that cannot be computed again from rows move to a
// new one.
func (a *stateAcc) renew() {
	old := a.rt.engine
	saved := map[*stateSlot][]byte{}
	for i := range a.slots {
		t := &a.slots[i]
		if !t.live {
			continue
		}
		if t.eaten && !old.broken {
			w := state.NewWriter()
			old.allowMore()
			old.begin(0, 0)
			if _, why := old.protect(func() (vec.Value, string) { return vec.Value{}, old.saveState(w, old.states[t.state]) }); why == "" {
				saved[t] = w.Bytes()
			}
		}
		if t.eaten && saved[t] == nil {
			t.failed = a.of.src.failed("its state was lost when another call broke the runtime")
			t.fed = len(t.rows)
		}
		if t.eaten {
			a.held -= t.fed
			a.shift(t, t.fed)
			t.fed, t.live = 0, false
			continue
		}
		t.live, t.fed = false, 0
		a.shift(t, t.gone)
		t.gone, t.hops = 0, t.hops[:0]
	}
	old.close()
	a.rt = nil
	for i := range a.slots {
		if b := saved[&a.slots[i]]; b != nil {
			a.reload(&a.slots[i], b)
		}
	}
}

// reload reads the state of a slot.
func (a *stateAcc) reload(t *stateSlot, b []byte) bool {
	whole := true
	_, message := a.run(t, func() (vec.Value, string) {
		e := a.rt.engine
		e.beginAt(t.last, true)
		if why := a.start(t); why != "" {
			return vec.Value{}, why
		}
		if whole = e.loadState(state.NewReader(b), e.states[t.state]); !whole {
			e.forgetException()
		}
		return vec.Value{}, ""
	})
	if message != "" {
		t.failed = message
	}
	return whole
}

func (a *stateAcc) Save(slot int32, w *state.Writer) {
	t := &a.slots[slot]
	w.Bool(t.eaten)
	w.String(t.failed)
	w.Int(int64(t.last))
	if t.eaten && t.failed == "" {
		a.saveState(t, w)
	}
	rows := t.kept()
	if t.eaten {
		rows = t.rows[t.fed:]
	}
	w.Uint(uint64(len(rows)))
	for _, r := range rows {
		w.Int(int64(r.t))
		fn.SaveValue(w, r.v)
	}
}

// saveState writes the state of a slot as a text of its own, so that one that cannot be
// written leaves no half of it behind.
func (a *stateAcc) saveState(t *stateSlot, w *state.Writer) {
	own := state.NewWriter()
	_, why := a.run(t, func() (vec.Value, string) {
		e := a.rt.engine
		e.beginAt(t.last, true)
		return vec.Value{}, e.saveState(own, e.states[t.state])
	})
	w.String(why)
	if why == "" {
		w.String(string(own.Bytes()))
	}
}

func (a *stateAcc) Load(slot int32, r *state.Reader) {
	t := &a.slots[slot]
	t.eaten, t.failed, t.last = r.Bool(), r.String(), vec.Time(r.Int())
	if t.eaten && t.failed == "" {
		if t.failed = r.String(); t.failed == "" {
			if b := r.String(); r.Err() == nil && !a.reload(t, []byte(b)) {
				r.Fail()
			}
		}
	}
	for range r.Count() {
		row := stateRow{vec.Time(r.Int()), fn.LoadValue(r)}
		if r.Err() != nil {
			return
		}
		a.push(t, row)
	}
}
