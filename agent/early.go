package agent

import (
	"encoding/json"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// metaEarly keeps the late readings that wait.
const metaEarly = "early"

// early are late readings of a register that wait for a half-hour to be over:
// the reading after the gap that they fall into lies in it, and until then the
// register at its start stands.
type early struct {
	Key   energy.Key
	Until time.Time // its start
	Late  []energy.Sample
}

// earlies are all that wait, over a restart, too.
type earlies struct {
	all   []early
	dirty bool
}

// mostEarly bounds them.
const mostEarly = 1000

func (a *Agent) readEarlies() (e earlies) {
	b, err := a.opt.Store.Meta(metaEarly)
	if err == nil && b != nil {
		err = json.Unmarshal(b, &e.all)
	}
	if err != nil {
		a.log.Warn("late readings that waited for their half-hours to be over cannot be read", "error", err)
	}
	return e
}

func (e *earlies) add(x early) {
	if len(e.all) < mostEarly {
		e.all, e.dirty = append(e.all, x), true
	}
}

// over takes out those that need wait no more.
func (e *earlies) over(r *recorder) (over []early) {
	waiting := e.all[:0:0]
	for _, x := range e.all {
		if r.over(x.Key, x.Until) {
			over = append(over, x)
		} else {
			waiting = append(waiting, x)
		}
	}
	e.all, e.dirty = waiting, e.dirty || len(over) > 0
	return over
}

// keep stores them, where they are others than before. The round that they
// belong to is stored: where this fails, or the power is cut, those of before
// are worked in again, which changes nothing.
func (e *earlies) keep(a *Agent) {
	if !e.dirty {
		return
	}
	b, err := json.Marshal(e.all)
	if err == nil {
		err = a.opt.Store.SetMeta(metaEarly, b)
	}
	if err != nil {
		a.log.Debug("late readings that wait cannot be kept", "error", err)
		return
	}
	e.dirty = false
}

// over reports whether a register has counted the half-hour that starts then. A
// file can tell of it before.
func (r *recorder) over(k energy.Key, start time.Time) bool {
	h, ok := r.past.at(k, start)
	b, reg := r.agent.registerOf(k)
	if !ok || reg == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return !fromElsewhere(h) || !reg.newest.Before(start) && len(b.pending) == 0
}
