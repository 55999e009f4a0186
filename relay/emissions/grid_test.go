package emissions_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/relay/emissions"
	"github.com/perseus-edge/perseus-edge/relay/emissions/neso"
)

// Before a day has passed a value of the grid may change: it is asked for once
// more, what it was is kept, and from then on it stays.
func TestSettling(t *testing.T) {
	h := newHouse(t, "2026-02-01 06:00")
	h.fill("main", energy.Import, "2026-01-01 00:00", "2026-02-01 00:00", 500)
	a := account("2026-01-01 00:00", mainImport)
	got, err := h.Refresh(t.Context(), a, a.From, h.now)
	expect(t, got, err, "electricity 2026-01 lacks 36 half-hours of grid intensity, pending")
	got, err = h.Refresh(t.Context(), a, a.From, h.now.Add(time.Hour))
	expect(t, got, err, "electricity 2026-01 lacks 36 half-hours of grid intensity, pending")
	if len(h.asked) != 1 {
		t.Errorf("asked %q: nothing was due the second time", h.asked)
	}
	h.gco2 = func(time.Time) (int64, bool) { return 110, true }
	h.now = date("2026-02-02 00:00")
	got, err = h.Refresh(t.Context(), a, a.From, h.now)
	expect(t, got, err, "electricity 2026-01 74.580") // 1452 half-hours at 100 g, 36 at 110 g
	if len(h.asked) != 2 || h.asked[1] != "SW8 2026-01-31 06:00 2026-02-01 00:00" {
		t.Errorf("asked %q", h.asked)
	}
	var n, gco2, fetched int64
	err = h.db.QueryRow(`SELECT count(*), min(gco2), min(fetched_at) FROM intensity_superseded`).Scan(&n, &gco2, &fetched)
	if err != nil || n != 36 || gco2 != 100 || fetched != date("2026-02-01 06:00").Unix() {
		t.Errorf("superseded: %d of %d g at %d, %v", n, gco2, fetched, err)
	}
	h.now = date("2026-02-09 00:00")
	if err := h.grid.Fill(t.Context(), "SW8", a.From, date("2026-02-01 00:00")); err != nil || len(h.asked) != 2 {
		t.Errorf("asked again for what is frozen: %q, %v", h.asked, err)
	}
}

// What the operator does not have is null, asked for once a day, and never
// filled in; after two weeks nobody waits for it.
func TestGap(t *testing.T) {
	h := newHouse(t, "2026-02-05 00:00")
	h.fill("main", energy.Import, "2026-01-01 00:00", "2026-02-01 00:00", 500)
	hole := date("2026-01-12 08:00")
	h.gco2 = func(at time.Time) (int64, bool) { return 100, !at.Equal(hole) }
	a := account("2026-01-01 00:00", mainImport)
	for _, c := range []struct {
		now, want string
		asked     int
	}{
		{"2026-02-05 00:00", "electricity 2026-01 lacks 1 half-hours of grid intensity, pending", 1},
		{"2026-02-05 12:00", "electricity 2026-01 lacks 1 half-hours of grid intensity, pending", 1},
		{"2026-02-06 00:00", "electricity 2026-01 lacks 1 half-hours of grid intensity, pending", 2},
		{"2026-02-15 00:00", "electricity 2026-01 lacks 1 half-hours of grid intensity", 3},
	} {
		h.now = date(c.now)
		got, err := h.Refresh(t.Context(), a, a.From, h.now)
		expect(t, got, err, c.want)
		if len(h.asked) != c.asked {
			t.Errorf("%s: asked %q", c.now, h.asked)
		}
	}
	var g sql.NullInt64
	if err := h.db.QueryRow(`SELECT gco2 FROM intensity WHERE start = $1`, hole.Unix()).Scan(&g); err != nil || g.Valid {
		t.Errorf("the hole is %v, %v; want null", g, err)
	}
	h.gco2 = func(time.Time) (int64, bool) { return 100, true }
	h.now = date("2026-02-16 00:00")
	got, err := h.Refresh(t.Context(), a, a.From, h.now)
	expect(t, got, err, "electricity 2026-01 74.400")
}

func TestOperatorSaysNo(t *testing.T) {
	h := newHouse(t, "2026-02-20 00:00")
	h.fill("main", energy.Import, "2026-01-01 00:00", "2026-02-01 00:00", 500)
	a := account("2026-01-01 00:00", mainImport)
	h.refuse = errors.New("no network")
	if _, err := h.Refresh(t.Context(), a, a.From, h.now); !errors.Is(err, h.refuse) {
		t.Errorf("%v, want the operator's error", err)
	}
	got, err := h.Monthly(t.Context(), a, a.From, h.now)
	expect(t, got, err, "electricity 2026-01 lacks 1488 half-hours of grid intensity, pending")
	h.refuse, h.outcode = &neso.Error{Status: 400, Message: "No postcode match can be found."}, "W1"
	for range 2 {
		got, err = h.Refresh(t.Context(), a, a.From, h.now)
		expect(t, got, err, "electricity 2026-01 lacks 1488 half-hours of grid intensity")
	}
	if len(h.asked) != 2 {
		t.Errorf("asked %q", h.asked)
	}
}

// fetchFunc is a function that is a Fetcher.
type fetchFunc func(from, to time.Time) []neso.Period

func (f fetchFunc) Intensity(_ context.Context, _ string, from, to time.Time) ([]neso.Period, error) {
	return f(from, to), nil
}

// Two processes share the tables: what one has frozen while the other was
// asking stays.
func TestFrozenStays(t *testing.T) {
	h := newHouse(t, "2026-02-10 00:00")
	from, to := date("2026-01-01 00:00"), date("2026-02-01 00:00")
	slow := emissions.NewGrid(h.db, fetchFunc(func(from, to time.Time) (out []neso.Period) {
		if err := h.grid.Fill(t.Context(), "SW8", from, to); err != nil {
			t.Error(err)
		}
		for at := from; at.Before(to); at = at.Add(energy.Period) {
			out = append(out, neso.Period{Start: at, GCO2: 999})
		}
		return out
	}), func() time.Time { return h.now }, quiet)
	if err := slow.Fill(t.Context(), "SW8", from, to); err != nil {
		t.Fatal(err)
	}
	m, err := slow.Month(t.Context(), "SW8", emissions.MonthOf(from))
	if err != nil || m.Unasked != 0 {
		t.Fatalf("%d left, %v", m.Unasked, err)
	}
	for i, v := range m.Values {
		if v != (emissions.Known{Amount: 100, Known: true}) {
			t.Fatalf("half-hour %d is %+v", i, v)
		}
	}
}
