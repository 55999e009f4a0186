// Package provenance builds, signs, reads and verifies the scheme's provenance
// records: where a figure came from, under whose permission, through whose
// hands, and who signs for each of it.
//
// A record is a signed list of steps. Whoever receives data with a record
// includes that record, as it came, in its own, adds its steps and signs the
// whole, so that a later reader can check every hand with the public roots
// alone (law 6). The format is IB1's provenance-records 1.0; its reference
// implementation is the Python package ib1-provenance, against which this one
// is tested in both directions.
package provenance

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Limits of what Parse, Include and Sign accept. They bound the work that a
// stranger's record can cause; real records are a few kilobytes.
const (
	MaxSize         = 4 << 20 // bytes of an encoded record
	MaxDepth        = 32      // signed lists within one another
	MaxElements     = 20_000  // steps and signed lists, together
	MaxCertificates = 256     // in one record
)

// version is the only version of the container that exists.
const version = 0

// timeLayout is how times are written: to the second, UTC, with a Z.
const timeLayout = "2006-01-02T15:04:05Z"

// Record is a provenance record: what is signed already, and what was added
// since. Make one with New or Parse. A Record is not safe for concurrent use.
type Record struct {
	trustFramework string
	signed         *list               // nil before the first Sign
	certs          map[string][]string // serial -> PEM, serials of its issuers
	pending        []any               // pendingStep or *list, in the order they were added
	err            error               // the first thing that went wrong; Sign returns it
}

// list is a signed step list. text keeps every element as it came, since the
// signature is over the text.
type list struct {
	elements []element
	sig      signature
}

// element is a step (text) or a list within the list (sub).
type element struct {
	text string // base64url of the step's JSON
	sub  *list
}

type signature struct {
	serial string // decimal
	time   string // as written
	value  string // base64url
	at     time.Time
}

type pendingStep struct {
	id   string
	step Step
}

// New starts an empty record of a trust framework, named by its URL.
func New(trustFramework string) *Record {
	return &Record{trustFramework: trustFramework, certs: map[string][]string{}}
}

// TrustFramework is the URL of the trust framework that the record belongs to.
func (r *Record) TrustFramework() string { return r.trustFramework }

// Add adds a step and returns its identifier, by which later steps refer to
// it. Nothing is signed before Sign, which also reports what is wrong with the
// step.
func (r *Record) Add(s Step) string {
	id := NewID()
	r.pending = append(r.pending, pendingStep{id, s})
	return id
}

// Include takes another, signed record into this one, exactly as it is. What
// is wrong with it is reported by Sign.
func (r *Record) Include(o *Record) {
	switch {
	case o == nil || o.signed == nil || len(o.pending) > 0:
		r.fail(errors.New("provenance: the record to include has steps that are not signed: sign it first"))
	case o.trustFramework != r.trustFramework:
		r.fail(fmt.Errorf("provenance: the record to include belongs to the trust framework %s, this one to %s", o.trustFramework, r.trustFramework))
	default:
		for serial, c := range o.certs {
			r.addCertificate(serial, c)
		}
		r.pending = append(r.pending, o.signed)
	}
}

// Signed reports whether every step of the record is under a signature.
func (r *Record) Signed() bool { return r.signed != nil && len(r.pending) == 0 && r.err == nil }

// Origins lists the identifiers of the origin steps, in the order in which
// they appear. It is empty before the first Sign.
func (r *Record) Origins() ([]string, error) {
	out := []string{}
	if r.signed == nil {
		return out, nil
	}
	err := r.signed.walk("steps", func(where, text string) error {
		s, err := decodeStep(text)
		if err != nil {
			return &Error{Where: where, Err: err}
		}
		if s.Type == "origin" {
			out = append(out, s.ID)
		}
		return nil
	})
	return out, err
}

func (r *Record) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// addCertificate records a certificate. Serial numbers are unique within a
// trust framework's signing hierarchy; two certificates under one number would
// let one signer speak with the other's name.
func (r *Record) addCertificate(serial string, c []string) {
	have, ok := r.certs[serial]
	switch {
	case !ok:
		r.certs[serial] = slices.Clone(c)
	case have[0] != c[0]:
		r.fail(fmt.Errorf("provenance: serial number %s stands for two different certificates", serial))
	case len(have) < len(c):
		r.certs[serial] = slices.Clone(c) // an issuer here, a signer there: keep its path
	}
}

// walk calls f for every step, in order, with where it stands ("steps[0][2]").
func (l *list) walk(where string, f func(where, text string) error) error {
	for i, e := range l.elements {
		at := fmt.Sprintf("%s[%d]", where, i)
		if e.sub != nil {
			if err := e.sub.walk(at, f); err != nil {
				return err
			}
			continue
		}
		if err := f(at, e.text); err != nil {
			return err
		}
	}
	return nil
}

// NewID makes a step identifier: 15 random bytes in base64url.
func NewID() string {
	var b [15]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return base64.URLEncoding.EncodeToString(b[:])
}

// Certificates lists the certificates that the record carries, by the order of
// their serial numbers as text.
func (r *Record) Certificates() ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for _, serial := range slices.Sorted(maps.Keys(r.certs)) {
		c, err := parseCertificate(serial, r.certs[serial][0])
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

// Error is what is wrong with a record: where, and under whose signature.
type Error struct {
	Where  string // such as "steps[0][2]"
	Signer string // who signed there, where that is known
	Err    error
}

func (e *Error) Error() string {
	if e.Signer == "" {
		return fmt.Sprintf("provenance: %s: %v", e.Where, e.Err)
	}
	return fmt.Sprintf("provenance: %s (signed by %s): %v", e.Where, e.Signer, e.Err)
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }
