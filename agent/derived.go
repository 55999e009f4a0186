package agent

import (
	"encoding/json"
	"errors"
	"iter"
	"strconv"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/gas"
)

// Derived is the energy of a gas volume, and what it was worked out by. It is
// no reading: the volume beside it is, and has the quality.
type Derived struct {
	Energy  *Amount    `json:"energy"`            // WHR; null where it is not known
	Basis   *gas.Basis `json:"basis,omitempty"`   // where Energy is known
	Problem string     `json:"problem,omitempty"` // why Energy is not known though the volume is
}

func derivedOf(e GasEnergy) *Derived {
	switch {
	case errors.Is(e.Err, ErrNoVolume):
		return &Derived{}
	case e.Err != nil:
		return &Derived{Problem: e.Err.Error()}
	}
	return &Derived{Energy: &Amount{json.Number(strconv.FormatInt(e.Wh, 10)), energy.Import.UnitCode()}, Basis: &e.Basis}
}

// Readings is Readings with the energy of gas beside its volume.
func (g *Gas) Readings(s Volumes, q Query, period time.Duration) iter.Seq2[Reading, error] {
	return readings(s, q, period, func(k energy.Key, from time.Time) (*conversion, error) { return g.begin(s, k, from) })
}

// HalfHours gives the stored half-hours of one gas register with their energy.
func (g *Gas) HalfHours(s Volumes, k energy.Key, from, to time.Time) iter.Seq2[GasHalfHour, error] {
	return func(yield func(GasHalfHour, error) bool) {
		c, err := g.begin(s, k, from)
		if err != nil {
			yield(GasHalfHour{}, err)
			return
		}
		for h, err := range s.HalfHours(k, from, to) {
			if err != nil {
				yield(GasHalfHour{}, err)
				return
			}
			if !yield(GasHalfHour{h, c.next(h)}, nil) {
				return
			}
		}
	}
}

// GasHalfHour is a half-hour of gas and its energy.
type GasHalfHour struct {
	energy.HalfHour
	As GasEnergy
}

// GasHalfHours gives the stored half-hours of one gas register with their
// energy, for the page.
func (a *Agent) GasHalfHours(k energy.Key, from, to time.Time) iter.Seq2[GasHalfHour, error] {
	return a.gas.HalfHours(a.opt.Store, k, from, to)
}
