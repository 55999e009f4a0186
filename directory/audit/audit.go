// Package audit is the directory's record of what was done: one entry for each
// change of a member, a role, an application, a data service, a certificate, a
// token, a gateway or an account. An entry is written in the transaction of its
// change, so neither is there without the other. Each carries the hash of the
// one before it: an entry that is changed, dropped, moved or slipped in breaks
// the chain, and a chain that was cut off at its end does not have the head
// that its operator noted (Verify).
//
// No secret belongs into an entry: name tokens and codes by the thing that they
// are for.
package audit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Event is something that was done.
type Event struct {
	Action  string // thing and verb, such as member.add, certificate.revoke, account.sign-in
	Subject string // what it was done to: kind/id, such as application/ab12cd34ef56
	Member  string // id of the member whom it concerns; empty: none
	Detail  string // one short line for people, at most 1,000 characters; no secret. Empty: Append writes what differs between Before and After

	// The state before and after, of which only the hash is kept (SHA-256 of
	// its JSON; []byte, such as a certificate, is hashed as it is), with the fields that differ in Detail where that is empty: so
	// no secret here either. Nil: there was none.
	Before, After any
}

// Entry is an event in the log.
type Entry struct {
	Seq     int64     `json:"seq"` // from 1, without gaps
	At      time.Time `json:"at"`  // UTC, whole seconds
	Actor   string    `json:"actor"`
	Action  string    `json:"action"`
	Subject string    `json:"subject"`
	Member  string    `json:"member,omitempty"`
	Detail  string    `json:"detail,omitempty"`
	Before  string    `json:"before,omitempty"` // SHA-256, hexadecimal; empty: there was no state
	After   string    `json:"after,omitempty"`
	Prev    string    `json:"prev"` // hash of the entry before; of the first: empty
	Hash    string    `json:"hash"`
}

// Append writes events to the log, in the transaction of the changes that they
// tell of; one whose state is the same before and after is not written. Call it as the last thing before the commit: it holds the head of
// the chain, for which every other change waits, until the transaction ends
// (and a lock taken after it could wait for one of those).
func Append(ctx context.Context, tx *sql.Tx, at time.Time, events ...Event) error {
	var entries []Entry
	for _, ev := range events {
		before, after, err := states(ev)
		if err != nil {
			return fmt.Errorf("audit log: %s %s: %w", ev.Action, ev.Subject, err)
		}
		if before != nil && bytes.Equal(before, after) {
			continue // nothing was changed
		}
		e := Entry{At: at.UTC().Truncate(time.Second), Actor: ActorOf(ctx), Action: ev.Action, Subject: ev.Subject, Member: ev.Member,
			Detail: ev.Detail, Before: digest(before), After: digest(after)}
		if e.Detail == "" {
			e.Detail = difference(before, after)
		}
		e.tidy()
		entries = append(entries, e)
	}
	if len(entries) == 0 {
		return nil
	}
	var head Head
	err := tx.QueryRowContext(ctx, `UPDATE directory_audit_head SET seq = seq + $1 WHERE one = 1 RETURNING seq, hash`, len(entries)).Scan(&head.Seq, &head.Hash)
	if err != nil {
		return fmt.Errorf("audit log: head: %w", err)
	}
	head.Seq -= int64(len(entries))
	for _, e := range entries {
		e.Seq, e.Prev = head.Seq+1, head.Hash
		e.Hash = e.sum()
		_, err = tx.ExecContext(ctx, `INSERT INTO directory_audit (seq, at, actor, action, subject, member, detail, before_hash, after_hash, prev, hash)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
			e.Seq, e.At.Unix(), e.Actor, e.Action, e.Subject, e.Member, e.Detail, e.Before, e.After, e.Prev, e.Hash)
		if err != nil {
			return fmt.Errorf("audit log: %w", err)
		}
		head = Head{e.Seq, e.Hash}
	}
	if _, err := tx.ExecContext(ctx, `UPDATE directory_audit_head SET hash = $1 WHERE one = 1`, head.Hash); err != nil {
		return fmt.Errorf("audit log: head: %w", err)
	}
	return nil
}

// longest is how many characters of a text are kept.
const longest = 1000

// tidy makes texts what both databases can hold: valid, printable, bounded. An
// odd name must not keep a change from being recorded.
func (e *Entry) tidy() {
	for _, s := range []*string{&e.Actor, &e.Action, &e.Subject, &e.Member, &e.Detail} {
		*s = strings.Map(func(r rune) rune {
			if !unicode.IsPrint(r) {
				return ' '
			}
			return r
		}, strings.ToValidUTF8(*s, "�"))
		if r := []rune(*s); len(r) > longest {
			*s = string(r[:longest-1]) + "…"
		}
	}
}

// sum is the entry's hash: SHA-256 over every field, each with its length in
// front of it so that nothing can move from one to the next.
func (e *Entry) sum() string {
	h := sha256.New()
	for _, f := range []string{"perseus directory audit 1", strconv.FormatInt(e.Seq, 10), strconv.FormatInt(e.At.Unix(), 10),
		e.Actor, e.Action, e.Subject, e.Member, e.Detail, e.Before, e.After, e.Prev} {
		fmt.Fprintf(h, "%d:%s\n", len(f), f)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func states(ev Event) (before, after []byte, err error) {
	for _, x := range []struct {
		from any
		to   *[]byte
	}{{ev.Before, &before}, {ev.After, &after}} {
		if raw, ok := x.from.([]byte); ok {
			*x.to = raw
		} else if x.from != nil {
			if *x.to, err = json.Marshal(x.from); err != nil {
				return nil, nil, err
			}
		}
	}
	return before, after, nil
}

func digest(b []byte) string {
	if b == nil {
		return ""
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
