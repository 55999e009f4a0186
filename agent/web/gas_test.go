package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/agent"
	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/store"
)

// gasConfig has a gas meter, main, of 3 m3 each half-hour, and its daily values.
func gasConfig(t *testing.T, zone string) *config.Config {
	t.Helper()
	c := testConfig()
	c.Meters[0].Registers[0].Measure, c.Meters[0].Registers[0].Unit, c.Meters[0].Zone = energy.Gas, "L", zone
	file := filepath.Join(t.TempDir(), "<cv>.csv")
	text := "Applicable At,Applicable For,Data Item,Value,Generated Time,Quality Indicator\nx,10/01/2000,\"Calorific Value, LDZ(NT)\",39.1,11/01/2000 10:30:00,\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c.Gas.CalorificValues = []string{file}
	return c
}

// atThree lets an agent work from 03:00 to 06:01 of 11 January 2000, over the
// beginning of a gas day.
func atThree(*store.Store) error {
	time.Sleep(10*24*time.Hour + 3*time.Hour)
	return nil
}

func TestGasAsEnergy(t *testing.T) {
	withSeeded(t, gasConfig(t, "NT"), atThree, func(t *testing.T, ask func(string, string, ...func(*http.Request)) *http.Response) {
		var got struct{ Data []agent.Reading }
		if err := json.Unmarshal([]byte(body(t, ask("GET", "/api/v1/readings?meter=main&from=2000-01-11"))), &got); err != nil || len(got.Data) != 6 {
			t.Fatalf("%v: %+v", err, got)
		}
		// 3 m3 x 1.02264 x 39.1 / 3.6 = 33.32102 kWh, and with 39.5 33.66190 kWh
		for i, want := range []string{"33321 39.1 true", "33321 39.1 true", "33321 39.1 true", "33321 39.1 true", "33662 39.5 false", "33662 39.5 false"} {
			r := got.Data[i]
			if d := r.Derived; d == nil || d.Basis == nil || fmt.Sprint(d.Energy.Value, " ", d.Basis.CV, " ", d.Basis.Daily) != want || r.Energy.Value != "3.000" || r.Energy.UnitCode != "MTQ" || d.Energy.UnitCode != "WHR" {
				t.Errorf("%v: %+v, want %s", r.From, d, want)
			}
		}
		page := body(t, ask("GET", "/?meter=main"))
		for _, want := range []string{
			"18.000 m³ in 6 half-hours; as energy 200.608 kWh, by a calorific value that stands in for the published one",
			"04:30 to 05:00: 3.000 m³, measured; 33.321 kWh by 39.1 MJ/m³, volume factor 1.02264<", "05:00 to 05:30: 3.000 m³, measured; 33.662 kWh by 39.5 MJ/m³ (stand-in), volume factor 1.02264<",
			"<h3>As energy</h3>", `<th scope="row">2000-01-11</th><td>6.000 m³</td><td>67.324 kWh</td></tr>`, `colspan="3">39.5 MJ/m³, factor 1.02264; stands in, since 2000-01-01: typical of Great Britain, not published for the day</td>`,
			`2000-01-10</th><td>12.000 m³</td><td>133.284 kWh</td></tr>`, `39.1 MJ/m³, factor 1.02264; published for zone NT: National Gas, &lt;cv&gt;.csv</td>`,
			"the energy is then an estimate", "Its energy is worked out with a volume correction factor of 1.02264. Calorific values: National Gas daily values, else gas-calorific-values.yaml.",
		} {
			if !strings.Contains(page, want) {
				t.Errorf("the page lacks %s", want)
			}
		}
		if strings.Contains(page, "sha256:") {
			t.Error("the page shows the table's hash")
		}
		if all := body(t, ask("GET", "/")); strings.Contains(all, "<h3>As energy</h3>") || !strings.Contains(all, "as energy 200.608 kWh") {
			t.Error("the page of all meters")
		}
		if h := body(t, ask("GET", "/api/v1/history?meter=main")); strings.Contains(h, "derived") {
			t.Error("the history is of the record")
		}
	})
}

func TestGasThatIsNotKnownAsEnergy(t *testing.T) {
	withSeeded(t, gasConfig(t, "Stornoway"), atThree, func(t *testing.T, ask func(string, string, ...func(*http.Request)) *http.Response) {
		page := body(t, ask("GET", "/?meter=main"))
		for _, want := range []string{"18.000 m³ in 6 half-hours; as energy not known: the network of Stornoway carries", "Not all of it is known as energy: the network of Stornoway"} {
			if !strings.Contains(page, want) {
				t.Errorf("the page lacks %s", want)
			}
		}
		if strings.Contains(page, "stands in") || strings.Contains(page, "<th scope=\"col\">Gas days") {
			t.Error("the page has energy all the same")
		}
	})
}

// Days that were converted alike share a row.
func TestGasRuns(t *testing.T) {
	c := gasConfig(t, "")
	c.Meters[0].VCF = 1_500_000
	withSeeded(t, c, atThree, func(t *testing.T, ask func(string, string, ...func(*http.Request)) *http.Response) {
		page := body(t, ask("GET", "/?meter=main"))
		// 18 m3 x 1.5 x 39.5 / 3.6, of two gas days of 12 and 6 m3
		if want := `<th scope="row">2000-01-10 to 2000-01-11</th>`; !strings.Contains(page, want) || !strings.Contains(page, "<td>18.000 m³</td><td>296.250 kWh</td></tr>") || !strings.Contains(page, ">39.5 MJ/m³, factor 1.5; ") {
			t.Errorf("the page lacks one row of both days")
		}
	})
}
