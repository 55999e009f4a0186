package dump

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/perseus-edge/perseus-edge/relay/database"
)

type sqlValue interface {
	Value() (driver.Value, error)
}

// kind is a type of column that our migrations use.
type kind struct {
	scan func() any
	read func(json.RawMessage) (any, error) // of what is not null
}

// blob is []byte that tells nothing from empty, which a driver may not: a column
// that is NOT NULL holds no nothing.
type blob struct{ sql.Null[[]byte] }

func (b *blob) Scan(v any) error {
	switch x := v.(type) {
	case nil:
		b.V, b.Valid = nil, false
	case string: // SQLite keeps what was written as text
		b.V, b.Valid = []byte(x), true
	case []byte:
		b.V, b.Valid = append([]byte{}, x...), true
	default:
		return fmt.Errorf("a value of type %T in a column of bytes", v)
	}
	return nil
}

func (b *blob) Value() (driver.Value, error) {
	if !b.Valid {
		return nil, nil
	}
	return b.V, nil
}

var kinds = map[string]kind{
	"text": {func() any { return new(sql.NullString) }, decode[string]},
	"int":  {func() any { return new(sql.NullInt64) }, decode[int64]},
	"bool": {func() any { return new(sql.NullBool) }, decode[bool]},
	"bytes": {func() any { return new(blob) }, func(m json.RawMessage) (any, error) {
		var s string
		if err := json.Unmarshal(m, &s); err != nil {
			return nil, err
		}
		b, err := base64.StdEncoding.DecodeString(s)
		if b == nil {
			b = []byte{} // not NULL
		}
		return b, err
	}},
}

func decode[T any](m json.RawMessage) (any, error) {
	var v T
	err := json.Unmarshal(m, &v)
	return v, err
}

// kindOf are the types of the SQL that both databases share.
var kindOf = map[string]string{"TEXT": "text", "BIGINT": "int", "INTEGER": "int", "BOOLEAN": "bool", "BYTEA": "bytes"}

const prefix = "migrated_" // of the tables that count migrations, see database.Migrate

var nameForm = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)

type schema struct {
	tables     []tableLine // each after those it refers to
	migrations map[string][]int64
}

// catalogue is how a kind of database is asked for its tables.
type catalogue struct{ tables, columns, references string }

var catalogues = map[database.Dialect]catalogue{
	database.SQLite: {
		`SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY name`,
		`SELECT m.name, c.name, c.type FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY m.name, c.cid`,
		`SELECT m.name, f."table" FROM sqlite_master m JOIN pragma_foreign_key_list(m.name) f WHERE m.type = 'table'`,
	},
	database.PostgreSQL: {
		`SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema() AND table_type = 'BASE TABLE' ORDER BY table_name`,
		`SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = current_schema() ORDER BY table_name, ordinal_position`,
		`SELECT a.relname, b.relname FROM pg_constraint c JOIN pg_class a ON a.oid = c.conrelid JOIN pg_class b ON b.oid = c.confrelid
			WHERE c.contype = 'f' AND c.connamespace = current_schema()::regnamespace`,
	},
}

func readSchema(ctx context.Context, tx *sql.Tx, d database.Dialect) (schema, error) {
	q := catalogues[d]
	s := schema{migrations: map[string][]int64{}}
	var names []string
	if err := each(ctx, tx, q.tables, 1, func(f []string) error {
		if set, ok := strings.CutPrefix(f[0], prefix); ok {
			s.migrations[set] = nil
			return nil
		}
		if !nameForm.MatchString(f[0]) {
			return fmt.Errorf("table %q is not one of this program", f[0])
		}
		names = append(names, f[0])
		return nil
	}); err != nil {
		return s, err
	}
	for set := range s.migrations {
		// By the column: PostgreSQL would take the bare name for that of the text.
		if err := each(ctx, tx, `SELECT CAST(m.version_id AS TEXT) FROM "`+prefix+set+`" m WHERE m.version_id > 0 ORDER BY m.version_id`, 1, func(f []string) error {
			var n int64
			_, err := fmt.Sscan(f[0], &n)
			s.migrations[set] = append(s.migrations[set], n)
			return err
		}); err != nil {
			return s, err
		}
	}
	columns := map[string]*tableLine{}
	if err := each(ctx, tx, q.columns, 3, func(f []string) error {
		if !slices.Contains(names, f[0]) {
			return nil
		}
		kind, ok := kindOf[strings.ToUpper(f[2])]
		if !ok || !nameForm.MatchString(f[1]) {
			return fmt.Errorf("table %s: column %q of type %s is not of a kind that can be copied", f[0], f[1], f[2])
		}
		t := columns[f[0]]
		if t == nil {
			t = &tableLine{Table: f[0]}
			columns[f[0]] = t
		}
		t.Columns, t.Kinds = append(t.Columns, f[1]), append(t.Kinds, kind)
		return nil
	}); err != nil {
		return s, err
	}
	refers := map[string][]string{}
	if err := each(ctx, tx, q.references, 2, func(f []string) error {
		if f[0] != f[1] {
			refers[f[0]] = append(refers[f[0]], f[1])
		} else {
			return fmt.Errorf("table %s refers to itself, which this backup cannot put in order", f[0])
		}
		return nil
	}); err != nil {
		return s, err
	}
	order, err := inOrder(names, refers)
	for _, n := range order {
		s.tables = append(s.tables, *columns[n])
	}
	return s, err
}

// inOrder puts each table after those that it refers to.
func inOrder(names []string, refers map[string][]string) ([]string, error) {
	var out []string
	for len(out) < len(names) {
		before := len(out)
		for _, n := range names {
			if !slices.Contains(out, n) && !slices.ContainsFunc(refers[n], func(r string) bool { return !slices.Contains(out, r) }) {
				out = append(out, n)
			}
		}
		if len(out) == before {
			return nil, errors.New("tables refer to each other in a circle")
		}
	}
	return out, nil
}

// each runs a query of n text columns.
func each(ctx context.Context, tx *sql.Tx, query string, n int, f func([]string) error) error {
	rows, err := tx.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		fields := make([]string, n)
		into := make([]any, n)
		for i := range fields {
			into[i] = &fields[i]
		}
		if err := rows.Scan(into...); err != nil {
			return err
		}
		if err := f(fields); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Tables lists the tables of a database.
func Tables(ctx context.Context, tx *sql.Tx, d database.Dialect) (out []string, err error) {
	err = each(ctx, tx, catalogues[d].tables, 1, func(f []string) error {
		out = append(out, f[0])
		return nil
	})
	return out, err
}
