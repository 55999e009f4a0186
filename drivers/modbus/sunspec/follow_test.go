package sunspec

import (
	"errors"
	"testing"

	"pgregory.net/rapid"
)

func total(raw uint64, exp int) Total {
	t := Total{Raw: raw, Exp: exp}
	if err := t.scale(32); err != nil {
		panic(err)
	}
	return t
}

// What a follower makes of one reading after another.
func TestFollow(t *testing.T) {
	type step struct {
		raw      uint64
		exp      int
		counting bool
		wh       int64
		anew     bool
		err      error
	}
	for name, steps := range map[string][]step{
		"counts":                         {{100, 0, true, 100, false, nil}, {101, 0, true, 101, false, nil}},
		"never counted":                  {{0, 0, false, 0, false, ErrNotCounting}, {0, 0, false, 0, false, ErrNotCounting}, {3, 0, true, 3, false, nil}},
		"no export yet":                  {{0, 0, true, 0, false, nil}, {0, 0, true, 0, false, nil}, {2, 0, true, 2, false, nil}},
		"zero at night":                  {{900, 0, true, 900, false, nil}, {0, 0, false, 0, false, ErrZero}, {0, 1, true, 0, false, ErrZero}, {901, 0, true, 901, false, nil}},
		"coarser scale":                  {{123_456, 0, true, 123_456, false, nil}, {12_345, 1, true, 123_456, false, nil}, {12_345, 1, true, 123_456, false, nil}, {12_346, 1, true, 123_460, false, nil}},
		"finer scale":                    {{12_345, 1, true, 123_450, false, nil}, {123_457, 0, true, 123_457, false, nil}},
		"much coarser":                   {{999_999, 0, true, 999_999, false, nil}, {999, 3, true, 999_999, false, nil}, {1000, 3, true, 1_000_000, false, nil}},
		"scale before the total":         {{123_456, 0, true, 123_456, false, nil}, {123_456, 1, true, 0, false, ErrJump}, {12_346, 1, true, 123_460, false, nil}},
		"total before the scale":         {{12_345, 1, true, 123_450, false, nil}, {12_345, 0, true, 0, false, ErrJump}, {123_451, 0, true, 123_451, false, nil}},
		"a scale for a moment":           {{50_000, 0, true, 50_000, false, nil}, {50_000, 2, true, 0, false, ErrJump}, {50_000, 2, true, 0, false, ErrJump}, {50_001, 0, true, 50_001, false, nil}, {50_001, 2, true, 0, false, ErrJump}},
		"a scale that stays":             {{50_000, 0, true, 50_000, false, nil}, {50_000, 1, true, 0, false, ErrJump}, {50_001, 1, true, 0, false, ErrJump}, {50_001, 1, true, 500_010, true, nil}, {50_002, 1, true, 500_020, false, nil}},
		"scales that do not agree":       {{50_000, 0, true, 50_000, false, nil}, {50_000, 1, true, 0, false, ErrJump}, {50_000, 2, true, 0, false, ErrJump}, {50_000, 1, true, 0, false, ErrJump}, {50_000, 2, true, 0, false, ErrJump}},
		"a fall of the meter is a fall":  {{50_000, 0, true, 50_000, false, nil}, {40_000, 0, true, 40_000, false, nil}},
		"a fall in the coarse, seen too": {{5_000, 1, true, 50_000, false, nil}, {4_999, 1, true, 49_990, false, nil}},
		"torn, the finer total first":    {{5_000, 1, true, 50_000, false, nil}, {50_001, 1, true, 0, false, ErrJump}, {50_001, 0, true, 50_001, false, nil}},
		"torn, the coarser total first":  {{50_000, 0, true, 50_000, false, nil}, {5_000, 0, true, 0, false, ErrJump}, {5_000, 1, true, 50_000, false, nil}},
		"reset by the installer":         {{50_000, 0, true, 50_000, false, nil}, {7, 0, true, 0, false, ErrJump}, {8, 0, true, 0, false, ErrJump}, {9, 0, true, 9, false, nil}},
		"after a long silence":           {{50_000, 0, true, 50_000, false, nil}, {900_000, 0, true, 0, false, ErrJump}, {900_001, 0, true, 0, false, ErrJump}, {900_002, 0, true, 900_002, false, nil}},
		"small counts":                   {{1, 0, true, 1, false, nil}, {1, 1, true, 10, false, nil}},
	} {
		var f Follower
		for i, s := range steps {
			wh, anew, err := f.Follow(total(s.raw, s.exp), s.counting)
			if wh != s.wh || anew != s.anew || !errors.Is(err, s.err) {
				t.Errorf("%s, step %d: %d %v %v, want %d %v %v", name, i, wh, anew, err, s.wh, s.anew, s.err)
				break
			}
		}
	}
	var f Follower
	f.Follow(total(5, 0), true)
	if !f.Doubtful(total(5, 1)) || f.Doubtful(total(6, 0)) || !f.Doubtful(total(5_000, 0)) {
		t.Error("doubtful")
	}
	if f.Forget(); f.Doubtful(total(5, 1)) {
		t.Error("forgotten")
	}
}

// A device that counts truly, and changes its scale factor as it likes, shows
// a total that never falls and is never off by more than a step; one that
// tears total and scale apart gives no energy that it did not count.
func TestFollowInventsNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var f Follower
		true_, exp := rapid.Int64Range(100_000, 4_000_000_000).Draw(t, "start"), 0
		shown, started := int64(0), false
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			true_ += rapid.Int64Range(0, 500).Draw(t, "advance")
			was := exp
			if rapid.IntRange(0, 5).Draw(t, "change") == 0 {
				exp = rapid.IntRange(0, 2).Draw(t, "exp")
			}
			raw, scale := true_/int64(power10(exp)), exp
			if raw >= 1<<32-1 || raw == 1<<31 {
				continue
			}
			if rapid.IntRange(0, 5).Draw(t, "torn") == 0 {
				scale = was // the total is already in the new scale
			}
			if scale != exp { // for one reading; the next one is whole
				if _, _, err := f.Follow(total(uint64(raw), scale), true); started && err == nil {
					t.Fatalf("%d x 10^%d was taken for %d", raw, scale, true_)
				} else if err == nil {
					f.Forget()
				}
				continue
			}
			wh, anew, err := f.Follow(total(uint64(raw), scale), true)
			switch {
			case anew || err != nil:
				t.Fatalf("%d x 10^%d refused: %v", raw, scale, err)
			case started && wh < shown:
				t.Fatalf("it fell from %d to %d", shown, wh)
			case wh > true_ || true_-wh >= 100:
				t.Fatalf("shows %d, is %d", wh, true_)
			}
			shown, started = wh, true
		}
	})
}
