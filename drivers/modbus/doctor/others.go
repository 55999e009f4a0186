package doctor

import (
	"fmt"
	"strings"

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
	Likely bool   // it makes the best sense, where the configured one makes none
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

// maxAlike is how many ways may make the same sense for any to be named.
const maxAlike = 3

// Compare judges all ways of reading a point, the configured one first, and
// marks those that make the best sense. Nothing is marked where the configured
// one makes sense, nor where many others make the same. Several can be alike:
// the low word of a total, with a word of zeros before it, moves like the
// whole, and then only the meter's display can tell.
func Compare(all []Judged, perHour int64) []Judged {
	best, many := Absent, 0
	for i := range all {
		j := &all[i]
		j.Sense, j.Why = Judge(j.Seen, perHour)
		switch {
		case i == 0:
		case j.Sense > best:
			best, many = j.Sense, 1
		case j.Sense == best:
			many++
		}
	}
	if len(all) == 0 || all[0].Sense.Believable() || !best.Believable() || many > maxAlike {
		return all
	}
	for i := range all {
		all[i].Likely = all[i].Sense == best
	}
	return all
}

// Misread says in one line what is wrong with the way in which a point is
// read; "" where nothing else is likely.
func Misread(all []Judged) string {
	var likely []Judged
	for _, j := range all {
		if j.Likely {
			likely = append(likely, j)
		}
	}
	if len(likely) == 0 {
		return ""
	}
	configured := "as configured it cannot be"
	switch all[0].Sense {
	case Zero:
		configured = "as configured it is zero"
	case Absent:
		configured = "as configured the meter has no such register"
	case Doubtful:
		configured = "as configured it hardly can be"
	}
	var could []string
	for _, j := range likely {
		could = append(could, fmt.Sprintf("%s would read %s", j.Name(), Amount(j.First.Value, j.Other.Measure)))
	}
	if len(likely) > 1 {
		return fmt.Sprintf("%s; %s: take the one that the meter's display shows", configured, strings.Join(could, ", "))
	}
	what, write := "", ""
	switch j := likely[0]; j.How {
	case OtherOrder:
		what, write = "the byte order is wrong", "order: "+j.Other.Order
	case OtherTable:
		what, write = "the table is wrong", "table: "+j.Other.Table
	default:
		what, write = "the address is off by one (manuals often count from 1, the wire from 0)", fmt.Sprintf("address: %#04x", j.Other.Address)
	}
	return fmt.Sprintf("%s: %s, and %s: write %s", what, could[0], configured, write)
}
