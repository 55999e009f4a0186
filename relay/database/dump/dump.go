// Package dump copies the central service's database to a file and back. The
// file is the same whichever kind of database it came from, so it also moves a
// service from SQLite to PostgreSQL or back. A copy is one moment's: the service
// may run meanwhile.
//
// A file is JSON lines, compressed with gzip: a header; for each table a line
// with its columns, then a line for each row; and a trailer with the number of
// rows and the SHA-256 of everything before it, so that a file that is cut off
// or damaged is never taken for a whole one. Tables come in the order of their
// references.
package dump

import (
	"bufio"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/relay/database"
)

const (
	format  = "perseus-central backup"
	version = 1
)

// Header is the first line of a file.
type Header struct {
	Format     string             `json:"format"`
	Version    int                `json:"version"`
	Made       time.Time          `json:"made"`
	Program    string             `json:"program"`
	From       database.Dialect   `json:"from"`
	Migrations map[string][]int64 `json:"migrations"` // of each set, those that were applied, in order
}

// Summary says what a file holds.
type Summary struct {
	Header
	Tables int
	Rows   int64
	SHA256 string
}

type tableLine struct {
	Table   string   `json:"table"`
	Columns []string `json:"columns"`
	Kinds   []string `json:"kinds"`
}

type endLine struct {
	End    bool   `json:"end"`
	Tables int    `json:"tables"`
	Rows   int64  `json:"rows"`
	SHA256 string `json:"sha256"`
}

// writer writes lines, and hashes them.
type writer struct {
	out  *bufio.Writer
	zip  *gzip.Writer
	hash hash.Hash
	rows int64
}

func (w *writer) line(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	b = append(b, '\n')
	w.hash.Write(b)
	_, err = w.out.Write(b)
	return err
}

// Write copies a database to w. beside, unless nil, is called in the same
// moment of the database, to read more of it.
func Write(ctx context.Context, db *database.DB, to io.Writer, program string, now time.Time, beside func(*sql.Tx) error) (Summary, error) {
	zip := gzip.NewWriter(to)
	w := &writer{out: bufio.NewWriterSize(zip, 1<<16), zip: zip, hash: sha256.New()}
	options := &sql.TxOptions{ReadOnly: true} // on SQLite that is one moment's view
	if db.Dialect == database.PostgreSQL {
		options.Isolation = sql.LevelRepeatableRead
	}
	tx, err := db.BeginTx(ctx, options)
	if err != nil {
		return Summary{}, fmt.Errorf("backup: %w", err)
	}
	defer tx.Rollback() // it only read
	s, err := w.all(ctx, tx, db.Dialect, Header{Format: format, Version: version, Made: now.UTC().Truncate(time.Second), Program: program, From: db.Dialect})
	if err == nil && beside != nil {
		err = beside(tx)
	}
	if err != nil {
		return Summary{}, fmt.Errorf("backup: %w", err)
	}
	return s, nil
}

func (w *writer) all(ctx context.Context, tx *sql.Tx, d database.Dialect, h Header) (Summary, error) {
	schema, err := readSchema(ctx, tx, d)
	if err != nil {
		return Summary{}, err
	}
	if len(schema.migrations) == 0 {
		return Summary{}, fmt.Errorf("the database has no tables of this program")
	}
	h.Migrations = schema.migrations
	if err := w.line(h); err != nil {
		return Summary{}, err
	}
	for _, t := range schema.tables {
		if err := w.table(ctx, tx, t); err != nil {
			return Summary{}, fmt.Errorf("table %s: %w", t.Table, err)
		}
	}
	end := endLine{true, len(schema.tables), w.rows, hex.EncodeToString(w.hash.Sum(nil))}
	if err := w.line(end); err != nil {
		return Summary{}, err
	}
	if err := w.out.Flush(); err != nil {
		return Summary{}, err
	}
	return Summary{h, end.Tables, end.Rows, end.SHA256}, w.zip.Close()
}

func (w *writer) table(ctx context.Context, tx *sql.Tx, t tableLine) error {
	if err := w.line(t); err != nil {
		return err
	}
	rows, err := tx.QueryContext(ctx, `SELECT `+quoted(t.Columns)+` FROM "`+t.Table+`"`)
	if err != nil {
		return err
	}
	defer rows.Close()
	values := make([]any, len(t.Kinds))
	for i, k := range t.Kinds {
		values[i] = kinds[k].scan()
	}
	row := make([]any, len(values))
	for rows.Next() {
		if err := rows.Scan(values...); err != nil {
			return err
		}
		for i, v := range values {
			if row[i], err = v.(sqlValue).Value(); err != nil {
				return err
			}
		}
		if err := w.line(row); err != nil { // []byte becomes base64
			return err
		}
		w.rows++
	}
	return rows.Err()
}

func quoted(names []string) string { return `"` + strings.Join(names, `", "`) + `"` }
