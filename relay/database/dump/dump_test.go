package dump

import (
	"bytes"
	"compress/gzip"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/relay/database/databasetest"
	"github.com/perseus-edge/perseus-edge/relay/migrations"
)

var at = time.Date(2026, 11, 22, 16, 30, 0, 0, time.UTC)

func file(up string) *fstest.MapFile {
	return &fstest.MapFile{Data: []byte("-- +goose Up\n" + up + "\n-- +goose Down\nSELECT 1;\n")}
}

// plain has every kind of column, references against the alphabet, a row that
// the migration itself makes, and a column that came later.
var plain = fstest.MapFS{
	"00001_a.sql": file(`CREATE TABLE zebra (id TEXT PRIMARY KEY, n BIGINT, ok BOOLEAN, b BYTEA, small INTEGER);
CREATE TABLE apple (id BIGINT PRIMARY KEY, of TEXT NOT NULL REFERENCES zebra (id), body BYTEA NOT NULL);
CREATE TABLE total (one INTEGER PRIMARY KEY, n BIGINT NOT NULL);
INSERT INTO total VALUES (1, 0);`),
	"00002_b.sql": file(`ALTER TABLE zebra ADD COLUMN "order" TEXT NOT NULL DEFAULT '';`),
}

var sets = map[string]fs.FS{"plain": plain}

var both = map[string]func(testing.TB) string{"sqlite": databasetest.SQLite, "postgres": databasetest.Postgres}

func open(t testing.TB, dsn string) *database.DB {
	t.Helper()
	db, err := database.Open(dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func fill(t testing.TB, db *database.DB) {
	t.Helper()
	if err := db.Migrate(t.Context(), "plain", plain); err != nil {
		t.Fatal(err)
	}
	for _, row := range [][]any{
		{"a", int64(math.MaxInt64), true, []byte{0, 1, 255}, 7, "x"}, {"b", int64(math.MinInt64), false, []byte{}, -7, ""}, {"c", nil, nil, nil, nil, "é \"quoted\" 'it'\n<&>"},
		{"9007199254740993", int64(9007199254740993), true, bytes.Repeat([]byte("x"), 200_000), 0, "[\"a row?\"]"},
	} {
		exec(t, db, `INSERT INTO zebra (id, n, ok, b, small, "order") VALUES ($1, $2, $3, $4, $5, $6)`, row...)
	}
	exec(t, db, `INSERT INTO apple VALUES (1, 'b', '')`) // text in a column of bytes, as SQLite keeps it
	exec(t, db, `UPDATE total SET n = 41`)
}

type execer interface {
	Exec(string, ...any) (sql.Result, error)
}

func exec(t testing.TB, db execer, query string, args ...any) {
	t.Helper()
	if _, err := db.Exec(query, args...); err != nil {
		t.Fatal(err)
	}
}

func written(t testing.TB, db *database.DB) ([]byte, Summary) {
	t.Helper()
	var b bytes.Buffer
	s, err := Write(t.Context(), db, &b, "test", at, nil)
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), s
}

// rowsOf are the lines of a file but its first and last, in an order of their own.
func rowsOf(t testing.TB, b []byte) []string {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(unzip(t, b)), "\n")
	lines = lines[1 : len(lines)-1]
	slices.Sort(lines)
	return lines
}

