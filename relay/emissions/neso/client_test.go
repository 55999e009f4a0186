package neso_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
	"github.com/perseus-edge/perseus-edge/relay/emissions/neso"
	"github.com/perseus-edge/perseus-edge/sim/carbon"
)

var now = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)

// wire serves requests from a handler, without a network, and moves the clock
// instead of waiting.
type wire struct {
	handler  http.Handler
	now      time.Time
	requests []*http.Request
	at       []time.Time
	slept    time.Duration
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	w.requests = append(w.requests, r)
	w.at = append(w.at, w.now)
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, r)
	return rec.Result(), nil
}

func (w *wire) client(t *testing.T, c neso.Config) *neso.Client {
	t.Helper()
	w.now = now
	c.HTTP, c.Logger = w, record.Logger(t)
	c.Now = func() time.Time { return w.now }
	c.Sleep = func(ctx context.Context, d time.Duration) error {
		w.now, w.slept = w.now.Add(d), w.slept+d
		return ctx.Err()
	}
	cl, err := neso.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return cl
}

// Whatever the API does, a call either gives every half-hour that the API has,
// with its value, or fails: 14 months across two ends of a year.
func TestAgainstFaults(t *testing.T) {
	gap := time.Date(2026, 1, 12, 3, 0, 0, 0, time.UTC)
	from, to := time.Date(2024, 12, 20, 0, 0, 0, 0, time.UTC), time.Date(2026, 2, 10, 0, 0, 0, 0, time.UTC)
	cases := map[string]carbon.Faults{
		"none":            {},
		"array form":      {Array: 0.5},
		"prior half-hour": {PriorHalfHour: true},
		"end of year":     {YearEnd: true},
		"both habits":     {PriorHalfHour: true, YearEnd: true},
		"errors":          {Error: 0.3, Unavailable: 0.2, Broken: 0.1},
		"gap":             {Gaps: []time.Time{gap}},
	}
	for name, f := range cases {
		w := &wire{handler: carbon.Handler(carbon.Options{Faults: f, Seed: 3, Now: func() time.Time { return now }})}
		got, err := w.client(t, neso.Config{Attempts: 20}).Intensity(t.Context(), "sw8 ", from, to)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		i := 0
		for at := from; at.Before(to); at = at.Add(30 * time.Minute) {
			if len(f.Gaps) > 0 && at.Equal(gap) {
				continue
			}
			if i >= len(got) || !got[i].Start.Equal(at) || got[i].GCO2 != carbon.Intensity("SW8", at) {
				t.Fatalf("%s: at %s (%d of %d): wrong or absent", name, at, i, len(got))
			}
			i++
		}
		if i != len(got) {
			t.Errorf("%s: %d values too many", name, len(got)-i)
		}
	}
}

// One half-hour twice: the higher value, whatever the order.
func TestDuplicates(t *testing.T) {
	w := &wire{handler: carbon.Handler(carbon.Options{Faults: carbon.Faults{Duplicate: 1}, Now: func() time.Time { return now }})}
	from := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	got, err := w.client(t, neso.Config{}).Intensity(t.Context(), "SW8", from, from.Add(24*time.Hour))
	if err != nil || len(got) != 48 {
		t.Fatalf("%d values, %v", len(got), err)
	}
	higher := 0
	for _, p := range got {
		switch p.GCO2 - carbon.Intensity("SW8", p.Start) {
		case 0:
		case 1:
			higher++
		default:
			t.Errorf("%v", p)
		}
	}
	if higher != 1 {
		t.Errorf("%d half-hours have the higher of two values, want 1", higher)
	}
}

