package energy

import (
	"testing"
)

// What went wrong for others (field/edge-gateways.md, part 2): each is a case.
func TestField(t *testing.T) {
	plain := Register{Measure: Import}
	house := Register{Measure: Import, MaxPower: 5000}                   // 2.5 kWh in a half-hour
	unrated := Register{Measure: Import, MaxPower: 10_000_000}           // nobody said what the meter is: 10 MW
	small := Register{Measure: Import, MaxPower: 10_000, Modulus: 10000} // half of it takes 30 minutes
	for _, c := range []struct {
		name  string
		reg   Register
		steps []step
	}{
		{"a start while the meter serves zeros (evcc #29286, 53.7 MWh in one slot)", house, []step{
			{"00:00:00", 0, Nothing, nil},
			{"00:00:10", 0, Nothing, nil},
			{"00:00:20", 53_700_000, Opened, nil},
			{"00:30:00", 53_700_100, Nothing, nil},
			{"01:00:00", 53_700_200, Nothing, []hh{{"00:30:00", 100, 53_700_200, Measured, 1}}},
		}},
		{"a start on another register's low answer", unrated, []step{
			{"00:29:50", 7, Opened, nil},
			{"00:30:10", 3_000_000, TooFast, nil}, // 10 MW could have done it, with grace
			{"00:31:00", 3_000_010, Nothing, nil},
			{"00:32:00", 3_000_020, Nothing, nil},
			{"00:33:00", 3_000_030, Nothing, nil},
			{"00:34:00", 3_000_040, Reset, []hh{{"00:30:00", 0, -1, Missing, 1}}},
			{"01:00:00", 3_000_300, Nothing, nil},
			{"01:30:00", 3_000_600, Nothing, []hh{{"01:00:00", 300, 3_000_600, Measured, 1}}},
		}},
		{"a start on a boundary, and then another register's high answers", unrated, []step{
			{"00:30:00", 7, Opened, nil},
			{"00:30:10", 3_000_000, TooFast, nil},
			{"00:30:20", 2_900_000, Glitch, nil}, // the first of them: from here on it is held anew
			{"00:30:30", 8, Glitch, nil},
			{"00:30:40", 3_000_000, Nothing, nil}, // it is borne out: the ceiling alone decides
		}},
		{"what the second reading bears out can go on as fast as the ceiling allows", unrated, []step{
			{"00:00:00", 700, Opened, nil},
			{"00:00:10", 700, Nothing, nil},
			{"00:00:20", 3_000_000, Nothing, nil},
		}},
		{"a new baseline on another register's low answer", unrated, []step{
			{"00:00:00", 50_000_000, Opened, nil},
			{"00:10:00", 7, Nothing, nil},
			{"00:11:00", 3_000_000, Glitch, nil},
			{"00:12:00", 3_000_010, Nothing, nil},
			{"00:13:00", 3_000_020, Nothing, nil},
			{"00:14:00", 3_000_030, Nothing, nil},
			{"00:15:00", 3_000_040, Reset, []hh{{"00:00:00", 0, -1, Missing, 1}}},
			{"00:30:00", 3_000_190, Nothing, nil},
			{"01:00:00", 3_000_490, Nothing, []hh{{"00:30:00", 300, 3_000_490, Measured, 1}}},
		}},
		{"a small register is not taken for what followed the zeros either", plain, []step{
			{"00:00:00", 0, Nothing, nil},
			{"00:30:00", 4, Opened, nil},
			{"01:00:00", 5, Nothing, []hh{{"00:30:00", 1, 5, Measured, 1}}},
		}},
		{"a new meter that stands at 0 is believed after two periods", plain, []step{
			{"00:00:00", 0, Nothing, nil},
			{"00:59:59", 0, Nothing, nil},
			{"01:00:00", 0, Opened, []hh{{"00:00:00", 0, 0, Estimated, 1}, {"00:30:00", 0, 0, Estimated, 0}}},
			{"01:30:00", 7, Nothing, []hh{{"01:00:00", 7, 7, Measured, 1}}},
		}},
		{"zeros after values that cannot be, before anything is known", house, []step{
			{"00:00:00", -1, Glitch, nil},
			{"00:00:10", 0, Nothing, nil},
			{"00:00:10", 0, OutOfOrder, nil},
			{"00:00:09", 9, OutOfOrder, nil},
			{"00:00:20", 9, Opened, nil},
		}},
		{"0 is served for a while after a firmware update (fronius_modbus PR #140)", house, []step{
			{"00:00:00", 81_250_000, Opened, nil},
			{"00:05:00", 0, Nothing, nil},
			{"00:10:00", 0, Nothing, nil},
			{"00:15:00", 0, Nothing, nil},
			{"00:20:00", 0, Nothing, nil},
			{"00:25:00", 0, Nothing, nil},
			{"00:30:00", 0, Nothing, nil},
			{"00:35:00", 81_250_700, Glitch, []hh{{"00:00:00", 600, 81_250_600, Estimated, 1}}},
		}},
		{"zeros, then another meter's reading: the zeros are no opening reading", plain, []step{
			{"00:00:00", 50_000_000, Opened, nil},
			{"00:05:00", 0, Nothing, nil},
			{"00:10:00", 0, Nothing, nil},
			{"00:11:00", 0, Nothing, nil},
			{"00:12:00", 0, Nothing, nil},
			{"00:13:00", 30_000_000, Glitch, nil}, // the zeros; from here on it is held anew
			{"00:14:00", 30_000_010, Nothing, nil},
			{"00:15:00", 30_000_020, Nothing, nil},
			{"00:15:30", 30_000_025, Nothing, nil},
			{"00:15:59", 30_000_029, Nothing, nil}, // five samples, a second short of three minutes
			{"00:16:00", 30_000_030, Reset, []hh{{"00:00:00", 0, -1, Missing, 1}}},
			{"00:30:00", 30_000_170, Nothing, nil},
			{"01:00:00", 30_000_470, Nothing, []hh{{"00:30:00", 300, 30_000_470, Measured, 1}}},
		}},
		{"a leap is no glitch of the one before it, even where it is slow enough for both", Register{Measure: Import, MaxPower: 10_000}, []step{
			{"00:00:00", 1000, Opened, nil},
			{"00:59:00", 1001, Nothing, []hh{{"00:00:00", 0, 1000, Estimated, 1}}},
			{"01:00:00", 6169, TooFast, []hh{}},
			{"01:01:00", 6169, Nothing, nil},
			{"01:02:00", 6169, Nothing, nil},
			{"01:03:00", 6169, Nothing, nil},
			{"01:04:00", 6169, Reset, []hh{{"00:30:00", 0, -1, Missing, 1}}},
			{"01:30:00", 6200, Nothing, []hh{{"01:00:00", 31, 6200, Measured, 2}}},
		}},
		{"values that jump between 0 and nonsense: never 0 as a baseline", plain, []step{
			{"00:00:00", 50_000, Opened, nil},
			{"00:30:00", 7, Nothing, nil},
			{"01:00:00", 0, Glitch, nil},
			{"01:30:00", 7, Glitch, nil},
			{"02:00:00", 6, Glitch, nil},
			{"02:30:00", 0, Glitch, nil}, // two hours of it: but not 0
			{"02:45:00", 5, Reset, []hh{
				{"00:00:00", 0, -1, Missing, 1}, {"00:30:00", 0, -1, Missing, 0}, {"01:00:00", 0, -1, Missing, 0},
				{"01:30:00", 0, -1, Missing, 0}, {"02:00:00", 0, -1, Missing, 0}, {"02:30:00", 0, -1, Missing, 0},
			}},
		}},
		{"the null of a 32-bit meter (-1 as uint32: 429,496,728 kWh, Growatt_ModbusTCP #401)", house, []step{
			{"00:00:00", 28_196_311, Opened, nil},
			{"00:10:00", 429_496_729_500, TooFast, nil},
			{"00:10:10", 28_196_400, Glitch, nil},
			{"00:30:00", 28_196_800, Nothing, []hh{{"00:00:00", 489, 28_196_800, Measured, 2}}},
		}},
		{"a glitch small enough to be believed is taken back", unrated, []step{
			{"00:00:00", 28_000_000, Opened, nil},
			{"00:10:00", 28_000_100, Nothing, nil},
			{"00:11:00", 30_000_000, Nothing, nil}, // another register's answer
			{"00:12:00", 28_000_120, Nothing, nil},
			{"00:13:00", 28_000_130, Nothing, nil},
			{"00:14:00", 28_000_140, Nothing, nil},
			{"00:14:59", 28_000_149, Nothing, nil},
			{"00:15:00", 28_000_150, Glitch, nil},
			{"00:30:00", 28_000_300, Nothing, []hh{{"00:00:00", 300, 28_000_300, Measured, 4}}},
		}},
		{"such a glitch on a boundary: what it settled is given again", unrated, []step{
			{"00:00:00", 28_000_000, Opened, nil},
			{"00:25:00", 28_000_250, Nothing, nil},
			{"00:30:00", 30_000_000, Nothing, []hh{{"00:00:00", 2_000_000, 30_000_000, Measured, 2}}},
			{"00:30:10", 30_000_000, Nothing, nil}, // twice
			{"00:35:00", 28_000_350, Nothing, nil},
			{"00:36:00", 28_000_360, Nothing, nil},
			{"00:37:00", 28_000_370, Nothing, nil},
			{"00:38:00", 28_000_380, Nothing, nil},
			{"00:39:00", 28_000_390, Retracted, []hh{{"00:00:00", 300, 28_000_300, Interpolated, 2}}},
			{"01:00:00", 28_000_600, Nothing, []hh{{"00:30:00", 300, 28_000_600, Interpolated, 2}}},
		}},
		{"a fall and a return: which of the two was wrong? neither is used", unrated, []step{
			{"00:00:00", 28_000_000, Opened, nil},
			{"00:10:00", 28_000_100, Nothing, nil},
			{"00:15:00", 28_000_500, Nothing, nil},
			{"00:16:00", 28_000_160, Nothing, nil},
			{"00:25:00", 28_000_600, Glitch, nil},
			{"00:30:00", 28_000_650, Nothing, []hh{{"00:00:00", 650, 28_000_650, Measured, 3}}},
		}},
		{"the same down to just the sample before, over a boundary", unrated, []step{
			{"00:00:00", 28_000_000, Opened, nil},
			{"00:10:00", 28_000_100, Nothing, nil},
			{"00:30:00", 28_000_300, Nothing, []hh{{"00:00:00", 300, 28_000_300, Measured, 2}}},
			{"00:35:00", 28_000_100, Nothing, nil},
			{"00:50:00", 28_000_300, Retracted, []hh{{"00:00:00", 200, 28_000_200, Estimated, 2}}},
			{"01:00:00", 28_000_400, Nothing, []hh{{"00:30:00", 200, 28_000_400, Estimated, 1}}},
		}},
		{"below that it was the fall", unrated, []step{
			{"00:00:00", 28_000_000, Opened, nil},
			{"00:10:00", 28_000_100, Nothing, nil},
			{"00:30:00", 28_000_300, Nothing, []hh{{"00:00:00", 300, 28_000_300, Measured, 2}}},
			{"00:35:00", 28_000_099, Nothing, nil},
			{"00:50:00", 28_000_300, Glitch, nil},
			{"01:00:00", 28_000_400, Nothing, []hh{{"00:30:00", 100, 28_000_400, Measured, 2}}},
		}},
		{"a fall below the sample before the last one is no glitch", unrated, []step{
			{"00:00:00", 28_000_000, Opened, nil},
			{"00:10:00", 28_000_100, Nothing, nil},
			{"00:11:00", 28_000_110, Nothing, nil},
			{"00:12:00", 28_000_099, Nothing, nil},
			{"00:13:00", 28_000_099, Nothing, nil},
			{"00:14:00", 28_000_099, Nothing, nil},
			{"00:15:00", 28_000_099, Nothing, nil},
			{"00:16:00", 28_000_099, Reset, []hh{{"00:00:00", 0, -1, Missing, 3}}},
		}},
		{"a fall back to just the sample before the last one", unrated, []step{
			{"00:00:00", 28_000_000, Opened, nil},
			{"00:10:00", 28_000_100, Nothing, nil},
			{"00:11:00", 28_000_110, Nothing, nil},
			{"00:12:00", 28_000_100, Nothing, nil},
			{"00:13:00", 28_000_100, Nothing, nil},
			{"00:14:00", 28_000_100, Nothing, nil},
			{"00:15:00", 28_000_100, Nothing, nil},
			{"00:16:00", 28_000_100, Glitch, nil},
			{"00:30:00", 28_000_200, Nothing, []hh{{"00:00:00", 200, 28_000_200, Measured, 4}}},
		}},
		{"what stood for longer than a period is no glitch: the register was reset", unrated, []step{
			{"00:00:00", 28_000_000, Opened, nil},
			{"00:10:00", 28_000_100, Nothing, nil},
			{"00:20:00", 28_000_200, Nothing, nil},
			{"00:40:00", 28_000_200, Nothing, []hh{{"00:00:00", 200, 28_000_200, Interpolated, 3}}},
			{"00:40:01", 28_000_200, Nothing, nil}, // a period and a second after 00:10
			{"00:41:00", 28_000_150, Nothing, nil},
			{"00:42:00", 28_000_150, Nothing, nil},
			{"00:43:00", 28_000_150, Nothing, nil},
			{"00:44:00", 28_000_150, Nothing, nil},
			{"00:45:00", 28_000_150, Reset, []hh{{"00:30:00", 0, -1, Missing, 2}}},
		}},
		{"what stood for just a period can still be a glitch", unrated, []step{
			{"00:00:00", 28_000_000, Opened, nil},
			{"00:10:00", 28_000_100, Nothing, nil},
			{"00:20:00", 28_000_200, Nothing, nil},
			{"00:40:00", 28_000_200, Nothing, []hh{{"00:00:00", 200, 28_000_200, Interpolated, 3}}},
			{"00:41:00", 28_000_150, Nothing, nil},
			{"00:42:00", 28_000_150, Nothing, nil},
			{"00:43:00", 28_000_150, Nothing, nil},
			{"00:44:00", 28_000_150, Nothing, nil},
			{"00:45:00", 28_000_150, Retracted, []hh{{"00:00:00", 132, 28_000_132, Estimated, 2}}},
		}},
		{"what was counted in a run that is believed counts for the ceiling", Register{Measure: Import, MaxPower: 10_000}, []step{
			{"00:00:00", 5000, Opened, nil},
			{"00:10:00", 900_000, TooFast, nil},
			{"00:11:00", 901_250, Nothing, nil},
			{"00:12:00", 902_500, Nothing, nil},
			{"00:13:00", 903_750, Nothing, nil},
			{"00:14:00", 905_000, Reset, []hh{{"00:00:00", 0, -1, Missing, 1}}}, // 26 minutes ahead
			{"00:15:00", 905_834, TooFast, nil},
			{"00:15:10", 905_800, Glitch, nil},
		}},
		{"and no more than that", Register{Measure: Import, MaxPower: 10_000}, []step{
			{"00:00:00", 5000, Opened, nil},
			{"00:10:00", 900_000, TooFast, nil},
			{"00:11:00", 900_000, Nothing, nil},
			{"00:12:00", 900_000, Nothing, nil},
			{"00:13:00", 900_000, Nothing, nil},
			{"00:14:00", 900_040, Reset, []hh{{"00:00:00", 0, -1, Missing, 1}}},
			{"00:15:00", 905_206, Nothing, nil}, // 31 minutes at 10 kW
		}},
		{"unseen for longer than half the modulus takes: not guessed", small, []step{
			{"00:00:00", 1000, Opened, nil},
			{"00:30:00", 5000, Nothing, []hh{{"00:00:00", 4000, 5000, Measured, 1}}},
			{"01:00:01", 6000, Ambiguous, []hh{{"00:30:00", 0, -1, Missing, 1}, {"01:00:00", 0, -1, Missing, 0}}},
			{"01:30:00", 7000, Nothing, nil},
			{"02:00:00", 8000, Nothing, []hh{{"01:30:00", 1000, 8000, Measured, 1}}},
		}},
		{"unseen for too long, and then a 0", small, []step{
			{"00:00:00", 1000, Opened, nil},
			{"00:40:00", 0, Nothing, nil},
			{"00:50:00", 3000, Ambiguous, []hh{{"00:00:00", 0, -1, Missing, 1}, {"00:30:00", 0, -1, Missing, 0}}},
			{"01:00:00", 3100, Nothing, nil},
			{"01:30:00", 3400, Nothing, []hh{{"01:00:00", 300, 3400, Measured, 1}}},
		}},
		{"unseen for too long while something is held", small, []step{
			{"00:00:00", 5000, Opened, nil},
			{"00:10:00", 4000, Nothing, nil},
			{"00:40:01", 5100, Ambiguous, []hh{{"00:00:00", 0, -1, Missing, 1}, {"00:30:00", 0, -1, Missing, 0}}},
		}},
		{"unseen for just as long as can be told, while something is held", small, []step{
			{"00:00:00", 5000, Opened, nil},
			{"00:10:00", 4000, Nothing, nil},
			{"00:30:00", 5100, Glitch, []hh{{"00:00:00", 100, 5100, Measured, 1}}},
		}},
		{"zeros with too long between them do not make a 0 believed", small, []step{
			{"00:00:00", 0, Nothing, nil},
			{"00:30:01", 0, Nothing, nil},
			{"01:00:00", 0, Nothing, nil},
			{"01:30:00", 0, Nothing, nil},
			{"01:30:01", 0, Opened, []hh{{"01:00:00", 0, 0, Estimated, 0}}},
		}},
	} {
		t.Run(c.name, func(t *testing.T) { tell(t, NewAccumulator(c.reg, Period), c.steps) })
	}
}
