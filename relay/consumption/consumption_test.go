package consumption

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/identity/scheme"
	"github.com/perseus-edge/perseus-edge/relay/permission"
)

func TestHeartbeat(t *testing.T) {
	w := newWorld(t)
	got := w.get("/heartbeat")
	if want := `{"status":"ok","timestamp":"2026-03-12T00:00:00Z"}` + "\n"; got.Code != 200 || got.Body.String() != want {
		t.Errorf("%d %s", got.Code, got.Body)
	}
}

func TestSources(t *testing.T) {
	w := newWorld(t)
	// Neither what is not covered (export, private) nor what the API does not
	// have (reactive); a meter that went away keeps its history.
	const want = `{"data":[` +
		`{"id":"src-boiler","type":"gas","location":{"ukPostcodeOutcode":"SW8"},"availableMeasures":["import"]},` +
		`{"id":"src-main","type":"electricity","location":{"ukPostcodeOutcode":"SW8"},"availableMeasures":["import"]},` +
		`{"id":"src-old","type":"electricity","location":{"ukPostcodeOutcode":"SW8"},"availableMeasures":["import"]}]}` + "\n"
	for _, path := range []string{"/datasources", "/datasources/"} {
		if got := w.get(path); got.Code != 200 || got.Body.String() != want || got.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %s", path, got.Code, got.Body)
		}
	}
	w.access.Gateway = "https://directory.example/g/none"
	if got := w.get("/datasources"); got.Code != 200 || got.Body.String() != `{"data":[]}`+"\n" {
		t.Errorf("a gateway without a site: %d %s", got.Code, got.Body)
	}
}

func TestAccess(t *testing.T) {
	const path = "/datasources/src-main/import?from=2026-03-02"
	for _, c := range []struct {
		name   string
		change func(w *world)
		status int
		code   string
	}{
		{"no certificate", func(w *world) { w.peer = nil }, 401, "invalid_token"},
		{"a token that is not good", func(w *world) {
			w.denied = fmt.Errorf("check: %w", &permission.Error{Status: 401, Code: "invalid_token", Description: "ended"})
		}, 401, "invalid_token"},
		{"a token of another application", func(w *world) { w.access.Client = "https://directory.example/a/other" }, 401, "invalid_token"},
		{"no CAP role", func(w *world) { w.peer = w.fsp }, 403, "access_denied"},
		{"a licence for emissions alone", func(w *world) { w.access.License = w.scheme.LicenseEmissions() }, 403, "insufficient_scope"},
		{"a fault in the token check", func(w *world) { w.denied = errOut }, 500, "server_error"},
	} {
		w := newWorld(t)
		w.store.put(mainIn, monday, 4)
		c.change(w)
		for _, p := range []string{path, "/datasources"} {
			if text := w.refused(w.get(p), c.status, c.code); strings.Contains(text, "fire") {
				t.Errorf("%s: %q tells too much", c.name, text)
			}
		}
		if w.store.passes > 0 {
			t.Errorf("%s: half-hours were read", c.name)
		}
	}
	w := newWorld(t)
	w.store.put(mainIn, monday, 4)
	w.access.License = w.scheme.LicenseConsumption()
	if got := w.get(path); got.Code != 200 {
		t.Errorf("the licence for consumption: %d %s", got.Code, got.Body)
	}
}

