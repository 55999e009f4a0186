package database_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/relay/database/databasetest"
	"github.com/perseus-edge/perseus-edge/relay/migrations"
)

func sqlFile(up, down string) *fstest.MapFile {
	return &fstest.MapFile{Data: []byte("-- +goose Up\n" + up + "\n-- +goose Down\n" + down + "\n")}
}

var counter = fstest.MapFS{"0001_counter.sql": sqlFile(
	"CREATE TABLE counter (name TEXT PRIMARY KEY, n BIGINT NOT NULL, body BYTEA, done BOOLEAN NOT NULL);\nINSERT INTO counter VALUES ('a', 0, NULL, FALSE);",
	"DROP TABLE counter;")}

func TestOpenRefuses(t *testing.T) {
	for dsn, want := range map[string]string{
		"":                              "use sqlite:PATH or postgres://",
		"mysql://root:hunter2@host/db":  "use sqlite:PATH or postgres://",
		"sqlite:":                       "needs a file",
		"sqlite::memory:":               "needs a file",
		"postgres://user:hunter2@%zz/x": "cannot be read",
		"sqlite:" + t.TempDir():         "is a directory",
	} {
		db, err := database.Open(dsn)
		if err == nil {
			db.Close()
			t.Errorf("Open(%q) succeeded", dsn)
		} else if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("Open(%q): %v; want %q and no password", dsn, err, want)
		}
	}
}

func TestSQLiteSettings(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a folder?#%41", "relay.db") // a name that is not plain in a URL
	db, err := database.Open("sqlite:" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if fi.Mode().Perm()&0o077 != 0 {
		t.Errorf("others can read the database: %v", fi.Mode())
	}
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "10000"} {
		var got string
		if err := db.QueryRow("PRAGMA " + pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s = %q, %v; want %q", pragma, got, err, want)
		}
	}
}

