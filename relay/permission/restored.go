package permission

import (
	"context"
	"database/sql"
)

// Restored belongs into the transaction in which a backup has been put into a
// new database, unless nothing happened since it was made. What was given out
// for a short time ends, since some of it was used up or ended after the backup:
// access tokens, codes, pushed requests. Clients notice nothing but a refresh.
//
// Withdrawals after the backup are not known here. Gateways have kept those that
// they saw, and end them again when they ask for their grants (told.go).
func Restored(ctx context.Context, tx *sql.Tx) error {
	for _, q := range []string{`DELETE FROM oauth_tokens WHERE kind = 'access'`, `DELETE FROM oauth_codes`, `DELETE FROM oauth_requests`} {
		if _, err := tx.ExecContext(ctx, q); err != nil {
			return err
		}
	}
	return nil
}
