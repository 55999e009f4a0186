package month

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// StepType is the type of a statement as a step of a provenance record. It is
// ours, not the scheme's: an "origin" of each month beside that of the transfer
// would be one too many for readers who look for the only one.
const StepType = "perseus-edge:half-hours"

// MaxSpans is how many stretches of time one statement may be of.
const MaxSpans = 8

// Span is a stretch of half-hours: those that start in [From, To).
type Span struct{ From, To time.Time }

// Statement is what a gateway states of a register and a month.
type Statement struct {
	Gateway string // its URL
	Meter   string // a name by which the same meter is known again; not the gateway's own name for it
	Measure energy.Measure
	Month   Month
	Spans   []Span // what it speaks of, in order: no half-hour outside them has a value in the tree
	Root    Hash
}

// Within reports whether the statement speaks of the half-hour at start.
func (s Statement) Within(start time.Time) bool {
	return slices.ContainsFunc(s.Spans, func(p Span) bool { return !start.Before(p.From) && start.Before(p.To) })
}

type stepJSON struct {
	ID        string         `json:"id"`
	Type      string         `json:"type"`
	Timestamp string         `json:"timestamp"`
	Gateway   string         `json:"gateway"`
	Meter     string         `json:"meter"`
	Measure   energy.Measure `json:"measure"`
	Month     string         `json:"month"`
	Spans     []spanJSON     `json:"spans"`
	Root      string         `json:"root"` // base64url without padding
}

type spanJSON struct {
	From string `json:"from"`
	To   string `json:"to"`
}

const layout = "2006-01-02T15:04:05Z"

// ReadStep reads a statement from the JSON of its step. It does not check a
// signature: what holds it does.
func ReadStep(raw []byte) (Statement, error) {
	var j stepJSON
	bad := func(format string, a ...any) (Statement, error) {
		return Statement{}, fmt.Errorf("statement of half-hours: "+format, a...)
	}
	if err := strict(raw, &j); err != nil {
		return bad("%w", err)
	}
	s := Statement{Gateway: j.Gateway, Meter: j.Meter, Measure: j.Measure}
	if j.Type != StepType || j.ID == "" || s.Gateway == "" || s.Meter == "" || !s.Measure.Carried() {
		return bad("it lacks its type, id, gateway, meter or measure")
	}
	var err error
	if s.Month, err = Parse(j.Month); err != nil {
		return bad("%w", err)
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(j.Root)
	if err != nil || len(b) != len(s.Root) {
		return bad("root is not 32 bytes in base64url")
	}
	copy(s.Root[:], b)
	if len(j.Spans) == 0 || len(j.Spans) > MaxSpans {
		return bad("%d spans: 1 to %d are allowed", len(j.Spans), MaxSpans)
	}
	last := s.Month.Start
	for _, p := range j.Spans {
		from, err1 := time.Parse(layout, p.From)
		to, err2 := time.Parse(layout, p.To)
		if err1 != nil || err2 != nil || from.Before(last) || !from.Before(to) || to.After(s.Month.End()) ||
			from.Truncate(energy.Period) != from || to.Truncate(energy.Period) != to {
			return bad("span %.40q to %.40q is not one of the month's half-hours after the one before", p.From, p.To)
		}
		s.Spans, last = append(s.Spans, Span{from, to}), to
	}
	return s, nil
}

// Signed is a statement under the gateway's signature, in the form of a signed
// step list of a provenance record with this one step.
type Signed struct {
	Framework string `json:"framework"` // URL of the trust framework: part of what is signed
	Step      string `json:"step"`      // base64url of the step's JSON
	Serial    string `json:"serial"`    // of the signing certificate, decimal
	Time      string `json:"time"`
	Signature string `json:"signature"` // base64url of the DER ECDSA signature
}

// Sign signs a statement at an instant with the gateway's signing key.
func Sign(s Statement, framework string, at time.Time, serial *big.Int, key crypto.Signer) (Signed, error) {
	var id [15]byte
	rand.Read(id[:]) // never fails (crypto/rand)
	at = at.UTC().Truncate(time.Second)
	j := stepJSON{ID: base64.URLEncoding.EncodeToString(id[:]), Type: StepType, Timestamp: at.Format(layout), Gateway: s.Gateway, Meter: s.Meter,
		Measure: s.Measure, Month: s.Month.String(), Root: base64.RawURLEncoding.EncodeToString(s.Root[:])}
	for _, p := range s.Spans {
		j.Spans = append(j.Spans, spanJSON{p.From.UTC().Format(layout), p.To.UTC().Format(layout)})
	}
	step, err := json.Marshal(j)
	if err != nil {
		return Signed{}, err
	}
	if _, err := ReadStep(step); err != nil {
		return Signed{}, err
	}
	out := Signed{Framework: framework, Step: base64.URLEncoding.EncodeToString(step), Serial: serial.String(), Time: at.Format(layout)}
	sum := sha256.Sum256(out.toSign())
	sig, err := key.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		return Signed{}, fmt.Errorf("statement of half-hours: signing: %w", err)
	}
	out.Signature = base64.URLEncoding.EncodeToString(sig)
	return out, nil
}

