// Package database opens the central service's database: SQLite by default,
// PostgreSQL where one machine is outgrown. One set of queries and one folder
// of migrations serve both.
//
// The shared subset of SQL: $1 placeholders, TEXT, BIGINT (unix seconds),
// BYTEA, BOOLEAN, ON CONFLICT, RETURNING. No JSON operators, arrays, now(),
// ILIKE or SERIAL. The one expected difference is a row lock: see ForUpdate.
package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite" // driver "sqlite"
)

// Dialect names the kind of database behind a DB.
type Dialect string

// The dialects.
const (
	SQLite     Dialect = "sqlite"
	PostgreSQL Dialect = "postgres"
)

// ForUpdate is the clause that locks the rows of a SELECT for the rest of the
// transaction. On SQLite it is empty: there a transaction holds the write lock
// of the whole database from its first statement on.
func (d Dialect) ForUpdate() string {
	if d == PostgreSQL {
		return " FOR UPDATE"
	}
	return ""
}

// Sizes of the PostgreSQL pool. Two programs side by side, each with this
// pool, stay well under the server's default of 100 connections.
const (
	postgresOpen = 24
	postgresIdle = 8
)

// busyTimeout is how long a SQLite statement waits for the write lock before
// it fails. Our longest transaction (a batch of 1 MiB) takes well under 1 s.
const busyTimeout = 10 * time.Second

// DB is an open database and its dialect. Transactions that only read should
// say so (sql.TxOptions.ReadOnly): on SQLite they then do not wait for a
// writer. Transactions that write go through Write.
type DB struct {
	*sql.DB
	Dialect
	writers chan struct{} // one token for each transaction of Write
}

// Open opens the database that dsn names: "sqlite:PATH", where PATH is
// relative to the working directory or absolute, or "postgres://..". The
// SQLite file and its folder are made where they are missing, readable by the
// owner only. It fails when the database cannot be reached.
func Open(dsn string) (*DB, error) {
	switch {
	case strings.HasPrefix(dsn, "sqlite:"):
		return openSQLite(strings.TrimPrefix(dsn, "sqlite:"))
	case strings.HasPrefix(dsn, "postgres://"), strings.HasPrefix(dsn, "postgresql://"):
		return openPostgres(dsn)
	}
	kind, _, _ := strings.Cut(dsn, ":") // the rest may hold a password
	return nil, fmt.Errorf("database: %q is not a kind of database: use sqlite:PATH or postgres://USER@HOST/NAME", kind)
}

func openSQLite(path string) (*DB, error) {
	if path == "" || strings.HasPrefix(path, ":memory:") {
		return nil, errors.New("database: sqlite needs a file: use sqlite:PATH")
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(abs), 0o700); err != nil {
		return nil, fmt.Errorf("database: make the folder for %s: %w", path, err)
	}
	f, err := os.OpenFile(abs, os.O_RDWR|os.O_CREATE, 0o600) // SQLite itself would make it readable by all
	if err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	f.Close()

	q := url.Values{"_txlock": {"immediate"}, "_pragma": {
		fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()),
		"journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(ON)",
		"secure_delete(FAST)", // what is deleted after a withdrawal is overwritten
	}}
	slash := filepath.ToSlash(abs)
	if !strings.HasPrefix(slash, "/") {
		slash = "/" + slash // a Windows drive: file:///C:/..
	}
	u := url.URL{Scheme: "file", Path: slash, RawQuery: q.Encode()}
	db, err := sql.Open("sqlite", u.String())
	if err != nil {
		return nil, fmt.Errorf("database: %s: %w", path, err)
	}
	// No upper bound: a transaction that waits for the write lock holds a
	// connection, and the one that has the lock may need a second one to
	// read. With a bound the waiters could keep it from ever getting one.
	db.SetMaxIdleConns(8)
	return ready(&DB{DB: db, Dialect: SQLite, writers: make(chan struct{}, 1)}, "sqlite:"+path)
}

func openPostgres(dsn string) (*DB, error) {
	c, err := pgx.ParseConfig(dsn)
	if err != nil { // it may quote the address, password and all
		return nil, errors.New("database: the postgres:// address cannot be read: check its form, postgres://USER@HOST:PORT/NAME")
	}
	db := stdlib.OpenDB(*c)
	db.SetMaxOpenConns(postgresOpen)
	db.SetMaxIdleConns(postgresIdle)
	db.SetConnMaxLifetime(30 * time.Minute) // follow a server that moved
	// Half the pool: each writer may need a second connection to read.
	return ready(&DB{DB: db, Dialect: PostgreSQL, writers: make(chan struct{}, postgresOpen/2)}, "postgres")
}

func ready(db *DB, name string) (*DB, error) {
	ctx, cancel := context.WithTimeout(context.Background(), busyTimeout)
	defer cancel()
	if err := db.PingContext(ctx); err != nil {
		db.Close()
		return nil, fmt.Errorf("database: cannot reach %s: %w", name, err)
	}
	return db, nil
}

// Write runs f in one transaction and commits it when f returns nil; any error
// of f rolls everything back and is returned. On SQLite one Write runs at a
// time (the others wait here rather than at the file's lock); on PostgreSQL as
// many as leave each of them a second connection for reading besides.
func (db *DB) Write(ctx context.Context, f func(*sql.Tx) error) error {
	release, err := db.turn(ctx)
	if err != nil {
		return err
	}
	defer release()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // no effect once committed
	if err := f(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// turn waits until a writer may begin.
func (db *DB) turn(ctx context.Context) (release func(), err error) {
	if db.writers == nil { // a DB that was not made by Open
		return func() {}, nil
	}
	select {
	case db.writers <- struct{}{}:
		return func() { <-db.writers }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
