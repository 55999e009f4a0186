package directory

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// Revision is a state of the listing in the database.
type Revision struct {
	Number, Wiped int64
	At            time.Time // of the change
}

// ListingChanged belongs into every transaction that changes what the public
// sees: a member, its roles, its applications, their roles or data services.
// member is whose; empty when a member was taken out.
func (s *Service) ListingChanged(ctx context.Context, tx *sql.Tx, member string) error {
	var number int64
	// The row is held until the transaction ends, so revisions appear in order.
	err := tx.QueryRowContext(ctx, `UPDATE directory_listing SET revision = revision + 1, changed_at = $1 WHERE one = 1 RETURNING revision`, s.Now().Unix()).Scan(&number)
	if err != nil {
		return fmt.Errorf("directory: revision of the listing: %w", err)
	}
	if member == "" {
		_, err = tx.ExecContext(ctx, `UPDATE directory_listing SET wiped = $1 WHERE one = 1`, number)
		return err
	}
	_, err = tx.ExecContext(ctx, `UPDATE directory_members SET revision = $1 WHERE id = $2`, number, member)
	return err
}

// ListingRevision is the listing's state now.
func (s *Service) ListingRevision(ctx context.Context) (Revision, error) {
	var r Revision
	var at int64
	err := s.DB.QueryRowContext(ctx, `SELECT revision, wiped, changed_at FROM directory_listing WHERE one = 1`).Scan(&r.Number, &r.Wiped, &at)
	if err != nil {
		return Revision{}, fmt.Errorf("directory: revision of the listing: %w", err)
	}
	r.At = time.Unix(at, 0).UTC()
	return r, nil
}
