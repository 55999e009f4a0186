package energy

import "testing"

// A register that is not believed yet and climbs: however many readings it
// climbs in, it is never believed to have counted more than the meter can
// deliver since the first of them, and a reading's worth of grace is given once.
func TestCreepWhileHeld(t *testing.T) {
	for _, c := range []struct {
		name  string
		reg   Register
		steps []step
	}{
		{"after a fall", Register{Measure: Import, MaxPower: 20_000}, []step{
			{"00:00:00", 2_000_000, Opened, nil}, {"00:27:00", 2_000_010, Nothing, nil},
			{"00:28:00", 1_000_000, Nothing, nil}, {"00:29:00", 1_009_900, Nothing, nil},
			{"00:30:00", 1_019_800, Glitch, nil}, // 10,667 since the first; with what was held goes its grace
			{"00:31:00", 1_029_700, Nothing, nil}, {"00:32:00", 1_029_800, Nothing, nil}, {"00:33:00", 1_029_900, Nothing, nil},
			{"00:34:00", 1_030_000, Reset, []hh{{"00:00:00", 0, -1, Missing, 2}}},
		}},
		{"after a wrap", Register{Measure: Import, MaxPower: 2_000_000, Modulus: 100_000_000}, []step{
			{"00:00:00", 99_490_000, Opened, nil}, {"00:29:00", 99_500_000, Nothing, nil},
			{"00:30:00", 533_333, Nothing, nil},                                                  // 31 minutes' worth in one: no grace is left
			{"00:31:00", 580_000, Nothing, nil},                                                  // so that it cannot have gone on by 84 seconds' in one minute,
			{"00:33:00", 580_000, Rollover, []hh{{"00:00:00", 1_043_333, 533_333, Measured, 2}}}, // and here it can have
		}},
	} {
		t.Run(c.name, func(t *testing.T) { tell(t, NewAccumulator(c.reg, Period), c.steps) })
	}
}

// What a frozen register caught up to, or what is taken instead of a wrong
// baseline, gets its grace once, too; and so does the new meter of an exchange.
func TestCreepAfterwards(t *testing.T) {
	rated := Register{Measure: Import, MaxPower: 10_000}
	tell(t, NewAccumulator(rated, Period), frozen(
		step{"01:00:00", 64_000, TooFast, nil}, // 13,000 since 00:10: as much as 78 of 80 minutes deliver
		step{"01:01:00", 64_000, Nothing, nil}, step{"01:02:00", 64_000, Nothing, nil}, step{"01:03:00", 64_000, Nothing, nil},
		step{"01:04:00", 65_400, Reset, []hh{{"00:30:00", 0, -1, Missing, 2}}}, // 14,400 since then: 86 of 84
	))
	a := NewAccumulator(rated, Period)
	tell(t, a, []step{{"00:00:00", 950_000, Opened, nil}, {"00:10:00", 951_000, Nothing, nil}, {"00:20:00", 500_000, Nothing, nil}, {"00:21:00", 505_000, Nothing, nil}})
	stateExchange(t, a, swap{at: "00:15:00", closing: 951_500, opening: 495_000, err: "from the opening reading of 495000 to 505000"})
	stateExchange(t, a, swap{at: "00:15:00", closing: 951_500, opening: 499_000})
}
