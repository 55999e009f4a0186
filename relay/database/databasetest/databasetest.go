// Package databasetest gives tests a fresh database: SQLite always,
// PostgreSQL too where PERSEUS_TEST_POSTGRES holds the address of a server.
package databasetest

import (
	"context"
	"crypto/rand"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
	"github.com/perseus-edge/perseus-edge/relay/database"
)

// Each runs f on every kind of database, as the subtests "sqlite" and
// "postgres", migrated with the set name of files (nil: not migrated).
func Each(t *testing.T, name string, files fs.FS, f func(t *testing.T, db *database.DB)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { f(t, open(t, SQLite(t), name, files)) })
	t.Run("postgres", func(t *testing.T) { f(t, open(t, Postgres(t), name, files)) })
}

// SQLite gives the address of a database file that does not exist yet.
func SQLite(t testing.TB) string {
	return "sqlite:" + filepath.Join(t.TempDir(), "test.db")
}

// Postgres gives the address of an empty schema of its own, which goes when
// the test ends. It skips the test where there is no server.
func Postgres(t testing.TB) string {
	t.Helper()
	dsn := os.Getenv("PERSEUS_TEST_POSTGRES")
	if dsn == "" {
		t.Skip("PERSEUS_TEST_POSTGRES is not set: set it to the address of a PostgreSQL database, such as postgres://postgres@127.0.0.1/test")
	}
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal("PERSEUS_TEST_POSTGRES is not an address of the form postgres://USER@HOST/NAME")
	}
	if password, ok := u.User.Password(); ok && len(password) >= 8 {
		record.Secret(t, "password of a database", password)
	}
	admin, err := database.Open(dsn)
	if err != nil {
		t.Fatal(err)
	}
	schema := "test_" + strings.ToLower(rand.Text())
	if _, err := admin.Exec(`CREATE SCHEMA ` + schema); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := admin.Exec(`DROP SCHEMA ` + schema + ` CASCADE`); err != nil {
			t.Error(err)
		}
		admin.Close()
	})
	q := u.Query()
	q.Set("search_path", schema)
	u.RawQuery = q.Encode()
	return u.String()
}

func open(t *testing.T, dsn, name string, files fs.FS) *database.DB {
	t.Helper()
	db, err := database.Open(dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if files != nil {
		if err := db.Migrate(context.Background(), name, files); err != nil {
			t.Fatal(err)
		}
	}
	return db
}
