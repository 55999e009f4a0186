package site

import (
	"hash/fnv"
	"math"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/sim/meter"
)

// shapeOf is a load that the meter can carry: by the kind of what it measures,
// one of two businesses, and no more than its rating allows.
func shapeOf(id string, r config.Register) meter.Shape {
	h := fnv.New32a()
	h.Write([]byte(id))
	shape, most := meter.Shop, 20_000.0
	if h.Sum32()%2 == 1 {
		shape = meter.Bakery
	}
	switch r.Measure {
	case energy.Export, energy.Generation:
		shape = meter.Solar
	case energy.ReactiveImport, energy.ReactiveExport:
		shop := shape
		shape = func(t time.Time, noise float64) float64 { return 0.3 * shop(t, noise) }
	case energy.Gas:
		shape, most = heating, 6_000
	case energy.Water:
		shape, most = tap, 1_000
	}
	if r.Power && r.Measure != energy.Import && r.Measure != energy.ReactiveImport {
		// One register of power shows import above 0 and export below: this site
		// takes.
		return func(time.Time, float64) float64 { return 0 }
	}
	down := min(1, float64(r.MaxPower)/most)
	return func(t time.Time, noise float64) float64 { return down * shape(t, noise) }
}

// heating is a boiler, in litres of gas an hour.
func heating(t time.Time, noise float64) float64 {
	season := math.Cos(2 * math.Pi * float64(t.YearDay()-15) / 365)
	w := 120 + 30*noise // hot water
	if h := t.Hour(); h >= 6 && h < 18 {
		w += 1500 * max(0, 0.3+season) * (1 + 0.1*noise)
	}
	return max(w, 40)
}

// tap is water, in litres an hour.
func tap(t time.Time, noise float64) float64 {
	if h := t.Hour(); h < 7 || h >= 19 {
		return 2
	}
	return max(5, 60+25*noise)
}
