package audit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/relay/database/databasetest"
)

var at = time.Date(2026, 11, 22, 16, 30, 0, 5, time.FixedZone("here", 3600))

func each(t *testing.T, f func(t *testing.T, db *database.DB)) {
	t.Helper()
	databasetest.Each(t, "directory", os.DirFS("../migrations"), f)
}

func inTx(t testing.TB, db *database.DB, f func(tx *sql.Tx) error) {
	t.Helper()
	if err := db.Write(context.Background(), f); err != nil {
		t.Fatal(err)
	}
}

// filled writes n entries, in transactions of one, two, three entries and so on.
func filled(t testing.TB, db *database.DB, n int) Head {
	t.Helper()
	ctx := WithActor(t.Context(), "person:dana@example.org")
	for done, size := 0, 1; done < n; size++ {
		var es []Event
		for ; done < n && len(es) < size; done++ {
			es = append(es, Event{Action: "member.update", Subject: fmt.Sprintf("member/m%d", done), Member: fmt.Sprintf("m%d", done),
				Before: map[string]any{"email": "a"}, After: map[string]any{"email": fmt.Sprintf("b%d", done)}})
		}
		inTx(t, db, func(tx *sql.Tx) error { return Append(ctx, tx, at, es...) })
	}
	h, err := HeadOf(t.Context(), db)
	if err != nil || h.Seq != int64(n) {
		t.Fatalf("head %v, %v", h, err)
	}
	return h
}

func TestAppend(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		if h, err := Verify(t.Context(), db); err != nil || h != (Head{}) {
			t.Fatalf("empty log: %v, %v", h, err)
		}
		head := filled(t, db, 7)
		if h, err := Verify(t.Context(), db, head, Head{}); err != nil || h != head {
			t.Fatalf("%v, %v", h, err)
		}
		all, err := List(t.Context(), db, Filter{})
		if err != nil || len(all) != 7 {
			t.Fatal(all, err)
		}
		e := all[2]
		if e.Seq != 3 || !e.At.Equal(at.Truncate(time.Second)) || e.Actor != "person:dana@example.org" || e.Subject != "member/m2" || e.Member != "m2" ||
			e.Detail != `email: "a" -> "b2"` || e.Before == e.After || len(e.Before) != 64 || e.Prev != all[1].Hash || e.Hash == e.Prev {
			t.Errorf("%+v", e)
		}
		// What was rolled back is not there, and leaves no gap.
		if err := db.Write(t.Context(), func(tx *sql.Tx) error {
			if err := Append(t.Context(), tx, at, Event{Action: "x", Subject: "y"}); err != nil {
				return err
			}
			return errors.New("no")
		}); err == nil {
			t.Fatal("committed")
		}
		inTx(t, db, func(tx *sql.Tx) error {
			same := map[string]string{"a": "b"}
			return Append(t.Context(), tx, at, Event{Action: "nothing", Before: same, After: same}, Event{Action: "odd", Subject: "line\nbreak\x00 and \xff", Detail: strings.Repeat("é", 3000)})
		})
		all, err = List(t.Context(), db, Filter{After: 7})
		if err != nil || len(all) != 1 || all[0].Seq != 8 || all[0].Actor != Nobody || all[0].Subject != "line break  and �" || len([]rune(all[0].Detail)) != longest {
			t.Errorf("%+v %v", all, err)
		}
		if _, err := Verify(t.Context(), db, head); err != nil {
			t.Error(err)
		}
	})
}

func TestList(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		ctx := t.Context()
		inTx(t, db, func(tx *sql.Tx) error {
			return errors.Join(
				Append(WithActor(ctx, "token:1"), tx, at, Event{Action: "member.add", Subject: "member/a", Member: "a"}, Event{Action: "members", Subject: "x"}),
				Append(ctx, tx, at.Add(time.Hour), Event{Action: "member.update", Subject: "member/a", Member: "a"}, Event{Action: "token.issue", Subject: "token/1"}))
		})
		for _, x := range []struct {
			f    Filter
			want string
		}{
			{Filter{}, "1234"}, {Filter{Newest: true, Limit: 2}, "43"}, {Filter{After: 2}, "34"}, {Filter{Action: "member."}, "13"}, {Filter{Action: "member.add"}, "1"},
			{Filter{Action: "member"}, ""}, {Filter{Subject: "member/a", Actor: "token:1"}, "1"}, {Filter{Member: "a"}, "13"},
			{Filter{Since: at.Add(time.Minute)}, "34"}, {Filter{Until: at.Add(time.Minute)}, "12"},
		} {
			got, err := List(ctx, db, x.f)
			text := ""
			for _, e := range got {
				text += fmt.Sprint(e.Seq)
			}
			if err != nil || text != x.want {
				t.Errorf("%+v: %s, %v; want %s", x.f, text, err, x.want)
			}
		}
	})
}

