package energy

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// chained makes n statements of a register, each on the one before.
func chained(t *testing.T, k Key, n int) [][]byte {
	t.Helper()
	var out [][]byte
	for i := range n {
		s := Statement{Measure: k.Measure, Meter: k.Meter, Kind: OpeningStatement, Unit: k.Measure.BaseUnit(),
			Opening: &Reading{ReadAt: time.Date(2026, 1, 1+i, 0, 0, 0, 0, time.UTC), Value: int64(i)}}
		if i > 0 {
			s.Previous = StatementHash(out[i-1])
		}
		b, err := s.JSON()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, b)
	}
	return out
}

func TestVerifyChain(t *testing.T) {
	a, b := chained(t, Key{"a", Import}, 4), chained(t, Key{"a", Export}, 3)
	mixed := [][]byte{a[0], b[0], b[1], a[1], a[2], b[2], a[3]}
	for _, ok := range [][][]byte{nil, a, b, mixed, a[:1], a[1:], {b[2], a[3]}} {
		if err := VerifyChain(ok); err != nil {
			t.Errorf("%d statements: %v", len(ok), err)
		}
	}
	forged := slices.Clone(mixed)
	forged[3] = []byte(strings.Replace(string(a[1]), `"value":1`, `"value":9`, 1))
	other := chained(t, Key{"b", Gas}, 1)
	for _, c := range []struct {
		name  string
		raw   [][]byte
		index int
		key   Key
		why   string
	}{
		{"one is missing", slices.Delete(slices.Clone(mixed), 3, 4), 3, Key{"a", Import}, "a statement in between is missing"},
		{"one was changed", forged, 4, Key{"a", Import}, "or one was changed"},
		{"begun anew", [][]byte{a[0], other[0], a[0]}, 2, Key{"a", Import}, "begun anew"},
		{"swapped", [][]byte{b[0], b[2], b[1]}, 1, Key{"a", Export}, "missing"},
		{"not canonical", [][]byte{a[0], append([]byte(" "), a[1]...)}, 1, Key{}, "canonical"},
	} {
		var link *BrokenLink
		if err := VerifyChain(c.raw); !errors.As(err, &link) || link.Index != c.index || link.Key != c.key || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if got := (&BrokenLink{1, Key{"a", Import}, "why"}).Error() + "; " + (&BrokenLink{Index: 0, Reason: "why"}).Error(); got != "statement 2 (a/import): why; statement 1: why" {
		t.Error(got)
	}
}

// Whatever single byte of a statement is changed, the chain shows it, at the
// statement itself or at the next one.
func TestAnyChangeBreaksTheChain(t *testing.T) {
	whole := chained(t, Key{"a", Import}, 3)
	for i := range whole[1] {
		for _, bit := range []byte{1, 2, 16} {
			changed := slices.Clone(whole[1])
			changed[i] ^= bit
			var link *BrokenLink
			if err := VerifyChain([][]byte{whole[0], changed, whole[2]}); !errors.As(err, &link) || link.Index < 1 {
				t.Fatalf("byte %d changed by %d: %v", i, bit, err)
			}
		}
	}
}

func TestSupply(t *testing.T) {
	right := soundMPAN(t)
	wrong := right[:12] + string('0'+(right[12]-'0'+1)%10)
	for _, c := range []struct {
		mpan, mprn string
		m          Measure
		ok         bool
	}{{right, "", Import, true}, {wrong, "", Import, false}, {right, "", Export, true}, {"", "x", Gas, false}, {"", "3938424403", Gas, true}} {
		s := Statement{Measure: c.m, Meter: "m", Opening: &Reading{ReadAt: time.Unix(0, 0).UTC()}, Kind: OpeningStatement, Unit: c.m.BaseUnit()}
		s.Supply(c.mpan, c.mprn)
		if s.CheckDigit == nil || *s.CheckDigit != c.ok {
			t.Errorf("%+v: %v", c, s.CheckDigit)
		}
		if _, err := s.JSON(); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
	var s Statement
	if s.Supply("", ""); s.CheckDigit != nil {
		t.Error("no supply, and yet a check digit")
	}
}
