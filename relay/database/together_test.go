package database_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/relay/database/databasetest"
)

func eachCounter(t *testing.T, f func(t *testing.T, db *database.DB, n func() int)) {
	databasetest.Each(t, "counter", counter, func(t *testing.T, db *database.DB) {
		f(t, db, func() (n int) {
			t.Helper()
			if err := db.QueryRow(`SELECT n FROM counter`).Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n
		})
	})
}

var add = database.Statement{SQL: `UPDATE counter SET n = n + $1`, Args: []any{int64(1)}}

// Together or one by one: all of a transaction holds, or nothing.
func TestTransactionInFewRoundTrips(t *testing.T) {
	eachCounter(t, func(t *testing.T, db *database.DB, n func() int) {
		bad := errors.New("no")
		var seen int64
		look := database.Statement{SQL: `SELECT n FROM counter WHERE name = $1` + db.ForUpdate(), Args: []any{"a"},
			Row: func(scan func(...any) error) error { return scan(&seen) }}
		for _, c := range []struct {
			name string
			f    func(tx *database.Tx) error
			adds int
			err  bool
		}{
			{"committed at the end", func(tx *database.Tx) error { return tx.Together(add, look, add) }, 2, false},
			{"committed with the last", func(tx *database.Tx) error {
				if err := tx.Together(look); err != nil {
					return err
				}
				return tx.Finish(add, add, add)
			}, 3, false},
			{"begun with one by itself", func(tx *database.Tx) error {
				if _, err := tx.ExecContext(t.Context(), add.SQL, add.Args...); err != nil {
					return err
				}
				return tx.Together(add)
			}, 2, false},
			{"nothing at all", func(*database.Tx) error { return nil }, 0, false},
			{"refused before anything", func(*database.Tx) error { return bad }, 0, true},
			{"refused after some", func(tx *database.Tx) error { return errors.Join(tx.Together(add, add), bad) }, 0, true},
			{"refused after one by itself", func(tx *database.Tx) error {
				if err := tx.QueryRowContext(t.Context(), `SELECT n FROM counter`).Scan(&seen); err != nil {
					return err
				}
				_, err := tx.ExecContext(t.Context(), add.SQL, add.Args...)
				return errors.Join(err, bad)
			}, 0, true},
			{"an error in between", func(tx *database.Tx) error {
				return tx.Together(add, database.Statement{SQL: `INSERT INTO counter VALUES ('a', 1, NULL, FALSE)`}, add)
			}, 0, true},
			{"an error before the commit", func(tx *database.Tx) error {
				return tx.Finish(add, database.Statement{SQL: `INSERT INTO counter VALUES ('a', 1, NULL, FALSE)`})
			}, 0, true},
			{"an error that is not passed on", func(tx *database.Tx) error {
				tx.Together(add, database.Statement{SQL: `INSERT INTO counter VALUES ('a', 1, NULL, FALSE)`})
				return tx.Together(add)
			}, -1, db.Dialect == database.PostgreSQL},
			{"a row that is not taken", func(tx *database.Tx) error {
				return tx.Together(add, database.Statement{SQL: `SELECT n FROM counter`, Row: func(func(...any) error) error { return bad }})
			}, 0, true},
		} {
			before := n()
			if err := db.WriteTx(t.Context(), c.f); (err != nil) != c.err {
				t.Errorf("%s: %v", c.name, err)
			}
			if c.adds < 0 { // SQLite goes on after a statement that failed
				if c.err && n() != before {
					t.Errorf("%s: %d were added", c.name, n()-before)
				}
				continue
			}
			if got := n() - before; got != c.adds {
				t.Errorf("%s: %d were added, want %d", c.name, got, c.adds)
			}
		}
		if seen == 0 {
			t.Error("nothing was read")
		}
	})
}

// Whoever goes away in the middle leaves nothing behind: neither a half of a
// transaction, nor a connection on which the next one would be part of it.
func TestTransactionCutOff(t *testing.T) {
	eachCounter(t, func(t *testing.T, db *database.DB, n func() int) {
		for range 20 {
			ctx, cancel := context.WithCancel(t.Context())
			err := db.WriteTx(ctx, func(tx *database.Tx) error {
				if err := tx.Together(add); err != nil {
					return err
				}
				cancel()
				tx.ExecContext(t.Context(), add.SQL, add.Args...) // must not stand for itself
				return tx.Finish(add)
			})
			if err == nil {
				t.Fatal("a transaction whose context has ended was committed")
			}
		}
		if got := n(); got != 0 {
			t.Errorf("%d were added", got)
		}
		if err := db.WriteTx(t.Context(), func(tx *database.Tx) error { return tx.Finish(add) }); err != nil || n() != 1 {
			t.Errorf("%v, %d", err, n())
		}
	})
}

// After the commit nothing is taken any more on PostgreSQL, where it would
// stand for itself.
func TestTransactionIsOver(t *testing.T) {
	eachCounter(t, func(t *testing.T, db *database.DB, n func() int) {
		if db.Dialect != database.PostgreSQL {
			t.Skip("on SQLite the transaction ends when its function returns")
		}
		if err := db.WriteTx(t.Context(), func(tx *database.Tx) error {
			if err := tx.Finish(add); err != nil {
				return err
			}
			_, err := tx.ExecContext(t.Context(), add.SQL, add.Args...)
			if again := tx.Together(add); err == nil || again == nil || tx.QueryRowContext(t.Context(), `SELECT 1`).Scan(new(int)) == nil {
				t.Errorf("%v, %v", err, again)
			}
			return nil
		}); err != nil || n() != 1 {
			t.Errorf("%v, %d", err, n())
		}
	})
}

// Locked rows are read as those left them who had the lock before.
func TestLockedReads(t *testing.T) {
	eachCounter(t, func(t *testing.T, db *database.DB, n func() int) {
		const writers = 40
		var wg sync.WaitGroup
		for range writers {
			wg.Go(func() {
				var before int64
				if err := db.WriteTx(t.Context(), func(tx *database.Tx) error {
					if err := tx.Together(database.Statement{SQL: `SELECT name FROM counter` + db.ForUpdate(), Row: func(scan func(...any) error) error { return scan(new(string)) }},
						database.Statement{SQL: `SELECT n FROM counter`, Row: func(scan func(...any) error) error { return scan(&before) }}); err != nil {
						return err
					}
					return tx.Finish(database.Statement{SQL: `UPDATE counter SET n = $1`, Args: []any{before + 1}})
				}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n() != writers {
			t.Errorf("%d of %d writes are there", n(), writers)
		}
	})
}
