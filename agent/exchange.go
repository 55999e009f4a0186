package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/store"
)

// metaExchanges keeps which of the operator's statements were taken in.
const metaExchanges = "exchanges"

// exchanges is what became of the meter exchanges of the configuration.
type exchanges struct {
	mu      sync.Mutex        // guards the rest; held for no longer than a look
	done    map[string]string // statement -> what came of it
	refused map[string]bool   // not again before the configuration is another one
	dirty   bool
}

func (a *Agent) readExchanges() *exchanges {
	x := &exchanges{done: map[string]string{}, refused: map[string]bool{}}
	b, err := a.opt.Store.Meta(metaExchanges)
	if err == nil && b != nil {
		err = json.Unmarshal(b, &x.done)
	}
	if err != nil {
		a.log.Warn("which meter exchanges were taken in cannot be read: they are looked at anew", "error", err)
	}
	return x
}

// open reports whether a statement waits to be taken in.
func (x *exchanges) open(id string) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.done[id] == "" && !x.refused[id]
}

// took reports whether a statement was taken in.
func (x *exchanges) took(id string) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.done[id] != ""
}

// What came of a statement that was counted when the exchange took place.
const (
	countedThrough = "counted through"
	countedUpTo    = "counted up to it: another meter than the stated one answers since"
)

// counted reports whether a statement was taken in when the exchange took place.
func (x *exchanges) counted(id string) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.done[id] == countedThrough || x.done[id] == countedUpTo
}

// keep stores what came of the statements, where that is news.
func (x *exchanges) keep(a *Agent) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.dirty {
		return
	}
	j, err := json.Marshal(x.done)
	if err == nil {
		err = a.opt.Store.SetMeta(metaExchanges, j)
	}
	if err != nil {
		a.log.Debug("which meter exchanges were taken in cannot be kept", "error", err)
		return // they are looked at anew after a restart, which changes nothing
	}
	x.dirty = false
}

// statementID names one register's part of an operator's statement.
func statementID(k energy.Key, x *config.Exchange, r config.ExchangeRead) string {
	return fmt.Sprintf("%s%d %d", exchangeID(k, x), r.Closing, r.Opening)
}

// exchangeID is what the statements of one exchange begin with, whatever its
// readings.
func exchangeID(k energy.Key, x *config.Exchange) string {
	return fmt.Sprintf("%s %s ", k, x.At.UTC().Format(time.RFC3339))
}

// takeExchanges takes in the operator's statements whose time has come.
func (r *recorder) takeExchanges() {
	if !r.agent.opt.Clock.Trusted() {
		return
	}
	now := r.agent.Now()
	for _, b := range r.agent.buses {
		b.mu.Lock()
		for _, m := range b.meters {
			for i := range m.cfg.Exchanges {
				if x := &m.cfg.Exchanges[i]; !x.At.After(now) {
					r.takeExchange(b, m, x)
				}
			}
		}
		b.mu.Unlock()
	}
	r.exchanges.keep(r.agent)
}

// takeExchange takes in one statement. The bus's lock is held.
func (r *recorder) takeExchange(b *bus, m *meter, x *config.Exchange) {
	for _, read := range x.Reads {
		reg := m.register(read.Measure)
		if reg == nil || !r.exchanges.open(statementID(reg.key, x, read)) {
			continue
		}
		came, err := r.exchangeOne(b, m, reg, x, read)
		b.cameOf(m, reg, x, read, came, err)
	}
}

// cameOf notes what came of a statement for one register: an error, an
// outcome, or nothing yet.
func (b *bus) cameOf(m *meter, reg *register, x *config.Exchange, read config.ExchangeRead, came string, err error) {
	all, id, at := b.agent.recorder.exchanges, statementID(reg.key, x, read), x.At.Format(time.RFC3339)
	all.mu.Lock()
	defer all.mu.Unlock()
	switch {
	case err != nil:
		all.refused[id] = true
		m.refused = append(m.refused, fmt.Sprintf("the exchange of %s stated for %s is not counted: %v", reg.key.Measure, at, err))
		b.log.Error("meter exchange cannot be taken in", "meter", m.cfg.ID, "measure", reg.key.Measure.String(), "at", x.At, "error", err)
		b.agent.notes.add(b.agent.Now(), m.cfg.ID, fmt.Sprintf("The exchange of %s stated for %s cannot be taken in: %v", reg.key.Measure, at, err))
	case came != "":
		// What was taken in of this exchange before holds no more: stated again,
		// it is a correction, too.
		maps.DeleteFunc(all.done, func(was, _ string) bool { return strings.HasPrefix(was, exchangeID(reg.key, x)) })
		all.done[id], all.dirty = came, true
		b.log.Info("meter exchange taken in", "meter", m.cfg.ID, "measure", reg.key.Measure.String(), "at", x.At, "outcome", came)
		b.agent.notes.add(b.agent.Now(), m.cfg.ID, fmt.Sprintf("Meter exchange at %s: %s %s", at, reg.key.Measure, came))
	}
}

