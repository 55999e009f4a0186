package bank

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/provenance"
	"github.com/perseus-edge/perseus-edge/relay/emissions"
)

// Where the grid's intensity comes from, and under which licence.
const (
	gridOrigin  = "https://api.carbonintensity.org.uk/"
	gridLicense = "https://creativecommons.org/licenses/by/4.0/"
)

// record makes the provenance record of an answer. It has two hands, both the
// relay's, since the relay is energy data provider and carbon accounting
// provider in one: the readings handed over under the permission, and, around
// that, what was made of them and given to the bank.
//
// Before it stand the gateways' own signed statements of the months, not opened,
// and the origins name them: see provenance.EmissionsRoots.
//
// The figures are in it as they are served, so that nobody can put another one
// beside a good record: see provenance.CheckEmissions. Of time it says no more
// than the months do: no counts of estimated
// half-hours, no list of batches, only their first, last and a hash.
func (s *Service) record(ctx context.Context, a Access, months []emissions.Monthly, from, to time.Time) (json.RawMessage, error) {
	sc := s.c.Scheme
	readings := provenance.New(sc.TrustFramework())
	out := provenance.New(sc.TrustFramework())
	processes := map[emissions.Kind]string{emissions.Electricity: sc.ProcessElectricity(), emissions.Gas: sc.ProcessGas()}

	byKind := map[emissions.Kind][]emissions.Monthly{}
	var allowed []string
	for _, m := range months {
		if byKind[m.Kind] = append(byKind[m.Kind], m); len(byKind[m.Kind]) == 1 {
			allowed = append(allowed, processes[m.Kind])
		}
	}
	roots, err := s.roots(ctx, readings, a.Gateway, byKind)
	if err != nil {
		return nil, err
	}
	permission := readings.Add(provenance.Permission{
		At: a.Granted, Scheme: sc.URL(), Account: a.Account, Expires: a.Expires,
		Allows: provenance.Allows{Licenses: []string{a.License}, Processes: allowed},
	})
	permissions := []string{permission}
	transfers := map[emissions.Kind]string{}
	for _, k := range emissions.Kinds() {
		ms := byKind[k]
		if len(ms) == 0 {
			continue
		}
		first, last := ms[0].Month.Start(), ms[len(ms)-1].Month.End()
		extra := map[string]any{"perseus-edge:batches": batches(ms)}
		if len(roots[k]) > 0 {
			extra[provenance.HalfHoursStatements] = roots[k]
		}
		origin := readings.Add(provenance.Origin{
			Scheme: sc.URL(), SourceType: sc.SourceType("Meter"), Origin: a.Gateway, Permissions: permissions,
			Details:   &provenance.Details{MeteringPeriod: &provenance.Period{From: first, To: last}},
			Assurance: s.assurance(ms, true),
			Extra:     extra,
		})
		transfers[k] = readings.Add(provenance.Transfer{
			Scheme: sc.URL(), Of: origin, To: s.c.Application, Standard: sc.StandardConsumption(), License: a.License,
			Service: s.c.Service, Path: "/datasources/{id}/{measure}", Permissions: permissions,
			Parameters: map[string]string{"measure": k.Measure().String(), "from": stamp(first), "to": stamp(last)},
		})
	}
	if err := readings.Sign(s.c.Signer); err != nil {
		return nil, err
	}
	out.Include(readings)
	for _, k := range emissions.Kinds() {
		ms := byKind[k]
		if len(ms) == 0 {
			continue
		}
		inputs := []string{out.Add(provenance.Receipt{Scheme: sc.URL(), Transfer: transfers[k]})}
		extra := map[string]any{provenance.EmissionsResult: provenance.SignedEmissions(entries(ms))}
		if again := restated(ms); len(again) > 0 {
			extra["perseus-edge:restated"] = again
		}
		if k == emissions.Electricity {
			inputs = append(inputs, out.Add(provenance.Origin{
				Scheme: sc.URL(), SourceType: sc.SourceType("GridCarbonIntensity"), Origin: gridOrigin, OriginLicense: gridLicense, External: true,
				Details: &provenance.Details{
					MeteringPeriod: &provenance.Period{From: ms[0].Month.Start(), To: ms[len(ms)-1].Month.End()},
					Postcode:       ms[0].Result.Inputs.Outcode,
				},
				Assurance: &provenance.Assurance{MissingData: sc.Assurance("missing-data", "Complete")},
				Extra:     map[string]any{"perseus-edge:intensity": intensity(ms)},
			}))
		} else {
			extra["perseus-edge:factors"] = factors(ms)
		}
		process := out.Add(provenance.Process{
			Scheme: sc.URL(), Inputs: inputs, Process: processes[k], Permissions: permissions, Assurance: s.assurance(ms, false), Extra: extra,
		})
		out.Add(provenance.Transfer{
			Scheme: sc.URL(), Of: process, To: a.Client, Standard: sc.StandardEmissions(), License: a.License,
			Service: s.c.Service, Path: "/emissions", Permissions: permissions,
			Parameters: map[string]string{"from": stamp(from), "to": stamp(to)},
		})
	}
	if err := out.Sign(s.c.Signer); err != nil {
		return nil, err
	}
	return json.Marshal(out)
}

