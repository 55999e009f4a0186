package integration

import "math"

// registerForm is how a meter shows its total: as different as meters are.
type registerForm struct {
	table, kind, order, unit, scale string
	words                           int
	perCount                        int64              // Wh in one count; 0: a float64 of kWh
	modulus                         int64              // Wh at which it wraps; 0: not within reach
	raw                             func(int64) uint64 // Wh (already wrapped) to the bits
}

func counts(perCount int64) func(int64) uint64 {
	return func(wh int64) uint64 { return uint64(wh / perCount) }
}

func kilowattHours(wh int64) uint64 { return math.Float64bits(float64(wh) / 1000) }

func decimalDigits(wh int64) (v uint64) {
	for shift := 0; wh > 0; shift, wh = shift+4, wh/10 {
		v |= uint64(wh%10) << shift
	}
	return v
}

// The eight meters of the replay. The third wraps half-way through its part.
var forms = []registerForm{
	{"holding", "uint64", "ABCDEFGH", "Wh", "", 4, 1, 0, counts(1)},
	{"input", "uint64", "GHEFCDAB", "Wh", "", 4, 1, 0, counts(1)},
	{"holding", "uint32", "ABCD", "Wh", "", 2, 1, 1 << 32, counts(1)},
	{"input", "uint32", "CDAB", "kWh", "0.1", 2, 100, 0, counts(100)},
	{"holding", "float64", "ABCDEFGH", "kWh", "", 4, 0, 0, kilowattHours},
	{"input", "int64", "BADCFEHG", "Wh", "", 4, 1, 0, counts(1)},
	{"holding", "bcd", "ABCDEFGH", "Wh", "", 4, 1, 0, decimalDigits},
	{"input", "uint32", "DCBA", "MWh", "0.0001", 2, 100, 0, counts(100)},
}

// words spells a value as its registers lie on the wire, by the order that the
// configuration spells.
func (f registerForm) wordsOf(wh int64) []uint16 {
	if f.modulus > 0 {
		wh %= f.modulus
	}
	raw, n := f.raw(wh), f.words*2
	wire := make([]byte, n)
	for i := range wire {
		wire[i] = byte(raw >> (8 * (n - 1 - int(f.order[i]-'A'))))
	}
	out := make([]uint16, f.words)
	for i := range out {
		out[i] = uint16(wire[2*i])<<8 | uint16(wire[2*i+1])
	}
	return out
}