func TestReadingsGolden(t *testing.T) {
	w := newWorld(t)
	w.store.put(mainIn, monday, 2)
	w.store.readings[mainIn][1].Cumulative = -1
	const want = `{"data":[` +
		`{"type":"electricity","from":"2026-03-02T00:00:00Z","to":"2026-03-02T00:30:00Z","takenAt":"2026-03-02T00:30:07Z",` +
		`"energy":{"value":100,"unitCode":"WHR"},"cumulative":{"value":5100,"unitCode":"WHR"}},` +
		`{"type":"electricity","from":"2026-03-02T00:30:00Z","to":"2026-03-02T01:00:00Z","takenAt":"2026-03-02T01:00:07Z",` +
		`"energy":{"value":101,"unitCode":"WHR"}}],` +
		`"location":{"ukPostcodeOutcode":"SW8"},"provenance":{"ib1:provenance":"x"}}` + "\n"
	for _, path := range []string{
		"/datasources/src-main/import?from=2026-03-02T00:00:00Z&to=2026-03-02T01:00:00Z",
		"/datasources/src-main/import?from=2026-03-02&to=2026-03-03",
		"/datasources/src-main/import?from=2026-03-02", // to: now
		"/datasources/src-main/import/?from=2026-03-02",
	} {
		if got := w.get(path); got.Code != 200 || got.Body.String() != want {
			t.Errorf("%s: %d\n%s want\n%s", path, got.Code, got.Body, want)
		}
	}
	first := w.signed[0]
	if first.Path != "/datasources/src-main/import" || first.Measure != "import" || first.Outcode != "SW8" || first.Expected != 2 ||
		first.Present != 2 || first.MissingData != "Complete" || first.OriginMethod != "Exact" || len(first.Batches) != 1 || first.Batches[0] != (Batches{1, 1}) {
		t.Errorf("%+v", first)
	}
	if day := w.signed[1]; day.Expected != 48 || day.Present != 2 || day.MissingData != "Missing" {
		t.Errorf("%+v", day)
	}
	if now := w.spans[2]; !now[0].Equal(monday) || !now[1].Equal(w.now) {
		t.Errorf("window to now: %v", now)
	}
}

func TestReadingsGas(t *testing.T) {
	w := newWorld(t)
	gas := energy.Key{Meter: "boiler", Measure: energy.Gas}
	w.store.put(gas, monday, 1)
	m := w.data(w.get("/datasources/src-boiler/import?from=2026-03-02").Body.Bytes())
	if r := m.Data[0]; len(m.Data) != 1 || r.Type != "gas" || r.Energy.Value != "0.100" || r.Energy.Unit != "MTQ" || r.Cumulative.Value != "5.100" {
		t.Errorf("%+v", m)
	}
}

func TestNotFound(t *testing.T) {
	w := newWorld(t)
	w.store.put(mainIn, monday, 2)
	for _, path := range []string{
		"/datasources/nothing/import?from=2026-03-02",     // no such source
		"/datasources/main/import?from=2026-03-02",        // the gateway's own name for it
		"/datasources/src-private/import?from=2026-03-02", // not covered
		"/datasources/src-main/export?from=2026-03-02",    // not covered
		"/datasources/src-main/steam?from=2026-03-02",
		"/datasources/src-main/reactive-import?from=2026-03-02",
		"/datasources/src-boiler/export?from=2026-03-02",
		"/datasources/src-main",
		"/datasources/src-main/import/more",
	} {
		w.refused(w.get(path), 404, "not_found")
	}
	if w.store.passes > 0 {
		t.Error("half-hours were read")
	}
}

func TestNotThereYet(t *testing.T) {
	w := newWorld(t)
	w.store.put(mainIn, monday, 2)
	for _, query := range []string{"from=2026-03-05", "from=2026-04-01&to=2026-04-02"} {
		got := w.get("/datasources/src-main/import?" + query)
		if got.Code != http.StatusAccepted || got.Header().Get("Retry-After") == "" || !strings.HasPrefix(got.Body.String(), `{"message":"`) {
			t.Errorf("%s: %d %v %s", query, got.Code, got.Header(), got.Body)
		}
	}
	if len(w.signed) > 0 {
		t.Error("a record was signed for nothing")
	}
}

// Nothing leaves that the permission does not cover in time.
func TestPermissionWindow(t *testing.T) {
	w := newWorld(t)
	w.store.put(mainIn, monday, 10)
	w.access.From = monday.Add(59 * time.Minute)
	w.access.Expires = monday.Add(121 * time.Minute)
	m := w.data(w.get("/datasources/src-main/import?from=2026-03-02").Body.Bytes())
	if len(m.Data) != 2 || m.Data[0].From != "2026-03-02T01:00:00Z" || m.Data[1].To != "2026-03-02T02:00:00Z" {
		t.Errorf("%+v", m.Data)
	}
	if s := w.signed[0]; s.MissingData != "Missing" || s.Expected != 480 {
		t.Errorf("%+v", s)
	}
	for _, query := range []string{"from=2026-03-01&to=2026-03-02", "from=2026-03-03"} {
		if text := w.refused(w.get("/datasources/src-main/import?"+query), 400, "invalid_request"); !strings.Contains(text, "2026-03-02T00:59:00Z") {
			t.Errorf("%s: %q does not say what is covered", query, text)
		}
	}
}