// roots puts the gateway's statements of the months at the head of a record, and
// returns their names. What has changed since a figure was worked out is stated
// anew by the gateway; such a statement is not of the figure's half-hours, and a
// bank should not see that there was a correction too small to restate the month
// (law 5): the month then has none.
func (s *Service) roots(ctx context.Context, r *provenance.Record, gateway string, byKind map[emissions.Kind][]emissions.Monthly) (map[emissions.Kind][]provenance.StatementProof, error) {
	out := map[emissions.Kind][]provenance.StatementProof{}
	if s.c.Statements == nil {
		return out, nil
	}
	for _, k := range emissions.Kinds() {
		ms := byKind[k]
		if len(ms) == 0 {
			continue
		}
		var keys []energy.Key
		figures := map[int64]*emissions.Result{}
		for _, m := range ms {
			figures[m.Month.Start().Unix()] = m.Result
			for _, meter := range m.Result.Inputs.Meters {
				if key := (energy.Key{Meter: meter, Measure: k.Measure()}); !slices.Contains(keys, key) {
					keys = append(keys, key)
				}
			}
		}
		all, err := s.c.Statements(ctx, gateway, keys, ms[0].Month.Start(), ms[len(ms)-1].Month.End())
		if err != nil {
			return nil, err
		}
		for _, one := range all {
			f := figures[one.Month.Start.Unix()]
			if f == nil || !slices.Contains(f.Inputs.Meters, one.Key.Meter) || !one.Changed.Before(f.Computed) || one.Signed.Framework != r.TrustFramework() {
				continue
			}
			in, id, err := provenance.FromStatement(r.TrustFramework(), one.Signed, one.Chain)
			if err != nil {
				return nil, err
			}
			r.Include(in)
			out[k] = append(out[k], provenance.StatementProof{Statement: id, Proof: []string{}})
		}
	}
	return out, nil
}

// assurance says how far the readings were measured. A month is only delivered
// complete, so that nothing is ever Missing here. An estimate is the exact
// advance over a gap, spread: the data is whole, its origin derived. Only a
// value put in a missing one's place is a substitute. Where the values were
// derived in more than one way, it is Other. Figures of before the ways were
// kept have qualities only.
func (s *Service) assurance(ms []emissions.Monthly, origin bool) *provenance.Assurance {
	has := func(qs ...energy.Quality) bool {
		return slices.ContainsFunc(ms, func(m emissions.Monthly) bool {
			return slices.ContainsFunc(qs, func(q energy.Quality) bool { return m.Result.Inputs.Qualities[q.String()] > 0 })
		})
	}
	sc := s.c.Scheme
	a := &provenance.Assurance{MissingData: sc.Assurance("missing-data", energy.DataComplete)}
	if has(energy.Substituted) {
		a.MissingData = sc.Assurance("missing-data", energy.DataSubstituted)
	}
	if !origin {
		return a
	}
	a.OriginMethod = sc.Assurance("origin-method", energy.OriginExact)
	var ways []string
	for _, m := range ms {
		ways = append(ways, m.Result.Inputs.Derived...)
	}
	if has(energy.Substituted, energy.Estimated) && len(ways) == 0 {
		ways = []string{energy.DerivedOther}
	}
	if len(ways) > 0 {
		way := ways[0]
		if slices.ContainsFunc(ways, func(w string) bool { return w != way }) {
			way = energy.DerivedOther
		}
		a.OriginMethod = sc.Assurance("origin-method", energy.OriginDerived)
		a.OriginMethodDerived = sc.Assurance("origin-method-derived", way)
	}
	return a
}

// monthly is evidence of one month, in the record's own form.
type monthly struct {
	Month string `json:"month"`
	Of    any    `json:"of"`
}

func batches(ms []emissions.Monthly) []monthly {
	return each(ms, func(i emissions.Inputs) any { return i.Batches })
}

func intensity(ms []emissions.Monthly) []monthly {
	return each(ms, func(i emissions.Inputs) any { return i.Grid })
}

func factors(ms []emissions.Monthly) []monthly {
	return each(ms, func(i emissions.Inputs) any { return i.Factor })
}

func each(ms []emissions.Monthly, f func(emissions.Inputs) any) []monthly {
	out := make([]monthly, len(ms))
	for i, m := range ms {
		out[i] = monthly{m.Month.String(), f(m.Result.Inputs)}
	}
	return out
}

// restated names the months whose figure took the place of an earlier one, and
// the how-manieth it is: not what was corrected, nor when.
func restated(ms []emissions.Monthly) []monthly {
	var out []monthly
	for _, m := range ms {
		if m.Result.Version > 1 {
			out = append(out, monthly{m.Month.String(), m.Result.Version})
		}
	}
	return out
}
