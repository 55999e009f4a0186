package dcc

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
)

const (
	resourceE = "47c7c371-c420-412f-a0b6-3897b5fdad55"
	resourceG = "28b080e5-4da4-4fa4-bc56-b5f031af29a1"
	entityID  = "9a4a76c1-1c10-4b4d-a1e8-1b66a6f5c1aa"
)

// glowmarktData answers as Glowmarkt does. Meters are resources, their
// half-hours by their ends.
func glowmarktData(f *fakeFeed, r *http.Request) (any, int) {
	if r.Header.Get("applicationId") != application {
		return map[string]any{"error": "no application"}, 401
	}
	if r.URL.Path == "/auth" {
		var in struct{ Username, Password string }
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil || r.Method != "POST" || in.Username != "me" || in.Password != "pass word" {
			return map[string]any{"valid": false, "error": "wrong user or password"}, 401
		}
		f.logins++
		return map[string]any{"valid": true, "token": f.token, "exp": f.clock.now().Add(7 * 24 * time.Hour).Unix()}, 200
	}
	if r.Header.Get("token") != f.token {
		return map[string]any{"error": "token expired"}, 401
	}
	resources := []any{
		map[string]any{"resourceId": resourceE, "resourceTypeId": "x", "classifier": "electricity.consumption", "name": "electricity consumption", "baseUnit": "kWh"},
		map[string]any{"resourceId": "f0000000-0000-0000-0000-000000000001", "classifier": "electricity.consumption.cost"},
		map[string]any{"resourceId": resourceG, "classifier": "gas.consumption"},
	}
	if r.URL.Path == "/virtualentity" {
		return []any{map[string]any{"veId": entityID, "name": "DCC Sourced", "resources": []any{map[string]any{"resourceId": resourceG}}}}, 200
	}
	if r.URL.Path == "/virtualentity/"+entityID+"/resources" {
		return map[string]any{"veId": entityID, "resources": resources}, 200
	}
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if len(parts) != 3 || parts[0] != "resource" || f.meters[parts[1]] == nil {
		return map[string]any{"error": "Resource not found"}, 404
	}
	if parts[2] == "catchup" {
		return map[string]any{"data": map[string]any{"valid": true}}, 200
	}
	const layout = "2006-01-02T15:04:05"
	from, err1 := time.Parse(layout, query(r, "from"))
	to, err2 := time.Parse(layout, query(r, "to"))
	if err1 != nil || err2 != nil || to.Sub(from) > 10*24*time.Hour || query(r, "period") != "PT30M" || query(r, "function") != "sum" || query(r, "offset") != "0" {
		return map[string]any{"error": "bad request"}, 400
	}
	data := []any{}
	for at := from; !at.After(to); at = at.Add(energy.Period) {
		v := json.RawMessage("null")
		if s, ok := f.meters[parts[1]][at.Add(energy.Period)]; ok {
			v = json.RawMessage(s)
		} else if query(r, "nulls") != "1" {
			v = json.RawMessage("0")
		}
		data = append(data, []any{at.Unix(), v})
	}
	units, classifier := "kWh", "electricity.consumption"
	if parts[1] == resourceG {
		classifier = "gas.consumption"
	}
	return map[string]any{"status": "OK", "resourceId": parts[1], "units": units, "classifier": classifier, "data": data,
		"query": map[string]any{"from": query(r, "from"), "to": query(r, "to"), "period": "PT30M", "function": "sum"}}, 200
}

func glowmarktConfig(devices ...Device) Config {
	return Config{Format: "glowmarkt", URLs: []string{""}, User: "me", Password: record.Secret(nil, "password of an account", "pass word"), Devices: devices}
}

func glowmarktMeter(name string) Device {
	return Device{Meter: "main", Name: name, Measures: []energy.Measure{energy.Import}}
}

// The whole history in windows of ten days, whichever way the meter is named;
// one login; what is missing is not zero.
func TestGlowmarktHistory(t *testing.T) {
	for _, name := range []string{resourceE, strings.ToUpper(entityID), "DCC Sourced"} {
		feed := newFakeFeed(t, glowmarktData)
		feed.set(resourceE, utc("2023-03-10 00:00"), now.Add(-3*time.Hour), constant("0.214"))
		feed.mu.Lock()
		delete(feed.meters[resourceE], utc("2024-01-01 10:00"))
		feed.mu.Unlock()
		x := newPullTest(t, feed, glowmarktConfig(glowmarktMeter(name)))
		x.rounds(1)
		good, errs := x.take()
		got := latest(good, 0, 0)
		want := int(utc("2024-04-10 09:00").Sub(utc("2023-03-10 00:00"))/energy.Period) - 1
		if _, there := got[utc("2024-01-01 10:00")]; there || len(got) != want || len(good) != want || sum(got) != int64(want)*214 || len(errs) > 0 {
			t.Errorf("%s: %d half-hours, want %d, errors %v", name, len(got), want, errs)
		}
		count := map[string]int{}
		for _, a := range x.asked {
			count[a]++
		}
		if feed.logins != 1 || count["GET /resource/"+resourceE+"/readings"] != 40 || count["GET /resource/"+resourceE+"/catchup"] != 1 || x.p.Health() != nil {
			t.Errorf("%s: %d logins, asked %v, health %v", name, feed.logins, count, x.p.Health())
		}
		x.rounds(2)
		if good, _ := x.take(); len(good) > 0 || !slices.Equal(x.waits, []time.Duration{time.Hour, time.Hour}) {
			t.Errorf("%s: %d half-hours are new, waits %v", name, len(good), x.waits)
		}
	}
}

