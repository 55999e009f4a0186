package permission

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// agree uses the request up, records the grant and hands out the code, all in
// one transaction.
func (s *Service) agree(w http.ResponseWriter, r *http.Request, a asked, o offer) {
	code := newSecret()
	var permission string
	var less bool
	err := s.db.Write(r.Context(), func(tx *sql.Tx) error {
		if err := s.consumeRequest(r.Context(), tx, a); err != nil {
			return err
		}
		var err error
		permission, less, err = s.recordGrant(r, tx, a, o, code)
		return err
	})
	if err != nil {
		s.pageError(w, r, err)
		return
	}
	s.log.Info("permission: granted", "permission", permission, "client", a.Client, "license", a.License,
		"gateway", o.Site.Gateway, "address", s.c.Address(r), "agent", clip(r.UserAgent(), maxAgent))
	s.changed(o.Site.Gateway)
	if less {
		s.log.Info("permission: renewed for less, what it dropped is deleted", "permission", permission, "gateway", o.Site.Gateway)
		s.dueNow()
	}
	s.redirect(w, r, a, url.Values{"code": {code}})
}

// consumeRequest deletes the request in one statement: of any number of
// decisions at the same time, one finds it.
func (s *Service) consumeRequest(ctx context.Context, tx *sql.Tx, a asked) error {
	var client string
	err := tx.QueryRowContext(ctx, `DELETE FROM oauth_requests WHERE hash = $1 AND client = $2 AND expires > $3 RETURNING client`,
		hashOf(a.URI), a.Client, s.now().Unix()).Scan(&client)
	if errors.Is(err, sql.ErrNoRows) {
		return refuse(http.StatusBadRequest, "link.used")
	}
	return err
}

// maxAgent bounds the stored User-Agent, in bytes.
const maxAgent = 256

// recordGrant writes the permission (a new one, or the renewal of one that was
// not withdrawn), the log entry and the code. The permission takes effect when
// the client redeems the code: until then it has no token. less: it is a renewal
// that covers less than before.
func (s *Service) recordGrant(r *http.Request, tx *sql.Tx, a asked, o offer, code string) (permission string, less bool, err error) {
	ctx, now := r.Context(), s.now()
	covers, err := encodeCovers(o.Covers)
	if err != nil {
		return "", false, err
	}
	on, err := s.reliedOn(ctx, tx, o.Site.Gateway, a.License)
	if err != nil {
		return "", false, fmt.Errorf("find what the permission relies on: %w", err)
	}
	narrowed, err := s.narrows(ctx, tx, a, o)
	if err != nil {
		return "", false, err
	}
	err = tx.QueryRowContext(ctx, `INSERT INTO permissions
		(id, client, client_name, member, parts, license, gateway, account, evidence, covers, available_from, granted, last_granted, expires, narrowed)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$12,$13,$14)
		ON CONFLICT (client, license, gateway) WHERE revoked = 0 DO UPDATE
		SET client_name = excluded.client_name, member = excluded.member, parts = excluded.parts, covers = excluded.covers, last_granted = excluded.last_granted, expires = excluded.expires,
			narrowed = CASE WHEN excluded.narrowed <> 0 THEN excluded.narrowed ELSE permissions.narrowed END
		RETURNING id`,
		newName(), a.Client, a.ClientName, a.Member, a.Parts, a.License, o.Site.Gateway, s.seal.accountOf(o.Site.Gateway, a.Client, o.Since), newSecret(),
		covers, o.From.Unix(), now.Unix(), o.Expires.Unix(), narrowed).Scan(&permission)
	if err != nil {
		return "", false, fmt.Errorf("record the permission: %w", err)
	}
	if err := s.notReliedOn(ctx, tx, permission, a.Member); err != nil {
		return "", false, err
	}
	if err := s.link(ctx, tx, permission, on); err != nil {
		return "", false, err
	}
	entry := newName()
	_, err = tx.ExecContext(ctx, `INSERT INTO permission_grants
		(id, permission, granted, expires, license, client_name, site_name, outcode, address, user_agent, words, covers, how, signed_in)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14)`,
		entry, permission, now.Unix(), o.Expires.Unix(), a.License, a.ClientName, o.Site.Name, o.Site.Outcode,
		addressText(s.c.Address(r)), strings.ToValidUTF8(clip(r.UserAgent(), maxAgent), ""), o.Text, covers, o.How, o.Number)
	if err != nil {
		return "", false, fmt.Errorf("log the grant: %w", err)
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO oauth_codes (hash, grant_id, permission, client, redirect_uri, challenge, expires)
		VALUES ($1,$2,$3,$4,$5,$6,$7)`,
		hashOf(code), entry, permission, a.Client, a.RedirectURI, a.Challenge, now.Add(CodeLife).Unix())
	if err != nil {
		return "", false, fmt.Errorf("record the code: %w", err)
	}
	// A renewal changes what the gateway may send at once; a new permission
	// only once it has a token, but one change too many does no harm.
	return permission, narrowed != 0, s.bump(ctx, tx, o.Site.Gateway)
}
