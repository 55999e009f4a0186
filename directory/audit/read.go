package audit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Querier is a database or a transaction.
type Querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// Filter picks entries of the log. A zero field picks all.
type Filter struct {
	After          int64  // those with a greater number
	Action         string // exactly, or all of a kind: "member."
	Subject, Actor string
	Member         string
	Since, Until   time.Time // from, and before
	Newest         bool      // the newest first
	Limit          int       // at most so many; 0: 100
}

const columns = `seq, at, actor, action, subject, member, detail, before_hash, after_hash, prev, hash`

// List reads entries, the oldest first unless Filter.Newest says otherwise.
func List(ctx context.Context, q Querier, f Filter) ([]Entry, error) {
	where, args := []string{"seq > $1"}, []any{f.After}
	add := func(cond string, v any) {
		args = append(args, v)
		where = append(where, cond+" $"+strconv.Itoa(len(args)))
	}
	switch {
	case strings.HasSuffix(f.Action, "."): // all that begin with it; '/' is the character after '.'
		add("action >=", f.Action)
		add("action <", strings.TrimSuffix(f.Action, ".")+"/")
	case f.Action != "":
		add("action =", f.Action)
	}
	for cond, v := range map[string]string{"subject =": f.Subject, "actor =": f.Actor, "member =": f.Member} {
		if v != "" {
			add(cond, v)
		}
	}
	if !f.Since.IsZero() {
		add("at >=", f.Since.Unix())
	}
	if !f.Until.IsZero() {
		add("at <", f.Until.Unix())
	}
	order := ""
	if f.Newest {
		order = " DESC"
	}
	if f.Limit <= 0 {
		f.Limit = 100
	}
	args = append(args, f.Limit)
	var out []Entry
	err := entries(ctx, q, `SELECT `+columns+` FROM directory_audit WHERE `+strings.Join(where, " AND ")+` ORDER BY seq`+order+` LIMIT $`+strconv.Itoa(len(args)), args,
		func(e Entry) error { out = append(out, e); return nil })
	return out, err
}

func entries(ctx context.Context, q Querier, query string, args []any, f func(Entry) error) error {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("audit log: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var e Entry
		var at int64
		if err := rows.Scan(&e.Seq, &at, &e.Actor, &e.Action, &e.Subject, &e.Member, &e.Detail, &e.Before, &e.After, &e.Prev, &e.Hash); err != nil {
			return fmt.Errorf("audit log: %w", err)
		}
		e.At = time.Unix(at, 0).UTC()
		if err := f(e); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Head is the end of the chain: the number of the last entry (0: there is
// none) and its hash. Whoever notes it elsewhere can show later that the log up
// to it is still whole.
type Head struct {
	Seq  int64
	Hash string
}

// String is NUMBER-HASH, for ParseHead.
func (h Head) String() string { return strconv.FormatInt(h.Seq, 10) + "-" + h.Hash }

var headForm = regexp.MustCompile(`^([0-9]{1,18})-([0-9a-f]{16,64})$`)

// ParseHead reads a head as it was noted; the first 16 digits of its hash are
// enough.
func ParseHead(s string) (Head, error) {
	s = strings.ToLower(strings.TrimSpace(s))
	if s == "0-" { // of an empty log
		return Head{}, nil
	}
	m := headForm.FindStringSubmatch(s)
	if m == nil {
		return Head{}, fmt.Errorf("head %q: need the number of an entry, a hyphen and at least 16 digits of its hash, as `audit head` prints it", s)
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	return Head{n, m[2]}, err
}

// HeadOf reads the present head.
func HeadOf(ctx context.Context, q Querier) (Head, error) {
	var h Head
	err := q.QueryRowContext(ctx, `SELECT seq, hash FROM directory_audit_head WHERE one = 1`).Scan(&h.Seq, &h.Hash)
	if err != nil {
		err = fmt.Errorf("audit log: head: %w", err)
	}
	return h, err
}

// ErrBroken is in every error that says that the log is not what was written.
var ErrBroken = errors.New("the audit log has been tampered with")

func broken(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrBroken, fmt.Sprintf(format, args...))
}

// Verify reads the whole log and checks its chain: each entry's hash, that it
// follows the one before, that none is missing, and that it ends at the head.
// noted are heads that the operator kept elsewhere: each must be in the chain,
// which a log that was cut off and continued, or written anew from some point
// on, cannot satisfy. It returns the head. Entries may be written meanwhile.
func Verify(ctx context.Context, q Querier, noted ...Head) (Head, error) {
	// One statement, so one moment: what is written from now on is not looked at.
	var head Head
	var last int64
	err := q.QueryRowContext(ctx, `SELECT seq, hash, (SELECT COALESCE(MAX(seq), 0) FROM directory_audit) FROM directory_audit_head WHERE one = 1`).Scan(&head.Seq, &head.Hash, &last)
	if errors.Is(err, sql.ErrNoRows) {
		return Head{}, broken("its head is gone")
	} else if err != nil {
		return Head{}, fmt.Errorf("audit log: head: %w", err)
	}
	if last > head.Seq {
		return head, broken("it ends with entry %d by its head, but there is an entry %d", head.Seq, last)
	}
	var prev Head
	err = entries(ctx, q, `SELECT `+columns+` FROM directory_audit WHERE seq <= $1 ORDER BY seq`, []any{head.Seq}, func(e Entry) error {
		switch {
		case e.Seq != prev.Seq+1:
			return broken("entry %d is missing", prev.Seq+1)
		case e.Prev != prev.Hash:
			return broken("entry %d does not follow entry %d: one of them was changed, moved or put in", e.Seq, prev.Seq)
		case e.Hash != e.sum():
			return broken("entry %d (%s, %s %s) was changed", e.Seq, e.At.Format(time.RFC3339), e.Action, e.Subject)
		}
		prev = Head{e.Seq, e.Hash}
		for _, n := range noted {
			if n.Seq == e.Seq && !strings.HasPrefix(e.Hash, n.Hash) {
				return broken("entry %d is not the one that was noted (%s): the log was written anew from there or earlier", e.Seq, n)
			}
		}
		return nil
	})
	if err != nil {
		return head, err
	}
	if prev != head {
		return head, broken("it ends with entry %d, by its head with %d: the end was cut off or changed", prev.Seq, head.Seq)
	}
	for _, n := range noted {
		if n.Seq > head.Seq {
			return head, broken("it ends with entry %d, but entry %d was noted: the end was cut off, or an old copy was put in its place", head.Seq, n.Seq)
		}
	}
	return head, nil
}
