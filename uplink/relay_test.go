package uplink

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/identitytest"
	"github.com/perseus-edge/perseus-edge/uplink/batch"
	"github.com/perseus-edge/perseus-edge/uplink/grant"
)

const (
	gatewayURL = "https://directory.example/g/1"
	memberURL  = "https://directory.example/m/1"
	edpRole    = "https://registry.example/scheme/perseus/role/energy-data-provider"
)

// memRelay is a relay in memory that keeps to the contract: it checks the
// site, the signature, the chain and the permission, and stores a half-hour
// once, whatever comes.
type memRelay struct {
	t      testing.TB
	signer *identitytest.Leaf // EDP role
	roots  *x509.CertPool     // signing

	mu       sync.Mutex
	site     map[string]any
	keys     map[string]*ecdsa.PublicKey // signing certificates by serial
	head     uint64
	hashes   map[uint64]batch.Hash
	values   map[energy.Key]map[int64]batch.Value
	writes   int // half-hours that changed something
	carried  int // half-hours in batches that were stored
	baseline []batch.Statement
	posts    int
	set      grant.Set
	raw      []byte
	etag     string
	changed  chan struct{} // closed when the set changes
	code     string        // version of the code that the relay takes for the gateway's
	retired  bool          // and whether it stands for the site no more
	tooLarge int           // batches with more bytes are refused; 0: none
}

func newRelay(t testing.TB, pki *identitytest.PKI) *memRelay {
	r := &memRelay{t: t, signer: pki.Signing("https://directory.example/a/relay", "Relay Ltd", memberURL, edpRole), roots: pki.SigningCA.Pool()}
	r.wipe()
	r.grant()
	return r
}

// wipe loses everything but the grants.
func (r *memRelay) wipe() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.site, r.head = nil, 0
	r.keys, r.hashes, r.values = map[string]*ecdsa.PublicKey{}, map[uint64]batch.Hash{}, map[energy.Key]map[int64]batch.Value{}
}

// grant replaces the grants.
func (r *memRelay) grant(gs ...grant.Grant) {
	r.mu.Lock()
	defer r.mu.Unlock()
	issued := time.Now().UTC().Truncate(time.Second)
	if !issued.After(r.set.Issued) {
		issued = r.set.Issued.Add(time.Second)
	}
	r.set = grant.Set{Gateway: gatewayURL, Issued: issued, Grants: gs, Code: r.code, Retired: r.retired}
	raw, err := grant.Sign(r.set, r.signer.Key, r.signer.Chain)
	if err != nil {
		r.t.Error(err)
	}
	r.raw, r.etag = raw, fmt.Sprintf(`"%d"`, issued.Unix())
	if r.changed != nil {
		close(r.changed)
	}
	r.changed = make(chan struct{})
}

func (r *memRelay) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	w.Header().Set("Date", time.Now().UTC().Format(http.TimeFormat))
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
	body := map[string]any{"error": code, "error_description": "the test's relay says no"}
	for k, v := range more {
		body[k] = v
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body)
}

func (r *memRelay) putSite(w http.ResponseWriter, q *http.Request) {
	var s map[string]any
	if err := json.NewDecoder(q.Body).Decode(&s); err != nil {
		refuse(w, 400, "invalid_request", nil)
		return
	}
	text, _ := s["signing_certificate"].(string)
	cs, err := identity.ParseCertificates([]byte(text))
	if err == nil {
		_, err = cs[0].Verify(x509.VerifyOptions{Roots: r.roots, Intermediates: identity.Pool(cs[1:]...),
			CurrentTime: time.Now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	}
	if err != nil {
		refuse(w, 403, "invalid_certificate", nil)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.site, r.keys[cs[0].SerialNumber.String()] = s, cs[0].PublicKey.(*ecdsa.PublicKey)
	w.WriteHeader(204)
}

func (r *memRelay) postBatch(w http.ResponseWriter, q *http.Request) {
	raw, err := io.ReadAll(q.Body)
	if err != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.posts++
	if r.tooLarge > 0 && len(raw) > r.tooLarge {
		refuse(w, 413, "too_large", nil)
		return
	}
	b, err := batch.Decode(raw)
	if err != nil || b.Gateway != gatewayURL {
		refuse(w, 400, "invalid_batch", nil)
		return
	}
	key := r.keys[new(big.Int).SetBytes(b.Serial).String()]
	if key == nil {
		refuse(w, 403, "unknown_certificate", nil)
		return
	}
	if b.Verify(key) != nil {
		refuse(w, 400, "invalid_batch", nil)
		return
	}
	if b.Sequence <= r.head && r.hashes[b.Sequence] == b.Hash() {
		json.NewEncoder(w).Encode(map[string]any{"sequence": r.head})
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
	json.NewEncoder(w).Encode(map[string]any{"sequence": r.head})
}

func (r *memRelay) store(b *batch.Signed) {
	for _, s := range b.Series {
		k := energy.Key{Meter: s.Meter, Measure: s.Measure}
		if r.values[k] == nil {
			r.values[k] = map[int64]batch.Value{}
		}
		for i, v := range s.Values {
			at := s.First.Add(time.Duration(i) * energy.Period).Unix()
			r.carried++
			if r.values[k][at] != v {
				r.values[k][at] = v
				r.writes++
			}
		}
	}
	r.baseline = append(r.baseline, b.Baseline...)
	r.head++
	r.hashes[r.head] = b.Hash()
}

func (r *memRelay) getGrants(w http.ResponseWriter, q *http.Request) {
	r.mu.Lock()
	raw, etag, changed := r.raw, r.etag, r.changed
	r.mu.Unlock()
	if q.Header.Get("If-None-Match") == etag {
		var n int
		if fmt.Sscanf(q.Header.Get("Prefer"), "wait=%d", &n); n == 0 {
			w.WriteHeader(304)
			return
		}
		select {
		case <-changed:
		case <-q.Context().Done():
			return
		case <-time.After(time.Duration(min(n, 50)) * time.Second):
			w.WriteHeader(304)
			return
		}
		r.mu.Lock()
		raw, etag = r.raw, r.etag
		r.mu.Unlock()
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("ETag", etag)
	w.Write(raw)
}

// has gives what the relay knows of a half-hour.
func (r *memRelay) has(k energy.Key, at time.Time) (batch.Value, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v, ok := r.values[k][at.Unix()]
	return v, ok
}

// counts gives how many half-hours it has, how often it wrote one, how many
// came in batches that it stored, and its head.
func (r *memRelay) counts() (n, writes, carried int, head uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.values {
		n += len(m)
	}
	return n, r.writes, r.carried, r.head
}

func (r *memRelay) siteText() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var s strings.Builder
	json.NewEncoder(&s).Encode(r.site)
	return s.String()
}
