package ingest

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/perseus-edge/perseus-edge/identity/scheme"
	"github.com/perseus-edge/perseus-edge/provenance"
)

// attest has the relay sign for what it deletes.
func (w *world) attest() {
	w.t.Helper()
	sc, err := scheme.New("https://registry.example")
	if err != nil {
		w.t.Fatal(err)
	}
	relay := w.pki.Signing("https://directory.example/a/relay", "Relay Ltd", memberURL, sc.Role(scheme.EDP))
	w.service.c.Attest = Attested(sc, provenance.Signer{Key: relay.Key, Chain: relay.Chain, Now: w.now})
}

// attested is the only deletion that there was of the gateway's, with what is
// signed for it.
func (w *world) attested(reason string, halfHours, bodies int64, first, last time.Time) Deletion {
	w.t.Helper()
	ds, err := w.service.Deletions(w.t.Context(), gatewayURL)
	if err != nil || len(ds) != 1 {
		w.t.Fatalf("%+v, %v", ds, err)
	}
	d := ds[0]
	if d.Reason != Reason(reason) || d.HalfHours != halfHours || d.Bodies != bodies || !d.First.Equal(first) || !d.Last.Equal(last) || d.Finished.IsZero() {
		w.t.Errorf("%+v", d)
	}
	r, err := provenance.Parse(trustFramework, d.Record)
	if err != nil {
		w.t.Fatal(err)
	}
	steps, err := r.Verify(provenance.Verifier{Roots: w.pki.SigningCA.Pool(), Now: w.now})
	if err != nil || len(steps) != 1 {
		w.t.Fatalf("%v: %s", err, d.Record)
	}
	if b := steps[0].Body; steps[0].Type != DeletionStep || b["deletion"] != d.ID || b["reason"] != reason || b["halfHours"] != json.Number(strconv.FormatInt(halfHours, 10)) {
		w.t.Errorf("signed for: %s", d.Record)
	}
	return d
}
