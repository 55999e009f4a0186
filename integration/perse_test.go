package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// known is one half-hour of a file: the truth that a test compares with.
type known struct {
	start time.Time // UTC
	wh    int64
}

// perse reads ../shared/data/perse by itself, not with our importer: settlement
// periods P1 to P50 of local days, in kWh.
func perse(t testing.TB) []known {
	t.Helper()
	path := filepath.Join("..", "..", "shared", "data", "perse", "half-hourly-2024-01-to-2024-06.json")
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("../shared/data is absent: the half-hourly file of Perse cannot be replayed")
	} else if err != nil {
		t.Fatal(err)
	}
	var file struct{ Data []map[string]any }
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	london, err := time.LoadLocation("Europe/London")
	if err != nil {
		t.Fatal(err)
	}
	var raw struct{ Data []map[string]json.RawMessage }
	if err := json.Unmarshal(b, &raw); err != nil {
		t.Fatal(err)
	}
	var all []known
	for i, day := range file.Data {
		date, _ := day["Date"].(string)
		midnight, err := time.ParseInLocation(time.DateOnly, date, london)
		if err != nil {
			t.Fatal(err)
		}
		for p := 1; p <= 50; p++ {
			text := string(raw.Data[i][fmt.Sprintf("P%d", p)])
			if text == "null" || text == "" {
				continue
			}
			kWh, ok := new(big.Rat).SetString(text)
			if !ok {
				t.Fatalf("%s P%d: %s", date, p, text)
			}
			wh := kWh.Mul(kWh, big.NewRat(1000, 1))
			if !wh.IsInt() {
				t.Fatalf("%s P%d: %s kWh is not a whole number of Wh", date, p, text)
			}
			all = append(all, known{midnight.UTC().Add(time.Duration(p-1) * 30 * time.Minute), wh.Num().Int64()})
		}
	}
	for i := 1; i < len(all); i++ {
		if all[i].start.Sub(all[i-1].start) != 30*time.Minute {
			t.Fatalf("the file has a hole between %v and %v", all[i-1].start, all[i].start)
		}
	}
	return all
}