// toSign is what the signature of a step list is over (provenance-records 1.0).
func (s Signed) toSign() []byte {
	return []byte(strings.Join([]string{s.Framework, s.Step, "0", s.Serial, s.Time}, "."))
}

// Verify checks the signature with the public key of the certificate that has
// the serial number, and reads the statement. The certificate's chain and
// validity are the caller's to check.
func (s Signed) Verify(pub *ecdsa.PublicKey) (Statement, time.Time, error) {
	bad := func(what string) (Statement, time.Time, error) {
		return Statement{}, time.Time{}, errors.New("statement of half-hours: " + what)
	}
	at, err := time.Parse(layout, s.Time)
	if err != nil {
		return bad("its time is not of the form 2026-03-12T10:00:00Z")
	}
	sig, err := base64.URLEncoding.Strict().DecodeString(s.Signature)
	if err != nil {
		return bad("its signature is not base64url")
	}
	sum := sha256.Sum256(s.toSign())
	if !ecdsa.VerifyASN1(pub, sum[:], sig) {
		return bad("the signature does not fit: changed on the way, or signed with another key")
	}
	st, err := s.Read()
	return st, at, err
}

// Read reads the statement without a check of the signature.
func (s Signed) Read() (Statement, error) {
	step, err := base64.URLEncoding.Strict().DecodeString(s.Step)
	if err != nil || strings.ContainsAny(s.Step, "\r\n") {
		return Statement{}, errors.New("statement of half-hours: its step is not base64url")
	}
	return ReadStep(step)
}

// List is the signed step list, as a provenance record has it.
func (s Signed) List() []any {
	return []any{s.Step, []any{json.Number("0"), s.Serial, s.Time, s.Signature}}
}

// carried is how a statement travels from the gateway to the relay: as the body
// of one of a batch's statements, with the seed that opens it. A relay of
// before there were statements of months passes over it.
type carried struct {
	HalfHours *carriedBody `json:"perseus-edge:half-hours"`
}

type carriedBody struct {
	Signed
	Seed string `json:"seed"`
}

// Carry writes a signed statement and its seed for the batch.
func Carry(s Signed, seed Seed) ([]byte, error) {
	return json.Marshal(carried{&carriedBody{s, base64.RawURLEncoding.EncodeToString(seed[:])}})
}

// ReadCarried reads what Carry wrote. ok is false when body is a statement of
// something else.
func ReadCarried(body []byte) (s Signed, seed Seed, ok bool, err error) {
	if !bytes.HasPrefix(body, []byte(`{"perseus-edge:half-hours":`)) {
		return s, seed, false, nil
	}
	var c carried
	if err := strict(body, &c); err != nil || c.HalfHours == nil {
		return s, seed, true, fmt.Errorf("statement of half-hours: cannot be read: %w", err)
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(c.HalfHours.Seed)
	if err != nil || len(b) != len(seed) {
		return s, seed, true, errors.New("statement of half-hours: seed is not 32 bytes in base64url")
	}
	copy(seed[:], b)
	return c.HalfHours.Signed, seed, true, nil
}

// strict reads one JSON value without properties that are not known.
func strict(raw []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("more text after the JSON value")
	}
	return nil
}