// Every goroutine reads, adds one and writes back: only a transaction that
// has the lock before it reads makes that add up.
func TestWriteIsExclusive(t *testing.T) {
	databasetest.Each(t, "counter", counter, func(t *testing.T, db *database.DB) {
		ctx := context.Background()
		const goroutines, rounds = 16, 5
		var wg sync.WaitGroup
		for range goroutines {
			wg.Go(func() {
				for range rounds {
					err := db.Write(ctx, func(tx *sql.Tx) error {
						var n int64
						if err := tx.QueryRowContext(ctx, `SELECT n FROM counter WHERE name = $1`+db.ForUpdate(), "a").Scan(&n); err != nil {
							return err
						}
						// A second connection, as ingest needs for the permissions.
						var again int64
						if err := db.QueryRowContext(ctx, `SELECT n FROM counter WHERE name = $1`, "a").Scan(&again); err != nil {
							return err
						}
						if again != n {
							t.Errorf("read %d beside the transaction, %d in it", again, n)
						}
						_, err := tx.ExecContext(ctx, `UPDATE counter SET n = $1 WHERE name = $2`, n+1, "a")
						return err
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		var n int64
		if err := db.QueryRow(`SELECT n FROM counter`).Scan(&n); err != nil || n != goroutines*rounds {
			t.Errorf("n = %d, %v; want %d", n, err, goroutines*rounds)
		}
	})
}

// Two programs on one SQLite file have no gate in common: there the file's
// write lock, taken at the beginning of a transaction, must do.
func TestTwoPrograms(t *testing.T) {
	dsn := databasetest.SQLite(t)
	ctx := context.Background()
	var wg sync.WaitGroup
	const rounds = 40
	for i := range 2 {
		db, err := database.Open(dsn)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if i == 0 {
			if err := db.Migrate(ctx, "counter", counter); err != nil {
				t.Fatal(err)
			}
		}
		wg.Go(func() {
			for range rounds {
				err := db.Write(ctx, func(tx *sql.Tx) error {
					var n int64
					if err := tx.QueryRow(`SELECT n FROM counter`).Scan(&n); err != nil {
						return err
					}
					_, err := tx.Exec(`UPDATE counter SET n = $1`, n+1)
					return err
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	db, err := database.Open(dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var n int64
	if err := db.QueryRow(`SELECT n FROM counter`).Scan(&n); err != nil || n != 2*rounds {
		t.Errorf("n = %d, %v; want %d", n, err, 2*rounds)
	}
}

func TestWriteRollsBack(t *testing.T) {
	databasetest.Each(t, "counter", counter, func(t *testing.T, db *database.DB) {
		ctx := context.Background()
		boom := errors.New("boom")
		err := db.Write(ctx, func(tx *sql.Tx) error {
			if _, err := tx.Exec(`UPDATE counter SET n = 7`); err != nil {
				return err
			}
			return boom
		})
		if !errors.Is(err, boom) {
			t.Fatalf("error %v", err)
		}
		var n int64
		if err := db.QueryRow(`SELECT n FROM counter`).Scan(&n); err != nil || n != 0 {
			t.Errorf("n = %d, %v after a rollback", n, err)
		}
		cancelled, cancel := context.WithCancel(ctx)
		cancel()
		if err := db.Write(cancelled, func(*sql.Tx) error { return nil }); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled Write: %v", err)
		}
	})
}

// A reader neither waits for a writer nor sees half of what it does.
func TestReadBesideWriter(t *testing.T) {
	databasetest.Each(t, "counter", counter, func(t *testing.T, db *database.DB) {
		ctx := context.Background()
		err := db.Write(ctx, func(tx *sql.Tx) error {
			if _, err := tx.Exec(`UPDATE counter SET n = 7`); err != nil {
				return err
			}
			read, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
			if err != nil {
				return err
			}
			defer read.Rollback()
			var n int64
			if err := read.QueryRow(`SELECT n FROM counter`).Scan(&n); err != nil || n != 0 {
				t.Errorf("reader saw %d, %v", n, err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestMigrate(t *testing.T) {
	other := fstest.MapFS{"0001_other.sql": sqlFile("CREATE TABLE other (id BIGINT PRIMARY KEY);", "DROP TABLE other;")}
	databasetest.Each(t, "", nil, func(t *testing.T, db *database.DB) {
		ctx := context.Background()
		var wg sync.WaitGroup
		for range 8 { // programs that start at the same time
			wg.Go(func() {
				if err := db.Migrate(ctx, "counter", counter); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if err := db.Migrate(ctx, "other", other); err != nil { // its 0001 is not the other's
			t.Fatal(err)
		}
		if _, err := db.Exec(`INSERT INTO other VALUES ($1)`, 1); err != nil {
			t.Fatal(err)
		}
		var rows int
		if err := db.QueryRow(`SELECT COUNT(*) FROM counter`).Scan(&rows); err != nil || rows != 1 {
			t.Errorf("%d rows, %v: the migration did not run exactly once", rows, err)
		}
		broken := fstest.MapFS{"0001_broken.sql": sqlFile("CREATE TABLE half (id BIGINT); INSERT INTO nowhere VALUES (1);", "")}
		if err := db.Migrate(ctx, "broken", broken); err == nil {
			t.Error("a broken migration succeeded")
		}
		if _, err := db.Exec(`SELECT id FROM half`); err == nil {
			t.Error("half of a broken migration stayed")
		}
		if err := db.Migrate(ctx, "x; DROP TABLE other", other); err == nil {
			t.Error("a strange name was taken")
		}
	})
}

// The relay's own schema goes on and comes off on both.
func TestRelayMigrations(t *testing.T) {
	databasetest.Each(t, "relay", migrations.Files, func(t *testing.T, db *database.DB) {
		var n int
		if err := db.QueryRow(`SELECT COUNT(*) FROM batch`).Scan(&n); err != nil || n != 0 {
			t.Fatalf("%d, %v", n, err)
		}
	})
}
