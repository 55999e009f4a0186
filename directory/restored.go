package directory

import (
	"context"
	"database/sql"
	"time"

	"github.com/perseus-edge/perseus-edge/directory/audit"
)

// leap is by how much the numbers of revocation lists, and of the listing, leap
// after a restore: lists with the numbers since the backup may be in the world, and a number must
// not come twice. A list an hour, and one for each revocation: a thousand are
// many weeks' worth.
const leap = 1000

// Restored belongs into the transaction in which a backup has been put into a
// new database. What was given out before and may have been used since the
// backup was made ends: sessions, enrolment codes, invitations and other links,
// unless moved says that nothing happened since, because the service was moved
// and not lost. The audit log goes on with an entry that says so.
func Restored(ctx context.Context, tx *sql.Tx, now time.Time, made time.Time, moved bool) error {
	what := "the backup of " + made.UTC().Format(time.RFC3339)
	if moved {
		what += ", moved"
	} else {
		what += "; sessions, codes and links ended"
		for _, q := range []string{`DELETE FROM directory_sessions`, `DELETE FROM directory_codes`, `DELETE FROM directory_links WHERE used_at IS NULL`} {
			if _, err := tx.ExecContext(ctx, q); err != nil {
				return err
			}
		}
	}
	for _, q := range []string{
		`UPDATE directory_crls SET number = number + $1, stale = TRUE`,
		`UPDATE directory_listing SET revision = revision + $1, wiped = revision + $1`, // whoever kept the listing reads it anew
	} {
		if _, err := tx.ExecContext(ctx, q, leap); err != nil {
			return err
		}
	}
	// Claims of processes that are not there any more.
	if _, err := tx.ExecContext(ctx, `UPDATE directory_warnings SET claimed_to = 0`); err != nil {
		return err
	}
	return audit.Append(ctx, tx, now, audit.Event{Action: "directory.restore", Subject: "directory", Detail: what})
}
