package permission

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/uplink/grant"
)

// row is a permission as it is stored.
type row struct {
	ID, Client, ClientName, Parts, License, Gateway, Account, Evidence, RevokedBy, RevokedWith string
	Covers                                                                                     []grant.Cover
	From, Granted, LastGranted, Expires, Revoked, Purged                                       time.Time // zero: not
	Tokens                                                                                     bool      // has a refresh token that works
}

// live reports whether the permission allows anything at the instant now: it
// must stand, and its client must have taken it up and not lost its tokens.
func (p row) live(now time.Time) bool {
	return p.Revoked.IsZero() && now.Before(p.Expires) && p.Tokens
}

// rowColumns selects a row; $1 must be the instant now.
const rowColumns = `SELECT p.id, p.client, p.client_name, p.parts, p.license, p.gateway, p.account, p.evidence, p.covers,
	p.available_from, p.granted, p.last_granted, p.expires, p.revoked, p.revoked_by, p.revoked_with, p.purged,
	EXISTS (SELECT 1 FROM oauth_tokens t WHERE t.permission = p.id AND t.kind = 'refresh' AND t.revoked = 0 AND t.expires > $1)
	FROM permissions p `

type scanner interface{ Scan(...any) error }

func scanRow(r scanner, more ...any) (p row, err error) {
	var covers string
	var from, granted, last, expires, revoked, purged int64
	err = r.Scan(append([]any{&p.ID, &p.Client, &p.ClientName, &p.Parts, &p.License, &p.Gateway, &p.Account, &p.Evidence, &covers,
		&from, &granted, &last, &expires, &revoked, &p.RevokedBy, &p.RevokedWith, &purged, &p.Tokens}, more...)...)
	if err != nil {
		return row{}, err
	}
	p.From, p.Granted, p.LastGranted, p.Expires = unix(from), unix(granted), unix(last), unix(expires)
	if revoked != 0 {
		p.Revoked = unix(revoked)
	}
	if purged != 0 {
		p.Purged = unix(purged)
	}
	p.Covers, err = decodeCovers(covers)
	return p, err
}

func unix(s int64) time.Time { return time.Unix(s, 0).UTC() }

// rows reads the permissions that the rest of a query after rowColumns picks.
func (s *Service) rows(ctx context.Context, now time.Time, rest string, args ...any) ([]row, error) {
	out, err := queryAll(ctx, s.db, func(r *sql.Rows) (row, error) { return scanRow(r) }, rowColumns+rest, append([]any{now.Unix()}, args...)...)
	if err != nil {
		return nil, fmt.Errorf("read permissions: %w", err)
	}
	return out, nil
}

// queryAll runs a query that only reads and scans every row of its answer.
func queryAll[T any](ctx context.Context, db *database.DB, scan func(*sql.Rows) (T, error), query string, args ...any) ([]T, error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// bump counts a change of a gateway's grants, as the last write of the
// transaction that makes it.
func (s *Service) bump(ctx context.Context, tx *sql.Tx, gateway string) error {
	return bump(ctx, tx, s.now(), gateway)
}

func bump(ctx context.Context, tx *sql.Tx, now time.Time, gateway string) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO grant_versions (gateway, version, changed) VALUES ($1, 1, $2)
		ON CONFLICT (gateway) DO UPDATE SET version = grant_versions.version + 1, changed = excluded.changed`, gateway, now.Unix())
	return err
}

// changed tells this process, after the commit, that grants changed.
func (s *Service) changed(gateway string) {
	s.hub.wake(gateway)
	if s.c.OnChange != nil {
		s.c.OnChange(gateway)
	}
}

// clockSkew is by how much the clocks of processes that share a database may
// differ before a change by another one is noticed only at the end of a wait.
const clockSkew = 5 * time.Minute

// changedGateways gives the versions of all grants that changed lately.
func (s *Service) changedGateways(ctx context.Context) (map[string]int64, error) {
	out := map[string]int64{}
	_, err := queryAll(ctx, s.db, func(r *sql.Rows) (struct{}, error) {
		var g string
		var v int64
		err := r.Scan(&g, &v)
		out[g] = v
		return struct{}{}, err
	}, `SELECT gateway, version FROM grant_versions WHERE changed >= $1`, s.now().Add(-clockSkew).Unix())
	return out, err
}

// version is how often a gateway's grants have changed.
func (s *Service) version(ctx context.Context, gateway string) (v int64, err error) {
	err = s.db.QueryRowContext(ctx, `SELECT COALESCE(MAX(version), 0) FROM grant_versions WHERE gateway = $1`, gateway).Scan(&v)
	return v, err
}
