package directory

import (
	"context"
	"crypto/x509"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/perseus-edge/perseus-edge/directory/ca"
	"github.com/perseus-edge/perseus-edge/directory/fault"
)

// RevocationList is a hierarchy's current list.
type RevocationList struct {
	DER        []byte
	Number     int64
	ThisUpdate time.Time
}

// CRL returns the current revocation list of a hierarchy, signed by its
// issuer; it makes a new one when the last is too old or a certificate has
// been revoked since. Where the key cannot sign, one that lacks nothing is given
// for as long as it holds.
func (s *Service) CRL(ctx context.Context, h ca.Hierarchy) (RevocationList, error) {
	a := s.Authorities.Of(h)
	if a == nil {
		return RevocationList{}, fmt.Errorf("revocation list %s: %w", h, fault.ErrNotFound)
	}
	issuer := hex.EncodeToString(a.Issuer.SubjectKeyId)
	now := s.Now()
	l, whole, err := s.storedCRL(ctx, h, issuer)
	if age := now.Sub(l.ThisUpdate); err != nil || whole && age < ca.CRLRefresh {
		return l, err
	}
	last, unsigned := l, error(nil)
	err = s.InTx(ctx, func(tx *sql.Tx) error {
		// Taking the number locks the row until the list is stored, against
		// Revoke and against other processes that make the same list.
		err := tx.QueryRowContext(ctx, `UPDATE directory_crls SET number = number + 1
			WHERE hierarchy = $1 AND (stale OR issuer <> $2 OR this_update <= $3) RETURNING number`,
			string(h), issuer, now.Add(-ca.CRLRefresh).Unix()).Scan(&l.Number)
		if err != nil {
			return err
		}
		revoked, err := revokedCertificates(ctx, tx, h, now)
		if err != nil {
			return err
		}
		l.ThisUpdate = now.UTC().Truncate(time.Second)
		if l.DER, unsigned = a.RevocationList(l.Number, l.ThisUpdate, revoked); unsigned != nil {
			return unsigned
		}
		_, err = tx.ExecContext(ctx, `UPDATE directory_crls SET issuer = $1, stale = FALSE, this_update = $2, der = $3 WHERE hierarchy = $4`,
			issuer, l.ThisUpdate.Unix(), l.DER, string(h))
		return err
	})
	if errors.Is(err, sql.ErrNoRows) { // another process made it meanwhile
		l, _, err = s.storedCRL(ctx, h, issuer)
	}
	if unsigned != nil && whole && now.Sub(last.ThisUpdate) < ca.CRLLife { // a token that is out, say
		s.Logger.Error("the revocation list cannot be signed anew: the last one is given while it holds, nobody was revoked since", "hierarchy", h, "holds_until", last.ThisUpdate.Add(ca.CRLLife), "error", unsigned)
		return last, nil
	}
	return l, err
}

// storedCRL is the list that was made last. It is whole where the present issuer
// signed it and nothing was revoked since.
func (s *Service) storedCRL(ctx context.Context, h ca.Hierarchy, issuer string) (l RevocationList, whole bool, err error) {
	var stale bool
	var madeBy string
	var at int64
	err = s.DB.QueryRowContext(ctx, `SELECT number, issuer, stale, this_update, der FROM directory_crls WHERE hierarchy = $1`, string(h)).
		Scan(&l.Number, &madeBy, &stale, &at, &l.DER)
	l.ThisUpdate = time.Unix(at, 0).UTC()
	return l, !stale && madeBy == issuer, err
}

func revokedCertificates(ctx context.Context, q querier, h ca.Hierarchy, now time.Time) ([]x509.RevocationListEntry, error) {
	oldest := ca.ListedSince(h, now).Unix()
	rows, err := q.QueryContext(ctx, `SELECT serial, revoked_at FROM directory_certificates
		WHERE hierarchy = $1 AND revoked_at IS NOT NULL AND not_after > $2 ORDER BY revoked_at, serial`, string(h), oldest)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []x509.RevocationListEntry
	for rows.Next() {
		var serial string
		var at int64
		if err := rows.Scan(&serial, &at); err != nil {
			return nil, err
		}
		n, ok := new(big.Int).SetString(serial, 10)
		if !ok {
			return nil, fmt.Errorf("certificate serial %q in the database is not a number", serial)
		}
		out = append(out, x509.RevocationListEntry{SerialNumber: n, RevocationTime: time.Unix(at, 0).UTC()})
	}
	return out, rows.Err()
}
