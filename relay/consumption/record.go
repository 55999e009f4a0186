package consumption

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/identity/scheme"
	"github.com/perseus-edge/perseus-edge/provenance"
	"github.com/perseus-edge/perseus-edge/relay/ingest"
	"github.com/perseus-edge/perseus-edge/relay/permission"
	"github.com/perseus-edge/perseus-edge/uplink/batch"
)

// maxHashes bounds the batches named one by one in a record; a longer answer
// names its runs of sequence numbers only, whose hashes chain anyway.
const maxHashes = 500

// Hashes gives the hashes of a gateway's batches; see ingest.Service.BatchHashes.
type Hashes func(ctx context.Context, gateway string, sequences []uint64) (map[uint64]batch.Hash, error)

// NewRecorder makes the Provenance of a relay: permission, origin, transfer,
// signed by the relay as energy data provider. The origin step names the
// gateway and the hashes of its signed batches, so that an outsider who has
// these can trace every half-hour to its signature (law 6); and it holds the
// hash of the half-hours as they are served ("perseus-edge:sha256", of the
// listing that tally.list describes), so that none can be changed beside it.
//
// Before it stand the gateway's own signed statements of the months, and the
// origin opens them (provenance.HalfHoursStatements): with the public roots
// alone an outsider checks that the half-hours served are those that the
// gateway signed (provenance.CheckConsumption).
func NewRecorder(sc scheme.Scheme, service string, signer provenance.Signer, hashes Hashes) Provenance {
	return ProvenanceFunc(func(ctx context.Context, a permission.Access, gateway string, k energy.Key, from, to time.Time, s Summary) (json.RawMessage, error) {
		named, err := nameBatches(ctx, gateway, s.Batches, hashes)
		if err != nil {
			return nil, err
		}
		r := provenance.New(sc.TrustFramework())
		proofs, err := includeStatements(r, s.Statements)
		if err != nil {
			return nil, err
		}
		allowed := r.Add(provenance.Permission{
			At: a.Granted, Scheme: sc.URL(), Account: a.Account, Expires: a.Expires,
			Allows: provenance.Allows{Licenses: []string{a.License}},
		})
		assurance := &provenance.Assurance{
			MissingData: sc.Assurance("missing-data", s.MissingData),
		}
		if s.OriginMethod != "" {
			assurance.OriginMethod = sc.Assurance("origin-method", s.OriginMethod)
		}
		if s.Derived != "" {
			assurance.OriginMethodDerived = sc.Assurance("origin-method-derived", s.Derived)
		}
		origin := r.Add(provenance.Origin{
			Scheme: sc.URL(), SourceType: sc.SourceType("Meter"), Origin: gateway, Permissions: []string{allowed},
			Details:   &provenance.Details{MeteringPeriod: &provenance.Period{From: from, To: to}},
			Assurance: assurance,
			Extra: map[string]any{
				"perseus-edge:batches": named, provenance.HalfHoursSHA256: s.SHA256, provenance.HalfHoursType: s.Type,
				provenance.HalfHoursQualities: append([]provenance.QualityRun{}, s.Qualities...), provenance.HalfHoursStatements: proofs,
			},
		})
		r.Add(provenance.Transfer{
			Scheme: sc.URL(), Of: origin, To: a.Client, Standard: sc.StandardConsumption(), License: a.License,
			Service: service, Path: s.Path, Permissions: []string{allowed},
			Parameters: map[string]string{"measure": s.Measure, "from": stamp(from), "to": stamp(to)},
		})
		if err := r.Sign(signer); err != nil {
			return nil, err
		}
		return json.Marshal(r)
	})
}

// batchRun is a run of batches in a record.
type batchRun struct {
	First  string   `json:"first"` // sequence numbers are strings, as serials are: JSON readers round large numbers
	Last   string   `json:"last"`
	SHA256 []string `json:"sha256,omitempty"` // of each, in order
}

func nameBatches(ctx context.Context, gateway string, runs []Batches, hashes Hashes) ([]batchRun, error) {
	out := make([]batchRun, 0, len(runs))
	named := 0
	for _, b := range runs {
		run := batchRun{First: strconv.FormatUint(b.First, 10), Last: strconv.FormatUint(b.Last, 10)}
		if n := b.Last - b.First + 1; n <= uint64(maxHashes-named) {
			seqs := make([]uint64, n)
			for i := range seqs {
				seqs[i] = b.First + uint64(i)
			}
			known, err := hashes(ctx, gateway, seqs)
			if err != nil {
				return nil, err
			}
			for _, s := range seqs {
				if h, ok := known[s]; ok {
					run.SHA256 = append(run.SHA256, hex.EncodeToString(h[:]))
				}
			}
			named += int(n)
		}
		out = append(out, run)
	}
	return out, nil
}

// includeStatements puts the gateway's statements at the head of a record, each
// as the signed list that it is, and returns what opens them. Those of another
// trust framework (the relay has moved to another registry since) cannot stand
// in the record: the gateway states these months anew.
func includeStatements(r *provenance.Record, all []ingest.MonthStatement) ([]provenance.StatementProof, error) {
	out := make([]provenance.StatementProof, 0, len(all))
	for _, s := range all {
		if s.Signed.Framework != r.TrustFramework() {
			continue
		}
		in, id, err := provenance.FromStatement(r.TrustFramework(), s.Signed, s.Chain)
		if err != nil {
			return nil, err
		}
		r.Include(in)
		out = append(out, provenance.StatementProof{Statement: id, Proof: s.Proof.Text()})
	}
	return out, nil
}
