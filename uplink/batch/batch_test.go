package batch

import (
	"bytes"
	"compress/flate"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/binary"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/identity/newkey"
)

// The promise of issue 2: at most 8 bytes for a half-hour on the wire, with
// its share of everything, when a day of one meter is sent at once.
func TestADayIsSmall(t *testing.T) {
	worst, total := 0, 0
	const days = 365
	for seed := range uint64(days) {
		n := len(mustEncode(t, shopBatch(seed)))
		worst, total = max(worst, n), total+n
	}
	t.Logf("a day of 48 half-hours: worst of %d days %d bytes (%.2f per half-hour), mean %.2f per half-hour",
		days, worst, float64(worst)/48, float64(total)/days/48)
	if worst > 8*48 {
		t.Errorf("a day takes %d bytes, at most %d are allowed", worst, 8*48)
	}
	// Even where nothing can be predicted at all.
	b := shopBatch(1)
	for i := range b.Series[0].Values {
		b.Series[0].Values[i].Energy = 100 + int64(i)*7919%2901
	}
	if n := len(mustEncode(t, b)); n > 8*48 {
		t.Errorf("a day of noise takes %d bytes", n)
	}
}

// Whatever byte is changed, and however, the batch is refused.
func TestEveryByteCounts(t *testing.T) {
	b := shopBatch(3)
	b.Baseline = []Statement{{Meter: "main", Measure: energy.Import, At: day, Body: []byte(`{"kind":"opened","value":1}`)}}
	packed := shopBatch(4)
	for range 40 {
		packed.Baseline = append(packed.Baseline, b.Baseline[0])
	}
	for name, b := range map[string]Batch{"plain": b, "compressed": packed} {
		raw := mustEncode(t, b)
		if name == "compressed" && raw[len(magic)] != packFlate {
			t.Fatal("not compressed")
		}
		refused := func(what string, at int, raw []byte) {
			t.Helper()
			if s, err := Decode(raw); err == nil && s.Verify(&newTestKey(t).PublicKey) == nil {
				t.Errorf("%s: %s at byte %d went through", name, what, at)
			}
		}
		for i := range raw {
			for _, x := range []byte{0x01, 0x80, 0xff} {
				c := bytes.Clone(raw)
				c[i] ^= x
				refused("change", i, c)
			}
			refused("cut", i, raw[:i])
			refused("lost byte", i, append(bytes.Clone(raw[:i]), raw[i+1:]...))
			refused("added byte", i, append(append(bytes.Clone(raw[:i]), 0), raw[i:]...))
		}
		refused("added byte", len(raw), append(bytes.Clone(raw), 0))
		s, err := Decode(raw)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Verify(&newTestKey(t).PublicKey); err != nil {
			t.Fatal(err)
		}
		other, _ := newkey.Make(elliptic.P256())
		p384, _ := newkey.Make(elliptic.P384())
		for what, k := range map[string]*ecdsa.PublicKey{"another key": &other.PublicKey, "P-384": &p384.PublicKey, "no key": nil} {
			if s.Verify(k) == nil {
				t.Errorf("%s: verified with %s", name, what)
			}
		}
	}
}

// The other s of an ECDSA signature fits as well; it must not give a second
// hash to the same batch.
func TestOnlyOneSignature(t *testing.T) {
	raw := mustEncode(t, shopBatch(5))
	n := len(raw) - 32
	s := new(big.Int).SetBytes(raw[n:])
	s.Sub(elliptic.P256().Params().N, s).FillBytes(raw[n:])
	d, err := Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Verify(&newTestKey(t).PublicKey); err == nil || !strings.Contains(err.Error(), "canonical") {
		t.Errorf("got %v", err)
	}
}