func TestLongWindowsAreCompressed(t *testing.T) {
	w := newWorld(t)
	const days = 61
	first := monday.AddDate(0, 0, -days)
	w.store.put(mainIn, first, days*48)
	query := func(days int) string {
		return fmt.Sprintf("/datasources/src-main/import?from=%s&to=%s", stamp(monday.AddDate(0, 0, -days)), stamp(monday))
	}
	if text := w.refused(w.get(query(days)), 400, "invalid_request"); !strings.Contains(text, "gzip") || !strings.Contains(text, "60 days") {
		t.Errorf("%q", text)
	}
	w.refused(w.get(query(days), "Accept-Encoding", "br, gzip;q=0"), 400, "invalid_request")
	if got := w.get(query(60)); got.Code != 200 || got.Header().Get("Content-Encoding") != "" || got.Header().Get("Vary") != "Accept-Encoding" {
		t.Errorf("60 days: %d %v", got.Code, got.Header())
	}
	got := w.get(query(days), "Accept-Encoding", "br, gzip")
	if got.Code != 200 || got.Header().Get("Content-Encoding") != "gzip" {
		t.Fatalf("%d %v", got.Code, got.Header())
	}
	size := got.Body.Len()
	z, err := gzip.NewReader(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	if m := w.data(plain); len(m.Data) != days*48 || string(m.Provenance) != `{"ib1:provenance":"x"}` {
		t.Errorf("%d half-hours", len(m.Data))
	}
	if size*5 > len(plain) {
		t.Errorf("%d bytes compressed, %d plain", size, len(plain))
	}
}

func TestBadParameters(t *testing.T) {
	w := newWorld(t)
	for query, want := range map[string][]string{
		"":                                {"from is missing"},
		"from=yesterday&to=soon":          {"from is not a time", "to is not a time"},
		"to=2026-03-02T00:00:00%2B01:00":  {"from is missing", "to is not a time in UTC"},
		"from=2026-03-02&from=2026-03-03": {"from comes more than once"},
		"from=2026-03-02&to=2026-03-02":   {"from is not before to"},
		"from=2026-05-02":                 {"from is not before to"}, // to: now
		"from=0001-01-01":                 {"from is out of range"},
		"from=2026-03-02&to=9999-12-31":   {"to is out of range"},
	} {
		text := w.refused(w.get("/datasources/src-main/import?"+query), 400, "invalid_request")
		for _, s := range want {
			if !strings.Contains(text, s) {
				t.Errorf("%s: %q, want %q", query, text, s)
			}
		}
	}
}

// A fault before the first byte is told, with a number and no more.
func TestFaultBefore(t *testing.T) {
	w := newWorld(t)
	w.store.put(mainIn, monday, 2)
	w.refuse = errOut
	if text := w.refused(w.get("/datasources/src-main/import?from=2026-03-02"), 500, "server_error"); strings.Contains(text, "fire") {
		t.Errorf("%q tells too much", text)
	}
	w.refuse = nil
	w.store.before = func(int) error { return errOut }
	w.refused(w.get("/datasources/src-main/import?from=2026-03-02"), 500, "server_error")
}

// A fault after it breaks the answer off: nobody can take it for whole.
func TestFaultAfter(t *testing.T) {
	for name, fault := range map[string]func(w *world) error{
		"the store fails": func(*world) error { return errOut },
		"a correction comes between the passes": func(w *world) error {
			w.store.readings[mainIn][0].Energy++
			return nil
		},
		"a half-hour comes between the passes": func(w *world) error {
			w.store.put(mainIn, monday.Add(time.Hour), 1)
			return nil
		},
	} {
		w := newWorld(t)
		w.store.put(mainIn, monday, 2)
		w.store.before = func(pass int) error {
			if pass%3 == 0 { // 1 counts, 2 looks for later ones, 3 sends
				return fault(w)
			}
			return nil
		}
		server := httptest.NewServer(http.HandlerFunc(w.serve))
		resp, err := server.Client().Get(server.URL + "/datasources/src-main/import?from=2026-03-02")
		if err == nil {
			_, err = io.ReadAll(resp.Body)
			resp.Body.Close()
		}
		if err == nil {
			t.Errorf("%s: the answer looks whole", name)
		}
		server.Close()
	}
}

func TestNewRefuses(t *testing.T) {
	s, err := scheme.New("https://registry.example")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := New(Config{Scheme: s}); err == nil {
		t.Error("New without a store succeeded")
	}
}