// The zeros of the last hours are not believed before they are old; then they are.
func TestGlowmarktYoungZeros(t *testing.T) {
	feed := newFakeFeed(t, glowmarktData)
	feed.set(resourceE, utc("2024-04-09 00:00"), utc("2024-04-10 10:00"), constant("0.1"))
	feed.set(resourceE, utc("2024-04-10 10:00"), utc("2024-04-10 12:00"), constant("0"))
	x := newPullTest(t, feed, glowmarktConfig(glowmarktMeter(resourceE)))
	x.rounds(1)
	if good, _ := x.take(); len(good) != 68 {
		t.Errorf("%d half-hours", len(good))
	}
	feed.set(resourceE, utc("2024-04-10 10:00"), utc("2024-04-10 11:00"), constant("0.3"))
	x.rounds(1)
	if good, _ := x.take(); len(good) != 2 || sum(latest(good, 0, 0)) != 600 {
		t.Errorf("filled in: %+v", good)
	}
	feed.clock.add(50 * time.Hour)
	x.rounds(1)
	if good, _ := x.take(); len(good) != 2 || sum(latest(good, 0, 0)) != 0 {
		t.Errorf("zeros that stayed: %+v", good)
	}
}

// A token that expired, or was taken back, is replaced once; a wrong password is
// not tried again and again.
func TestGlowmarktLogin(t *testing.T) {
	feed := newFakeFeed(t, glowmarktData)
	feed.set(resourceE, utc("2024-04-09 00:00"), utc("2024-04-20 00:00"), constant("0.1"))
	x := newPullTest(t, feed, glowmarktConfig(glowmarktMeter(resourceE)))
	x.rounds(1)
	if feed.logins != 1 {
		t.Fatalf("%d logins", feed.logins)
	}
	feed.token = "token-2" // taken back
	x.rounds(1)
	if feed.logins != 2 || x.p.Health() != nil {
		t.Errorf("%d logins, health %v", feed.logins, x.p.Health())
	}
	feed.clock.add(7*24*time.Hour - 90*time.Minute) // it ends soon
	x.rounds(1)
	if feed.logins != 3 || x.p.Health() != nil {
		t.Errorf("%d logins, health %v", feed.logins, x.p.Health())
	}

	for _, body := range []string{`{"valid":false,"error":"no"}`, `{"valid":true}`} {
		cfg := glowmarktConfig(glowmarktMeter(resourceE))
		x = newPullTest(t, feed, cfg)
		feed.faults = []fault{status(200, "", body), status(200, "", body)}
		x.rounds(2)
		err := x.p.Health()
		if len(x.asked) != 1 || kindOf(err) != drivers.Exception || strings.Contains(err.Error(), "pass ") {
			t.Errorf("%s: asked %q in two rounds, health %v", body, x.asked, err)
		}
	}
}

// A token from a file is all there is: it is not replaced, and there is no login.
func TestGlowmarktTokenFile(t *testing.T) {
	feed := newFakeFeed(t, glowmarktData)
	feed.set(resourceE, utc("2024-04-09 00:00"), now, constant("0.1"))
	x := newPullTest(t, feed, Config{Format: "glowmarkt", URLs: []string{""}, Token: feed.token, Devices: []Device{glowmarktMeter(resourceE)}})
	x.rounds(1)
	if good, _ := x.take(); len(good) != 72 || feed.logins != 0 {
		t.Errorf("%d half-hours, %d logins", len(good), feed.logins)
	}
	feed.token = "another"
	x.rounds(1)
	if err := x.p.Health(); feed.logins != 0 || len(x.asked) != 2 || err == nil || !strings.Contains(err.Error(), "token expired") {
		t.Errorf("%d logins, asked %q, health %v", feed.logins, x.asked, err)
	}
}

// A login that does not say how long its token lasts, or that it is valid.
func TestGlowmarktBareLogin(t *testing.T) {
	feed := newFakeFeed(t, glowmarktData)
	feed.set(resourceE, utc("2024-04-09 00:00"), now, constant("0.1"))
	x := newPullTest(t, feed, glowmarktConfig(glowmarktMeter(resourceE)))
	feed.faults = []fault{status(200, "", `{"token":"token-1"}`)}
	x.rounds(2)
	if good, _ := x.take(); len(good) != 72 || slices.Index(x.asked, "POST /auth") != 0 || slices.Contains(x.asked[1:], "POST /auth") {
		t.Errorf("%d half-hours, asked %q", len(good), x.asked[:3])
	}
}

