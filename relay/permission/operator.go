package permission

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/perseus-edge/perseus-edge/relay/database"
)

// What the operator sees and does beside a running relay. These work on the
// database alone, so that they can be used on a restored copy too.

// The states of a message.
const (
	MessageWaiting = "waiting"
	MessageSent    = "sent"
	MessageDead    = "dead"
)

// MessageState is a message of withdrawal as the operator sees it. It does not
// hold the token.
type MessageState struct {
	ID         string    `json:"id"`
	State      string    `json:"state"`
	Permission string    `json:"permission"`
	Client     string    `json:"client"` // application URL of the recipient
	Created    time.Time `json:"created"`
	Attempts   int       `json:"attempts"`
	Next       time.Time `json:"next,omitzero"`  // of one that waits
	Ended      time.Time `json:"ended,omitzero"` // when it was sent or given up
	Problem    string    `json:"problem,omitempty"`
}

// Messages lists messages, the newest first: those in a state, or all.
func Messages(ctx context.Context, db *database.DB, state string) ([]MessageState, error) {
	where := map[string]string{"": "", MessageWaiting: "WHERE sent = 0 AND dead = 0", MessageSent: "WHERE sent <> 0", MessageDead: "WHERE dead <> 0"}
	w, ok := where[state]
	if !ok {
		return nil, fmt.Errorf("no state %q: use waiting, sent or dead", state)
	}
	return readMessages(ctx, db, w+` ORDER BY created DESC, id LIMIT 1000`)
}

func readMessages(ctx context.Context, db *database.DB, rest string, args ...any) ([]MessageState, error) {
	return queryAll(ctx, db, func(r *sql.Rows) (m MessageState, err error) {
		var created, due, sent, dead int64
		err = r.Scan(&m.ID, &m.Permission, &m.Client, &created, &due, &m.Attempts, &sent, &dead, &m.Problem)
		m.Created, m.State = unix(created), MessageWaiting
		switch {
		case sent != 0:
			m.State, m.Ended = MessageSent, unix(sent)
		case dead != 0:
			m.State, m.Ended = MessageDead, unix(dead)
		default:
			m.Next = unix(due)
		}
		return m, err
	}, `SELECT id, permission, client, created, due, attempts, sent, dead, problem FROM messages `+rest, args...)
}

// Counts is what an operator should watch.
type Counts struct {
	Waiting   int           // messages that wait to be sent
	Dead      int           // messages that were given up
	Oldest    time.Duration // age of the oldest message that waits
	Undeleted int           // permissions that were withdrawn, or renewed for less, and data that goes with it is not deleted for good yet
	Overdue   time.Duration // since the oldest of those withdrawals and renewals
}

// Count counts it. It goes by indices, and costs the same with a million
// permissions.
func Count(ctx context.Context, db *database.DB, now time.Time) (c Counts, err error) {
	var oldest, overdue, dropped int64
	var narrowed int
	err = db.QueryRowContext(ctx, `SELECT COUNT(*), COALESCE(MIN(created), 0) FROM messages WHERE sent = 0 AND dead = 0`).Scan(&c.Waiting, &oldest)
	if err == nil {
		err = db.QueryRowContext(ctx, `SELECT COUNT(*) FROM messages WHERE dead <> 0`).Scan(&c.Dead)
	}
	if err == nil {
		err = db.QueryRowContext(ctx, `SELECT COUNT(*), COALESCE(MIN(revoked), 0) FROM permissions WHERE revoked <> 0 AND purged = 0`).Scan(&c.Undeleted, &overdue)
	}
	if err == nil {
		err = db.QueryRowContext(ctx, `SELECT COUNT(*), COALESCE(MIN(narrowed), 0) FROM permissions WHERE narrowed <> 0`).Scan(&narrowed, &dropped)
	}
	if narrowed > 0 && (c.Undeleted == 0 || dropped < overdue) {
		overdue = dropped
	}
	c.Undeleted += narrowed
	if c.Waiting > 0 {
		c.Oldest = max(0, now.Sub(unix(oldest)))
	}
	if c.Undeleted > 0 {
		c.Overdue = max(0, now.Sub(unix(overdue)))
	}
	return c, err
}

