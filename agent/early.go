package agent

import (
	"encoding/json"
	"slices"
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

// earlies are all that wait, over a restart and a power cut, too.
type earlies struct {
	all   []early
	doing []early // worked in by the round at hand, which is not stored yet
	dirty bool    // there are others than are kept
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

// add has late readings wait; false where there is no room for them.
func (e *earlies) add(x early) bool {
	if len(e.all) >= mostEarly {
		return false
	}
	e.all, e.dirty = append(e.all, x), true
	return true
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
	e.all, e.doing = waiting, append(e.doing, over...)
	return over
}

// keep stores them before the round is: nobody else has them then.
func (e *earlies) keep(a *Agent) {
	if !e.dirty {
		return
	}
	b, err := json.Marshal(slices.Concat(e.all, e.doing))
	if err == nil {
		err = a.opt.Store.SetMeta(metaEarly, b)
	}
	if err != nil {
		a.log.Debug("late readings that wait cannot be kept", "error", err)
		return
	}
	e.dirty = false
}

// done lets go of those that the round has worked in, now that it is stored.
// Where the power is cut before, they are worked in again, which changes nothing.
func (e *earlies) done(a *Agent) {
	if len(e.doing) > 0 {
		e.doing, e.dirty = nil, true
		e.keep(a)
	}
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
