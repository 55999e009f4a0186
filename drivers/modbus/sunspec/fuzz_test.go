package sunspec

import (
	"encoding/binary"
	"testing"

	"github.com/perseus-edge/perseus-edge/energy"
)

// Whatever a device answers, the walk ends, stays within the registers, and
// what it finds can be read without a surprise.
func FuzzWalk(f *testing.F) {
	pack := func(words ...uint16) (out []byte) {
		for _, w := range words {
			out = binary.BigEndian.AppendUint16(out, w)
		}
		return out
	}
	f.Add(pack(0x5375, 0x6E53, 1, 66, 103, 50, 0xFFFF, 0), uint64(0))
	f.Add(pack(0x5375, 0x6E53, 1, 66, 203, 105, 701, 153, 0xFFFF), uint64(1<<6))
	f.Add(pack(0x5375, 0x6E53, 1, 0xFFFF), uint64(0))
	f.Add(pack(0, 0, 0, 0), uint64(3))
	f.Fuzz(func(t *testing.T, answers []byte, refusals uint64) {
		var w Walk
		asked := 0
		for ; ; asked++ {
			a, n, ok := w.Ask()
			if !ok {
				break
			}
			if asked > 4+2*maxModels || n < 1 || n > 2 || int(a)+int(n) > 0x10000 {
				t.Fatalf("question %d: %d+%d", asked, a, n)
			}
			if refusals>>(asked%64)&1 == 1 || len(answers) < 2*int(n) {
				w.Refused()
				continue
			}
			words := make([]uint16, n)
			for i := range words {
				words[i], answers = binary.BigEndian.Uint16(answers), answers[2:]
			}
			w.Hear(words)
		}
		m, ok := w.Map()
		if !ok && len(m.Models) > 0 {
			t.Fatal("models without a map")
		}
		for _, k := range []Kind{Meter, Inverter} {
			for _, p := range m.Parts(k) {
				for _, x := range p.Models {
					if int(x.Address)+int(Block(x)) > 0x10000 {
						t.Fatalf("model %+v reaches beyond the last register", x)
					}
				}
			}
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add(uint16(203), uint64(100_000)<<32, int16(1), false)
	f.Add(uint16(701), uint64(1)<<63, int16(-10), true)
	f.Add(uint16(113), uint64(0x7F7FFFFF)<<32, int16(0), true)
	f.Fuzz(func(t *testing.T, id uint16, bits uint64, scale int16, counting bool) {
		l, block := layouts[id], make([]uint16, 125)
		for _, at := range l.totals {
			for i := range l.form.words() {
				block[at+i] = uint16(bits >> (48 - 16*i))
			}
		}
		if l.scale > 0 {
			block[l.scale] = uint16(scale)
		}
		var follower Follower
		for _, m := range energy.Measures() {
			got, err := Decode(Model{ID: id}, block, m)
			if err != nil {
				continue
			}
			if got.Wh < 0 || got.Wh > maxWh || got.Step < 1 || got.Wrap < 0 || got.Wrap > 0 && got.Wh >= got.Wrap {
				t.Fatalf("%+v", got)
			}
			if wh, _, err := follower.Follow(got, counting); err == nil && wh < 0 {
				t.Fatalf("%d", wh)
			}
		}
	})
}