func TestGoodManners(t *testing.T) {
	w := &wire{handler: carbon.Handler(carbon.Options{Now: func() time.Time { return now }})}
	c := w.client(t, neso.Config{UserAgent: "perseus-edge/1 (ops@relay.example)"})
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	if _, err := c.Intensity(t.Context(), "SW8", from, from.AddDate(0, 3, 0)); err != nil {
		t.Fatal(err)
	}
	for i, r := range w.requests {
		if r.Header.Get("User-Agent") != "perseus-edge/1 (ops@relay.example)" {
			t.Errorf("User-Agent %q", r.Header.Get("User-Agent"))
		}
		if i > 0 && w.at[i].Sub(w.at[i-1]) < time.Second {
			t.Errorf("request %d only %s after the one before", i, w.at[i].Sub(w.at[i-1]))
		}
	}
	if len(w.requests) != 7 {
		t.Errorf("%d requests for a quarter, want 7", len(w.requests))
	}
	first := w.requests[0].URL.String()
	if want := "https://api.carbonintensity.org.uk/regional/intensity/2026-01-01T00:01Z/2026-01-14T23:30Z/postcode/SW8"; first != want {
		t.Errorf("asked for %s, want %s", first, want)
	}
}

func TestRetries(t *testing.T) {
	reply := func(status int, header, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if header != "" {
				w.Header().Set("Retry-After", header)
			}
			w.WriteHeader(status)
			io.WriteString(w, body)
		}
	}
	cases := []struct {
		name     string
		handler  http.Handler
		requests int
		least    time.Duration // slept
		unknown  bool
		err      string
	}{
		{"unknown outcode", reply(400, "", `{"error":{"code":"400 Bad Request","message":"No postcode match can be found."}}`), 1, 0, true, "No postcode match"},
		{"bad request", reply(400, "", `{"error":{"code":"400 Bad Request","message":"Please enter a valid date"}}`), 1, 0, false, "valid date"},
		{"server error", reply(500, "", `{"error":{"code":"500","message":"x"}}`), 5, 2 + 4 + 8 + 16, false, "500"},
		{"too many", reply(429, "120", `{}`), 5, 4 * 120, false, "429"},
		{"a date to retry after", reply(503, now.Add(time.Minute).Format(http.TimeFormat), `x`), 5, 60 + 4 + 8 + 16, false, "503"},
		{"a wish too large", reply(503, "999999", `x`), 5, 4 * 600, false, "503"},
		{"not JSON", reply(200, "", `<html>`), 5, 30, false, "not JSON"},
	}
	for _, c := range cases {
		w := &wire{handler: c.handler}
		_, err := w.client(t, neso.Config{}).Intensity(t.Context(), "SW8", now.Add(-time.Hour), now)
		if err == nil || !strings.Contains(err.Error(), c.err) || neso.UnknownOutcode(err) != c.unknown {
			t.Errorf("%s: %v", c.name, err)
		}
		if len(w.requests) != c.requests || w.slept < c.least*time.Second || w.slept > c.least*time.Second+time.Minute {
			t.Errorf("%s: %d requests, %s of waiting; want %d, about %ds", c.name, len(w.requests), w.slept, c.requests, c.least)
		}
	}
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	w := &wire{handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { cancel(); w.WriteHeader(500) })}
	if _, err := w.client(t, neso.Config{}).Intensity(ctx, "SW8", now.Add(-time.Hour), now); err == nil || len(w.requests) != 1 {
		t.Errorf("%d requests, %v", len(w.requests), err)
	}
}

func TestNotAnOutcode(t *testing.T) {
	w := &wire{}
	c := w.client(t, neso.Config{})
	for _, s := range []string{"", "SW8 1AA", "../x", "12", "SW8/fw24h"} {
		_, err := c.Intensity(t.Context(), s, now.Add(-time.Hour), now)
		if !neso.UnknownOutcode(err) {
			t.Errorf("%q: %v", s, err)
		}
	}
	if len(w.requests) > 0 {
		t.Error("the API was asked")
	}
}

func TestConfig(t *testing.T) {
	for _, s := range []string{"api.example", "ftp://api.example", "https://", "https://x?y"} {
		if _, err := neso.New(neso.Config{BaseURL: s}); err == nil {
			t.Errorf("base URL %q was taken", s)
		}
	}
	var e *neso.Error
	if errors.As(error(&neso.Error{Status: 500}), &e); neso.UnknownOutcode(e) {
		t.Error("a server error is not an unknown outcode")
	}
}