// RetryMessages puts dead letters back into the queue: the one with the
// identifier, or all where it is empty. It gives how many. Those whose token is
// not kept any more (30 days after the end) cannot be sent.
func RetryMessages(ctx context.Context, db *database.DB, now time.Time, id string) (n int64, err error) {
	err = db.Write(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `UPDATE messages SET dead = 0, attempts = 0, due = $1
			WHERE dead <> 0 AND (id = $2 OR $2 = '') AND EXISTS (SELECT 1 FROM oauth_tokens t WHERE t.hash = messages.token AND t.sealed IS NOT NULL)`, now.Unix(), id)
		if err == nil {
			n, err = res.RowsAffected()
		}
		return err
	})
	return n, err
}

// Summary is a permission as the operator sees it.
type Summary struct {
	ID          string    `json:"id"`
	State       string    `json:"state"` // "in force", "agreed, not in use", "ended" or "withdrawn"
	Gateway     string    `json:"gateway"`
	Site        string    `json:"site"` // as it was called at the last grant
	Client      string    `json:"client"`
	ClientName  string    `json:"clientName"`
	License     string    `json:"license"`
	From        time.Time `json:"dataAvailableFrom"`
	Granted     time.Time `json:"granted"`
	LastGranted time.Time `json:"lastGranted"`
	Expires     time.Time `json:"expires"`
	Revoked     time.Time `json:"revoked,omitzero"`
	RevokedBy   string    `json:"revokedBy,omitempty"` // user, client, message, linked, operator or gateway
	RevokedWith string    `json:"revokedWith,omitempty"`
}

// Filter picks permissions. Empty fields pick all.
type Filter struct {
	Gateway, Client, State string
	After                  string // identifier: those that follow it, in the order of identifiers
	Limit                  int    // 1,000 if 0
	id                     string
}

// The states of a permission, as the operator reads them.
const (
	StateLive      = "in force"
	StateUnused    = "agreed, not in use"
	StateEnded     = "ended"
	StateWithdrawn = "withdrawn"
)

// List lists permissions in the order of their identifiers.
func List(ctx context.Context, db *database.DB, now time.Time, f Filter) ([]Summary, error) {
	if f.Limit == 0 {
		f.Limit = 1000
	}
	token := `EXISTS (SELECT 1 FROM oauth_tokens t WHERE t.permission = p.id AND t.kind = 'refresh' AND t.revoked = 0 AND t.expires > $1)`
	state := `CASE WHEN p.revoked <> 0 THEN 'withdrawn' WHEN p.expires <= $1 THEN 'ended' WHEN ` + token + ` THEN 'in force' ELSE 'agreed, not in use' END`
	return queryAll(ctx, db, func(r *sql.Rows) (p Summary, err error) {
		var from, granted, last, expires, revoked int64
		err = r.Scan(&p.ID, &p.State, &p.Gateway, &p.Site, &p.Client, &p.ClientName, &p.License, &from, &granted, &last, &expires, &revoked, &p.RevokedBy, &p.RevokedWith)
		p.From, p.Granted, p.LastGranted, p.Expires = unix(from), unix(granted), unix(last), unix(expires)
		if revoked != 0 {
			p.Revoked = unix(revoked)
		}
		return p, err
	}, `SELECT p.id, `+state+`, p.gateway,
			COALESCE((SELECT g.site_name FROM permission_grants g WHERE g.permission = p.id ORDER BY g.granted DESC, g.id LIMIT 1), ''),
			p.client, p.client_name, p.license, p.available_from, p.granted, p.last_granted, p.expires, p.revoked, p.revoked_by, p.revoked_with
		FROM permissions p
		WHERE ($2 = '' OR p.gateway = $2) AND ($3 = '' OR p.client = $3) AND p.id > $4 AND ($5 = '' OR `+state+` = $5)
			AND ($6 = '' OR p.id = $6)
		ORDER BY p.id LIMIT $7`, now.Unix(), f.Gateway, f.Client, f.After, f.State, f.id, f.Limit)
}

