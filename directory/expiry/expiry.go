// Package expiry warns people of certificates that end, by mail and by webhook.
package expiry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/ca"
	"github.com/perseus-edge/perseus-edge/directory/notice"
)

// Warnings says when and how people are warned of certificates that end: a
// member's people (its address and its owners') by mail of its own, the
// operator by mail and webhook of all, its authorities included.
type Warnings struct {
	Days     []int         // how many days before the end; a certificate gets one warning for each that it passes. Nil: 30, 14, 7, 1
	Mail     notice.Sender // nil: none
	Webhook  notice.Sender // nil: none
	Operator string        // mail address for warnings of the authorities; may be empty
}

// Warner warns of what ends in a directory.
type Warner struct{ *directory.Service }

// New makes the warner of a directory.
func New(d *directory.Service) *Warner { return &Warner{d} }

// How long a claim on a warning lasts: longer than sending takes, since the
// process that claimed it may have ended; and after a failure, twice as long
// each time.
const (
	warnClaim   = 10 * time.Minute
	warnRetry   = 10 * time.Minute
	warnLongest = 6 * time.Hour
	warnKeep    = 60 * 24 * time.Hour // after the end
)

// ending is a certificate or a list that ends soon.
type ending struct {
	subject             string // names it in directory_warnings
	kind                string // client, signing, issuer, root, root-list
	hierarchy           ca.Hierarchy
	serial              string
	member, application string
	gateway             string
	holder, holderURL   string // of whom it speaks
	organisation        string
	at                  time.Time
	days                int // the threshold that it has passed
}