// TestTampering: whoever holds the database changes the log in every way that
// we could think of.
func TestTampering(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		const n = 9
		noted := filled(t, db, n)
		pristine, err := List(t.Context(), db, Filter{})
		if err != nil {
			t.Fatal(err)
		}
		middle := Head{5, pristine[4].Hash[:16]}
		// rewrite puts entries in the log's place, with a chain that fits.
		rewrite := func(tx *sql.Tx, es []Entry) {
			exec(t, tx, `DELETE FROM directory_audit`)
			prev := Head{}
			for _, e := range es {
				e.Seq, e.Prev = prev.Seq+1, prev.Hash
				e.Hash = e.sum()
				exec(t, tx, `INSERT INTO directory_audit (seq, at, actor, action, subject, member, detail, before_hash, after_hash, prev, hash)
					VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`, e.Seq, e.At.Unix(), e.Actor, e.Action, e.Subject, e.Member, e.Detail, e.Before, e.After, e.Prev, e.Hash)
				prev = Head{e.Seq, e.Hash}
			}
			exec(t, tx, `UPDATE directory_audit_head SET seq = $1, hash = $2`, prev.Seq, prev.Hash)
		}
		type tamper struct {
			name  string
			do    func(tx *sql.Tx)
			chain string // what the chain alone shows; "": nothing
			noted string // what the noted heads show; "": as chain
		}
		table := []tamper{
			{"dropped", func(tx *sql.Tx) { exec(t, tx, `DELETE FROM directory_audit WHERE seq = 4`) }, "entry 4 is missing", ""},
			{"first dropped", func(tx *sql.Tx) { exec(t, tx, `DELETE FROM directory_audit WHERE seq = 1`) }, "entry 1 is missing", ""},
			{"dropped and numbered anew", func(tx *sql.Tx) {
				exec(t, tx, `DELETE FROM directory_audit WHERE seq = 4`)
				for i := 5; i <= n; i++ {
					exec(t, tx, `UPDATE directory_audit SET seq = $1 WHERE seq = $2`, i-1, i)
				}
				exec(t, tx, `UPDATE directory_audit_head SET seq = seq - 1`)
			}, "entry 4 does not follow entry 3", ""},
			{"reordered", func(tx *sql.Tx) {
				exec(t, tx, `UPDATE directory_audit SET seq = 100 WHERE seq = 3`)
				exec(t, tx, `UPDATE directory_audit SET seq = 3 WHERE seq = 4`)
				exec(t, tx, `UPDATE directory_audit SET seq = 4 WHERE seq = 100`)
			}, "entry 3 does not follow entry 2", ""},
			{"cut off", func(tx *sql.Tx) { exec(t, tx, `DELETE FROM directory_audit WHERE seq > 6`) }, "ends with entry 6, by its head with 9", ""},
			{"cut off with its head", func(tx *sql.Tx) { rewrite(tx, pristine[:6]) }, "", "entry 9 was noted: the end was cut off"},
			{"emptied with its head", func(tx *sql.Tx) { rewrite(tx, nil) }, "", "ends with entry 0"},
			{"cut off and continued", func(tx *sql.Tx) {
				rewrite(tx, append(pristine[:7:7], Entry{At: at, Action: "harmless"}, Entry{At: at, Action: "harmless"}, Entry{At: at, Action: "harmless"}))
			}, "", "entry 9 is not the one that was noted"},
			{"written anew", func(tx *sql.Tx) {
				es := append([]Entry{}, pristine...)
				es[1].Actor = "somebody else"
				rewrite(tx, es)
			}, "", "entry 5 is not the one that was noted"},
			{"put in at the end", func(tx *sql.Tx) {
				exec(t, tx, `INSERT INTO directory_audit SELECT 10, at, actor, action, subject, member, detail, before_hash, after_hash, prev, hash FROM directory_audit WHERE seq = 9`)
			}, "there is an entry 10", ""},
			{"head changed", func(tx *sql.Tx) { exec(t, tx, `UPDATE directory_audit_head SET hash = 'x'`) }, "cut off or changed", ""},
			{"head gone", func(tx *sql.Tx) { exec(t, tx, `DELETE FROM directory_audit_head`) }, "head is gone", ""},
		}
		for _, column := range []string{"actor", "action", "subject", "member", "detail", "before_hash", "after_hash"} {
			table = append(table, tamper{"changed " + column, func(tx *sql.Tx) {
				exec(t, tx, `UPDATE directory_audit SET `+column+` = 'other' WHERE seq = 5`)
			}, "entry 5 (", ""})
		}
		table = append(table,
			tamper{"changed time", func(tx *sql.Tx) { exec(t, tx, `UPDATE directory_audit SET at = at + 1 WHERE seq = 5`) }, "entry 5 (", ""},
			tamper{"changed hash", func(tx *sql.Tx) { exec(t, tx, `UPDATE directory_audit SET hash = 'other' WHERE seq = 5`) }, "entry 5 (", ""},
			tamper{"changed prev", func(tx *sql.Tx) { exec(t, tx, `UPDATE directory_audit SET prev = 'other' WHERE seq = 5`) }, "entry 5 does not follow entry 4", ""},
			tamper{"moved text between fields", func(tx *sql.Tx) {
				exec(t, tx, `UPDATE directory_audit SET subject = subject || member, member = '' WHERE seq = 5`)
			}, "entry 5 (", ""})
		for _, x := range table {
			tx, err := db.Begin()
			if err != nil {
				t.Fatal(err)
			}
			x.do(tx)
			check := func(err error, want string) {
				t.Helper()
				if want == "" && err != nil || want != "" && (!errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), want)) {
					t.Errorf("%s: %v, want %q", x.name, err, want)
				}
			}
			_, err = Verify(t.Context(), tx)
			check(err, x.chain)
			if x.noted == "" {
				x.noted = x.chain
			}
			_, err = Verify(t.Context(), tx, middle, noted)
			check(err, x.noted)
			tx.Rollback()
		}
		if _, err := Verify(t.Context(), db, middle, noted); err != nil {
			t.Error(err)
		}
	})
}

