package sparkplug

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/hex"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
)

// Vectors are payloads of ours in the bytes that Eclipse's sparkplug-payload
// 1.0.3 (npm) makes of them; TestSparkplugPayload in package mqtt makes them anew.
const (
	// NBIRTH: bdSeq 7, Node Control/Rebirth, kWh alias 1 Double 6613.405 engUnit kWh Quality 192.
	nbirth = "0880b7b8c8ca33120b0a05626453657120085807121a0a144e6f646520436f6e74726f6c2f52656269727468200b7000123d0a036b576810011898afb8c8ca33200a4a220a07656e67556e69740a075175616c6974791207080c42036b57681205080318c00169e17a14ae67d5b9401800"
	// Every scalar type, seq 3; alias 1 has no name.
	scalars = "0880b7b8c8ca33120d1001200a690000000080d5b940120c0a026938200150fbffffff0f120d0a03693136200250d4fdffff0f120d0a03693332200350fbffffff0f12120a03693634200458fbffffffffffffffff0112090a027538200550c801120b0a03753136200650e8fb03120d0a03753332200758ffffffff0f12100a03753634200858ffffffffffffff0f120a0a01662009650000c03f120c0a0173200c7a0531322e323512070a0162200b700112070a016e20033801120c0a0174200d5880b7b8c8ca331803"
	// A template M1 with kWh 2.5; old: historical, an hour old, Quality 500; bad: Quality 0. seq 4.
	nested = "0880b7b8c8ca3312230a024d31201392011a0a0131120c0a036b57682009650000204022054d65746572280012240a036f6c641880dadcc6ca33200328014a100a075175616c6974791205080318f4035009121a0a0362616420034a0f0a075175616c69747912040803180050091804"
)

var sent = time.UnixMilli(1772362800000).UTC() // of all vectors