func unzip(t testing.TB, b []byte) string {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func zip(t testing.TB, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.WriteString(z, text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestThereAndBack: from each kind of database to each, nothing changes.
func TestThereAndBack(t *testing.T) {
	for from, source := range both {
		for to, target := range both {
			t.Run(from+" to "+to, func(t *testing.T) {
				a := open(t, source(t))
				fill(t, a)
				b, made := written(t, a)
				if made.Tables != 3 || made.Rows != 6 || !slices.Equal(made.Migrations["plain"], []int64{1, 2}) {
					t.Errorf("%+v", made)
				}
				if s, err := Check(bytes.NewReader(b)); err != nil || s.SHA256 != made.SHA256 || s.Rows != made.Rows || s.Program != "test" || !s.Made.Equal(at) {
					t.Errorf("%+v, %v", s, err)
				}
				c := open(t, target(t))
				got, err := Restore(t.Context(), c, bytes.NewReader(b), sets, func(tx *sql.Tx) error {
					_, err := tx.Exec(`UPDATE total SET n = n + 1`)
					return err
				})
				if err != nil || got.Rows != 6 {
					t.Fatal(got, err)
				}
				var n int64
				if err := c.QueryRow(`SELECT n FROM total`).Scan(&n); err != nil || n != 42 {
					t.Errorf("after: %d, %v", n, err)
				}
				exec(t, c, `UPDATE total SET n = 41`)
				again, _ := written(t, c)
				if !slices.Equal(rowsOf(t, again), rowsOf(t, b)) {
					t.Error("the restored database has other rows")
				}
				if _, err := Restore(t.Context(), c, bytes.NewReader(b), sets, nil); !errors.Is(err, ErrNotEmpty) {
					t.Errorf("over what is there: %v", err)
				}
				if err := c.Migrate(t.Context(), "plain", plain); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// TestUnderWrites: whoever writes keeps two tables in step; every copy has them
// in step.
func TestUnderWrites(t *testing.T) {
	for name, source := range both {
		t.Run(name, func(t *testing.T) {
			db := open(t, source(t))
			if err := db.Migrate(t.Context(), "plain", plain); err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(context.Background())
			done := make(chan error)
			started := make(chan struct{})
			go func() {
				for i := 0; ctx.Err() == nil; i++ {
					if i == 20 {
						close(started)
					}
					if err := db.Write(context.Background(), func(tx *sql.Tx) error {
						for _, q := range []string{`INSERT INTO zebra (id) VALUES (CAST($1 AS TEXT))`, `INSERT INTO apple (id, of, body) VALUES (CAST($1 AS BIGINT), CAST($1 AS TEXT), '')`} {
							if _, err := tx.Exec(q, fmt.Sprint(i)); err != nil {
								return err
							}
						}
						_, err := tx.Exec(`UPDATE total SET n = n + 1`)
						return err
					}); err != nil {
						done <- err
						return
					}
				}
				done <- nil
			}()
			<-started
			var copies [][]byte
			for range 5 {
				b, _ := written(t, db)
				copies = append(copies, b)
			}
			stop()
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			last := int64(-1)
			for _, b := range copies {
				c := open(t, databasetest.SQLite(t))
				if _, err := Restore(t.Context(), c, bytes.NewReader(b), sets, nil); err != nil {
					t.Fatal(err)
				}
				var n, zebras, apples int64
				if err := c.QueryRow(`SELECT n, (SELECT COUNT(*) FROM zebra), (SELECT COUNT(*) FROM apple) FROM total`).Scan(&n, &zebras, &apples); err != nil {
					t.Fatal(err)
				}
				if n != zebras || n != apples || n < last || n < 20 {
					t.Errorf("total %d, zebras %d, apples %d, after %d", n, zebras, apples, last)
				}
				last = n
			}
		})
	}
}

// TestOurTables: every table of the directory and of the relay can be copied,
// on both.
func TestOurTables(t *testing.T) {
	for name, source := range both {
		t.Run(name, func(t *testing.T) {
			ours := map[string]fs.FS{"directory": os.DirFS("../../../directory/migrations"), "relay": migrations.Files}
			db := open(t, source(t))
			for set, files := range ours {
				if err := db.Migrate(t.Context(), set, files); err != nil {
					t.Fatal(err)
				}
			}
			b, s := written(t, db)
			if s.Tables < 30 || s.Rows < 5 {
				t.Errorf("%d tables with %d rows", s.Tables, s.Rows)
			}
			if got, err := Restore(t.Context(), open(t, databasetest.SQLite(t)), bytes.NewReader(b), ours, nil); err != nil || got.Rows != s.Rows {
				t.Error(got.Rows, err)
			}
			if _, err := Write(t.Context(), open(t, databasetest.SQLite(t)), io.Discard, "", at, nil); err == nil {
				t.Error("a backup of nothing")
			}
		})
	}
}

func TestRefusedSchemas(t *testing.T) {
	for want, q := range map[string]string{
		"refers to itself": `CREATE TABLE a (id TEXT PRIMARY KEY, up TEXT REFERENCES a (id))`,
		"in a circle":      `CREATE TABLE a (id TEXT PRIMARY KEY, b TEXT REFERENCES b (id)); CREATE TABLE b (id TEXT PRIMARY KEY, a TEXT REFERENCES a (id))`,
		"not of a kind":    `CREATE TABLE a (id REAL)`,
	} {
		db := open(t, databasetest.SQLite(t))
		exec(t, db, q)
		if _, err := Write(t.Context(), db, io.Discard, "", at, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// FuzzCheck: no file makes the reader fall over, and none is whole by chance.
func FuzzCheck(f *testing.F) {
	header, err := json.Marshal(Header{Format: format, Version: version, Migrations: map[string][]int64{"plain": {1}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(header) + "\n" + `{"table":"a","columns":["b"],"kinds":["text"]}` + "\n[\"x\"]\n[null]\n" + `{"end":true,"tables":1,"rows":2,"sha256":""}` + "\n")
	f.Add(string(header) + "\n" + `{"table":"a","columns":["b","c"],"kinds":["int","bytes"]}` + "\n[1,\"eA==\"]\n")
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := Check(bytes.NewReader(zip(t, text))); err == nil && !strings.Contains(text, `"end"`) {
			t.Errorf("taken for whole: %q", text)
		}
	})
}
