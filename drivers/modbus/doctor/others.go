package doctor

import (
	"fmt"

	"github.com/perseus-edge/perseus-edge/drivers/modbus"
)

// How another reading differs from the configured one.
type How string

// The ways in which a register is commonly misread.
const (
	AsConfigured How = ""
	OtherOrder   How = "order"
	OtherTable   How = "table"
	OffByOne     How = "address"
)

// Other is another way to read what a point is meant to read.
type Other struct {
	modbus.Point
	How How
}

// orders are how devices send their bytes, commonest first.
var orders = map[int][]string{
	1: {"AB", "BA"},
	2: {"ABCD", "CDAB", "BADC", "DCBA"},
	4: {"ABCDEFGH", "GHEFCDAB", "BADCFEHG", "HGFEDCBA", "CDABGHEF", "EFGHABCD"},
}

// Others lists the configured point first, and then each way in which it is
// commonly misread: the other byte orders, the other table, the registers
// beside it. All but the other table are read from the same few registers, so
// that one request answers them.
func Others(p modbus.Point) []Other {
	words := Words(p)
	if p.Order == "" {
		p.Order = orders[words][0]
	}
	if p.Table == "" {
		p.Table = "holding"
	}
	out := []Other{{p, AsConfigured}}
	for _, o := range orders[words] {
		if o != p.Order {
			q := p
			q.Order = o
			out = append(out, Other{q, OtherOrder})
		}
	}
	q := p
	if q.Table = "input"; p.Table == "input" {
		q.Table = "holding"
	}
	out = append(out, Other{q, OtherTable})
	for _, d := range []int{-1, 1} {
		if a := int(p.Address) + d; a >= 0 && a+words <= 0x10000 {
			q := p
			q.Address = uint16(a)
			out = append(out, Other{q, OffByOne})
		}
	}
	return out
}

// Judged is one way of reading, and the sense that it makes.
type Judged struct {
	Other
	Seen
	Sense  Sense
	Why    string // where it makes little sense
	Likely bool   // the only one that makes the best sense, where the configured one makes none
}

// Name is the one thing that differs: order CDAB.
func (j Judged) Name() string {
	switch j.How {
	case OtherTable:
		return "table " + j.Other.Table
	case OffByOne:
		return fmt.Sprintf("address %#04x", j.Other.Address)
	}
	return "order " + j.Other.Order
}

// Compare judges all ways of reading a point, the configured one first, and
// marks the likely one. Nothing is marked where the configured one makes sense,
// nor where several make the same: two orders of a small number often do, and
// only the meter's display can tell.
func Compare(all []Judged, perHour int64) []Judged {
	best, many := 0, false
	for i := range all {
		j := &all[i]
		j.Sense, j.Why = Judge(j.Seen, perHour)
		switch {
		case i == 0:
		case j.Sense > all[best].Sense:
			best, many = i, false
		case j.Sense == all[best].Sense && best > 0:
			many = true
		}
	}
	if !all[0].Sense.Believable() && all[best].Sense.Believable() && !many {
		all[best].Likely = true
	}
	return all
}

// Misread says in one line what is wrong with the way in which a point is
// read; "" where nothing else is likely.
func Misread(all []Judged) string {
	for _, j := range all {
		if !j.Likely {
			continue
		}
		shows := fmt.Sprintf("would read %s, and as configured it cannot be", Amount(j.First.Value, j.Other.Measure))
		if all[0].Sense == Zero {
			shows = fmt.Sprintf("would read %s, and as configured it is zero", Amount(j.First.Value, j.Other.Measure))
		}
		switch j.How {
		case OtherOrder:
			return fmt.Sprintf("the byte order is wrong: %s %s: write order: %s", j.Name(), shows, j.Other.Order)
		case OtherTable:
			return fmt.Sprintf("the table is wrong: %s %s: write table: %s", j.Name(), shows, j.Other.Table)
		case OffByOne:
			return fmt.Sprintf("the address is off by one (manuals often count from 1, the wire from 0): %s %s: write address: %#04x", j.Name(), shows, j.Other.Address)
		}
	}
	return ""
}
