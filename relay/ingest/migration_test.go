package ingest

import (
	"testing"

	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/relay/database/databasetest"
	"github.com/perseus-edge/perseus-edge/relay/migrations"
)

// The days that were stored before migration 10 made their table anew are there
// after it, byte for byte, and nothing refers to the table that it dropped.
func TestMigrationKeepsDays(t *testing.T) {
	databasetest.Each(t, "", nil, func(t *testing.T, db *database.DB) {
		if err := db.MigrateTo(t.Context(), "relay", migrations.Files, 9); err != nil {
			t.Fatal(err)
		}
		for _, q := range []string{
			`INSERT INTO site VALUES ('g', 'm', 'Shop', 'SW8', 'c', 1, 1)`,
			`INSERT INTO register VALUES (7, 'g', 'main', 1), (9, 'g', 'gas', 1)`,
		} {
			if _, err := db.Exec(q); err != nil {
				t.Fatal(err)
			}
		}
		want := map[dayKey]string{{7, 20000}: "\x00\xff day", {7, 20001}: "b", {9, 20000}: "c"}
		for k, data := range want {
			if _, err := db.Exec(`INSERT INTO day (register, day, data) VALUES ($1, $2, $3)`, k.register, k.day, []byte(data)); err != nil {
				t.Fatal(err)
			}
		}
		if err := db.Migrate(t.Context(), "relay", migrations.Files); err != nil {
			t.Fatal(err)
		}
		rows, err := db.Query(`SELECT register, day, data FROM day`)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var k dayKey
			var data []byte
			if err := rows.Scan(&k.register, &k.day, &data); err != nil {
				t.Fatal(err)
			}
			if want[k] != string(data) {
				t.Errorf("%v: %q", k, data)
			}
			delete(want, k)
		}
		if rows.Err() != nil || len(want) > 0 {
			t.Errorf("%v; lost: %v", rows.Err(), want)
		}
		if _, err := db.Exec(`INSERT INTO day VALUES (7, 20000, 'x')`); err == nil {
			t.Error("a day is stored twice")
		}
	})
}
