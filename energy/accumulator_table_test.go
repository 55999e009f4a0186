package energy

import (
	"testing"
)

func TestAccumulator(t *testing.T) {
	plain := Register{Measure: Import}
	rated := Register{Measure: Import, MaxPower: 10_000, Modulus: 1_000_000} // 10 kW: 5 kWh in a half-hour
	for _, c := range []struct {
		name  string
		reg   Register
		steps []step
	}{
		{"samples on the boundaries", plain, []step{
			{"00:00:00", 1000, Opened, nil},
			{"00:30:00", 1500, Nothing, []hh{{"00:00:00", 500, 1500, Measured, 1}}},
			{"01:00:00", 1500, Nothing, []hh{{"00:30:00", 0, 1500, Measured, 1}}},
		}},
		{"the first partial half-hour is not given", plain, []step{
			{"00:10:00", 1000, Opened, nil},
			{"00:29:00", 1190, Nothing, nil},
			{"00:31:00", 1210, Nothing, nil},
			{"00:59:00", 1490, Nothing, nil},
			{"01:01:00", 1510, Nothing, []hh{{"00:30:00", 300, 1500, Measured, 2}}},
		}},
		{"close means at most two minutes", plain, []step{
			{"00:00:00", 1000, Opened, nil},
			{"00:28:00", 1280, Nothing, nil},
			{"00:32:00", 1320, Nothing, []hh{{"00:00:00", 300, 1300, Measured, 2}}},
			{"00:57:59", 1578, Nothing, nil},
			{"01:02:01", 1618, Nothing, []hh{{"00:30:00", 298, 1598, Interpolated, 2}}},
			{"01:32:00", 1918, Nothing, []hh{{"01:00:00", 299, 1897, Interpolated, 1}}},
			{"02:02:00", 2218, Nothing, []hh{{"01:30:00", 301, 2198, Measured, 1}}},
		}},
		{"close counts only where the samples are at most a period apart", plain, []step{
			{"00:00:00", 1000, Opened, nil},
			{"00:28:01", 1281, Nothing, nil},
			{"00:58:01", 1581, Nothing, []hh{{"00:00:00", 300, 1300, Measured, 2}}},
			{"00:58:02", 1582, Nothing, nil},
			{"01:28:03", 1883, Nothing, []hh{{"00:30:00", 301, 1601, Estimated, 2}}}, // a second more
		}},
		{"within a quarter of close the other sample does not matter", plain, []step{
			{"00:00:00", 1000, Opened, nil},
			{"00:29:30", 1295, Nothing, nil},
			{"02:29:29", 2495, Nothing, []hh{
				{"00:00:00", 300, 1300, Measured, 2},
				{"00:30:00", 300, 1600, Estimated, 0},
				{"01:00:00", 300, 1900, Estimated, 0},
				{"01:30:00", 300, 2200, Estimated, 0},
			}},
			{"04:00:30", 3405, Nothing, []hh{
				{"02:00:00", 300, 2500, Estimated, 1}, {"02:30:00", 300, 2800, Estimated, 0},
				{"03:00:00", 300, 3100, Estimated, 0}, {"03:30:00", 300, 3400, Estimated, 0},
			}},
			{"04:30:00", 3700, Nothing, []hh{{"04:00:00", 300, 3700, Measured, 1}}},
			{"04:59:29", 3995, Nothing, nil},
			{"06:00:31", 4610, Nothing, []hh{
				{"04:30:00", 300, 4000, Estimated, 2}, // 31 s, and the other one is far
				{"05:00:00", 302, 4302, Estimated, 0}, {"05:30:00", 302, 4604, Estimated, 0},
			}},
		}},
		{"further apart is interpolated, rounded down", plain, []step{
			{"00:00:00", 1000, Opened, nil},
			{"00:20:00", 1200, Nothing, nil},
			{"00:50:00", 1202, Nothing, []hh{{"00:00:00", 200, 1200, Interpolated, 2}}},
			{"01:00:00", 1300, Nothing, []hh{{"00:30:00", 100, 1300, Interpolated, 1}}},
		}},
		{"a gap of exactly one period is interpolated, a longer one estimated", plain, []step{
			{"00:00:00", 100, Opened, nil},
			{"00:15:00", 115, Nothing, nil},
			{"00:45:00", 145, Nothing, []hh{{"00:00:00", 30, 130, Interpolated, 2}}},
			{"01:15:01", 177, Nothing, []hh{{"00:30:00", 30, 160, Estimated, 1}}},
		}},
		{"an outage spreads the exact advance", plain, []step{
			{"00:00:00", 100, Opened, nil},
			{"00:10:00", 110, Nothing, nil},
			{"02:10:00", 117, Nothing, []hh{
				{"00:00:00", 11, 111, Estimated, 2},
				{"00:30:00", 1, 112, Estimated, 0},
				{"01:00:00", 2, 114, Estimated, 0},
				{"01:30:00", 2, 116, Estimated, 0},
			}},
			{"02:30:00", 200, Nothing, []hh{{"02:00:00", 84, 200, Estimated, 1}}},
			{"03:00:00", 250, Nothing, []hh{{"02:30:00", 50, 250, Measured, 1}}},
		}},
		{"a momentary zero is a glitch", rated, []step{
			{"00:00:00", 5000, Opened, nil},
			{"00:10:00", 0, Nothing, nil},
			{"00:10:10", 5010, Glitch, nil},
			{"00:30:00", 5300, Nothing, []hh{{"00:00:00", 300, 5300, Measured, 2}}},
		}},
		{"a value that comes back to the baseline exactly is a glitch", rated, []step{
			{"00:00:00", 5000, Opened, nil},
			{"00:10:00", 4999, Nothing, nil},
			{"00:20:00", 5000, Glitch, nil},
			{"00:30:00", 5000, Nothing, []hh{{"00:00:00", 0, 5000, Measured, 2}}},
		}},
		{"a leap that does not last is a glitch", rated, []step{
			{"00:00:00", 5000, Opened, nil},
			{"00:10:00", 900_000, TooFast, nil},
			{"00:10:10", 5010, Glitch, nil},
			{"00:30:00", 5300, Nothing, []hh{{"00:00:00", 300, 5300, Measured, 2}}},
		}},
		{"the ceiling is the rating over the time and half an hour", rated, []step{
			{"00:00:00", 100_001, Opened, nil},
			{"00:06:00", 106_001, Nothing, nil}, // 0.6 h of 10 kW
			{"00:06:00", 106_001, OutOfOrder, nil},
			{"00:12:00", 107_002, TooFast, nil}, // half an hour ahead of the rating already
		}},
		{"what is ahead of the rating is made up for by time", rated, []step{
			{"00:00:00", 100_001, Opened, nil},
			{"00:06:00", 106_001, Nothing, nil},
			{"00:12:00", 107_001, Nothing, nil}, // 10 kW for 6 minutes
			{"00:18:00", 107_001, Nothing, nil},
			{"00:24:00", 109_001, Nothing, nil},
			{"00:29:00", 109_835, TooFast, nil},
			{"00:29:01", 109_834, Glitch, nil},
		}},
		{"rollover", rated, []step{
			{"00:00:00", 999_000, Opened, nil},
			{"00:10:00", 999_900, Nothing, nil},
			{"00:20:00", 100, Nothing, nil},
			{"00:30:00", 700, Rollover, []hh{{"00:00:00", 1700, 700, Measured, 3}}},
			{"01:00:00", 800, Nothing, []hh{{"00:30:00", 100, 800, Measured, 1}}},
		}},
		{"rollover across a boundary", rated, []step{
			{"00:00:00", 999_000, Opened, nil},
			{"00:20:00", 999_900, Nothing, nil},
			{"00:40:00", 100, Nothing, nil},
			{"00:50:00", 200, Rollover, []hh{{"00:00:00", 1000, 0, Interpolated, 2}}},
			{"01:00:00", 300, Nothing, []hh{{"00:30:00", 300, 300, Interpolated, 2}}},
		}},
		{"a zero near the modulus that goes away is a glitch", rated, []step{
			{"00:00:00", 999_900, Opened, nil},
			{"00:10:00", 0, Nothing, nil},
			{"00:10:10", 999_950, Glitch, nil},
			{"00:30:00", 999_960, Nothing, []hh{{"00:00:00", 60, 999_960, Measured, 2}}},
		}},
		{"too early for a rollover: reset", rated, []step{
			{"00:00:00", 899_999, Opened, nil},
			{"00:10:00", 10, Nothing, nil},
			{"00:11:00", 11, Nothing, nil},
			{"00:12:00", 12, Nothing, nil},
			{"00:13:00", 13, Nothing, nil},
			{"00:14:00", 14, Reset, []hh{{"00:00:00", 0, -1, Missing, 1}}},
			{"00:30:00", 30, Nothing, nil},
			{"01:00:00", 60, Nothing, []hh{{"00:30:00", 30, 60, Measured, 1}}},
		}},
		{"near the modulus but implausible: reset", rated, []step{
			{"00:00:00", 950_000, Opened, nil},
			{"00:10:00", 10, Nothing, nil},
			{"00:11:00", 11, Nothing, nil},
			{"00:12:00", 12, Nothing, nil},
			{"00:13:00", 13, Nothing, nil},
			{"00:14:00", 14, Reset, []hh{{"00:00:00", 0, -1, Missing, 1}}},
		}},
		{"reset over a boundary: every half-hour of the break is missing", plain, []step{
			{"00:00:00", 5000, Opened, nil},
			{"00:20:00", 5100, Nothing, nil},
			{"01:10:00", 10, Nothing, nil},
			{"01:20:00", 20, Nothing, nil},
			{"01:40:00", 40, Nothing, nil},
			{"01:50:00", 50, Nothing, nil},
			{"02:00:00", 60, Reset, []hh{
				{"00:00:00", 0, -1, Missing, 2},
				{"00:30:00", 0, -1, Missing, 0},
				{"01:00:00", 0, -1, Missing, 0},
				{"01:30:00", 30, 60, Estimated, 0}, // between the first and the last held sample
			}},
		}},
		{"reset to a reading on a boundary opens there", plain, []step{
			{"00:00:00", 5000, Opened, nil},
			{"00:30:00", 10, Nothing, nil},
			{"00:32:00", 11, Nothing, nil},
			{"00:34:00", 12, Nothing, nil},
			{"00:36:00", 13, Nothing, nil},
			{"00:38:00", 14, Reset, []hh{{"00:00:00", 0, -1, Missing, 1}}},
			{"01:00:00", 40, Nothing, []hh{{"00:30:00", 30, 40, Measured, 2}}},
		}},
		{"a leap that stays is a new baseline, never a monstrous half-hour", rated, []step{
			{"00:00:00", 5000, Opened, nil},
			{"00:10:00", 900_000, TooFast, nil},
			{"00:11:00", 900_010, Nothing, nil},
			{"00:12:00", 900_020, Nothing, nil},
			{"00:13:00", 900_030, Nothing, nil},
			{"00:14:00", 900_040, Reset, []hh{{"00:00:00", 0, -1, Missing, 1}}},
			{"00:30:00", 900_100, Nothing, nil},
			{"01:00:00", 900_200, Nothing, []hh{{"00:30:00", 100, 900_200, Measured, 1}}},
		}},
		{"after a leap, time does not make the leap plausible", Register{Measure: Import, MaxPower: 10_000}, []step{
			{"00:00:00", 5000, Opened, nil},
			{"00:10:00", 90_000, TooFast, nil},
			{"20:00:00", 90_010, Nothing, nil}, // 10 kW for 20 h would be 200 kWh
		}},
		{"a burst of an other register is not believed in less than three minutes", plain, []step{
			{"00:00:00", 5000, Opened, nil},
			{"00:10:00", 10, Nothing, nil},
			{"00:10:01", 10, Nothing, nil},
			{"00:10:02", 10, Nothing, nil},
			{"00:10:03", 10, Nothing, nil},
			{"00:12:59", 10, Nothing, nil},
			{"00:30:00", 5300, Glitch, []hh{{"00:00:00", 300, 5300, Measured, 1}}},
		}},
		{"five samples over just three minutes are believed", plain, []step{
			{"00:00:00", 5000, Opened, nil},
			{"00:10:00", 10, Nothing, nil},
			{"00:10:30", 10, Nothing, nil},
			{"00:11:00", 10, Nothing, nil},
			{"00:12:00", 10, Nothing, nil},
			{"00:13:00", 10, Reset, []hh{{"00:00:00", 0, -1, Missing, 1}}},
		}},
		{"zero is believed only after two periods", plain, []step{
			{"00:00:00", 5000, Opened, nil},
			{"00:10:00", 0, Nothing, nil},
			{"00:20:00", 0, Nothing, nil},
			{"00:40:00", 0, Nothing, nil},
			{"00:50:00", 0, Nothing, nil},
			{"01:00:00", 0, Nothing, nil},
			{"01:09:59", 0, Nothing, nil},
			{"01:10:00", 0, Reset, []hh{
				{"00:00:00", 0, -1, Missing, 1},
				{"00:30:00", 0, 0, Estimated, 0},
			}},
		}},
		{"a disc that runs backwards is reset after four periods", plain, []step{
			{"00:00:00", 5000, Opened, nil},
			{"00:30:00", 4990, Nothing, nil},
			{"01:00:00", 4980, Glitch, nil},
			{"01:30:00", 4970, Glitch, nil},
			{"02:29:59", 4960, Glitch, nil},
			{"02:30:00", 4950, Reset, []hh{
				{"00:00:00", 0, -1, Missing, 1}, {"00:30:00", 0, -1, Missing, 0}, {"01:00:00", 0, -1, Missing, 0},
				{"01:30:00", 0, -1, Missing, 0}, {"02:00:00", 0, -1, Missing, 0},
			}},
			{"03:00:00", 4960, Nothing, []hh{{"02:30:00", 10, 4960, Measured, 1}}},
		}},
		{"reset before the first boundary: nothing is missing that was never due", plain, []step{
			{"00:05:00", 5000, Opened, nil},
			{"00:10:00", 1, Nothing, nil},
			{"00:11:00", 2, Nothing, nil},
			{"00:12:00", 3, Nothing, nil},
			{"00:13:00", 4, Nothing, nil},
			{"00:14:00", 5, Reset, nil},
			{"00:30:00", 30, Nothing, nil},
			{"01:00:00", 60, Nothing, []hh{{"00:30:00", 30, 60, Measured, 1}}},
		}},
		{"values that the register cannot show are thrown away", rated, []step{
			{"00:00:00", -1, Glitch, nil},
			{"00:01:00", 1_000_000, Glitch, nil},
			{"00:02:00", 999_999, Opened, nil},
			{"00:03:00", -5, Glitch, nil},
			{"00:03:00", 999_999, Nothing, nil},
		}},
		{"late, repeated and timeless samples are dropped", plain, []step{
			{"00:00:00", 10, Opened, nil},
			{"00:10:00", 20, Nothing, nil},
			{"00:10:00", 20, OutOfOrder, nil},
			{"00:09:59", 19, OutOfOrder, nil},
			{"00:11:00", 5, Nothing, nil},     // held
			{"00:11:00", 21, OutOfOrder, nil}, // not after what is held
			{"00:30:00", 40, Glitch, []hh{{"00:00:00", 30, 40, Measured, 2}}},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			tell(t, NewAccumulator(c.reg, Period), c.steps)
		})
	}
}
