package ingest

import (
	"encoding/json"
	"time"

	"github.com/perseus-edge/perseus-edge/identity/scheme"
	"github.com/perseus-edge/perseus-edge/provenance"
)

// DeletionStep is the type of the step by which the relay signs for a deletion.
const DeletionStep = provenance.Deletion

// Attested makes the Attest of a relay: a provenance record of one step, by
// which the relay says what it deleted of which gateway, when and why. Whoever
// has the record can hold the relay to it, with the public roots alone.
func Attested(sc scheme.Scheme, signer provenance.Signer) func(Deletion) (json.RawMessage, error) {
	return func(d Deletion) (json.RawMessage, error) {
		step := provenance.Other{
			"type": DeletionStep, "timestamp": stamp(d.Finished), "scheme": sc.URL(), "deletion": d.ID, "gateway": d.Gateway,
			"reason": string(d.Reason), "started": stamp(d.Started), "halfHours": d.HalfHours, "batches": d.Bodies,
		}
		for name, t := range map[string]time.Time{"collectedBefore": d.Collected, "first": d.First, "last": d.Last} {
			if !t.IsZero() {
				step[name] = stamp(t)
			}
		}
		r := provenance.New(sc.TrustFramework())
		r.Add(step)
		if err := r.Sign(signer); err != nil {
			return nil, err
		}
		return json.Marshal(r)
	}
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }
