package job

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"weir/internal/connect"
)

// ailing is a sink whose work in the background does not go well.
type ailing struct {
	connect.Sink
	now *atomic.Pointer[error]
}

func (a ailing) Ailing() error {
	if err := a.now.Load(); err != nil {
		return *err
	}
	return nil
}

// TestLiveAiling shows what does not work in the background of a sink, while rows go on, and
// shows it no more when it works again.
func TestLiveAiling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newLiveCase(t, `SELECT n INTO o FROM e`)
		c.source.marks = true
		c.source.add("p", texts(0, 10)...)
		var now atomic.Pointer[error]
		open := c.spec.Outputs[0].Open
		c.spec.Outputs[0].Open = func(env connect.SinkEnv) (connect.Sink, error) {
			s, err := open(env)
			return ailing{s, &now}, err
		}
		away := errors.New("the store is away")
		now.Store(&away)
		l, stop := c.start(t)
		time.Sleep(3 * time.Second)
		if s := l.Stats(); s.State != Degraded || !strings.Contains(s.Reason, `output "o" in the background: the store is away`) {
			t.Errorf("%s, %s", s.State, s.Reason)
		}
		if n := len(c.target.all()); n != 10 {
			t.Errorf("%d rows", n)
		}
		now.Store(nil)
		c.source.add("p", texts(10, 11)...)
		time.Sleep(3 * time.Second)
		if s := l.Stats(); s.State != Running {
			t.Errorf("%s, %s", s.State, s.Reason)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}
