package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/html"

	"github.com/perseus-edge/perseus-edge/agent"
	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/drivers/modbus"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/virtual"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
	"github.com/perseus-edge/perseus-edge/store"
)

var quiet = record.Logger(nil)

// steady is a bus whose first meter draws 6 kW and whose second is dead.
type steady struct{}

func (steady) Poll(_ context.Context, i int, dst []drivers.Reading) ([]drivers.Reading, error) {
	now := time.Now().UTC()
	if i == 1 {
		return append(dst, drivers.Reading{Err: &drivers.Error{Kind: drivers.Timeout, Op: "read <unit> 2", Err: errors.New("no answer")}}), nil
	}
	return append(dst, drivers.Reading{Sample: energy.Sample{At: now, Value: now.Unix() / 600 * 1000}, Raw: 7}), nil
}

func (steady) Close() error { return nil }

func testConfig() *config.Config {
	c := &config.Config{
		Site: config.Site{Name: "Fish & <Chips>", Outcode: "SW8"}, Period: energy.Period, Web: config.Web{Listen: "127.0.0.1:8480"},
		Store: config.Store{Path: "agent.db", KeepHalfHours: 400 * config.Day},
		Buses: []config.Bus{{ID: "bus", Driver: "fake", URL: "fake://"}},
	}
	for i, id := range []string{"main", "dead"} {
		c.Meters = append(c.Meters, config.Meter{ID: id, Bus: "bus", Unit: uint8(i + 1), Poll: 10 * time.Second,
			Registers: []config.Register{{Point: modbus.Point{Measure: energy.Import, Address: uint16(i), Type: "uint32", Unit: "Wh"}}}})
	}
	return c
}

// withAgent runs an agent for three hours of virtual time and lets f ask.
func withAgent(t *testing.T, c *config.Config, f func(t *testing.T, ask func(method, target string, change ...func(*http.Request)) *http.Response)) {
	withSeeded(t, c, func(*store.Store) error { return nil }, f)
}

