package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/relay/migrations"
)

// The log of deletions, as an operator reads it.
func TestDeletionList(t *testing.T) {
	text, _ := listened(t)
	path := write(t, text)
	ok(t, "init", "--config", path)
	c, err := loadConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	db, err := database.Open(c.Database)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Migrate(t.Context(), "relay", migrations.Files); err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{
		`INSERT INTO site (gateway, member, name, outcode, code_hash, registered, updated) VALUES ('https://d.example/g/1', 'm', 'n', 'SW8', X'00', 1, 1), ('https://d.example/g/2', 'm', 'n', 'SW8', X'01', 1, 1)`,
		`INSERT INTO deletion (id, gateway, reason, started, finished, collected, half_hours, bodies, first, last, record) VALUES
			('A', 'https://d.example/g/1', 'retention', 1767225600, 1767225660, 1751328000, 1488, 3, 1748736000, 1751326200, '{"ib1:provenance":"x"}'),
			('B', 'https://d.example/g/2', 'withdrawal', 1767312000, 0, 0, 48, 0, 1748736000, 1748820600, '')`,
	} {
		if _, err := db.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	out := ok(t, "deletion", "list", "--config", path)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != 3 || strings.Join(strings.Fields(lines[1]), " ") != "2026-01-01T00:00Z 2026-01-01T00:01Z retention 1488 3 2025-06-01 to 2025-06-30 https://d.example/g/1" ||
		!strings.Contains(lines[2], "broken off") {
		t.Errorf("%s", out)
	}
	var all []map[string]any
	if err := json.Unmarshal([]byte(ok(t, "deletion", "list", "--config", path, "--gateway", "https://d.example/g/1", "--format", "json")), &all); err != nil || len(all) != 1 ||
		all[0]["provenance"] == nil || all[0]["halfHours"] != 1488.0 || all[0]["collectedBefore"] != "2025-07-01T00:00:00Z" {
		t.Errorf("%v, %v", all, err)
	}
	if code, _, errs := call(t, "deletion", "list", "--config", path, "--format", "xml"); code != 2 || !strings.Contains(errs, "use table or json") {
		t.Errorf("%d %s", code, errs)
	}
	if code, _, errs := call(t, "deletion"); code != 2 || !strings.Contains(errs, "deletion list") {
		t.Errorf("%d %s", code, errs)
	}
}