// Keep warns every hour until ctx ends. Several processes on one
// database may do so: each warning goes out once.
func (s *Warner) Keep(ctx context.Context, w Warnings) error {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		if _, err := s.Warn(ctx, w); err != nil && ctx.Err() == nil {
			s.Logger.Error("warnings of certificates that end", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Warn sends the warnings that are due, and says how many. One that cannot be
// sent does not keep the others back; it is tried again later. A process that
// ends between sending and recording may send a warning a second time: its id is
// the same.
func (s *Warner) Warn(ctx context.Context, w Warnings) (sent int, err error) {
	if w.Days == nil {
		w.Days = []int{30, 14, 7, 1}
	}
	days := slices.Sorted(slices.Values(w.Days))
	if len(days) == 0 || days[0] < 1 {
		return 0, errors.New("warnings: days must be 1 or more")
	}
	due, err := s.endings(ctx, s.Now().Add(time.Duration(days[len(days)-1])*24*time.Hour))
	if err != nil {
		return 0, err
	}
	due = append(due, s.authorityEndings()...)
	var failed []error
	for _, e := range due {
		left := e.at.Sub(s.Now())
		i := slices.IndexFunc(days, func(d int) bool { return left <= time.Duration(d)*24*time.Hour })
		if i < 0 {
			continue
		}
		e.days = days[i]
		for way, sender := range map[string]notice.Sender{"mail": w.Mail, "webhook": w.Webhook} {
			if sender == nil {
				continue
			}
			ok, err := s.warn(ctx, e, way, sender, w.Operator)
			if ok {
				sent++
			}
			if err != nil {
				failed = append(failed, fmt.Errorf("%s: %s: %w", e.subject, way, err))
			}
			if ctx.Err() != nil {
				return sent, ctx.Err()
			}
		}
	}
	_, err = s.DB.ExecContext(ctx, `DELETE FROM directory_warnings WHERE ends < $1`, s.Now().Add(-warnKeep).Unix())
	return sent, errors.Join(append(failed, err)...)
}

// warn sends one warning one way, if no process has or is about to.
func (s *Warner) warn(ctx context.Context, e ending, way string, sender notice.Sender, operator string) (bool, error) {
	now := s.Now()
	var attempts int
	err := s.DB.QueryRowContext(ctx, `INSERT INTO directory_warnings (subject, days, way, ends, claimed_to, attempts, sent) VALUES ($1, $2, $3, $4, $5, 1, FALSE)
		ON CONFLICT (subject, days, way) DO UPDATE SET claimed_to = $5, attempts = directory_warnings.attempts + 1
		WHERE NOT directory_warnings.sent AND directory_warnings.claimed_to <= $6 RETURNING attempts`,
		e.subject, e.days, way, e.at.Unix(), now.Add(warnClaim).Unix(), now.Unix()).Scan(&attempts)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil // sent, or another process is at it
	} else if err != nil {
		return false, err
	}
	n := s.notice(e)
	if way == "mail" {
		if n.To, err = s.readers(ctx, e, operator); err != nil {
			return false, err
		}
	}
	told := way != "mail" || len(n.To) > 0
	if !told {
		s.Logger.Warn("a certificate ends soon, and there is nobody to write to: give its organisation an address, or the configuration an operator's", "what", e.subject, "member", e.member, "until", e.at)
	}
	if err := sender.Send(ctx, n); err != nil {
		again := min(warnRetry<<min(attempts-1, 10), warnLongest)
		_, dberr := s.DB.ExecContext(context.WithoutCancel(ctx), `UPDATE directory_warnings SET claimed_to = $1 WHERE subject = $2 AND days = $3 AND way = $4`,
			now.Add(again).Unix(), e.subject, e.days, way)
		return false, errors.Join(err, dberr)
	}
	_, err = s.DB.ExecContext(context.WithoutCancel(ctx), `UPDATE directory_warnings SET sent = TRUE WHERE subject = $1 AND days = $2 AND way = $3`, e.subject, e.days, way)
	if err == nil && told {
		s.Logger.Info("warned of a certificate that ends", "what", e.subject, "way", way, "until", e.at, "days", e.days)
	}
	return told, err
}

// readers are those to whom a warning is written: a member's people; the
// operator of what is the directory's, and where a member has no address.
func (s *Warner) readers(ctx context.Context, e ending, operator string) (to []string, err error) {
	if e.member != "" {
		to, err = s.PeopleOf(ctx, e.member)
	}
	if len(to) == 0 && operator != "" {
		to = []string{operator}
	}
	return to, err
}

// endings are the certificates of members that end before a time and have not
// been revoked. Server certificates live for a day and renew themselves; a
// gateway's counts when it has not renewed it.
func (s *Warner) endings(ctx context.Context, before time.Time) ([]ending, error) {
	rows, err := s.DB.QueryContext(ctx, `SELECT c.serial, c.hierarchy, c.member, COALESCE(c.application, ''), COALESCE(c.gateway, ''), c.not_after, m.legal_name, COALESCE(g.name, a.name, '')
		FROM directory_certificates c JOIN directory_members m ON m.id = c.member
		LEFT JOIN directory_gateways g ON g.id = c.gateway LEFT JOIN directory_applications a ON a.id = c.application
		WHERE c.not_after > $1 AND c.not_after <= $2 AND c.revoked_at IS NULL AND c.hierarchy <> 'server'
		AND (c.gateway IS NULL OR NOT EXISTS (SELECT 1 FROM directory_certificates n
			WHERE n.gateway = c.gateway AND n.hierarchy = c.hierarchy AND n.not_after > c.not_after AND n.revoked_at IS NULL))
		ORDER BY c.not_after, c.serial`, s.Now().Unix(), before.Unix())
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []ending
	for rows.Next() {
		var e ending
		var h string
		var until int64
		if err := rows.Scan(&e.serial, &h, &e.member, &e.application, &e.gateway, &until, &e.organisation, &e.holder); err != nil {
			return nil, err
		}
		e.hierarchy, e.kind, e.at, e.subject = ca.Hierarchy(h), h, time.Unix(until, 0).UTC(), "certificate/"+e.serial
		e.holderURL = s.ApplicationURL(e.application)
		if e.gateway != "" {
			e.holderURL = s.GatewayURL(e.gateway)
		}
		out = append(out, e)
	}
	return out, rows.Err()
}

// authorityEndings are the roots, the issuers and the roots' lists.
func (s *Warner) authorityEndings() []ending {
	var out []ending
	for _, h := range ca.Hierarchies {
		a := s.Authorities.Of(h)
		out = append(out,
			ending{subject: "issuer/" + a.Issuer.SerialNumber.String(), kind: "issuer", hierarchy: h, serial: a.Issuer.SerialNumber.String(), holder: a.Issuer.Subject.CommonName, at: a.Issuer.NotAfter},
			ending{subject: "root/" + a.Root.SerialNumber.String(), kind: "root", hierarchy: h, serial: a.Root.SerialNumber.String(), holder: a.Root.Subject.CommonName, at: a.Root.NotAfter})
		if a.RootCRL != nil {
			out = append(out, ending{subject: "root-list/" + string(h) + "/" + a.RootCRL.Number.String(), kind: "root-list", hierarchy: h, holder: "List of revoked issuers of " + a.Root.Subject.CommonName, at: a.RootCRL.NextUpdate})
		}
	}
	return slices.DeleteFunc(out, func(e ending) bool { return !e.at.After(s.Now()) })
}
