package batch

import (
	"bytes"
	"compress/flate"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/big"
)

// The frame: magic, version, packing, body, signature.
const (
	magic         = "PEB\x01" // the last byte is the version
	packPlain     = 0         // the body as it is
	packFlate     = 1         // the body in raw DEFLATE (RFC 1951), only where that is smaller
	headerSize    = len(magic) + 1
	signatureSize = 64
)

// ErrTooLarge is what Encode fails with when the batch is within every other
// limit but its encoding is larger than MaxRaw: send it in two.
var ErrTooLarge = fmt.Errorf("batch: encoded size is over %d bytes: send it in several batches", MaxRaw)

// Signed is a decoded batch together with the bytes that were signed. Its
// signature is not checked until Verify.
type Signed struct {
	Batch
	raw []byte
}

// Raw is the encoded batch, the bytes of which Hash is the hash.
func (s *Signed) Raw() []byte { return s.raw }

// Hash is the batch's link in the chain.
func (s *Signed) Hash() Hash { return Sum(s.raw) }

// Sum is the hash of an encoded, signed batch.
func Sum(raw []byte) Hash { return sha256.Sum256(raw) }

// String writes the hash in hexadecimal.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// Encode writes and signs a batch; key is the gateway's P-256 signing key.
// Series are put in the order of meter, measure and time, and Made is cut to
// the second; all else must already be as the limits and Validate demand.
func Encode(b Batch, key crypto.Signer) ([]byte, error) {
	b = ordered(b)
	if err := b.Validate(); err != nil {
		return nil, err
	}
	body := appendBody(nil, b)
	raw := append([]byte(magic), packPlain)
	if packed := deflate(body); len(packed) < len(body) {
		raw[len(magic)] = packFlate
		body = packed
	}
	raw = append(raw, body...)
	if len(raw)+signatureSize > MaxRaw {
		return nil, ErrTooLarge
	}
	sig, err := sign(raw, key)
	if err != nil {
		return nil, err
	}
	return append(raw, sig...), nil
}

// Decode reads a batch and checks everything but the signature: the frame, the
// limits, and that the body is written in the one way in which Encode writes
// it. Only how hard DEFLATE worked is left open, since that may change from
// one version of a library to the next: the hash is always that of the bytes
// as they came. Decode keeps raw; the caller must not change it.
func Decode(raw []byte) (*Signed, error) {
	if len(raw) > MaxRaw {
		return nil, fmt.Errorf("batch: %d bytes, at most %d are allowed", len(raw), MaxRaw)
	}
	if len(raw) < headerSize+signatureSize || string(raw[:3]) != magic[:3] {
		return nil, errors.New("batch: not a batch: magic bytes missing or too short")
	}
	if raw[3] != magic[3] {
		return nil, fmt.Errorf("batch: format version %d, this program reads version %d: update it", raw[3], magic[3])
	}
	body := raw[headerSize : len(raw)-signatureSize]
	switch raw[len(magic)] {
	case packPlain:
	case packFlate:
		packed := body
		var err error
		if body, err = inflate(packed); err != nil {
			return nil, err
		}
		if len(body) <= len(packed) {
			return nil, errors.New("batch: compressed though that does not make it smaller")
		}
	default:
		return nil, fmt.Errorf("batch: unknown packing %d", raw[len(magic)])
	}
	b, err := parseBody(body)
	if err != nil {
		return nil, fmt.Errorf("batch: %w", err)
	}
	if err := b.Validate(); err != nil {
		return nil, err
	}
	if !bytes.Equal(appendBody(make([]byte, 0, len(body)), b), body) {
		return nil, errors.New("batch: not in the canonical form")
	}
	return &Signed{Batch: b, raw: raw}, nil
}

// Verify checks the signature with the public key of the gateway's signing
// certificate. Chain, validity, revocation and whether the certificate is the
// one with the batch's serial number are the caller's to check.
func (s *Signed) Verify(pub *ecdsa.PublicKey) error {
	if pub == nil || pub.Curve != elliptic.P256() {
		return errors.New("batch: signature: the key must be ECDSA on P-256")
	}
	n := len(s.raw) - signatureSize
	r, sv := new(big.Int).SetBytes(s.raw[n:n+32]), new(big.Int).SetBytes(s.raw[n+32:])
	if sv.Cmp(halfOrder) > 0 {
		return errors.New("batch: signature: s is in the upper half of the order: not the canonical form")
	}
	digest := sha256.Sum256(s.raw[:n])
	if !ecdsa.Verify(pub, digest[:], r, sv) {
		return errors.New("batch: signature does not fit: changed on the way, or signed with another key")
	}
	return nil
}

// halfOrder is half of the order of P-256. Of the two s that fit a signature
// Encode gives the smaller, so that nobody can make a second encoding (and so
// a second hash) of the same batch without the key.
var halfOrder = new(big.Int).Rsh(elliptic.P256().Params().N, 1)

func sign(data []byte, key crypto.Signer) ([]byte, error) {
	pub, ok := key.Public().(*ecdsa.PublicKey)
	if !ok || pub.Curve != elliptic.P256() {
		return nil, errors.New("batch: signing key must be ECDSA on P-256")
	}
	digest := sha256.Sum256(data)
	der, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("batch: signing: %w", err)
	}
	var sig struct{ R, S *big.Int }
	if rest, err := asn1.Unmarshal(der, &sig); err != nil || len(rest) > 0 || sig.R.Sign() <= 0 || sig.S.Sign() <= 0 {
		return nil, errors.New("batch: signing key did not give an ECDSA signature")
	}
	if sig.S.Cmp(halfOrder) > 0 {
		sig.S.Sub(pub.Curve.Params().N, sig.S)
	}
	out := make([]byte, signatureSize)
	sig.R.FillBytes(out[:32])
	sig.S.FillBytes(out[32:])
	return out, nil
}

func deflate(body []byte) []byte {
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.BestCompression)
	if err != nil {
		panic(err) // the level is a constant
	}
	w.Write(body) // to memory: cannot fail
	w.Close()
	return out.Bytes()
}

func inflate(packed []byte) ([]byte, error) {
	src := bytes.NewReader(packed) // an io.ByteReader: flate reads no byte too many
	body, err := io.ReadAll(io.LimitReader(flate.NewReader(src), MaxBody+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("batch: decompress: %w", err)
	case len(body) > MaxBody:
		return nil, fmt.Errorf("batch: more than %d bytes when decompressed", MaxBody)
	case src.Len() > 0:
		return nil, errors.New("batch: bytes after the compressed body")
	}
	return body, nil
}