// Detail is all that there is of one permission.
type Detail struct {
	Summary
	Account   string          `json:"account"`
	Evidence  string          `json:"evidence"`           // the last part of the evidence page's address
	Covers    json.RawMessage `json:"covers"`             // meters and measures
	Grants    []GrantLog      `json:"grants"`             // each agreement and renewal
	ReliesOn  []string        `json:"reliesOn,omitempty"` // permissions with which it falls
	Carries   []string        `json:"carries,omitempty"`  // permissions that fall with it
	HeldFrom  []string        `json:"heldFrom,omitempty"` // applications whose withdrawal ends it
	DeletedAt time.Time       `json:"deletedAt,omitzero"` // when the data that it alone covered was deleted for good
	Messages  []MessageState  `json:"messages,omitempty"`
}

// GrantLog is one entry of the log of grants.
type GrantLog struct {
	Granted   time.Time `json:"granted"`
	Expires   time.Time `json:"expires"`
	Address   string    `json:"address"` // IP address of the browser
	UserAgent string    `json:"userAgent"`
	Words     string    `json:"words"`
	How       string    `json:"how"`                // the business was recognised: gateway, printed (a code) or account
	SignedIn  string    `json:"signedIn,omitempty"` // number of the account
}

// Show gives one permission; ok is false where there is none.
func Show(ctx context.Context, db *database.DB, now time.Time, id string) (d Detail, ok bool, err error) {
	var purged int64
	err = db.QueryRowContext(ctx, `SELECT account, evidence, covers, purged FROM permissions WHERE id = $1`, id).
		Scan(&d.Account, &d.Evidence, (*[]byte)(&d.Covers), &purged)
	if errors.Is(err, sql.ErrNoRows) {
		return d, false, nil
	}
	if err != nil {
		return d, false, err
	}
	if purged != 0 {
		d.DeletedAt = unix(purged)
	}
	all, err := List(ctx, db, now, Filter{id: id})
	if err != nil || len(all) != 1 {
		return d, false, err
	}
	d.Summary = all[0]
	text := func(r *sql.Rows) (v string, err error) { return v, r.Scan(&v) }
	if d.ReliesOn, err = queryAll(ctx, db, text, `SELECT relies_on FROM permission_links WHERE permission = $1 ORDER BY 1`, id); err != nil {
		return d, false, err
	}
	if d.Carries, err = queryAll(ctx, db, text, `SELECT permission FROM permission_links WHERE relies_on = $1 ORDER BY 1`, id); err != nil {
		return d, false, err
	}
	if d.HeldFrom, err = queryAll(ctx, db, text, `SELECT issuer FROM permission_held WHERE permission = $1 ORDER BY 1`, id); err != nil {
		return d, false, err
	}
	d.Grants, err = queryAll(ctx, db, func(r *sql.Rows) (g GrantLog, err error) {
		var granted, expires int64
		err = r.Scan(&granted, &expires, &g.Address, &g.UserAgent, &g.Words, &g.How, &g.SignedIn)
		g.Granted, g.Expires = unix(granted), unix(expires)
		return g, err
	}, `SELECT granted, expires, address, user_agent, words, how, signed_in FROM permission_grants WHERE permission = $1 ORDER BY granted, id`, id)
	if err != nil {
		return d, false, err
	}
	d.Messages, err = readMessages(ctx, db, `WHERE permission = $1 ORDER BY created, id`, id)
	return d, err == nil, err
}

// Withdraw ends a permission, and those that rely on it, on behalf of the
// business that asked the operator to. Running relays notice it within seconds,
// and delete the data within two minutes. It gives what ended.
func Withdraw(ctx context.Context, db *database.DB, now time.Time, id string) (ended []string, err error) {
	all, err := withdraw(ctx, db, now.UTC().Truncate(time.Second), id, byOperator)
	for _, p := range all {
		ended = append(ended, p.ID)
	}
	return ended, err
}
