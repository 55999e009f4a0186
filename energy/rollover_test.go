package energy

import "testing"

// Registers that wrap, and those that only seem to.
func TestRollover(t *testing.T) {
	for _, c := range []struct {
		name  string
		reg   Register
		steps []step
	}{
		{"a register that is read seldom and wraps to exactly 0", Register{Measure: Import, Modulus: 1_000_000}, []step{
			{"00:00:00", 999_999, Opened, nil},
			{"01:00:00", 0, Nothing, nil},
			{"03:00:00", 1, Nothing, nil},
			{"05:00:00", 2, Rollover, []hh{
				{"00:00:00", 0, 999_999, Estimated, 1}, {"00:30:00", 0, 999_999, Estimated, 0}, {"01:00:00", 1, 0, Estimated, 0},
				{"01:30:00", 0, 0, Estimated, 0}, {"02:00:00", 0, 0, Estimated, 0}, {"02:30:00", 1, 1, Estimated, 0},
				{"03:00:00", 0, 1, Estimated, 1}, {"03:30:00", 0, 1, Estimated, 0}, {"04:00:00", 0, 1, Estimated, 0}, {"04:30:00", 1, 2, Estimated, 0},
			}},
		}},
		{"what looks like a rollover, but never lasts", Register{Measure: Import, Modulus: 1_000_000}, []step{
			{"00:00:00", 999_999, Opened, nil},
			{"01:00:00", 7, Nothing, nil},
			{"02:00:00", 6, Glitch, nil},
			{"03:00:00", 5, Glitch, nil}, // two hours
			{"04:00:00", 4, Glitch, nil},
			{"04:59:59", 3, Glitch, nil},
			{"05:00:00", 2, Reset, []hh{
				{"00:00:00", 0, -1, Missing, 1}, {"00:30:00", 0, -1, Missing, 0}, {"01:00:00", 0, -1, Missing, 0}, {"01:30:00", 0, -1, Missing, 0},
				{"02:00:00", 0, -1, Missing, 0}, {"02:30:00", 0, -1, Missing, 0}, {"03:00:00", 0, -1, Missing, 0}, {"03:30:00", 0, -1, Missing, 0},
				{"04:00:00", 0, -1, Missing, 0}, {"04:30:00", 0, -1, Missing, 0},
			}},
		}},
		{"two zeros near the modulus are no rollover", Register{Measure: Import, MaxPower: 5000, Modulus: 100_000_000}, []step{
			{"00:00:00", 99_999_000, Opened, nil},
			{"00:10:00", 0, Nothing, nil},
			{"00:11:00", 0, Nothing, nil},
			{"00:12:00", 99_999_100, Glitch, nil},
			{"00:30:00", 99_999_300, Nothing, []hh{{"00:00:00", 300, 99_999_300, Measured, 2}}},
		}},
		{"a register that wraps to exactly 0 and goes on", Register{Measure: Import, MaxPower: 5000, Modulus: 100_000_000}, []step{
			{"00:00:00", 99_999_900, Opened, nil},
			{"00:10:00", 0, Nothing, nil},
			{"00:20:00", 100, Nothing, nil}, // the 0 was right: nothing is said against it
			{"00:30:00", 200, Rollover, []hh{{"00:00:00", 300, 200, Measured, 2}}},
		}},
		{"a register that wraps to exactly 0, and a leap after it", Register{Measure: Import, MaxPower: 5000, Modulus: 100_000_000}, []step{
			{"00:00:00", 99_999_900, Opened, nil},
			{"00:10:00", 0, Nothing, nil},
			{"00:11:00", 5000, Glitch, nil}, // not what follows a wrap
			{"00:12:00", 100, Glitch, nil},
			{"00:30:00", 200, Rollover, []hh{{"00:00:00", 300, 200, Measured, 2}}},
		}},
		{"0 near the modulus, and a value that is no wrap", Register{Measure: Import, MaxPower: 5000, Modulus: 100_000_000}, []step{
			{"00:00:00", 80_000_000, Opened, nil},
			{"00:10:00", 0, Nothing, nil},
			{"00:20:00", 100, Glitch, nil},
			{"00:21:00", 80_000_100, Glitch, nil},
			{"00:30:00", 80_000_300, Nothing, []hh{{"00:00:00", 300, 80_000_300, Measured, 2}}},
		}},
		{"0 and a small value near the modulus, and back", Register{Measure: Import, MaxPower: 5000, Modulus: 100_000_000}, []step{
			{"00:00:00", 99_999_000, Opened, nil},
			{"00:10:00", 0, Nothing, nil},
			{"00:11:00", 100, Nothing, nil},
			{"00:12:00", 99_999_100, Glitch, nil}, // of what was held last
			{"00:30:00", 99_999_300, Nothing, []hh{{"00:00:00", 300, 99_999_300, Measured, 2}}},
		}},
		{"a register that wraps to exactly 0 and stays there", Register{Measure: Import, MaxPower: 5000, Modulus: 100_000_000}, []step{
			{"00:00:00", 99_999_900, Opened, nil},
			{"00:10:00", 0, Nothing, nil},
			{"01:09:59", 0, Nothing, nil},
			{"01:10:00", 0, Rollover, []hh{{"00:00:00", 100, 0, Estimated, 2}, {"00:30:00", 0, 0, Estimated, 0}}},
		}},
		{"63 bits of energy in a half-hour, and a wrap that just fits", Register{Measure: Import, Modulus: 1<<63 - 1}, []step{
			{"00:00:00", 1, Opened, nil},
			{"00:10:00", 1<<63 - 4, Nothing, nil},
			{"00:11:00", 1, Nothing, nil},
			{"00:12:00", 1, Rollover, nil},
			{"00:30:00", 1, Nothing, []hh{{"00:00:00", 1<<63 - 1, 1, Measured, 4}}},
		}},
		{"63 bits of energy in a half-hour, and a wrap that does not fit", Register{Measure: Import, Modulus: 1<<63 - 1}, []step{
			{"00:00:00", 1, Opened, nil},
			{"00:10:00", 1<<63 - 4, Nothing, nil},
			{"00:11:00", 1, Nothing, nil},
			{"00:12:00", 2, Nothing, nil},
			{"00:13:00", 2, Nothing, nil},
			{"00:14:00", 2, Nothing, nil},
			{"00:15:00", 2, Glitch, nil}, // the leap is taken back
			{"00:30:00", 2, Nothing, []hh{{"00:00:00", 1, 2, Measured, 3}}},
		}},
	} {
		t.Run(c.name, func(t *testing.T) { tell(t, NewAccumulator(c.reg, Period), c.steps) })
	}
}
