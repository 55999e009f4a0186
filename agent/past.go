package agent

import (
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/store"
)

// past gives half-hours as they will stand once the round at hand is committed:
// what is stored, and over it what is settled since. The recorder's lock guards it.
type past struct {
	store HalfHours
	fresh map[energy.Key]map[int64]energy.HalfHour
	days  map[dayOf][]energy.HalfHour // days of the store that were read lately
}

// dayOf is one UTC day of one register.
type dayOf struct {
	key energy.Key
	day int64
}

// mostDays bounds the memory of days read: half a MiB.
const mostDays = 64

const secondsPerDay = 24 * 60 * 60

func newPast(s HalfHours) *past {
	return &past{store: s, fresh: map[energy.Key]map[int64]energy.HalfHour{}, days: map[dayOf][]energy.HalfHour{}}
}

// settle lays a half-hour over what is stored, as the store will: where it keeps
// the better one that it has, that one is what the past holds.
func (p *past) settle(k store.KeyedHalfHour) {
	var old *energy.HalfHour
	if h, ok := p.at(k.Key, k.HalfHour.Start); ok {
		old = &h
	}
	of := p.fresh[k.Key]
	if of == nil {
		of = map[int64]energy.HalfHour{}
		p.fresh[k.Key] = of
	}
	of[k.HalfHour.Start.UnixMilli()] = k.Stands(old)
}

// forget begins anew: what was settled is stored, and what was read is old.
func (p *past) forget() {
	clear(p.fresh)
	clear(p.days)
}

// lay begins anew over a store that has changed, with what waits for it.
func (p *past) lay(waiting []store.KeyedHalfHour) {
	p.forget()
	for _, k := range waiting {
		p.settle(k)
	}
}

// at gives the half-hour of a register that starts at an instant; false where
// there is none, or none that can be read.
func (p *past) at(k energy.Key, start time.Time) (energy.HalfHour, bool) {
	if h, ok := p.fresh[k][start.UnixMilli()]; ok {
		return h, true
	}
	for _, h := range p.day(dayOf{k, start.Unix() / secondsPerDay}) {
		if h.Start.Equal(start) {
			return h, true
		}
	}
	return energy.HalfHour{}, false
}

func (p *past) day(d dayOf) []energy.HalfHour {
	hh, ok := p.days[d]
	if ok {
		return hh
	}
	if len(p.days) >= mostDays {
		clear(p.days)
	}
	from := time.Unix(d.day*secondsPerDay, 0).UTC()
	for h, err := range p.store.HalfHours(d.key, from, from.AddDate(0, 0, 1)) {
		if err == nil {
			hh = append(hh, h)
		}
	}
	p.days[d] = hh
	return hh
}

// of is the past of one meter, as the validation asks for it.
func (p *past) of(meter string) meterPast { return meterPast{p, meter} }

type meterPast struct {
	past  *past
	meter string
}

// At gives a half-hour of the meter.
func (m meterPast) At(measure energy.Measure, start time.Time) (energy.HalfHour, bool) {
	return m.past.at(energy.Key{Meter: m.meter, Measure: measure}, start)
}
