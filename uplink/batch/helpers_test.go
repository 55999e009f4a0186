package batch

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	_ "github.com/perseus-edge/perseus-edge/internal/secrets/record" // of what the tests make and log
)

// testKey is a fixed key whose signatures are deterministic (RFC 6979), so
// that whole encoded batches can be golden.
type testKey struct{ *ecdsa.PrivateKey }

func (k testKey) Sign(_ io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	return k.PrivateKey.Sign(nil, digest, o)
}

func newTestKey(t testing.TB) testKey {
	t.Helper()
	d := make([]byte, 32)
	for i := range d {
		d[i] = byte(i + 1)
	}
	k, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), d)
	if err != nil {
		t.Fatal(err)
	}
	return testKey{k}
}

// shopDay is a believable day of a shop: a base load of fridges, opening hours
// from 8:00 to 18:00, 100 to 3000 Wh a half-hour.
func shopDay(seed uint64) []Value {
	r := rand.New(rand.NewPCG(seed, 1))
	vs := make([]Value, 48)
	for i := range vs {
		wh := 140 + r.Float64()*90
		if i >= 16 && i < 36 {
			wh = 1700 + r.NormFloat64()*280
			if i > 22 && i < 28 {
				wh += 500 // lunch
			}
		}
		vs[i] = Value{Energy: int64(min(max(wh, 100), 3000)), Quality: energy.Measured, Rule: energy.RuleBracketed}
	}
	return vs
}

var day = time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)

func shopBatch(seed uint64) Batch {
	vs := shopDay(seed)
	serial := []byte{0x5a, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15} // 16 bytes, as the directory makes
	previous := Sum([]byte("the batch before"))
	return Batch{
		Gateway: "https://directory.core.sandbox.trust.ib1.org/g/7k2m9qxa04tb", Serial: serial,
		Sequence: 365, Previous: previous, Made: day.Add(24*time.Hour + 7*time.Second),
		Grants: []string{"q3Jx0TnV5mZ8Rk1wYb7LcA"}, // 16 random bytes, base64url
		Series: []Series{{Meter: "main", Measure: energy.Import, First: day, Values: vs,
			Opening: 48_213_977, Closing: 48_213_977 + sum(vs)}},
	}
}

func mustEncode(t testing.TB, b Batch) []byte {
	t.Helper()
	raw, err := Encode(b, newTestKey(t))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