// exchangeBefore takes in the statements of exchanges that lie between a
// register's newest reading and the next one, before that one is counted: the
// new meter may show more than the old one did, and would pass for it.
func (b *bus) exchangeBefore(m *meter, reg *register, next time.Time) {
	for i := range m.cfg.Exchanges {
		x := &m.cfg.Exchanges[i]
		if x.At.After(next) {
			continue
		}
		for _, read := range x.Reads {
			if read.Measure != reg.key.Measure || !b.agent.recorder.exchanges.open(statementID(reg.key, x, read)) {
				continue
			}
			acc, ok := reg.counter.(*energy.Accumulator)
			if !ok {
				continue
			}
			if base, open := acc.Base(); !open || !base.At.Before(x.At) {
				continue // the recorder looks to it
			}
			came, err := b.countThrough(m, reg, acc, x, read)
			if errors.Is(err, energy.ErrCounted) {
				continue
			}
			b.cameOf(m, reg, x, read, came, err)
		}
	}
}

// countThrough counts the energy through a stated exchange.
func (b *bus) countThrough(m *meter, reg *register, acc *energy.Accumulator, x *config.Exchange, read config.ExchangeRead) (came string, err error) {
	// Another meter has answered already, and not the one that is stated: yet
	// another exchange, of which nothing is known.
	other := acc.Broken() && x.NewSerial != "" && reg.origin.device != hash8(x.NewSerial)
	trial := *acc
	if _, _, err = trial.Exchange(x.At, read.Closing, read.Opening, nil); err != nil {
		return "", err
	}
	if err = closes(x.OldSerial, reg.hung.device); err != nil {
		return "", err
	}
	var e energy.Event
	if b.settled, e, err = acc.Exchange(x.At, read.Closing, read.Opening, b.settled[:0]); err != nil {
		return "", err
	}
	device := [8]byte{}
	if x.NewSerial != "" {
		device = hash8(x.NewSerial)
	}
	reg.hung.next(e.At, device)
	reg.stated = &stated{x, energy.GapCounted}
	b.settle(m, reg, e, 0)
	if other {
		acc.Break()
		return countedUpTo, nil
	}
	return countedThrough, nil
}

// exchangeOne gives what came of a statement for one register; "" where it has
// to wait.
func (r *recorder) exchangeOne(b *bus, m *meter, reg *register, x *config.Exchange, read config.ExchangeRead) (string, error) {
	acc, ok := reg.counter.(*energy.Accumulator)
	if !ok {
		return "is integrated from power: an exchange changes nothing", nil
	}
	if _, ok := acc.Base(); !ok {
		return "", nil // the first reading may be the old meter's yet
	}
	if came, err := b.countThrough(m, reg, acc, x, read); !errors.Is(err, energy.ErrCounted) {
		return came, err
	}
	if _, _, n := acc.Held(); n > 0 {
		return "", nil // it is not clear yet that the register began anew
	}
	if slices.ContainsFunc(b.pending, func(h store.KeyedHalfHour) bool { return h.Key == reg.key }) {
		return "", nil // what follows it may be among them
	}
	made, wait, err := r.bridge(m, reg, x)
	switch {
	case errors.Is(err, errNothingBefore):
		b.found(reg, reg.check.Uncounted(x.At, b.agent.Now(), b.words[:0]))
		return leavesMissing + err.Error(), nil
	case err != nil:
		return "", err
	case wait:
		return "", nil
	case len(made.by) == 0:
		return "leaves nothing to fill: no half-hours are missing there", nil
	}
	for _, h := range made.filled {
		b.pending = append(b.pending, store.KeyedHalfHour{Key: reg.key, HalfHour: h, Void: made.again})
	}
	came := fmt.Sprintf("filled %d half-hours that were missing", len(made.filled))
	switch {
	case len(made.filled) == 0:
		came = "is stated: its half-hours are known from elsewhere, and stay"
	case made.again:
		came = fmt.Sprintf("counted with the exchanges beside it: %d half-hours are given again", len(made.filled))
	}
	for i, y := range made.by {
		read, _ := y.Of(reg.key.Measure)
		if r.exchanges.took(statementID(reg.key, y, read)) {
			continue
		}
		reg.stated = &stated{y, energy.GapCounted} // both readings are known: the half-hours alone are estimated
		b.event(m, reg, energy.Event{Kind: energy.Exchanged, At: made.at[i], Before: read.Closing, After: read.Opening, BeforeAt: made.at[i]}, 0)
		if y != x {
			b.cameOf(m, reg, y, read, came, nil)
		}
	}
	return came, nil
}

// stated is the operator's statement that an event comes from.
type stated struct {
	exchange *config.Exchange
	gap      energy.Gap
}

func (m *meter) register(measure energy.Measure) *register {
	for i := range m.registers {
		if m.registers[i].key.Measure == measure {
			return &m.registers[i]
		}
	}
	return nil
}
