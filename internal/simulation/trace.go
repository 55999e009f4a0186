package simulation

import (
	"fmt"
	"io"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/store"
)

// Trace follows one register through a stretch of simulated time: what its
// meter was asked and answered, and what the agent made of that. It changes
// nothing of what happens, so that a violation can be looked at by repeating
// its seed.
type Trace struct {
	Of       string    // e.g. "m12/gas"
	From, To time.Time // To zero: to the end
	W        io.Writer
}

// on reports whether a register is looked at now.
func (t *Trace) on(k energy.Key) bool {
	now := time.Now()
	return t != nil && k.String() == t.Of && !now.Before(t.From) && (t.To.IsZero() || now.Before(t.To))
}

func (t *Trace) say(format string, args ...any) {
	fmt.Fprintf(t.W, time.Now().UTC().Format("2006-01-02T15:04:05.000 ")+format+"\n", args...)
}

const traceTime = "01-02T15:04:05.000"

// sample says what the agent was given.
func (t *Trace) sample(k energy.Key, f fault, d delivery) {
	if t.on(k) {
		t.say("given %d dated %s, of %s in truth, good %v, meter %d, fault %d", d.value, d.at.Format(traceTime), d.real.Format(traceTime), d.good, d.fit, f)
	}
}

// round says what was committed.
func (t *Trace) round(r *store.Round) {
	if t == nil {
		return
	}
	for i := range r.HalfHours {
		if h := &r.HalfHours[i]; t.on(h.Key) {
			t.say("half-hour %s void %v %s", h.HalfHour.Start.Format(traceTime), h.Void, words(&h.HalfHour))
		}
	}
	for _, s := range r.Statements {
		if t.on(s.Key) {
			t.say("statement %s", s.Body)
		}
	}
	for _, f := range r.Findings {
		if t.on(f.Key) {
			t.say("finding %s", f.Body)
		}
	}
}

// file says what is imported.
func (t *Trace) file(f *file) {
	if t.on(f.w.key) {
		t.say("a file of %d half-hours:\n%s", len(f.lines), f.request.Data)
	}
}
