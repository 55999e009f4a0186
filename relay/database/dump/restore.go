package dump

import (
	"bufio"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/perseus-edge/perseus-edge/relay/database"
)

// longestLine bounds a line of a file: 64 MiB, more than any row of ours.
const longestLine = 64 << 20

// ErrNotEmpty is the error of Restore into a database that has tables.
var ErrNotEmpty = errors.New("the database is not empty")

// Restore puts a copy into an empty database: all of it or, whatever goes wrong
// on the way, nothing but empty tables. sets are the migrations that this
// program knows; the database is brought to the copy's version of each, and
// Migrate later to the present one. after, unless nil, runs in the same
// transaction when everything is there.
func Restore(ctx context.Context, db *database.DB, from io.Reader, sets map[string]fs.FS, after func(*sql.Tx) error) (Summary, error) {
	r, err := newReader(from)
	if err != nil {
		return Summary{}, fmt.Errorf("restore: %w", err)
	}
	if err := prepare(ctx, db, r.header, sets); err != nil {
		return Summary{}, fmt.Errorf("restore: %w", err)
	}
	var s Summary
	err = db.Write(ctx, func(tx *sql.Tx) error {
		here, err := readSchema(ctx, tx, db.Dialect)
		if err != nil {
			return err
		}
		for _, t := range slices.Backward(here.tables) { // rows that migrations made
			if _, err := tx.ExecContext(ctx, `DELETE FROM "`+t.Table+`"`); err != nil {
				return err
			}
		}
		if s, err = r.load(ctx, tx, here); err != nil || after == nil {
			return err
		}
		return after(tx)
	})
	if err != nil {
		return Summary{}, fmt.Errorf("restore: %w", err)
	}
	return s, nil
}

// Check reads a whole file, and says what it holds.
func Check(from io.Reader) (Summary, error) {
	r, err := newReader(from)
	if err != nil {
		return Summary{}, fmt.Errorf("backup: %w", err)
	}
	s, err := r.each(func(tableLine) error { return nil }, func([]any) error { return nil })
	if err != nil {
		return Summary{}, fmt.Errorf("backup: %w", err)
	}
	return s, nil
}

// prepare makes the tables of the copy's version.
func prepare(ctx context.Context, db *database.DB, h Header, sets map[string]fs.FS) error {
	tx, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	s, err := readSchema(ctx, tx, db.Dialect)
	tx.Rollback()
	if err != nil {
		return err
	}
	if len(s.tables) > 0 || len(s.migrations) > 0 {
		return fmt.Errorf("%w: restore into a new one, and keep the old until you have looked at the new", ErrNotEmpty)
	}
	for _, set := range slices.Sorted(maps.Keys(h.Migrations)) {
		files, ok := sets[set]
		if !ok {
			return fmt.Errorf("the backup has tables of %q, of which this program knows nothing", cut(set))
		}
		versions := h.Migrations[set]
		if len(versions) == 0 {
			return fmt.Errorf("the backup says no version of %q", set)
		}
		if err := db.MigrateTo(ctx, set, files, versions[len(versions)-1]); err != nil {
			return err
		}
	}
	tx, err = db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	defer tx.Rollback() // it only read
	if s, err = readSchema(ctx, tx, db.Dialect); err != nil {
		return err
	}
	for set, versions := range h.Migrations {
		if !slices.Equal(s.migrations[set], versions) {
			return fmt.Errorf("the backup (by %s) has versions %v of the %s tables, this program knows %v: restore it with the program that made it", cut(h.Program), versions, set, s.migrations[set])
		}
	}
	return nil
}

// reader reads lines, and hashes them.
type reader struct {
	lines  *bufio.Scanner
	hash   hash.Hash
	header Header
}

func newReader(from io.Reader) (*reader, error) {
	zip, err := gzip.NewReader(from)
	if err != nil {
		return nil, errors.New("not a backup of perseus-central (it is not compressed with gzip)")
	}
	r := &reader{lines: bufio.NewScanner(zip), hash: sha256.New()}
	r.lines.Buffer(make([]byte, 1<<16), longestLine)
	line, err := r.next()
	if err != nil {
		return nil, err
	}
	if json.Unmarshal(line, &r.header) != nil || r.header.Format != format {
		return nil, errors.New("not a backup of perseus-central")
	}
	if r.header.Version != version {
		return nil, fmt.Errorf("a backup in form %d, this program reads form %d: use the program that made it (%s)", r.header.Version, version, cut(r.header.Program))
	}
	r.add(line)
	return r, nil
}

