package dump

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/relay/database/databasetest"
)

// TestDamage: a file that is cut off or changed anywhere is refused, and leaves
// no row behind.
func TestDamage(t *testing.T) {
	a := open(t, databasetest.SQLite(t))
	fill(t, a)
	exec(t, a, `DELETE FROM zebra WHERE b IS NOT NULL AND LENGTH(b) > 1000`) // keep the file small
	good, _ := written(t, a)
	text := unzip(t, good)
	refuse := func(what string, b []byte, want string) {
		t.Helper()
		if _, err := Check(bytes.NewReader(b)); err == nil {
			t.Errorf("%s: taken for whole", what)
		}
		c := open(t, databasetest.SQLite(t))
		if _, err := Restore(t.Context(), c, bytes.NewReader(b), sets, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", what, err, want)
		}
		for _, table := range []string{"zebra", "apple"} {
			var n int
			if err := c.QueryRow(`SELECT COUNT(*) FROM ` + table).Scan(&n); err == nil && n != 0 {
				t.Errorf("%s: %d rows in %s", what, n, table)
			}
		}
	}
	for i := 0; i < len(good); i += 1 + len(good)/40 {
		refuse(fmt.Sprintf("cut off at %d of %d", i, len(good)), good[:i], "")
		changed := bytes.Clone(good)
		changed[i] ^= 0x10
		if i < 3 || i > 9 { // gzip's own header has bytes that mean nothing
			refuse(fmt.Sprintf("byte %d changed", i), changed, "")
		}
	}
	lines := strings.SplitAfter(text, "\n")
	for name, x := range map[string]struct{ text, want string }{
		"no end":               {strings.Join(lines[:len(lines)-2], ""), "cut off"},
		"a row taken out":      {strings.Replace(text, lines[2], "", 1), "not what was written"},
		"a value changed":      {strings.Replace(text, `"a"`, `"A"`, 1), "not what was written"},
		"something at the end": {text + "{}\n", "follows its end"},
		"a row first":          {strings.Replace(text, lines[1], "", 1), "not a row of its table"},
		"another format":       {strings.Replace(text, format, "other", 1), "not a backup"},
		"a later form":         {strings.Replace(text, `"version":1`, `"version":2`, 1), "use the program that made it"},
		"a later version":      {strings.Replace(text, `"plain":[1,2]`, `"plain":[1,2,3]`, 1), "restore it with the program that made it"},
		"another set":          {strings.Replace(text, `"plain"`, `"other"`, 1), "knows nothing"},
		"no version":           {strings.Replace(text, `[1,2]`, `[]`, 1), "no version"},
		"an odd table":         {strings.Replace(text, `"table":"zebra"`, `"table":"zebra\"; DROP TABLE x; --"`, 1), "not described"},
		"an unknown table":     {strings.Replace(text, `"table":"zebra"`, `"table":"lion"`, 1), "lion is not as it is"},
		"an unknown kind":      {strings.Replace(text, `"bool"`, `"float"`, 1), "not described"},
		"other columns":        {strings.Replace(text, `"small"`, `"large"`, 1), "is not as it is"},
	} {
		refuse(name, zip(t, x.text), x.want)
	}
	refuse("not gzip", []byte("hello"), "not a backup")
}
