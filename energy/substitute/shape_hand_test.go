package substitute

import (
	"slices"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// Gaps by hand: between 00:15 and 02:15, where like days use 100, 100, 300,
// 500 and 600 Wh from 00:00 on. Of the first and the last half-hour a half
// lies in the gap: the weights are 50, 100, 300, 500 and 300, of 1,250.
func TestShapeByHand(t *testing.T) {
	var w []energy.HalfHour
	for d := -14; d < 0; d++ {
		for n, e := range []int64{100, 100, 300, 500, 600} {
			w = append(w, energy.HalfHour{Start: midnight.AddDate(0, 0, d).Add(time.Duration(n) * energy.Period), Energy: e, Cumulative: -1, Quality: energy.Measured})
		}
	}
	for name, c := range map[string]struct {
		advance            int64
		spread             int64 // the register at every boundary in the gap, before; 0: spread evenly
		cumulative, energy []int64
		moduli             []int64
	}{
		// After 00:15 come 1,000 Wh x 50/1250, 150/1250, 450/1250 and 950/1250.
		// Moduli: the register wraps at or beside a boundary, as spread or as
		// shaped, or beside a sample.
		"much": {1000, 0, []int64{5140, 5220, 5460, 5860, 6200}, []int64{140, 80, 240, 400, 340}, []int64{0, 7000, 6201, 6200, 6199, 6101, 6100, 5860, 5859, 5475, 5474, 5225, 5140, 5101, 5100, 5099, 5001}},
		// 3 Wh: spread evenly the register shows 5100, 5101, 5101 and 5102.
		"little":    {3, 0, []int64{5100, 5100, 5101, 5102, 5203}, []int64{100, 0, 1, 1, 101}, []int64{0, 7000, 5103, 5102, 5101, 5100}},
		"in one go": {0, 0, nil, nil, []int64{0, 7000, 5100}},
		// However it was spread: all at the end, or all at the start of the gap.
		"late":  {1000, 5100, []int64{5140, 5220, 5460, 5860, 6200}, []int64{140, 80, 240, 400, 340}, []int64{0, 5100, 5101}},
		"early": {1000, 6100, []int64{5140, 5220, 5460, 5860, 6200}, []int64{140, 80, 240, 400, 340}, []int64{0, 6100, 6101}},
	} {
		for _, modulus := range c.moduli {
			run := counted(energy.Register{Measure: energy.Import}, []energy.Sample{
				{At: midnight, Value: 5000}, {At: midnight.Add(15 * time.Minute), Value: 5100}, {At: midnight.Add(135 * time.Minute), Value: 5100 + c.advance}, {At: midnight.Add(150 * time.Minute), Value: 5200 + c.advance},
			})
			for i := range run[1:] {
				if c.spread > 0 {
					run[i+1].Energy += run[i].Cumulative - c.spread
					run[i].Energy -= run[i].Cumulative - c.spread
					run[i].Cumulative = c.spread
				}
			}
			if modulus > 0 {
				for i := range run {
					run[i].Cumulative %= modulus
					run[i].Evidence.First.Value %= modulus
					run[i].Evidence.Last.Value %= modulus
				}
			}
			got := Plan(energy.Import, append(slices.Clone(w), run...), Options{Methods: []Method{Scaled}, Modulus: modulus})
			at := map[int64]energy.HalfHour{}
			for _, h := range got {
				at[h.Start.Unix()] = h
			}
			changed := 0
			for i, h := range run {
				want := h
				if c.energy != nil {
					want.Energy, want.Cumulative = c.energy[i], c.cumulative[i]
				}
				if modulus > 0 {
					want.Cumulative %= modulus
				}
				n, ok := at[h.Start.Unix()]
				if ok {
					changed++
				} else {
					n = h
				}
				if n.Energy != want.Energy || n.Cumulative != want.Cumulative {
					t.Errorf("%s, modulus %d, half-hour %d: %d to %d, want %d to %d", name, modulus, i, n.Energy, n.Cumulative, want.Energy, want.Cumulative)
				}
			}
			if changed != len(got) || (c.energy == nil) != (changed == 0) {
				t.Errorf("%s, modulus %d: %d half-hours were changed", name, modulus, changed)
			}
		}
	}
}