func (r *reader) next() ([]byte, error) {
	if r.lines.Scan() {
		return r.lines.Bytes(), nil
	}
	if err := r.lines.Err(); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, fmt.Errorf("the file is damaged: %w", err)
	}
	return nil, errors.New("the file is cut off: it has no end")
}

func (r *reader) add(line []byte) {
	r.hash.Write(line)
	r.hash.Write([]byte{'\n'})
}

// each goes through the tables and rows, to the end, and checks it.
func (r *reader) each(table func(tableLine) error, row func([]any) error) (Summary, error) {
	s := Summary{Header: r.header}
	var current tableLine
	for {
		line, err := r.next()
		if err != nil {
			return s, err
		}
		if strings.HasPrefix(string(line), "[") {
			values, err := current.values(line)
			if err != nil {
				return s, fmt.Errorf("table %s: row %d: %w", current.Table, s.Rows+1, err)
			}
			r.add(line)
			s.Rows++
			if err := row(values); err != nil {
				return s, fmt.Errorf("table %s: %w", current.Table, err)
			}
			continue
		}
		var x struct {
			tableLine
			endLine
		}
		if err := json.Unmarshal(line, &x); err != nil {
			return s, fmt.Errorf("the file is damaged: %w", err)
		}
		if x.End {
			s.SHA256 = hex.EncodeToString(r.hash.Sum(nil))
			if x.SHA256 != s.SHA256 || x.Rows != s.Rows || x.Tables != s.Tables {
				return s, errors.New("the file is damaged: its contents are not what was written")
			}
			if r.lines.Scan() || r.lines.Err() != nil { // the gzip checksum comes last
				return s, errors.New("the file is damaged: something follows its end")
			}
			return s, nil
		}
		current = x.tableLine
		if err := current.check(); err != nil {
			return s, err
		}
		r.add(line)
		s.Tables++
		if err := table(current); err != nil {
			return s, err
		}
	}
}

func (t tableLine) check() error {
	ok := nameForm.MatchString(t.Table) && len(t.Columns) == len(t.Kinds) && len(t.Columns) > 0
	for i := range t.Columns {
		_, known := kinds[t.Kinds[min(i, len(t.Kinds)-1)]]
		ok = ok && known && nameForm.MatchString(t.Columns[i])
	}
	if !ok {
		return errors.New("the file is damaged: a table is not described as it should be")
	}
	return nil
}

func (t tableLine) values(line []byte) ([]any, error) {
	var raw []json.RawMessage
	if err := json.Unmarshal(line, &raw); err != nil || len(raw) != len(t.Columns) {
		return nil, errors.New("not a row of its table: the file is damaged")
	}
	out := make([]any, len(raw))
	for i, m := range raw {
		if string(m) == "null" {
			continue
		}
		var err error
		if out[i], err = kinds[t.Kinds[i]].read(m); err != nil {
			return nil, fmt.Errorf("column %s: %w", t.Columns[i], err)
		}
	}
	return out, nil
}

// load inserts everything.
func (r *reader) load(ctx context.Context, tx *sql.Tx, here schema) (Summary, error) {
	var insert *sql.Stmt
	defer func() {
		if insert != nil {
			insert.Close()
		}
	}()
	return r.each(func(t tableLine) (err error) {
		if insert != nil {
			insert.Close()
		}
		i := slices.IndexFunc(here.tables, func(h tableLine) bool { return h.Table == t.Table })
		if i < 0 || !sameColumns(here.tables[i], t) {
			return fmt.Errorf("table %s is not as it is in this program: restore with the program that made the backup (%s)", t.Table, cut(r.header.Program))
		}
		places := make([]string, len(t.Columns))
		for i := range places {
			places[i] = fmt.Sprintf("$%d", i+1)
		}
		insert, err = tx.PrepareContext(ctx, `INSERT INTO "`+t.Table+`" (`+quoted(t.Columns)+`) VALUES (`+strings.Join(places, ", ")+`)`)
		return err
	}, func(values []any) error {
		if insert == nil {
			return errors.New("the file is damaged: a row before its table")
		}
		_, err := insert.ExecContext(ctx, values...)
		return err
	})
}

// sameColumns compares by name: columns that were added later stand elsewhere
// where a table was made anew.
func sameColumns(a, b tableLine) bool {
	kinds := map[string]string{}
	for i, c := range a.Columns {
		kinds[c] = a.Kinds[i]
	}
	for i, c := range b.Columns {
		if kinds[c] != b.Kinds[i] {
			return false
		}
	}
	return len(a.Columns) == len(b.Columns)
}

// cut shortens what a file says of itself for an error.
func cut(s string) string {
	if r := []rune(s); len(r) > 60 {
		return string(r[:60])
	}
	return s
}
