package dump

import (
	"bytes"
	"fmt"
	"io/fs"
	"slices"
	"testing"
	"testing/fstest"
)

// From the tenth migration on, numbers are not in the order of their text.
func TestMoreThanNineMigrations(t *testing.T) {
	many, want := fstest.MapFS{}, []int64{}
	for i := range 12 {
		many[fmt.Sprintf("%05d_x.sql", i+1)], want = file(fmt.Sprintf(`CREATE TABLE t%d (id TEXT PRIMARY KEY);`, i+1)), append(want, int64(i+1))
	}
	for from, source := range both {
		for to, target := range both {
			t.Run(from+" to "+to, func(t *testing.T) {
				db := open(t, source(t))
				if err := db.Migrate(t.Context(), "plain", many); err != nil {
					t.Fatal(err)
				}
				exec(t, db, `INSERT INTO t12 VALUES ('last')`)
				var b bytes.Buffer
				made, err := Write(t.Context(), db, &b, "test", at, nil)
				if err != nil || !slices.Equal(made.Migrations["plain"], want) {
					t.Fatalf("%v, %v", made.Migrations, err)
				}
				there := open(t, target(t))
				if _, err := Restore(t.Context(), there, &b, map[string]fs.FS{"plain": many}, nil); err != nil {
					t.Fatal(err)
				}
				var n int
				if err := there.QueryRow(`SELECT COUNT(*) FROM t12`).Scan(&n); err != nil || n != 1 {
					t.Errorf("%d rows, %v", n, err)
				}
			})
		}
	}
}
