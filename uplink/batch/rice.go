package batch

import "math/bits"

// Energies are written as differences from a prediction, zigzag, in adaptive
// Golomb-Rice codes: the parameter follows the mean of the codes so far, as in
// JPEG-LS (ITU-T T.87, A.5.1), so that a shop's half-hours of 100 to 3000 Wh
// take about 10 bits each and a row of zeros one bit each. Missing half-hours
// are not written at all. The last byte is filled up with zeros.

// The predictors: what a value is expected to be. The encoder takes the one
// that needs the fewest bits, the first of them where several do.
const (
	fromZero      = 0 // nothing: for values that jump about
	fromPrevious  = 1 // the value before it
	fromYesterday = 2 // the value 48 half-hours before it; the one before it on the first day
	predictors    = 3
)

const (
	perDay   = 48
	escape   = 24 // so many ones in a row: the code itself follows in codeBits bits
	codeBits = 52 // MaxEnergy, zigzag
	startSum = 8 << 8
	startN   = 8
	halveAt  = 32
)

// adapt is the state of the adaptive parameter.
type adapt struct{ sum, n uint64 }

func newAdapt() adapt { return adapt{startSum, startN} }

// k is the Rice parameter: the smallest with n*2^k >= sum.
func (a *adapt) k() int {
	if a.sum <= a.n {
		return 0
	}
	return bits.Len64((a.sum - 1) / a.n)
}

func (a *adapt) add(code uint64) {
	a.sum += code
	a.n++
	if a.n >= halveAt {
		a.sum, a.n = a.sum/2, a.n/2
	}
}

func zigzag(v int64) uint64   { return uint64(v<<1) ^ uint64(v>>63) }
func unzigzag(u uint64) int64 { return int64(u>>1) ^ -int64(u&1) }

// predict gives the expected value of vs[i], where vs are the present
// (not missing) energies up to i.
func predict(kind int, vs []int64) int64 {
	n := len(vs)
	switch {
	case n == 0 || kind == fromZero:
		return 0
	case kind == fromYesterday && n >= perDay:
		return vs[n-perDay]
	default:
		return vs[n-1]
	}
}

func packEnergies(vs []Value) (kind int, packed []byte) {
	present := make([]int64, 0, len(vs))
	for _, v := range vs {
		if v.Quality != 0 {
			present = append(present, v.Energy)
		}
	}
	size := 0
	for p := range predictors {
		if n := sizeWith(present, p); p == 0 || n < size {
			kind, size = p, n
		}
	}
	return kind, packWith(present, kind, size)
}

// sizeWith is how many bytes packWith takes.
func sizeWith(vs []int64, kind int) int {
	bits := 0
	a := newAdapt()
	for i, v := range vs {
		code := zigzag(v - predict(kind, vs[:i]))
		k := a.k()
		if q := code >> k; q < escape {
			bits += int(q) + 1 + k
		} else {
			bits += escape + codeBits
		}
		a.add(code)
	}
	return (bits + 7) / 8
}

func packWith(vs []int64, kind, size int) []byte {
	w := bitWriter{b: make([]byte, 0, size)}
	a := newAdapt()
	for i, v := range vs {
		code := zigzag(v - predict(kind, vs[:i]))
		k := a.k()
		if q := code >> k; q < escape {
			w.ones(int(q))
			w.write(0, 1)
			w.write(code, k)
		} else {
			w.ones(escape)
			w.write(code, codeBits)
		}
		a.add(code)
	}
	return w.b
}

func (r *reader) energies(vs []Value, kind int) {
	if r.err != nil {
		return
	}
	in := bitReader{b: r.b}
	a := newAdapt()
	present := make([]int64, 0, len(vs))
	for i := range vs {
		if vs[i].Quality == 0 {
			continue
		}
		k, q := a.k(), uint64(0)
		for q < escape && in.read(1) == 1 {
			q++
		}
		code := uint64(0)
		if q == escape {
			code = in.read(codeBits)
		} else {
			code = q<<k | in.read(k)
		}
		v := predict(kind, present) + unzigzag(code)
		if in.short || v < 0 || v > MaxEnergy {
			r.fail("energies end too early or are out of range")
			return
		}
		a.add(code)
		present = append(present, v)
		vs[i].Energy = v
	}
	r.b = r.b[(in.at+7)/8:]
}

// bitWriter writes bits, the highest of a byte first.
type bitWriter struct {
	b    []byte
	free int // bits of the last byte not yet used
}

func (w *bitWriter) write(v uint64, n int) {
	for n > 0 {
		if w.free == 0 {
			w.b = append(w.b, 0)
			w.free = 8
		}
		some := min(n, w.free) // as many as the last byte takes
		n, w.free = n-some, w.free-some
		w.b[len(w.b)-1] |= byte(v>>n&(1<<some-1)) << w.free
	}
}

func (w *bitWriter) ones(n int) { w.write(1<<n-1, n) }

type bitReader struct {
	b     []byte
	at    int // bits read
	short bool
}

func (r *bitReader) read(n int) (v uint64) {
	if r.at+n > len(r.b)*8 {
		r.short = true
		return 0
	}
	for n > 0 {
		left := 8 - r.at%8 // bits of this byte that are not read
		some := min(n, left)
		v = v<<some | uint64(r.b[r.at/8])>>(left-some)&(1<<some-1)
		n, r.at = n-some, r.at+some
	}
	return v
}
