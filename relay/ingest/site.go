package ingest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/identity"
)

// putSite stores what a gateway says of itself. It may be sent any number of
// times; the last one counts. Earlier signing certificates stay known.
func (s *Service) putSite(w http.ResponseWriter, r *http.Request, peer identity.Peer, body []byte) error {
	d, err := parseSite(body)
	if err != nil {
		return refuse(http.StatusBadRequest, "invalid_request", "%v", err)
	}
	signing, err := readSigner(d.signing)
	if err == nil {
		_, err = s.checkSigner(signing, peer, s.now())
	}
	if err != nil {
		return refuse(http.StatusForbidden, "invalid_certificate", "%v", err)
	}
	if err := s.storeSite(r.Context(), peer, d); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Service) storeSite(ctx context.Context, peer identity.Peer, d *description) error {
	gateway, now, code := peer.Application, s.now().Unix(), codeHash(d.code)
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		var other string
		err := tx.QueryRowContext(ctx, `SELECT gateway FROM site WHERE code_hash = $1 AND gateway <> $2`, code, gateway).Scan(&other)
		if err == nil {
			return refuse(http.StatusConflict, "code_taken", "another gateway has this code: make a new one")
		} else if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		for _, q := range []struct {
			sql  string
			args []any
		}{
			{`INSERT INTO site (gateway, member, name, outcode, code_hash, registered, updated) VALUES ($1, $2, $3, $4, $5, $6, $6)
				ON CONFLICT (gateway) DO UPDATE SET member = excluded.member, name = excluded.name,
				outcode = excluded.outcode, code_hash = excluded.code_hash, updated = excluded.updated`,
				[]any{gateway, peer.Member, d.name, d.outcode, code, now}},
			{`INSERT INTO head (gateway, sequence, hash) VALUES ($1, 0, $2) ON CONFLICT (gateway) DO NOTHING`,
				[]any{gateway, make([]byte, sha256.Size)}},
			{`INSERT INTO signing_certificate (gateway, serial, chain, registered) VALUES ($1, $2, $3, $4)
				ON CONFLICT (gateway, serial) DO UPDATE SET chain = excluded.chain`,
				[]any{gateway, d.signing[0].SerialNumber.String(), string(identity.EncodeCertificates(d.signing...)), now}},
			{`UPDATE meter SET listed = $1 WHERE gateway = $2`, []any{false, gateway}},
		} {
			if _, err := tx.ExecContext(ctx, q.sql, q.args...); err != nil {
				return err
			}
		}
		for _, m := range d.meters {
			_, err := tx.ExecContext(ctx, `INSERT INTO meter (gateway, meter, type, measures, source, listed) VALUES ($1, $2, $3, $4, $5, $6)
				ON CONFLICT (gateway, meter) DO UPDATE SET type = excluded.type, measures = excluded.measures, listed = excluded.listed`,
				gateway, m.ID, m.Type, joinMeasures(m.Measures), newSource(), true)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Site gives a gateway's latest description, its meters in the order of their
// identifiers. Meters that it no longer has are left out; see Meters.
// ErrNotFound when the gateway has not described itself.
func (s *Service) Site(ctx context.Context, gateway string) (Site, error) {
	return s.site(ctx, `gateway = $1`, gateway)
}

// SiteByCode finds a site by the code that its gateway shows, as a person
// typed it. ErrNotFound when no gateway has it; another error when it cannot
// be a code.
func (s *Service) SiteByCode(ctx context.Context, code string) (Site, error) {
	c, err := identity.ParseCode(code)
	if err != nil {
		return Site{}, err
	}
	return s.site(ctx, `code_hash = $1`, codeHash(c))
}

func (s *Service) site(ctx context.Context, where string, arg any) (Site, error) {
	var site Site
	var code []byte
	err := s.db.QueryRowContext(ctx, `SELECT gateway, member, name, outcode, code_hash FROM site WHERE `+where, arg).
		Scan(&site.Gateway, &site.Member, &site.Name, &site.Outcode, &code)
	if errors.Is(err, sql.ErrNoRows) {
		return Site{}, ErrNotFound
	} else if err != nil {
		return Site{}, fmt.Errorf("ingest: site: %w", err)
	}
	site.CodeVersion = CodeVersion(code)
	all, err := s.Meters(ctx, site.Gateway)
	for _, m := range all {
		if m.Listed {
			site.Meters = append(site.Meters, m)
		}
	}
	return site, err
}

// Meters lists every meter that a gateway ever described, in the order of
// their identifiers.
func (s *Service) Meters(ctx context.Context, gateway string) ([]Meter, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT meter, type, measures, source, listed FROM meter WHERE gateway = $1 ORDER BY meter`, gateway)
	if err != nil {
		return nil, fmt.Errorf("ingest: meters: %w", err)
	}
	defer rows.Close()
	var out []Meter
	for rows.Next() {
		var m Meter
		var measures string
		if err := rows.Scan(&m.ID, &m.Type, &measures, &m.Source, &m.Listed); err != nil {
			return nil, fmt.Errorf("ingest: meters: %w", err)
		}
		for name := range strings.SplitSeq(measures, ",") {
			k, err := energy.ParseMeasure(name)
			if err != nil {
				return nil, fmt.Errorf("ingest: meters: %w", err)
			}
			m.Measures = append(m.Measures, k)
		}
		out = append(out, m)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("ingest: meters: %w", err)
	}
	return out, nil
}

func joinMeasures(ms []energy.Measure) string {
	names := make([]string, len(ms))
	for i, m := range ms {
		names[i] = m.String()
	}
	return strings.Join(names, ",")
}

// codeHash is what is stored of a code. A plain hash does: a code is 60 random
// bits, too many to try.
func codeHash(code string) []byte {
	h := sha256.Sum256([]byte(code))
	return h[:]
}

// CodeVersion names a code by what is stored of it: see Site.
func CodeVersion(stored []byte) string {
	h := sha256.Sum256(stored)
	return base64.RawURLEncoding.EncodeToString(h[:15])
}

// newSource makes a meter's outside name: 120 random bits.
func newSource() string {
	var b [15]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(b[:])
}
