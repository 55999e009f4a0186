package simulation

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/store"
	"github.com/perseus-edge/perseus-edge/uplink/batch"
	"github.com/perseus-edge/perseus-edge/uplink/grant"
)

// relay is a relay in memory that keeps strictly to the contract: it checks
// the site, the signature, the chain and the permission of what comes, and
// reports everything that a gateway must never do.
type relay struct {
	id     Identity
	real   Receiver // takes sites and batches in its stead; nil: none
	report func(law, what string)
	told   *history

	mu         sync.Mutex
	keys       map[string]*ecdsa.PublicKey // signing certificates by serial
	head       uint64
	hashes     []batch.Hash // by sequence; [0] is zero
	values     map[energy.Key]map[int64]batch.Value
	statements int
	set        grant.Set
	raw        []byte
	etag       string
	changed    chan struct{} // closed when the set changes
	deleted    int           // half-hours that were withdrawn
	batches    int
	carried    int // half-hours that came
	again      int // of these the same as were here
}

func newRelay(id Identity, report func(law, what string), told *history) *relay {
	return &relay{id: id, real: id.Real, report: report, told: told, keys: map[string]*ecdsa.PublicKey{}, hashes: make([]batch.Hash, 1),
		values: map[energy.Key]map[int64]batch.Value{}, changed: make(chan struct{})}
}

// permit replaces the grants, and deletes what no live one covers any more.
func (r *relay) permit(gs ...grant.Grant) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	for k, values := range r.values {
		for at := range values {
			if !slices.ContainsFunc(gs, func(g grant.Grant) bool { return g.Allows(now, k, time.Unix(at, 0)) }) {
				delete(values, at)
				r.deleted++
			}
		}
	}
	if r.real != nil {
		if err := r.real.Permit(gs); err != nil {
			r.report("simulation", err.Error())
		}
	}
	issued := time.Now().UTC().Truncate(time.Second)
	if !issued.After(r.set.Issued) {
		issued = r.set.Issued.Add(time.Second)
	}
	r.set = grant.Set{Gateway: r.id.Gateway, Issued: issued, Grants: gs}
	raw, err := grant.Sign(r.set, r.id.Key, r.id.Chain)
	if err != nil {
		r.report("simulation", err.Error())
	}
	r.raw, r.etag = raw, fmt.Sprintf(`"%d"`, issued.Unix())
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *relay) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	w.Header().Set("Date", time.Now().UTC().Format(http.TimeFormat))
	if r.real != nil && q.Method != http.MethodGet {
		r.real.ServeHTTP(w, q)
		return
	}
	switch q.Method + " " + q.URL.Path {
	case "PUT /gateway/v1/site":
		r.putSite(w, q)
	case "POST /gateway/v1/batches":
		r.postBatch(w, q)
	case "GET /gateway/v1/grants":
		r.getGrants(w, q)
	default:
		refuse(w, 404, "not_found", nil)
	}
}

