package agent

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/power"
	"github.com/perseus-edge/perseus-edge/energy/validate"
)

// Note is something that a person should know of, kept for the page and the
// status until newer ones push it out.
type Note struct {
	At    time.Time `json:"at"`
	Meter string    `json:"meter,omitempty"`
	What  string    `json:"what"`
}

// notes keeps the last few.
type notes struct {
	mu   sync.Mutex
	list []Note
}

const maxNotes = 50

func (n *notes) add(at time.Time, meter, what string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.list) == maxNotes {
		i := n.leastMissed()
		n.list = slices.Delete(n.list, i, i+1)
	}
	n.list = append(n.list, Note{at.UTC(), meter, what})
}

// leastMissed is the note that goes when there is no room: the oldest of the
// meter that has most, so that one that misbehaves does not push out what
// happened to the others.
func (n *notes) leastMissed() int {
	of := map[string]int{}
	most := 0
	for _, x := range n.list {
		of[x.Meter]++
		most = max(most, of[x.Meter])
	}
	return slices.IndexFunc(n.list, func(x Note) bool { return of[x.Meter] == most })
}

// newestFirst is a copy of what is kept.
func (n *notes) newestFirst() []Note {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := make([]Note, len(n.list))
	for i, x := range n.list {
		out[len(out)-1-i] = x
	}
	return out
}

// quiet is how long the same event of the same register is not logged again:
// a register that misbehaves at every poll must not fill the disk.
const quiet = time.Hour

// event logs what the accumulator noticed and turns it into a statement of
// baseline where it calls for one. The bus's lock is held.
func (b *bus) event(m *meter, reg *register, e energy.Event, raw uint64) {
	reg.events[e.Kind]++
	if e.Kind != reg.lastEvent || e.At.Sub(reg.lastEventAt) >= quiet || e.At.Before(reg.lastEventAt) {
		level := slog.LevelWarn
		if e.Kind == energy.Opened || e.Kind == energy.Rollover || e.Kind == energy.Exchanged {
			level = slog.LevelInfo
		}
		said := []any{"meter", reg.key.Meter, "measure", reg.key.Measure.String(), "at", e.At}
		if e.Before >= 0 { // else there was none
			said = append(said, "before", e.Before)
		}
		b.log.Log(context.Background(), level, "register "+e.Kind.String(), append(said, "after", e.After)...)
		b.agent.notes.add(e.At, reg.key.Meter, describe(e, reg))
		reg.lastEvent, reg.lastEventAt = e.Kind, e.At
	}
	b.found(reg, b.judged(reg, e))
	if e.Kind == energy.OutOfOrder || e.Kind == energy.Glitch || e.Kind == energy.Retracted || e.Kind == energy.CaughtUp || e.Kind == energy.TooFast {
		return // these can come with every poll: StatementOf need not be asked
	}
	if st, ok := b.statement(m, reg, e, raw); ok {
		b.state(reg, st)
	}
}

// judged is what the validation says to an event.
func (b *bus) judged(reg *register, e energy.Event) []validate.Finding {
	if e.Kind == energy.Exchanged {
		return nil // stated by the operator, or V17 was said when another meter answered
	}
	if g, ok := reg.counter.(*power.Integrator); ok && e.Kind != energy.ClockBack {
		if e.Kind != energy.Glitch {
			return nil // nothing can be said against a power but that it cannot be
		}
		return reg.check.Power(e.At, e.After, g.Limit(), b.words[:0])
	}
	return reg.check.Event(e, b.words[:0])
}

// describe says an event in plain words.
func describe(e energy.Event, reg *register) string {
	m := reg.key.Measure
	switch {
	case reg.cfg.Power && e.Kind == energy.Opened:
		return fmt.Sprintf("first reading of the power that %s is worked out from", m)
	case reg.cfg.Power:
		return fmt.Sprintf("the power that %s is worked out from: %s", m, e.Kind)
	}
	show := func(base int64) string {
		value, _ := Shown(m.Present(base), m.UnitCode())
		return value
	}
	_, u := Shown("", m.UnitCode())
	switch e.Kind {
	case energy.Opened:
		return fmt.Sprintf("first reading of %s: the register shows %s %s", m, show(e.After), u)
	case energy.Glitch:
		return fmt.Sprintf("%s showed %s %s for a moment, which it cannot have counted: not used", m, show(e.After), u)
	case energy.Rollover:
		return fmt.Sprintf("the register of %s went round, from %s to %s %s: counted through", m, show(e.Before), show(e.After), u)
	case energy.Reset:
		return fmt.Sprintf("the register of %s went from %s to %s %s and stayed: counted from there; was the meter exchanged?", m, show(e.Before), show(e.After), u)
	case energy.OutOfOrder:
		return fmt.Sprintf("a reading of %s came with a time before the last one: not used; was the clock set back?", m)
	case energy.Exchanged:
		return fmt.Sprintf("the meter was exchanged: %s stood at %s %s, the new one at %s %s", m, show(e.Before), u, show(e.After), u)
	case energy.ClockBack:
		return fmt.Sprintf("%s was last read at a time in the future, by a wrong clock: counted anew from %s %s", m, show(e.After), u)
	case energy.Ambiguous:
		return fmt.Sprintf("%s was not read for so long that its register can have gone round more than once: counted anew from %s %s", m, show(e.After), u)
	case energy.Retracted:
		return fmt.Sprintf("%s had shown a value it cannot have counted, which was believed for a while: its half-hours are made again without it", m)
	case energy.CaughtUp:
		return fmt.Sprintf("%s stood at %s %s since %s and then leapt to %s: it was frozen, and what it counted meanwhile is spread over that time", m, show(e.Before), u, e.BeforeAt.Format(time.RFC3339), show(e.After))
	case energy.TooFast:
		return fmt.Sprintf("%s leapt from %s to %s %s, more than the meter can deliver: held until it is clear", m, show(e.Before), show(e.After), u)
	}
	return e.Kind.String()
}
