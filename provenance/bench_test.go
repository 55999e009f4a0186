package provenance_test

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/provenance"
)

// each times f alone, for the ratio in the same run.
func each(b *testing.B, n int, f func()) time.Duration {
	b.Helper()
	start := time.Now()
	for range n {
		f()
	}
	return time.Since(start) / time.Duration(n)
}

// Signing a consumption record (three steps, encoded) beside the bare signature
// in it.
func BenchmarkSign(b *testing.B) {
	w := newWorld(b)
	sum := sha256.Sum256([]byte("a record"))
	bare := each(b, 300, func() {
		if _, err := ecdsa.SignASN1(rand.Reader, w.leaves[0].Key, sum[:]); err != nil {
			b.Fatal(err)
		}
	})
	for b.Loop() {
		r, _ := w.consumption(b)
		encode(b, r)
	}
	b.ReportMetric(float64(b.Elapsed())/float64(b.N)/float64(bare), "x-bare-ECDSA")
}

// Verifying a record as it reaches a bank (two hands, seven steps), read and
// with its chains checked to the root, beside the bare checks of its two
// signatures.
func BenchmarkVerify(b *testing.B) {
	w := newWorld(b)
	raw := encode(b, w.emissions(b))
	sum := sha256.Sum256(raw)
	sig, err := ecdsa.SignASN1(rand.Reader, w.leaves[0].Key, sum[:])
	if err != nil {
		b.Fatal(err)
	}
	bare := each(b, 300, func() {
		for range 2 {
			if !ecdsa.VerifyASN1(&w.leaves[0].Key.PublicKey, sum[:], sig) {
				b.Fatal("the bare signature does not fit")
			}
		}
	})
	v := w.verifier()
	for b.Loop() {
		r, err := provenance.Parse(framework, raw)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := r.Verify(v); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed())/float64(b.N)/float64(bare), "x-bare-ECDSA")
}
