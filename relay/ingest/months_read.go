package ingest

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/uplink/month"
)

// MonthStatement is a gateway's signed statement of a month, opened as far as
// whoever asked for it may see.
type MonthStatement struct {
	Month  month.Month
	Signed month.Signed
	Proof  month.Proof
	Chain  []*x509.Certificate // of its signing certificate, leaf first
}

// MonthStatements gives the good statements of a register's months in [from,
// to), in order, opened for the half-hours in [from, to) and for no others.
func (s *Service) MonthStatements(ctx context.Context, gateway string, k energy.Key, from, to time.Time) ([]MonthStatement, error) {
	fail := func(err error) ([]MonthStatement, error) {
		return nil, fmt.Errorf("ingest: statements of %s: %w", k, err)
	}
	type row struct {
		register      int64
		signed, proof string
	}
	var all []row
	rows, err := s.db.QueryContext(ctx, `SELECT s.register, s.signed, s.proof FROM register r JOIN month_statement s ON s.register = r.id
		WHERE r.gateway = $1 AND r.meter = $2 AND r.measure = $3 AND s.month >= $4 AND s.month < $5 AND s.state = $6 AND s.proof <> '' ORDER BY s.month`,
		gateway, k.Meter, int64(k.Measure), month.Of(from).Start.Unix(), to.Unix(), stateGood)
	if err != nil {
		return fail(err)
	}
	for rows.Next() {
		var r row
		if err := rows.Scan(&r.register, &r.signed, &r.proof); err != nil {
			rows.Close()
			return fail(err)
		}
		all = append(all, r)
	}
	rows.Close()
	if err := rows.Err(); err != nil {
		return fail(err)
	}
	chains := map[string][]*x509.Certificate{}
	var out []MonthStatement
	for _, r := range all {
		signed, st, proof, err := readStatement(r.signed, r.proof)
		if err != nil {
			return fail(err)
		}
		m := st.Month
		in := func(place int) bool {
			at := m.At(place)
			return place < m.HalfHours() && !at.Before(from) && at.Before(to)
		}
		if m.Start.Before(from) || m.End().After(to) {
			values, err := monthValues(ctx, s.db, r.register, st)
			if err != nil {
				return fail(err)
			}
			proof = proof.Narrow(in, month.List(values))
		}
		if !slices.ContainsFunc(places(m), proof.Open) {
			continue
		}
		chain, ok := chains[signed.Serial]
		if !ok {
			if chain, err = s.signingChain(ctx, gateway, signed.Serial); err != nil {
				return fail(err)
			}
			chains[signed.Serial] = chain
		}
		out = append(out, MonthStatement{m, signed, proof, chain})
	}
	return out, nil
}

// MonthRoot is a gateway's signed statement of a whole month, not opened.
type MonthRoot struct {
	Key     energy.Key
	Month   month.Month
	Signed  month.Signed
	Chain   []*x509.Certificate // of its signing certificate, leaf first
	Changed time.Time           // when half-hours of the month last changed after its end; zero: never
}

// MonthRoots gives the good statements of registers' whole months in [from, to),
// in order. They are kept when their half-hours are deleted.
func (s *Service) MonthRoots(ctx context.Context, gateway string, keys []energy.Key, from, to time.Time) ([]MonthRoot, error) {
	fail := func(err error) ([]MonthRoot, error) {
		return nil, fmt.Errorf("ingest: statements of whole months: %w", err)
	}
	var out []MonthRoot
	rows, err := s.db.QueryContext(ctx, `SELECT r.meter, r.measure, s.signed, COALESCE(c.changed, 0) FROM register r JOIN month_statement s ON s.register = r.id
		LEFT JOIN month_changed c ON c.register = s.register AND c.month = s.month
		WHERE r.gateway = $1 AND s.month >= $2 AND s.month < $3 AND s.state = $4 ORDER BY s.month, r.id`, gateway, from.Unix(), to.Unix(), stateGood)
	if err != nil {
		return fail(err)
	}
	defer rows.Close()
	for rows.Next() {
		var one MonthRoot
		var measure, changed int64
		var text string
		if err := rows.Scan(&one.Key.Meter, &measure, &text, &changed); err != nil {
			return fail(err)
		}
		one.Key.Measure, one.Changed = energy.Measure(measure), fromUnix(changed)
		if !slices.Contains(keys, one.Key) {
			continue
		}
		if err := json.Unmarshal([]byte(text), &one.Signed); err != nil {
			return fail(err)
		}
		st, err := one.Signed.Read()
		if err != nil {
			return fail(err)
		}
		one.Month = st.Month
		if len(st.Spans) == 1 && st.Spans[0].From.Equal(st.Month.Start) && st.Spans[0].To.Equal(st.Month.End()) {
			out = append(out, one)
		}
	}
	if err := rows.Err(); err != nil {
		return fail(err)
	}
	rows.Close() // the connection is needed
	chains := map[string][]*x509.Certificate{}
	for i := range out {
		serial := out[i].Signed.Serial
		if chains[serial] == nil {
			if chains[serial], err = s.signingChain(ctx, gateway, serial); err != nil {
				return fail(err)
			}
		}
		out[i].Chain = chains[serial]
	}
	return out, nil
}

func places(m month.Month) []int {
	out := make([]int, m.HalfHours())
	for i := range out {
		out[i] = i
	}
	return out
}

func (s *Service) signingChain(ctx context.Context, gateway, serial string) ([]*x509.Certificate, error) {
	var chain string
	err := s.db.QueryRowContext(ctx, `SELECT chain FROM signing_certificate WHERE gateway = $1 AND serial = $2`, gateway, serial).Scan(&chain)
	if err != nil {
		return nil, err
	}
	return identity.ParseCertificates([]byte(chain))
}

// readStatement reads a stored statement.
func readStatement(signedText, proofText string) (signed month.Signed, st month.Statement, proof month.Proof, err error) {
	if err = json.Unmarshal([]byte(signedText), &signed); err != nil {
		return
	}
	if st, err = signed.Read(); err != nil {
		return
	}
	var nodes []string
	if err = json.Unmarshal([]byte(proofText), &nodes); err != nil {
		return
	}
	proof, err = month.ParseProof(nodes)
	return
}

// Changed says when half-hours of a gateway's registers last changed in the
// months that begin in [from, to) and were over by then, by the first instant
// of the month. A month that came in whole after its end is among them; one
// that was only deleted from is not.
func (s *Service) Changed(ctx context.Context, gateway string, keys []energy.Key, from, to time.Time) (map[time.Time]time.Time, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT r.meter, r.measure, c.month, c.changed FROM register r JOIN month_changed c ON c.register = r.id
		WHERE r.gateway = $1 AND c.month >= $2 AND c.month < $3`, gateway, from.Unix(), to.Unix())
	if err != nil {
		return nil, fmt.Errorf("ingest: changes: %w", err)
	}
	defer rows.Close()
	out := map[time.Time]time.Time{}
	for rows.Next() {
		var k energy.Key
		var measure, start, changed int64
		if err := rows.Scan(&k.Meter, &measure, &start, &changed); err != nil {
			return nil, fmt.Errorf("ingest: changes: %w", err)
		}
		k.Measure = energy.Measure(measure)
		m, at := time.Unix(start, 0).UTC(), time.Unix(changed, 0).UTC()
		if slices.Contains(keys, k) && at.After(out[m]) {
			out[m] = at
		}
	}
	return out, rows.Err()
}