func mustParse(t testing.TB, hexed string) Payload {
	t.Helper()
	b, err := hex.DecodeString(hexed)
	if err != nil {
		t.Fatal(err)
	}
	p, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestParse(t *testing.T) {
	p := mustParse(t, nbirth)
	if p.Seq != 0 || !p.At.Equal(sent) || len(p.Metrics) != 3 {
		t.Fatalf("%+v", p)
	}
	if s, ok := bdSeq(p); !ok || s != 7 {
		t.Errorf("bdSeq %d %v", s, ok)
	}
	m := p.Metrics[2]
	if m.Name != "kWh" || !m.HasAlias || m.Alias != 1 || m.Unit != "kWh" || m.Quality != Good || m.Type != Double || !m.At.Equal(sent.Add(-time.Second)) {
		t.Errorf("%+v", m)
	}
	p = mustParse(t, scalars)
	want := map[string]string{"": "13227/2", "i8": "-5/1", "i16": "-300/1", "i32": "-5/1", "i64": "-5/1", "u8": "200/1", "u16": "65000/1", "u32": "4294967295/1", "u64": "9007199254740991/1", "f": "3/2", "s": "49/4"}
	for i := range p.Metrics {
		m := &p.Metrics[i]
		n, err := m.Number(m.Type)
		if want[m.Name] == "" {
			kind := drivers.Protocol
			if m.Name == "n" {
				kind = drivers.Sentinel
			}
			var e *drivers.Error
			if n != nil || !errors.As(err, &e) || e.Kind != kind {
				t.Errorf("%s: %v, %v", m.Name, n, err)
			}
			continue
		}
		if err != nil || n.String() != want[m.Name] {
			t.Errorf("%s: %v, %v; want %s", m.Name, n, err, want[m.Name])
		}
		delete(want, m.Name)
	}
	if len(want) != 0 || p.Seq != 3 {
		t.Errorf("not found: %v", want)
	}
}

func metric(t Type, f field, bits uint64) *Metric { return &Metric{Type: t, field: f, bits: bits} }

// Signed numbers travel in unsigned fields, sign-extended or in their own width.
func TestIntegers(t *testing.T) {
	for _, c := range []struct {
		kind Type
		f    field
		bits uint64
		want string // "" is refused
	}{
		{Int8, intField, 0x7F, "127/1"}, {Int8, intField, 0x80, "-128/1"}, {Int8, intField, 0xFF, "-1/1"}, {Int8, intField, 0x100, ""},
		{Int8, intField, 0xFFFFFF80, "-128/1"}, {Int8, intField, 0xFFFFFF7F, ""},
		{Int16, intField, 0x7FFF, "32767/1"}, {Int16, intField, 0x8000, "-32768/1"}, {Int16, intField, 0x10000, ""}, {Int16, intField, 0xFFFF8000, "-32768/1"}, {Int16, intField, 0xFFFF7FFF, ""},
		{Int32, intField, 0x7FFFFFFF, "2147483647/1"}, {Int32, intField, 0x80000000, "-2147483648/1"}, {Int32, intField, 0xFFFFFFFB, "-5/1"},
		{Int32, longField, 0xFFFFFFFB, "-5/1"}, {Int32, longField, 0xFFFFFFFFFFFFFFFB, "-5/1"}, {Int32, longField, 0x100000000, ""}, {Int32, longField, 0xFFFFFFFF7FFFFFFF, ""},
		{Int64, longField, 1 << 63, "-9223372036854775808/1"}, {Int64, longField, 1<<63 - 1, "9223372036854775807/1"}, {Int64, intField, 0xFFFFFFFB, "-5/1"},
		{UInt8, intField, 255, "255/1"}, {UInt8, intField, 256, ""}, {UInt16, intField, 65535, "65535/1"}, {UInt16, intField, 65536, ""},
		{UInt32, intField, 0xFFFFFFFB, "4294967291/1"}, {UInt32, longField, 0xFFFFFFFF, "4294967295/1"}, {UInt32, longField, 1 << 32, ""},
		{UInt64, longField, 1<<64 - 1, "18446744073709551615/1"},
		{DateTime, longField, 5, ""}, {Boolean, intField, 1, ""}, {0, intField, 1, ""},
		{Float, floatField, 0x7FC00000, ""}, {Double, doubleField, 0xFFF0000000000000, ""}, {Boolean, booleanField, 1, ""}, {Float, noField, 0, ""},
	} {
		n, err := metric(c.kind, c.f, c.bits).Number(c.kind)
		if c.want == "" && err == nil || c.want != "" && (err != nil || n.String() != c.want) {
			t.Errorf("type %d field %d %#x: %v, %v; want %q", c.kind, c.f, c.bits, n, err, c.want)
		}
	}
}

// Fields that are not known, or come in another wire type than the standard's,
// say nothing.
func TestUnknownFields(t *testing.T) {
	var odd []byte
	for n := protowire.Number(1); n < 25; n++ {
		odd = protowire.AppendFixed64(protowire.AppendTag(odd, n, protowire.Fixed64Type), 1)
		if n > 5 {
			odd = protowire.AppendVarint(protowire.AppendTag(odd, n, protowire.VarintType), 1)
			odd = protowire.AppendString(protowire.AppendTag(odd, n, protowire.BytesType), "x")
		}
	}
	p, err := Parse(odd)
	if err != nil || p.Seq != -1 || !p.At.IsZero() || len(p.Metrics) != 0 || p.uuid != "" || p.body != nil {
		t.Errorf("%+v, %v", p, err)
	}
	var inner []byte
	for n := protowire.Number(1); n < 25; n++ {
		if n != 13 { // there a double
			inner = protowire.AppendFixed64(protowire.AppendTag(inner, n, protowire.Fixed64Type), 1)
		}
		if n != 12 { // there a float
			inner = protowire.AppendFixed32(protowire.AppendTag(inner, n, protowire.Fixed32Type), 1)
		}
	}
	m, err := parseMetric(inner, 0)
	m.field = noField // a value of bytes or a data set, of no use in either case
	if err != nil || m.Name != "" || m.HasAlias || !m.At.IsZero() || m.Type != 0 || m.Historical || m.Null || m.Quality != Good || m.Unit != "" || m.bits != 0 || m.text != "" || m.nested != nil {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestMillis(t *testing.T) {
	for ms, want := range map[uint64]time.Time{0: {}, 1: time.UnixMilli(1), 1772362800000: sent, math.MaxInt64 / 1000: time.UnixMilli(math.MaxInt64 / 1000), math.MaxInt64/1000 + 1: {}, math.MaxUint64: {}} {
		if got := millis(ms); !got.Equal(want) {
			t.Errorf("%d ms is %s", ms, got)
		}
	}
}

// What is said to be false is as if it were not said.
func TestExplicitlyFalse(t *testing.T) {
	for set, want := range map[byte]bool{0: false, 1: true} {
		m, err := parseMetric([]byte{0x28, set, 0x38, set, 0x20, 0x03, 0x50, 0x05}, 0)
		if err != nil || m.Historical != want || m.Null != want || m.Type != Int32 || m.bits != 5 {
			t.Errorf("%d: %+v, %v", set, m, err)
		}
	}
}

// A property may be null, and as many values as keys must come.
func TestProperties(t *testing.T) {
	key := func(b []byte, k string) []byte {
		return protowire.AppendString(protowire.AppendTag(b, 1, protowire.BytesType), k)
	}
	value := func(b, v []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(b, 2, protowire.BytesType), v)
	}
	integer := func(n protowire.Number, v uint64) []byte {
		return protowire.AppendVarint(protowire.AppendTag([]byte{0x08, 0x03}, n, protowire.VarintType), v)
	}
	for name, c := range map[string]struct {
		set     []byte
		quality int64
		fails   bool
	}{
		"bad":          {value(key(nil, "Quality"), integer(3, 0)), 0, false},
		"below 0":      {value(key(nil, "Quality"), integer(3, 0xFFFFFFFF)), -1, false},
		"long":         {value(key(nil, "Quality"), integer(4, 500)), 500, false},
		"null":         {value(key(nil, "Quality"), append([]byte{0x10, 0x01}, integer(3, 0)...)), Good, false},
		"not null":     {value(key(nil, "Quality"), append([]byte{0x10, 0x00}, integer(3, 0)...)), 0, false},
		"another":      {value(key(nil, "quality of life"), integer(3, 0)), Good, false},
		"the second":   {value(value(key(key(nil, "a"), "Quality"), integer(3, 1)), integer(3, 0)), 0, false},
		"one too many": {value(value(key(nil, "Quality"), integer(3, 0)), integer(3, 0)), 0, true},
		"one too few":  {key(nil, "Quality"), 0, true},
		"cut":          {[]byte{0x0a, 0x05}, 0, true},
		"a cut value":  {value(key(nil, "Quality"), []byte{0x18}), 0, true},
	} {
		m := Metric{Quality: Good}
		if err := m.properties(c.set); (err != nil) != c.fails || err == nil && m.Quality != c.quality {
			t.Errorf("%s: %d, %v", name, m.Quality, err)
		}
	}
	m := Metric{}
	if err := m.properties(value(key(nil, "engUnit"), integer(3, 5))); err != nil || m.Unit != "" {
		t.Errorf("a number as a unit: %q, %v", m.Unit, err)
	}
}

func TestNull(t *testing.T) {
	for _, m := range []*Metric{{Null: true, field: intField, bits: 5}, {}, {Null: true}} {
		var e *drivers.Error
		if n, err := m.Number(Int32); n != nil || !errors.As(err, &e) || e.Kind != drivers.Sentinel {
			t.Errorf("%+v: %v, %v", m, n, err)
		}
	}
}

func compressed(t *testing.T, algorithm string, seq int) []byte {
	t.Helper()
	plain, _ := hex.DecodeString(scalars)
	var buf bytes.Buffer
	switch algorithm {
	case "GZIP":
		w := gzip.NewWriter(&buf)
		_, _ = w.Write(plain)
		_ = w.Close()
	default:
		w := zlib.NewWriter(&buf)
		_, _ = w.Write(plain)
		_ = w.Close()
	}
	m := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "algorithm")
	m = protowire.AppendString(protowire.AppendTag(m, 15, protowire.BytesType), algorithm)
	b := protowire.AppendBytes(protowire.AppendTag(nil, 2, protowire.BytesType), m)
	b = protowire.AppendVarint(protowire.AppendTag(b, 3, protowire.VarintType), uint64(seq))
	b = protowire.AppendString(protowire.AppendTag(b, 4, protowire.BytesType), packed)
	return protowire.AppendBytes(protowire.AppendTag(b, 5, protowire.BytesType), buf.Bytes())
}

func TestCompressed(t *testing.T) {
	for _, algorithm := range []string{"GZIP", "DEFLATE"} {
		p, err := Parse(compressed(t, algorithm, 9))
		if err != nil || len(p.Metrics) != 14 || p.Seq != 3 {
			t.Errorf("%s: %d metrics, seq %d, %v", algorithm, len(p.Metrics), p.Seq, err)
		}
	}
	// What the inner payload does not say, the outer one does.
	var nothing bytes.Buffer
	_ = zlib.NewWriter(&nothing).Close()
	outer := protowire.AppendVarint(protowire.AppendTag([]byte{0x08, 0x05}, 3, protowire.VarintType), 9)
	outer = protowire.AppendString(protowire.AppendTag(outer, 4, protowire.BytesType), packed)
	outer = protowire.AppendBytes(protowire.AppendTag(outer, 5, protowire.BytesType), nothing.Bytes())
	if p, err := Parse(outer); err != nil || p.Seq != 9 || p.At.UnixMilli() != 5 {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := Parse(compressed(t, "LZMA", 9)); err == nil {
		t.Error("an unknown compression was taken")
	}
	var bomb bytes.Buffer
	w := zlib.NewWriter(&bomb)
	_, _ = w.Write(make([]byte, Limit+1))
	_ = w.Close()
	b := protowire.AppendString(protowire.AppendTag(nil, 4, protowire.BytesType), packed)
	b = protowire.AppendBytes(protowire.AppendTag(b, 5, protowire.BytesType), bomb.Bytes())
	if _, err := Parse(b); !errors.Is(err, errBomb) {
		t.Errorf("a bomb: %v", err)
	}
}

func TestParseRefuses(t *testing.T) {
	within := func(levels int) []byte {
		deep := []byte{0x20, 1}
		for range levels {
			inner := protowire.AppendBytes(protowire.AppendTag(nil, 2, protowire.BytesType), deep)
			deep = protowire.AppendBytes(protowire.AppendTag(nil, 18, protowire.BytesType), inner)
		}
		return protowire.AppendBytes(protowire.AppendTag(nil, 2, protowire.BytesType), deep)
	}
	if _, err := Parse(within(deepest)); err != nil {
		t.Errorf("templates as deep as they may be: %v", err)
	}
	for name, b := range map[string][]byte{
		"json":       []byte(`{"client":"x"}`),
		"cut":        {0x12, 0x05, 0x0a},
		"no tag":     {0x00},
		"seq 256":    {0x18, 0x80, 0x02},
		"long":       make([]byte, Limit+1),
		"deep":       within(deepest + 1),
		"properties": {0x12, 0x05, 0x4a, 0x03, 0x0a, 0x01, 'a'},
	} {
		if _, err := Parse(b); err == nil {
			t.Errorf("%s was taken", name)
		} else if name == "json" && !strings.Contains(err.Error(), "format json") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if p, err := Parse([]byte{0x18, 0xff, 0x01}); err != nil || p.Seq != 255 {
		t.Errorf("seq 255: %+v, %v", p, err)
	}
}

// What we ask reads as what was meant.
func TestRebirth(t *testing.T) {
	p, err := Parse(Rebirth(sent))
	if err != nil || len(p.Metrics) != 1 || p.Metrics[0].Name != "Node Control/Rebirth" || p.Metrics[0].Type != Boolean || p.Metrics[0].bits != 1 || !p.At.Equal(sent) || p.Seq != -1 {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestQuality(t *testing.T) {
	for q, want := range map[int64]energy.Flags{192: 0, 255: 0, 191: energy.Flags(0).With(14), 256: energy.Flags(0).With(14), 0: energy.Flags(0).With(14), 500: energy.Flags(0).With(13), -1: energy.Flags(0).With(14)} {
		if got := quality(q); got != want {
			t.Errorf("%d: %v, want %v", q, got.List(), want.List())
		}
	}
}

func FuzzPayload(f *testing.F) {
	for _, s := range []string{nbirth, scalars, nested} {
		b, _ := hex.DecodeString(s)
		f.Add(b)
	}
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := Parse(b)
		if err != nil {
			return
		}
		n := Node{}
		for _, kind := range []string{"DDATA", "NBIRTH", "DBIRTH", "DDATA", "NDATA", "NDEATH"} {
			said, err := n.Message(kind, "d", p)
			if err != nil {
				continue
			}
			for _, v := range said.Values {
				if v.Metric == "" || (v.Number == nil) == (v.Err == nil) {
					t.Fatalf("%s: %+v", kind, v)
				}
			}
		}
	})
}
