package store

import (
	"encoding/binary"
	"encoding/hex"
	"slices"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// The bytes of a day as the first version of this package wrote them, and of
// one with flags, with samples at the start and with both: what is on the disk is
// read for ever, and a day without them is still written the same.
func TestDayGolden(t *testing.T) {
	const day = 20513
	entries := func() (all []entry) {
		for _, h := range plain(halfHours(main_, 0, 4)) {
			all = append(all, entry{h, acked})
		}
		all[1].Quality, all[1].Energy, all[1].Cumulative = energy.Missing, 0, -1
		all[2].status, all[2].Evidence.Rule = pending, 17
		return all
	}
	plain, flagged := entries(), entries()
	flagged[1].Flags = energy.Flags(0).With(5).With(16)
	flagged[2].Flags = flagged[1].Flags
	flagged[3].Flags = energy.FlagsAll
	started, both := entries(), entries()
	started[1].Evidence.Start = energy.Sample{At: started[1].Start.Add(-time.Second), Value: 1_000_500}
	started[2].Evidence.Start = energy.Sample{At: started[2].Start.Add(9 * time.Second), Value: 1_001_111}
	both[3].Evidence.Start, both[3].Flags = started[2].Evidence.Start, 1
	for _, c := range []struct {
		golden  string
		entries []entry
	}{
		{"014834297004c0ee6db421e80780897a9f9c01010004e602b0a100c12001de7b8808e802a42f11fe0784088341019c5b04e602f421f807c56101da3a04e802", plain},
		{"02250d133704c0ee6db421e80780897a9f9c01010004e602b0a100c12001de7b8808e802a42f11fe0784088341019c5b04e602f421f807c56101da3a04e80201029080020001ffff3f", flagged},
		{"032c38608e04c0ee6db421e80780897a9f9c01010004e602b0a100c12001de7b8808e802a42f11fe0784088341019c5b04e602f421f807c56101da3a04e8020201f2100200d4cd01c401", started},
		{"03ca0e0b4204c0ee6db421e80780897a9f9c01010004e602b0a100c12001de7b8808e802a42f11fe0784088341019c5b04e602f421f807c56101da3a04e8020103e9eed901b906030101", both},
	} {
		if got := hex.EncodeToString(encodeDay(7, day, c.entries)); got != c.golden {
			t.Errorf("written %s\n   want %s", got, c.golden)
		}
		b, err := hex.DecodeString(c.golden)
		must(t, err)
		got, err := decodeDay(7, day, b)
		must(t, err)
		same(t, "read", got, c.entries)
	}
}

// Flags that no encoder writes are refused.
func TestDayRefusesFlags(t *testing.T) {
	var two []entry
	for _, h := range plain(halfHours(main_, 0, 2)) {
		two = append(two, entry{h, acked})
	}
	const day = 20513
	unflagged := encodeDay(1, day, two)
	for name, c := range map[string]struct {
		tail []byte
		ok   bool
	}{
		"the first":        {[]byte{0, 1, 3}, true},
		"both":             {[]byte{0, 2, 3}, true},
		"one by one":       {[]byte{0, 1, 3, 0, 1, 4}, true},
		"the second":       {[]byte{1, 1, 3}, true},
		"the highest bit":  {[]byte{1, 1, 0xff, 0xff, 0xff, 0xff, 0x0f}, true},
		"beyond 32 bits":   {[]byte{1, 1, 0x80, 0x80, 0x80, 0x80, 0x10}, false},
		"none":             {nil, false},
		"no entries":       {[]byte{0, 0, 3}, false},
		"no flags":         {[]byte{0, 1, 0}, false},
		"three":            {[]byte{0, 3, 3}, false},
		"beyond the end":   {[]byte{2, 1, 3}, false},
		"far beyond":       {[]byte{3, 1, 3}, false},
		"over the end":     {[]byte{1, 2, 3}, false},
		"cut off":          {[]byte{0, 1}, false},
		"something behind": {[]byte{0, 2, 3, 0}, false},
	} {
		b := append(slices.Clone(unflagged), c.tail...)
		b[0] = dayFlagged
		fixSum(b, slotKey(day, 1))
		if _, err := decodeDay(1, day, b); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	none := binary.AppendVarint(nil, earliest-two[0].Evidence.First.At.UnixMilli())
	none = binary.AppendVarint(none, -two[0].Evidence.First.Value)
	for name, c := range map[string]struct {
		tail []byte
		ok   bool
	}{
		"a sample at the first's start": {[]byte{1, 0, 4, 2}, true},
		"at the second's":               {[]byte{1, 1, 4, 2}, true},
		"at both":                       {[]byte{2, 0, 4, 2, 0, 4, 2}, true},
		"and flags":                     {[]byte{1, 0, 4, 2, 0, 1, 3}, true},
		"and flags that are none":       {[]byte{1, 0, 4, 2, 0, 0, 3}, false},
		"no samples":                    {[]byte{0}, false},
		"no samples, but flags":         {[]byte{0, 0, 1, 3}, false},
		"nothing":                       {nil, false},
		"three samples":                 {[]byte{3, 0, 4, 2, 0, 4, 2, 0, 4, 2}, false},
		"two at the second's start":     {[]byte{2, 1, 4, 2, 0, 4, 2}, false},
		"at the third's":                {[]byte{1, 2, 4, 2}, false},
		"a sample cut off":              {[]byte{1, 0, 4}, false},
		"a sample that stands for none": {append([]byte{1, 0}, none...), false},
		"a sample of before all time":   {[]byte{1, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 2}, false},
	} {
		b := append(slices.Clone(unflagged), c.tail...)
		b[0] = dayStarted
		fixSum(b, slotKey(day, 1))
		if _, err := decodeDay(1, day, b); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