// With user and password a token is not needed, nor used; without either it is.
func TestGlowmarktWhichKey(t *testing.T) {
	for _, c := range []struct {
		user, password, token string
		logins                int
	}{{"me", "pass word", "old", 1}, {"me", "", "token-1", 0}, {"", "pass word", "token-1", 0}} {
		feed := newFakeFeed(t, glowmarktData)
		feed.set(resourceE, utc("2024-04-09 00:00"), now, constant("0.1"))
		cfg := glowmarktConfig(glowmarktMeter(resourceE))
		cfg.User, cfg.Password, cfg.Token = c.user, c.password, c.token
		x := newPullTest(t, feed, cfg)
		x.rounds(1)
		lists := 0
		for _, a := range x.asked {
			if a == "GET /virtualentity" {
				lists++
			}
		}
		if good, _ := x.take(); feed.logins != c.logins || lists != 1 || len(good) != 72 {
			t.Errorf("%+v: %d logins, asked %d times for a list, %d half-hours", c, feed.logins, lists, len(good))
		}
	}
}

// One resource fails, as they do for days, and the other is read all the same;
// gas in kWh is refused, and so is a name that nobody has.
func TestGlowmarktFaults(t *testing.T) {
	feed := newFakeFeed(t, glowmarktData)
	feed.set(resourceE, utc("2024-04-09 00:00"), utc("2024-04-10 00:00"), constant("0.1"))
	feed.set(resourceG, utc("2024-04-09 00:00"), utc("2024-04-10 00:00"), constant("0.1"))
	x := newPullTest(t, feed, glowmarktConfig(
		Device{Meter: "gas", Name: resourceG, Measures: []energy.Measure{energy.Gas}}, glowmarktMeter("DCC Sourced"),
		Device{Meter: "none", Name: "Nobody", Measures: []energy.Measure{energy.Import}}, Device{Meter: "pv", Name: entityID, Measures: []energy.Measure{energy.Export}}))
	feed.every = func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
		if strings.HasSuffix(r.URL.Path, "catchup") {
			return status(500, "", "")(w, r, nil)
		}
		return false
	}
	x.rounds(1)
	good, errs := x.take()
	if len(latest(good, 1, 0)) != 48 || len(good) != 48 || len(errs) != 3 || x.p.Health() != nil {
		t.Errorf("%d half-hours, errors %v, health %v", len(good), errs, x.p.Health())
	}
	for i, want := range []string{"gas comes in kWh", `is called "Nobody": there are DCC Sourced`, "has no resource of export"} {
		if i < len(errs) && !strings.Contains(errs[i].Error(), want) {
			t.Errorf("error %v, want %q", errs[i], want)
		}
	}
	feed.every = func(w http.ResponseWriter, r *http.Request, body []byte) bool {
		return strings.HasSuffix(r.URL.Path, "catchup") && status(429, "60", "")(w, r, body)
	}
	feed.clock.add(time.Hour)
	x.rounds(1)
	if slices.Contains(x.asked, "GET /resource/"+resourceE+"/readings") || kindOf(x.p.Health()) != drivers.Exception {
		t.Errorf("it goes on after 429: %q, health %v", x.asked, x.p.Health())
	}
	feed.every = truncated
	x.rounds(2)
	if x.p.Health() == nil {
		t.Error("healthy on broken answers")
	}
	feed.every = nil
	x.rounds(3)
	if x.take(); x.p.Health() != nil {
		t.Errorf("health %v", x.p.Health())
	}
}

// A virtual entity with two meters of a kind does not say which is meant.
func TestGlowmarktAmbiguous(t *testing.T) {
	feed := newFakeFeed(t, glowmarktData)
	x := newPullTest(t, feed, glowmarktConfig(glowmarktMeter(entityID)))
	feed.every = func(w http.ResponseWriter, r *http.Request, body []byte) bool {
		if !strings.HasSuffix(r.URL.Path, "/resources") {
			return false
		}
		_, _ = w.Write([]byte(strings.ReplaceAll(string(body), "gas.consumption", "electricity.consumption")))
		return true
	}
	x.rounds(1)
	if _, errs := x.take(); len(errs) != 1 || !strings.Contains(errs[0].Error(), "several resources") {
		t.Errorf("errors %v", errs)
	}
}

func TestGlowmarktRefusedConfigurations(t *testing.T) {
	for name, c := range map[string]Config{
		"no login":    {Format: "glowmarkt", URLs: []string{glowmarktExample}},
		"no password": {Format: "glowmarkt", URLs: []string{glowmarktExample}, User: "me"},
		"two urls":    {Format: "glowmarkt", URLs: []string{glowmarktExample, glowmarktExample}, Token: "x"},
		"no device":   {Format: "glowmarkt", URLs: []string{glowmarktExample}, Token: "x", Devices: []Device{{Meter: "main"}}},
		"reactive":    {Format: "glowmarkt", URLs: []string{glowmarktExample}, Token: "x", Devices: []Device{{Meter: "main", Name: "x", Measures: []energy.Measure{energy.ReactiveExport}}}},
	} {
		if _, err := New(c); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if _, err := New(Config{Format: "glowmarkt", URLs: []string{glowmarktExample}, Token: "x", Devices: []Device{glowmarktMeter("x")}}); err != nil {
		t.Error(err)
	}
}