func TestEncodeOrders(t *testing.T) {
	b := shopBatch(6)
	one := b.Series[0]
	later, export := one, one
	later.First = one.End()
	export.Measure = energy.Export
	b.Series = []Series{export, later, one}
	b.Made = b.Made.Add(300 * time.Millisecond).In(time.FixedZone("", 3600))
	s, err := Decode(mustEncode(t, b))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(s.Series, []Series{one, later, export}) || !s.Made.Equal(day.Add(24*time.Hour+7*time.Second)) {
		t.Errorf("got %v made %v", s.Series, s.Made)
	}
	if b.Series[0].Measure != energy.Export {
		t.Error("Encode changed what it was given")
	}
}

func TestEncodeRefuses(t *testing.T) {
	long := strings.Repeat("x", 1000)
	for name, spoil := range map[string]func(*Batch){
		"no gateway":          func(b *Batch) { b.Gateway = "" },
		"long gateway":        func(b *Batch) { b.Gateway = long },
		"control character":   func(b *Batch) { b.Series[0].Meter = "a\nb" },
		"not UTF-8":           func(b *Batch) { b.Series[0].Meter = "\xff" },
		"no serial":           func(b *Batch) { b.Serial = nil },
		"serial with zero":    func(b *Batch) { b.Serial = []byte{0, 1} },
		"sequence 0":          func(b *Batch) { b.Sequence = 0 },
		"first with previous": func(b *Batch) { b.Sequence = 1 },
		"before 1970":         func(b *Batch) { b.Made = time.Unix(-1, 0) },
		"far future":          func(b *Batch) { b.Made = time.Unix(1<<40, 0) },
		"empty":               func(b *Batch) { b.Series = nil },
		"no meter":            func(b *Batch) { b.Series[0].Meter = "" },
		"unknown measure":     func(b *Batch) { b.Series[0].Measure = 77 },
		"heat":                func(b *Batch) { b.Series[0].Measure = energy.Heat },
		"statement of water": func(b *Batch) {
			b.Baseline = []Statement{{Meter: "m", Measure: energy.Water, At: day, Body: []byte("{}")}}
		},
		"off the half-hour":   func(b *Batch) { b.Series[0].First = day.Add(time.Minute) },
		"no values":           func(b *Batch) { b.Series[0].Values = nil },
		"too many values":     func(b *Batch) { b.Series[0].Values = make([]Value, MaxSeriesValues+1) },
		"negative energy":     func(b *Batch) { b.Series[0].Values[3].Energy = -1 },
		"absurd energy":       func(b *Batch) { b.Series[0].Values[3].Energy = MaxEnergy + 1 },
		"missing with energy": func(b *Batch) { b.Series[0].Values[3].Quality = energy.Missing },
		"unknown quality":     func(b *Batch) { b.Series[0].Values[3].Quality = 5 },
		"register -2":         func(b *Batch) { b.Series[0].Opening = -2 },
		"register too large":  func(b *Batch) { b.Series[0].Closing = MaxRegister + 1 },
		"series twice":        func(b *Batch) { b.Series = append(b.Series, b.Series[0]) },
		"empty grant":         func(b *Batch) { b.Grants = []string{""} },
		"too many grants":     func(b *Batch) { b.Grants = make([]string, MaxGrants+1) },
		"empty statement":     func(b *Batch) { b.Baseline = []Statement{{Meter: "m", Measure: 1, At: day}} },
		"long statement": func(b *Batch) {
			b.Baseline = []Statement{{Meter: "m", Measure: 1, At: day, Body: make([]byte, MaxStatement+1)}}
		},
		"overlap": func(b *Batch) {
			s := b.Series[0]
			s.First = s.First.Add(energy.Period)
			b.Series = append(b.Series, s)
		},
		"too many half-hours": func(b *Batch) {
			s := b.Series[0]
			s.Values = make([]Value, MaxSeriesValues)
			for range MaxValues/MaxSeriesValues + 1 {
				s.First = s.End()
				b.Series = append(b.Series, s)
			}
		},
	} {
		b := shopBatch(1)
		spoil(&b)
		if _, err := Encode(b, newTestKey(t)); err == nil {
			t.Errorf("%s: was encoded", name)
		} else if !strings.HasPrefix(err.Error(), "batch: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	p384, _ := newkey.Make(elliptic.P384())
	if _, err := Encode(shopBatch(1), p384); err == nil {
		t.Error("signed with P-384")
	}
}

// A frame around a body, unsigned: Decode does not look at the signature.
func frame(packing byte, body []byte) []byte {
	raw := append([]byte(magic), packing)
	return append(append(raw, body...), make([]byte, signatureSize)...)
}

func TestDecodeRefuses(t *testing.T) {
	plain := appendBody(nil, ordered(shopBatch(1)))
	var bomb bytes.Buffer
	w, _ := flate.NewWriter(&bomb, flate.BestCompression)
	w.Write(make([]byte, MaxBody+1))
	w.Close()
	stored := func(body []byte) []byte {
		var out bytes.Buffer
		w, _ := flate.NewWriter(&out, flate.NoCompression)
		w.Write(body)
		w.Close()
		return out.Bytes()
	}
	zeros := deflate(make([]byte, 4000))
	for name, c := range map[string]struct {
		raw  []byte
		want string
	}{
		"nothing":         {nil, "not a batch"},
		"too long":        {make([]byte, MaxRaw+1), "bytes, at most"},
		"other magic":     {append([]byte("PK\x03\x04"), make([]byte, 100)...), "not a batch"},
		"version":         {append([]byte("PEB\x02"), make([]byte, 100)...), "version 2"},
		"packing":         {frame(2, plain), "unknown packing"},
		"bomb":            {frame(packFlate, bomb.Bytes()), "when decompressed"},
		"not smaller":     {frame(packFlate, stored(plain)), "does not make it smaller"},
		"not DEFLATE":     {frame(packFlate, []byte("\xff\xff\xff")), "decompress"},
		"bytes after it":  {frame(packFlate, append(zeros, 0)), "after the compressed body"},
		"zeros":           {frame(packFlate, zeros), "batch: "},
		"bytes after":     {frame(packPlain, append(bytes.Clone(plain), 0)), "after the end"},
		"long form":       {frame(packPlain, append([]byte{plain[0] | 0x80, 0}, plain[1:]...)), "canonical"},
		"ends early":      {frame(packPlain, plain[:len(plain)-2]), "early"},
		"unused bit set":  {frame(packPlain, unusedBit()), "canonical"},
		"flags too large": {frame(packPlain, manyFlags()), "do not fit"},
		"repeated meter?": {frame(packPlain, repeatedMeter()), "canonical"},
	} {
		if _, err := Decode(c.raw); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want ..%s..", name, err, c.want)
		}
	}
}

// unusedBit sets a bit that fills up the last byte of the energies.
func unusedBit() []byte {
	b := shopBatch(1)
	b.Series[0].Values = []Value{{Energy: 0, Quality: energy.Measured, Rule: energy.RuleBracketed}} // 9 bits
	body := appendBody(nil, ordered(b))
	body[len(body)-2] |= 1 // the last byte is the number of statements
	return body
}

// repeatedMeter writes out a meter's name that it could have left out.
func repeatedMeter() []byte {
	b := shopBatch(1)
	s := b.Series[0]
	s.Measure = energy.Export
	b.Series = append(b.Series, s)
	body := appendBody(nil, ordered(b))
	at := bytes.LastIndex(body, []byte{0, byte(energy.Export)})
	return append(append(append(bytes.Clone(body[:at]), 4), "main"...), body[at+1:]...)
}

// manyFlags sets a bit above the 32 of the flags.
func manyFlags() []byte {
	b := shopBatch(1)
	b.Series[0].Values = []Value{{Quality: energy.Measured, Flags: 1<<32 - 1}}
	body := appendBody(nil, ordered(b))
	was := binary.AppendUvarint(nil, b.Series[0].Values[0].what())
	at := bytes.Index(body, was)
	return append(append(bytes.Clone(body[:at]), binary.AppendUvarint(nil, 1<<whatBits|uint64(energy.Measured))...), body[at+len(was):]...)
}
