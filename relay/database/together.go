package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// Statement is one statement of several that go to the server together.
type Statement struct {
	SQL  string
	Args []any
	// Row is called for each row of the result, with what reads it; nil: there is no result.
	Row func(scan func(...any) error) error
}

// Querier is what runs statements one by one: a database or a transaction.
type Querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// Tx is a transaction in few round trips: on PostgreSQL it begins with the
// first statements and ends with the last ones. The first error makes it
// useless. Its statements run with the context that it was begun with.
type Tx struct {
	Dialect
	ctx         context.Context
	on          Querier   // what its statements are run on one by one
	conn        *sql.Conn // PostgreSQL: the same
	begun, done bool      // PostgreSQL
}

var errTxStatus = errors.New("database: the transaction is not open any more")

// ExecContext is that of a sql.Tx.
func (tx *Tx) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if err := tx.open(); err != nil {
		return nil, err
	}
	return tx.on.ExecContext(ctx, query, args...)
}

// QueryContext is that of a sql.Tx.
func (tx *Tx) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if err := tx.open(); err != nil {
		return nil, err
	}
	return tx.on.QueryContext(ctx, query, args...)
}

// QueryRowContext is that of a sql.Tx.
func (tx *Tx) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	if err := tx.open(); err != nil {
		var cancel context.CancelCauseFunc
		ctx, cancel = context.WithCancelCause(ctx)
		cancel(err) // the only way to give a sql.Row its error
	}
	return tx.on.QueryRowContext(ctx, query, args...)
}

// open begins the transaction where it has not begun.
func (tx *Tx) open() error {
	switch {
	case tx.Dialect != PostgreSQL:
		return nil
	case tx.done:
		return errTxStatus
	case tx.begun:
		return nil
	}
	return tx.send(nil)
}

// WriteTx is Write with a transaction in few round trips. f may end it with
// Finish; otherwise it is committed when f returns nil.
func (db *DB) WriteTx(ctx context.Context, f func(*Tx) error) error {
	if db.Dialect != PostgreSQL {
		return db.Write(ctx, func(tx *sql.Tx) error { return f(&Tx{Dialect: db.Dialect, on: tx, ctx: ctx}) })
	}
	release, err := db.turn(ctx)
	if err != nil {
		return err
	}
	defer release()
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	tx := &Tx{Dialect: db.Dialect, on: conn, ctx: ctx, conn: conn}
	defer tx.clear()
	if err := f(tx); err != nil {
		return err
	}
	if tx.done || !tx.begun {
		return nil
	}
	return tx.Finish()
}

// Together runs statements one after the other, each seeing what those before
// it did, and what others committed before it began. On PostgreSQL they travel
// in one round trip, the beginning of the transaction with them.
func (tx *Tx) Together(all ...Statement) error {
	if tx.Dialect == PostgreSQL {
		return tx.send(all)
	}
	for _, s := range all {
		if err := tx.one(s); err != nil {
			return err
		}
	}
	return nil
}

// Finish runs the last statements and commits. What f returns after it must be
// nil where it succeeded, since what is committed stays.
func (tx *Tx) Finish(all ...Statement) error {
	if tx.Dialect != PostgreSQL {
		return tx.Together(all...) // Write commits
	}
	err := tx.send(append(all[:len(all):len(all)], Statement{SQL: `COMMIT`}))
	tx.done = err == nil
	return err
}

func (tx *Tx) send(all []Statement) error {
	return tx.conn.Raw(func(c any) error {
		p := c.(*stdlib.Conn).Conn()
		want := byte('T')
		if !tx.begun {
			all, want = append([]Statement{{SQL: `BEGIN`}}, all...), 'I'
		}
		if tx.done || p.PgConn().TxStatus() != want {
			return errTxStatus // or else what is sent would stand for itself
		}
		tx.begun = true
		var b pgx.Batch
		for _, s := range all {
			b.Queue(s.SQL, s.Args...)
		}
		out := p.SendBatch(tx.ctx, &b)
		for _, s := range all {
			if err := result(out, s); err != nil {
				out.Close()
				return err
			}
		}
		return out.Close()
	})
}

func result(out pgx.BatchResults, s Statement) error {
	if s.Row == nil {
		tag, err := out.Exec()
		if err == nil && s.SQL == `COMMIT` && tag.String() != `COMMIT` {
			return fmt.Errorf("database: the transaction was not committed: %s", tag)
		}
		return err
	}
	rows, err := out.Query()
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := s.Row(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (tx *Tx) one(s Statement) error {
	if s.Row == nil {
		_, err := tx.ExecContext(tx.ctx, s.SQL, s.Args...)
		return err
	}
	rows, err := tx.QueryContext(tx.ctx, s.SQL, s.Args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := s.Row(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// clear rolls back what is open; a connection on which that does not work is
// given up.
func (tx *Tx) clear() {
	tx.conn.Raw(func(c any) error {
		p := c.(*stdlib.Conn).Conn()
		if p.IsClosed() {
			return driver.ErrBadConn
		}
		if p.PgConn().TxStatus() != 'I' {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(tx.ctx), busyTimeout)
			defer cancel()
			p.Exec(ctx, `ROLLBACK`)
		}
		if p.IsClosed() || p.PgConn().TxStatus() != 'I' {
			return driver.ErrBadConn
		}
		return nil
	})
}