func exec(t testing.TB, tx *sql.Tx, query string, args ...any) {
	t.Helper()
	if _, err := tx.Exec(query, args...); err != nil {
		t.Fatal(err)
	}
}

// TestSeveralProcesses: three processes on one database write at once, with
// rollbacks among them; there is one chain with every entry once.
func TestSeveralProcesses(t *testing.T) {
	for name, dsn := range map[string]func(testing.TB) string{"sqlite": databasetest.SQLite, "postgres": databasetest.Postgres} {
		t.Run(name, func(t *testing.T) {
			where := dsn(t)
			var wg sync.WaitGroup
			const processes, writers, rounds = 3, 4, 6
			var last *database.DB
			for p := range processes {
				db, err := database.Open(where)
				if err != nil {
					t.Fatal(err)
				}
				defer db.Close()
				if err := db.Migrate(t.Context(), "directory", os.DirFS("../migrations")); err != nil {
					t.Fatal(err)
				}
				last = db
				for w := range writers {
					wg.Go(func() {
						for r := range rounds {
							err := db.Write(context.Background(), func(tx *sql.Tx) error {
								e := Event{Action: "x", Subject: fmt.Sprintf("%d/%d/%d", p, w, r)}
								if err := Append(context.Background(), tx, at, e, e); err != nil {
									return err
								}
								if r%3 == 2 {
									return errRolledBack
								}
								return nil
							})
							if err != nil && !errors.Is(err, errRolledBack) {
								t.Error(err)
							}
						}
					})
				}
			}
			wg.Wait()
			h, err := Verify(t.Context(), last)
			if want := int64(processes * writers * rounds * 2 / 3 * 2); err != nil || h.Seq != want {
				t.Errorf("%d entries, want %d: %v", h.Seq, want, err)
			}
		})
	}
}

var errRolledBack = errors.New("rolled back")
