package agent

import "testing"

// every gives the times from one to another.
func every(step, from, to int64) (out []int64) {
	for ; from <= to; from += step {
		out = append(out, from)
	}
	return out
}

// says is a file with actual values from half-hour first on.
func says(at, first int64, energy ...int64) (e taleEvent) {
	e = taleEvent{at: at, first: first}
	for _, x := range energy {
		e.tells = append(e.tells, tellsOf{energy: x})
	}
	return e
}

func stored(at int64, late []int64) taleEvent { return taleEvent{at: at, late: late} }

const hour = 3600

// Tales that went wrong once.
func TestTalesThatWentWrong(t *testing.T) {
	uneven := []int64{12000, 0, 500, 3600}
	for name, y := range map[string]tale{
		// What a meter stored comes as soon as it is back, when the last half-hour of the gap is not over: the register at its start
		// stood as it was spread, and so did what lies before it.
		"stored readings at once": {
			watts: uneven, step: 60, holes: [][2]int64{{2*hour + 600, 6*hour + 1200}}, end: 8 * hour,
			events: []taleEvent{stored(6*hour+1260, every(60, 2*hour+660, 6*hour+1140))},
		},
		"stored readings at once, and a new start": {
			watts: uneven, step: 60, holes: [][2]int64{{2*hour + 600, 6*hour + 1200}}, end: 8 * hour,
			events: []taleEvent{stored(6*hour+1260, every(60, 2*hour+660, 6*hour+1140)), {at: 6*hour + 1270}},
		},
		// A register goes round while it is not read, and what it stored comes before that is sure.
		"stored readings while it may have gone round": {
			watts: []int64{3600}, step: 60, opening: 9_995_000, modulus: 10_000_000, end: 7 * hour,
			holes:  [][2]int64{{hour + 600, hour + 2400}, {hour + 2401, 3 * hour}},
			events: []taleEvent{stored(hour+2402, every(60, hour+660, hour+2340))},
		},
		// A file tells of a half-hour before the register has counted it, and a reading comes late to the one before.
		"a file ahead of the register": {
			watts: uneven, step: 600, holes: [][2]int64{{2 * hour, 2*hour + 1900}}, end: 6 * hour,
			events: []taleEvent{says(3*hour+1800, 5, 900, 900), stored(3*hour+1801, every(600, 2*hour+100, 2*hour+1800))},
		},
		// A file is corrected: what the first left of the advance was next to nothing, and that is no shape for what the second leaves.
		"a correction of nearly everything": {
			watts: []int64{3600}, step: 60, holes: [][2]int64{{2*hour + 600, 6*hour + 1200}}, end: 8 * hour,
			events: []taleEvent{says(7*hour, 6, 12_597), says(7*hour+60, 6, 1800)},
		},
		// A late reading moves the edge of a gap that a file tells of elsewhere.
		"a late reading beside a gap": {
			watts: uneven, step: 60, holes: [][2]int64{{2*hour + 660, 2*hour + 2040}, {2*hour + 2160, 8 * hour}}, end: 10 * hour,
			events: []taleEvent{says(8*hour+1800, 12, 100), stored(9*hour, every(60, 2*hour+720, 2*hour+900))},
		},
		// What a file told of the half-hour that two gaps share is known better now: it counts in neither any more.
		"told and then known": {
			watts: uneven, step: 60, holes: [][2]int64{{2 * hour, 5*hour - 20}, {5*hour - 19, 8 * hour}}, end: 10 * hour,
			events: []taleEvent{says(8*hour+1800, 9, 5000), stored(9*hour, every(60, 2*hour, 5*hour-21))},
		},
		// A file tells less of it than was counted between the two.
		"less than was counted": {
			watts: []int64{3600}, step: 60, holes: [][2]int64{{2 * hour, 5*hour + 300}, {5*hour + 1500, 8 * hour}}, end: 10 * hour,
			events: []taleEvent{says(8*hour+1800, 10, 50)},
		},
		// Nothing flowed, so that the figures were the same, and the readings around them were forgotten.
		"the same figure by other readings": {
			watts: []int64{0}, step: 900, holes: [][2]int64{{2 * hour, 8 * hour}}, end: 11 * hour,
			events: []taleEvent{says(8*hour+1800, 13, 10), stored(9*hour, []int64{21_000, 22_800, 23_460}), stored(10*hour, []int64{24_600, 25_800})},
		},
	} {
		t.Run(name, func(t *testing.T) {
			y.opening = max(y.opening, 1)
			stands, _ := y.live(t, storePath(t), y.events)
			y.lawful(t, stands)
		})
	}
}