// withSeeded is withAgent on a store into which seed has put something.
func withSeeded(t *testing.T, c *config.Config, seed func(*store.Store) error, f func(t *testing.T, ask func(method, target string, change ...func(*http.Request)) *http.Response)) {
	path := filepath.Join(t.TempDir(), "agent.db")
	synctest.Test(t, func(t *testing.T) {
		s, _, err := store.Open(path, store.Options{Logger: quiet})
		if err != nil {
			t.Fatal(err)
		}
		if err := seed(s); err != nil {
			t.Fatal(err)
		}
		a, err := agent.New(agent.Options{Config: c, Store: s, Logger: quiet, Flush: 10 * time.Minute, Version: "1.2.3",
			Drivers: map[string]agent.Factory{"fake": func(config.Bus, []config.Meter, func() time.Time, *slog.Logger) (drivers.Poller, error) {
				return steady{}, nil
			}}})
		if err != nil {
			t.Fatal(err)
		}
		h := New(a, c, quiet)
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(3*time.Hour+time.Minute, func() {
			defer cancel()
			f(t, func(method, target string, change ...func(*http.Request)) *http.Response {
				r := httptest.NewRequest(method, target, nil)
				r.Host, r.RemoteAddr = "127.0.0.1:8480", "127.0.0.1:50000"
				for _, c := range change {
					c(r)
				}
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				return w.Result()
			})
		})
		if err := errors.Join(a.Run(ctx), s.Close()); err != nil {
			t.Fatal(err)
		}
	})
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestReadings(t *testing.T) {
	withAgent(t, testConfig(), func(t *testing.T, ask func(string, string, ...func(*http.Request)) *http.Response) {
		var got struct{ Data []agent.Reading }
		r := ask("GET", "/api/v1/readings?meter=main&measure=import&from=2000-01-01&to=2000-01-01T02:00:00Z")
		if err := json.Unmarshal([]byte(body(t, r)), &got); err != nil || r.StatusCode != 200 {
			t.Fatal(r.StatusCode, err)
		}
		if len(got.Data) != 4 {
			t.Fatalf("%d half-hours, want 4", len(got.Data))
		}
		x := got.Data[1]
		if x.Meter != "main" || x.Measure != energy.Import || x.Energy.Value != "3000" || x.Energy.UnitCode != "WHR" || x.Quality != energy.Measured ||
			x.Evidence.Rule != "bracketed" || x.Evidence.Samples < 100 || x.Cumulative == nil || !x.TakenAt.After(x.To) || x.To.Sub(x.From) != energy.Period {
			t.Errorf("%+v", x)
		}
		if b := body(t, ask("GET", "/api/v1/readings?from=1999-01-01&to=1999-02-01")); b != "{\"data\":[\n\n]}\n" {
			t.Errorf("none: %q", b)
		}
		for target, want := range map[string]int{
			"/api/v1/readings?meter=nobody": 404, "/api/v1/readings?measure=steam": 400, "/api/v1/readings?from=yesterday": 400, "/api/v1/readings?form=2000-01-01": 400,
			"/api/v1/readings?from=2000-01-02&to=2000-01-01": 400, "/api/v1/readings?meter=main&meter=dead": 400, "/api/v1/readings": 200,
		} {
			if r := ask("GET", target); r.StatusCode != want {
				t.Errorf("%s: %d, want %d: %s", target, r.StatusCode, want, body(t, r))
			}
		}
	})
}

func TestStatusHealthAndMetrics(t *testing.T) {
	withAgent(t, testConfig(), func(t *testing.T, ask func(string, string, ...func(*http.Request)) *http.Response) {
		var st agent.Status
		if err := json.Unmarshal([]byte(body(t, ask("GET", "/api/v1/status"))), &st); err != nil {
			t.Fatal(err)
		}
		if st.Version != "1.2.3" || st.Code != "" || !st.Healthy || len(st.Meters) != 2 || st.Meters[0].State != "ok" || st.Meters[1].State != "failing" || st.Uplink != nil {
			t.Errorf("%+v", st)
		}
		if r := ask("GET", "/healthz"); r.StatusCode != 200 {
			t.Errorf("healthz: %d", r.StatusCode)
		}
		m := body(t, ask("GET", "/metrics"))
		for _, want := range []string{
			`perseus_agent_info{version="1.2.3"} 1`, `perseus_agent_device_up{bus="bus",meter="dead"} 0`, `perseus_agent_device_up{bus="bus",meter="main"} 1`, `perseus_agent_bus_polls_total{bus="bus"} `,
			`perseus_agent_bus_errors_total{bus="bus",kind="timeout"} `, `perseus_agent_periods_settled_total 6`, `perseus_agent_device_failures{bus="bus",meter="dead"} `, `perseus_agent_store_waiting_periods 0`,
			`perseus_agent_device_down{bus="bus",kind="timeout",meter="dead"} 1`, `perseus_agent_device_errors_total{bus="bus",kind="timeout",meter="dead"} `, `perseus_agent_point_value{bus="bus",measure="import",meter="main",unit="Wh"} 1.5`,
		} {
			if !strings.Contains(m, want) {
				t.Errorf("metrics lack %s", want)
			}
		}
	})
}

// Only loopback names are answered, so that a page elsewhere that a browser
// was led from cannot read this one (DNS rebinding).
func TestGuards(t *testing.T) {
	host := func(h string) func(*http.Request) { return func(r *http.Request) { r.Host = h } }
	header := func(k, v string) func(*http.Request) { return func(r *http.Request) { r.Header.Set(k, v) } }
	binary := header("Content-Type", "application/octet-stream")
	withAgent(t, testConfig(), func(t *testing.T, ask func(string, string, ...func(*http.Request)) *http.Response) {
		for _, c := range []struct {
			name   string
			method string
			target string
			change []func(*http.Request)
			want   int
		}{
			{"localhost", "GET", "/", []func(*http.Request){host("localhost:8480")}, 200},
			{"IPv6 loopback", "GET", "/", []func(*http.Request){host("[::1]:8480")}, 200},
			{"no port", "GET", "/", []func(*http.Request){host("LOCALHOST")}, 200},
			{"a foreign name", "GET", "/api/v1/status", []func(*http.Request){host("evil.example")}, 421},
			{"a name that begins like ours", "GET", "/", []func(*http.Request){host("127.0.0.1.evil.example:8480")}, 421},
			{"no name", "GET", "/", []func(*http.Request){host("")}, 421},
			{"writing", "POST", "/api/v1/status", nil, 405},
			{"deleting", "DELETE", "/api/v1/readings", nil, 405},
			{"another path", "GET", "/etc/passwd", nil, 404},
			{"import from another site's page", "POST", "/api/v1/import?meter=main", []func(*http.Request){binary, header("Sec-Fetch-Site", "cross-site")}, 403},
			{"import from another origin", "POST", "/api/v1/import?meter=main", []func(*http.Request){binary, header("Origin", "http://evil.example")}, 403},
			{"import from another machine", "POST", "/api/v1/import?meter=main", []func(*http.Request){binary, func(r *http.Request) { r.RemoteAddr = "10.0.0.9:1234" }}, 403},
			{"import as a form", "POST", "/api/v1/import?meter=main", []func(*http.Request){header("Content-Type", "text/plain")}, 415},
			{"import of nothing", "POST", "/api/v1/import?meter=main", []func(*http.Request){binary}, 422},
			{"import with a bad label", "POST", "/api/v1/import?meter=main&label=middle", []func(*http.Request){binary}, 400},
		} {
			r := ask(c.method, c.target, c.change...)
			if r.StatusCode != c.want {
				t.Errorf("%s: %d, want %d: %s", c.name, r.StatusCode, c.want, body(t, r))
			}
			if p := r.Header.Get("Content-Security-Policy"); !strings.Contains(p, "default-src 'none'") && r.StatusCode != 421 {
				t.Errorf("%s: policy %q", c.name, p)
			}
		}
	})
}

func TestImportThroughTheAPI(t *testing.T) {
	var f bytes.Buffer
	f.WriteString("MPAN,Date")
	for i := range 48 {
		fmt.Fprintf(&f, ",%02d:%02d", i/2, i%2*30)
	}
	f.WriteString("\n1200051234567,01/01/2000" + strings.Repeat(",0.5", 48) + "\n")
	withAgent(t, testConfig(), func(t *testing.T, ask func(string, string, ...func(*http.Request)) *http.Response) {
		r := ask("POST", "/api/v1/import?meter=dead&label=start&file=a.csv", func(r *http.Request) {
			r.Header.Set("Content-Type", "application/octet-stream")
			r.Body = io.NopCloser(bytes.NewReader(f.Bytes()))
		})
		var rep agent.ImportReport
		b := body(t, r)
		if err := json.Unmarshal([]byte(b), &rep); err != nil || r.StatusCode != 200 || len(rep.Series) != 1 || rep.Series[0].Taken != 6 { // the rest of the day is still to come
			t.Fatalf("%d %s", r.StatusCode, b)
		}
		b = body(t, ask("GET", "/api/v1/readings?meter=dead&from=2000-01-01"))
		if n := strings.Count(b, `"rule":"imported"`); n != 6 {
			t.Errorf("%d imported half-hours can be read, want 6", n)
		}
	})
}

// The page is well-formed HTML, says what matters, and lets nothing of the
// configuration or a device through unescaped.
func TestPage(t *testing.T) {
	c := testConfig()
	c.Uplink = &config.Uplink{URL: "https://relay.example.org", Identity: filepath.Join(t.TempDir(), "none")}
	withAgent(t, c, func(t *testing.T, ask func(string, string, ...func(*http.Request)) *http.Response) {
		b := body(t, ask("GET", "/"))
		if _, err := html.Parse(strings.NewReader(b)); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{
			"Fish &amp; &lt;Chips&gt;", "<h2>Your meter code</h2>", "Type it on the permission page that your bank sends you to. Keep it to yourself: who has it can answer for you.", "does not answer", "no identity yet", "today, 6 half-hours so far", `class="measured"`, "18.000 kWh in 6 half-hours", "read &lt;unit&gt; 2",
		} {
			if !strings.Contains(b, want) {
				t.Errorf("the page lacks %q", want)
			}
		}
		for _, never := range []string{"<Chips>", "<unit>", "<script", "javascript:", "style=", "Tell your bank"} {
			if strings.Contains(b, never) {
				t.Errorf("the page has %q", never)
			}
		}
		for _, want := range []string{"Last 7 days: 100 % measured", `aria-label="100 % measured"`, "Counted from here: the first reading is", `<a href="/?meter=main">Qualities and statements of main</a>`} {
			if !strings.Contains(b, want) {
				t.Errorf("the page lacks %q", want)
			}
		}
		r := ask("GET", "/?meter=main")
		b = body(t, r)
		if _, err := html.Parse(strings.NewReader(b)); err != nil || r.StatusCode != 200 || strings.Contains(b, "dead") {
			t.Errorf("one meter: %d, %v", r.StatusCode, err)
		}
		for _, want := range []string{"How it is known: the last 30 days", `<span class="share">100 %</span>`, "18.000 kWh", "What the checks found in the last 30 days", "Statements of baseline", "Counted from here: the first reading is", `href="/api/v1/history?meter=main"`, "What happened", "first reading of import: the register shows"} {
			if !strings.Contains(b, want) {
				t.Errorf("the meter's page lacks %q", want)
			}
		}
		if b := body(t, ask("GET", "/?meter=dead")); !strings.Contains(b, "None yet.") || !strings.Contains(b, "No half-hour is complete yet.") ||
			!strings.Contains(b, "What is wrong, and what to do") || !strings.Contains(b, "It does not answer: no answer in time: no answer (read &lt;unit&gt; 2).") || strings.Contains(b, "first reading of import") {
			t.Errorf("the page of a meter that never answered:\n%s", b)
		}
		if r := ask("GET", "/?meter=nobody"); r.StatusCode != 404 {
			t.Errorf("no such meter: %d", r.StatusCode)
		}
	})
}

// A virtual meter stands on the page like any other, but for a register and a
// wire, which it has not.
func TestVirtualMeterOnThePage(t *testing.T) {
	c := testConfig()
	c.Meters = append(c.Meters, config.Meter{ID: "tenant", Virtual: &config.Virtual{Measures: []energy.Measure{energy.Import},
		Of: "main", Shares: []config.Share{{Part: virtual.Part{Num: 1, Den: 4}, Text: "0.25"}}, Method: virtual.AreaOccupied}})
	withAgent(t, c, func(t *testing.T, ask func(string, string, ...func(*http.Request)) *http.Response) {
		b := body(t, ask("GET", "/?meter=tenant"))
		for _, want := range []string{"This electricity meter is worked out: a share of main by AreaOccupied: 0.25.", "4.500 kWh in 6 half-hours", `class="measured"`, "It has no register of its own", "A virtual meter, by share-area, made of main: 1/4."} {
			if !strings.Contains(b, want) {
				t.Errorf("the page lacks %q", want)
			}
		}
		if strings.Contains(b, "no reading yet") || strings.Contains(b, "None yet.") {
			t.Error("a virtual meter is said to wait for a reading")
		}
		if m := body(t, ask("GET", "/metrics")); strings.Contains(m, `meter="tenant"`) {
			t.Error("a virtual meter is said to be up or down")
		}
		var st agent.Status
		if err := json.Unmarshal([]byte(body(t, ask("GET", "/api/v1/status"))), &st); err != nil || len(st.Meters) != 3 || st.Meters[2].State != "derived" || st.Meters[2].Bus != "" ||
			len(st.Meters[2].Registers) != 1 || !st.Meters[2].Registers[0].Newest.Equal(midnight.Add(5*energy.Period)) {
			t.Errorf("%v %+v", err, st.Meters[2])
		}
	})
}
