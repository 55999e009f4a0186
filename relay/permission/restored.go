package permission

import (
	"context"
	"database/sql"
	"slices"
)

// Restored belongs into the transaction in which a backup has been put into a
// new database, unless nothing happened since it was made. What was given out
// for a short time ends, since some of it was used up or ended after the backup:
// access tokens, codes, pushed requests. Clients notice nothing but a refresh.
// tables are those that there are: a copy may be of before some of ours, or of a
// directory alone.
//
// Withdrawals after the backup are not known here. Gateways have kept those that
// they saw, and end them again when they ask for their grants (told.go).
func Restored(ctx context.Context, tx *sql.Tx, tables []string) error {
	for _, x := range []struct{ table, query string }{
		{"oauth_tokens", `DELETE FROM oauth_tokens WHERE kind = 'access'`},
		{"oauth_codes", `DELETE FROM oauth_codes`},
		{"oauth_requests", `DELETE FROM oauth_requests`},
	} {
		if !slices.Contains(tables, x.table) {
			continue
		}
		if _, err := tx.ExecContext(ctx, x.query); err != nil {
			return err
		}
	}
	return nil
}