func refuse(w http.ResponseWriter, status int, code string, more map[string]any) {
	body := map[string]any{"error": code, "error_description": "the simulated relay says no"}
	for k, v := range more {
		body[k] = v
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func (r *relay) putSite(w http.ResponseWriter, q *http.Request) {
	var s struct {
		Certificate string `json:"signing_certificate"`
	}
	if err := json.NewDecoder(q.Body).Decode(&s); err != nil {
		r.report("contract", "a site that cannot be read: "+err.Error())
		refuse(w, 400, "invalid_request", nil)
		return
	}
	cs, err := identity.ParseCertificates([]byte(s.Certificate))
	if err == nil {
		_, err = cs[0].Verify(x509.VerifyOptions{Roots: r.id.Roots, Intermediates: identity.Pool(cs[1:]...),
			CurrentTime: time.Now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	}
	if err != nil {
		r.report("contract", "a signing certificate that does not hold: "+err.Error())
		refuse(w, 403, "invalid_certificate", nil)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys[cs[0].SerialNumber.String()] = cs[0].PublicKey.(*ecdsa.PublicKey)
	w.WriteHeader(204)
}

func (r *relay) postBatch(w http.ResponseWriter, q *http.Request) {
	raw, err := io.ReadAll(q.Body)
	if err != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	b, err := batch.Decode(raw)
	if err != nil || b.Gateway != r.id.Gateway {
		r.report("contract", fmt.Sprintf("a batch that cannot be read: %v", err))
		refuse(w, 400, "invalid_batch", nil)
		return
	}
	key := r.keys[new(big.Int).SetBytes(b.Serial).String()]
	if key == nil {
		r.report("contract", "a batch before the site")
		refuse(w, 403, "unknown_certificate", nil)
		return
	}
	if b.Verify(key) != nil {
		r.report("contract", "a batch whose signature does not fit")
		refuse(w, 400, "invalid_batch", nil)
		return
	}
	if b.Sequence <= r.head && r.hashes[b.Sequence] == b.Hash() {
		_ = json.NewEncoder(w).Encode(map[string]any{"sequence": r.head})
		return
	}
	if b.Sequence != r.head+1 || b.Previous != r.hashes[r.head] {
		refuse(w, 409, "out_of_sequence", map[string]any{"sequence": r.head, "hash": r.hashes[r.head].String()})
		return
	}
	if !permitted(r.set.Grants, time.Now(), b) {
		refuse(w, 403, "no_permission", nil)
		return
	}
	r.store(b)
	_ = json.NewEncoder(w).Encode(map[string]any{"sequence": r.head})
}

func (r *relay) store(b *batch.Signed) {
	r.told.batch(b)
	r.batches++
	for _, s := range b.Series {
		k := energy.Key{Meter: s.Meter, Measure: s.Measure}
		if r.values[k] == nil {
			r.values[k] = map[int64]batch.Value{}
		}
		for i, v := range s.Values {
			at := s.First.Add(time.Duration(i) * energy.Period).Unix()
			if old, ok := r.values[k][at]; ok && old == v {
				r.again++
			}
			r.carried++
			r.values[k][at] = v
		}
	}
	r.statements += len(b.Baseline)
	r.head++
	r.hashes = append(r.hashes, b.Hash())
}

// permitted reports whether grants cover everything in a batch, half-hour by half-hour.
func permitted(grants []grant.Grant, now time.Time, b *batch.Signed) bool {
	allows := func(k energy.Key, at time.Time) bool {
		for _, g := range grants {
			if g.Allows(now, k, at) {
				return true
			}
		}
		return false
	}
	for _, s := range b.Series {
		for i := range s.Values {
			if !allows(energy.Key{Meter: s.Meter, Measure: s.Measure}, s.First.Add(time.Duration(i)*energy.Period)) {
				return false
			}
		}
	}
	for _, s := range b.Baseline {
		if !allows(energy.Key{Meter: s.Meter, Measure: s.Measure}, s.At) {
			return false
		}
	}
	return true
}

// known reports whether the gateway holds the present permissions.
func (r *relay) known(s *store.Store) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	var held struct {
		Raw []byte `json:"raw"`
	}
	b, err := s.Meta("uplink-grants")
	return err == nil && json.Unmarshal(b, &held) == nil && bytes.Equal(held.Raw, r.raw)
}

// allows reports whether a half-hour may be there now.
func (r *relay) allows(k energy.Key, at time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	return slices.ContainsFunc(r.set.Grants, func(g grant.Grant) bool { return g.Allows(now, k, at) })
}

// holds gives what the relay holds of a register, by Unix seconds.
func (r *relay) holds(k energy.Key, from, to time.Time) (map[int64]batch.Value, error) {
	if r.real != nil {
		return r.real.Values(k, from, to)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.values[k]), nil
}

func (r *relay) getGrants(w http.ResponseWriter, q *http.Request) {
	r.mu.Lock()
	raw, etag, changed := r.raw, r.etag, r.changed
	r.mu.Unlock()
	if q.Header.Get("If-None-Match") == etag {
		var n int
		if _, err := fmt.Sscanf(q.Header.Get("Prefer"), "wait=%d", &n); err != nil || n == 0 {
			w.WriteHeader(304)
			return
		}
		t := time.NewTimer(time.Duration(min(n, 50)) * time.Second)
		defer t.Stop()
		select {
		case <-changed:
		case <-q.Context().Done():
			return
		case <-t.C:
			w.WriteHeader(304)
			return
		}
		r.mu.Lock()
		raw, etag = r.raw, r.etag
		r.mu.Unlock()
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("ETag", etag)
	_, _ = w.Write(raw)
}
