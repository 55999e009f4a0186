package emissions_test

import (
	"context"
	"iter"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perseus-edge/perseus-edge/configs"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/relay/database/databasetest"
	"github.com/perseus-edge/perseus-edge/relay/emissions"
	"github.com/perseus-edge/perseus-edge/relay/emissions/neso"
	"github.com/perseus-edge/perseus-edge/relay/migrations"
	"github.com/perseus-edge/perseus-edge/uplink/batch"
	"github.com/perseus-edge/perseus-edge/uplink/grant"
)

const gateway = "https://directory.example/g/1"

var quiet = record.Logger(nil)

func date(s string) time.Time {
	t, err := time.Parse("2006-01-02 15:04", s)
	if err != nil {
		panic(err)
	}
	return t
}

// openDatabase opens a fresh database with the relay's migrations: PostgreSQL
// in the tests below TestPostgres, SQLite in all others.
func openDatabase(t *testing.T) *database.DB {
	t.Helper()
	dsn := ""
	if strings.HasPrefix(t.Name(), "TestPostgres/") {
		dsn = databasetest.Postgres(t)
	} else {
		dsn = databasetest.SQLite(t)
	}
	db, err := database.Open(dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if err := db.Migrate(t.Context(), "relay", migrations.Files); err != nil {
		t.Fatal(err)
	}
	return db
}

// TestPostgres runs all that touches the database on PostgreSQL.
func TestPostgres(t *testing.T) {
	for name, f := range map[string]func(*testing.T){
		"Monthly": TestMonthly, "Edges": TestEdges, "FinishedMonthsStay": TestFinishedMonthsStay, "Restated": TestRestated, "SeveralMeters": TestSeveralMeters,
		"Settling": TestSettling, "Gap": TestGap, "OperatorSaysNo": TestOperatorSaysNo, "FrozenStays": TestFrozenStays,
	} {
		t.Run(name, f)
	}
}

// house is a relay's surroundings in memory: readings, a grid, a clock.
type house struct {
	*emissions.Service
	db       *database.DB
	grid     *emissions.Grid
	now      time.Time
	readings map[energy.Key]map[int64]emissions.Reading
	gco2     func(at time.Time) (int64, bool)
	asked    []string
	refuse   error // what the grid operator answers
	outcode  string
	changed  map[time.Time]time.Time             // when finished months changed
	accounts func(round int) []emissions.Account // called by Run, round by round
	rounds   int
}

func (h *house) Intensity(ctx context.Context, outcode string, from, to time.Time) ([]neso.Period, error) {
	h.asked = append(h.asked, outcode+" "+from.Format("2006-01-02 15:04")+" "+to.Format("2006-01-02 15:04"))
	if h.refuse != nil {
		return nil, h.refuse
	}
	var out []neso.Period
	for at := from; at.Before(to); at = at.Add(energy.Period) {
		if g, ok := h.gco2(at); ok {
			out = append(out, neso.Period{Start: at, GCO2: g})
		}
	}
	return out, nil
}

func newHouse(t *testing.T, now string) *house {
	t.Helper()
	h := &house{db: openDatabase(t), now: date(now), readings: map[energy.Key]map[int64]emissions.Reading{}, outcode: "SW8"}
	h.gco2 = func(time.Time) (int64, bool) { return 100, true }
	factors, err := emissions.LoadFactors(configs.Factors, "factors/desnz-natural-gas.yaml")
	if err != nil {
		t.Fatal(err)
	}
	h.grid = emissions.NewGrid(h.db, h, func() time.Time { return h.now }, quiet)
	h.Service, err = emissions.New(emissions.Config{
		DB: h.db, Grid: h.grid, Factors: factors,
		Outcode:  func(context.Context, string) (string, error) { return h.outcode, nil },
		Readings: h.read,
		Hashes: func(_ context.Context, _ string, sequences []uint64) (map[uint64]batch.Hash, error) {
			out := map[uint64]batch.Hash{}
			for _, n := range sequences {
				out[n] = batch.Hash{byte(n)}
			}
			return out, nil
		},
		Accounts: func(context.Context) ([]emissions.Account, error) {
			h.rounds++
			return h.accounts(h.rounds), nil
		},
		Changed: func(context.Context, string, []energy.Key, time.Time, time.Time) (map[time.Time]time.Time, error) {
			return h.changed, nil
		},
		Now: func() time.Time { return h.now }, Logger: quiet,
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *house) read(_ context.Context, _ string, k energy.Key, from, to time.Time) iter.Seq2[emissions.Reading, error] {
	return func(yield func(emissions.Reading, error) bool) {
		for at := from; at.Before(to); at = at.Add(energy.Period) {
			if r, ok := h.readings[k][at.Unix()]; ok && !yield(r, nil) {
				return
			}
		}
	}
}

// fill gives a register the same value in every half-hour of a time.
func (h *house) fill(meter string, m energy.Measure, from, to string, value int64) {
	k := energy.Key{Meter: meter, Measure: m}
	if h.readings[k] == nil {
		h.readings[k] = map[int64]emissions.Reading{}
	}
	for at := date(from); at.Before(date(to)); at = at.Add(energy.Period) {
		h.readings[k][at.Unix()] = emissions.Reading{Start: at, Energy: value, Cumulative: -1, Quality: energy.Measured, Rule: energy.RuleBracketed, Batch: uint64(at.Day())}
	}
}

func account(from string, covers ...grant.Cover) emissions.Account {
	return emissions.Account{Permission: "p", Gateway: gateway, Covers: covers, From: date(from), Expires: date("2030-01-01 00:00")}
}

var mainImport = grant.Cover{Meter: "main", Measure: energy.Import}

// show writes months as "electricity 2026-01 148.800", "... lacks 3 half-hours
// of energy" and "... pending".
func show(months []emissions.Monthly) (out []string) {
	for _, m := range months {
		s := string(m.Kind) + " " + m.Month.String()
		if m.Result != nil {
			s += " " + m.Result.Mass.Kilograms()
		} else {
			s += " lacks " + m.Missing.String()
		}
		if m.Pending {
			s += ", pending"
		}
		out = append(out, s)
	}
	return out
}

func expect(t *testing.T, got []emissions.Monthly, err error, want ...string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	s := show(got)
	for i := range max(len(s), len(want)) {
		g, w := "nothing", "nothing"
		if i < len(s) {
			g = s[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			t.Errorf("month %d: %s, want %s", i, g, w)
		}
	}
}

// Data from the middle of December: only January and February are whole.
func TestMonthly(t *testing.T) {
	h := newHouse(t, "2026-03-20 12:00")
	h.fill("main", energy.Import, "2025-12-15 00:00", "2026-03-20 12:00", 500)
	h.fill("main", energy.Export, "2025-12-15 00:00", "2026-03-20 12:00", 9999)
	a := account("2025-11-10 00:00", mainImport, grant.Cover{Meter: "main", Measure: energy.Export})
	got, err := h.Monthly(t.Context(), a, a.From, h.now)
	expect(t, got, err, "electricity 2025-12 lacks 672 half-hours of energy, 1488 half-hours of grid intensity",
		"electricity 2026-01 lacks 1488 half-hours of grid intensity, pending", "electricity 2026-02 lacks 1344 half-hours of grid intensity, pending")
	if len(h.asked) > 0 {
		t.Errorf("Monthly asked outside: %q", h.asked)
	}
	want := []string{"electricity 2025-12 lacks 672 half-hours of energy, 1488 half-hours of grid intensity",
		"electricity 2026-01 74.400", "electricity 2026-02 67.200"}
	got, err = h.Refresh(t.Context(), a, a.From, h.now)
	expect(t, got, err, want...)
	if len(h.asked) != 2 {
		t.Errorf("asked %q: a month that lacks readings needs no grid", h.asked)
	}
	got, err = h.Monthly(t.Context(), a, a.From, h.now)
	expect(t, got, err, want...)
	in := got[2].Result.Inputs
	if in.HalfHours != 1344 || in.Qualities["measured"] != 1344 || in.Derived != nil || in.Batches.First != 1 || in.Batches.Last != 28 || in.Batches.Count != 28 ||
		in.Outcode != "SW8" || in.Grid == nil || len(in.Grid.SHA256) != 64 || in.Factor != nil || !got[2].Result.Computed.Equal(h.now) {
		t.Errorf("inputs %+v", in)
	}
}

// How the half-hours of a month were derived is kept with its figure.
func TestDerivationsKept(t *testing.T) {
	h := newHouse(t, "2026-03-20 12:00")
	h.fill("main", energy.Import, "2025-12-15 00:00", "2026-03-20 12:00", 500)
	a := account("2025-11-10 00:00", mainImport)
	readings := h.readings[energy.Key{Meter: "main", Measure: energy.Import}]
	for at, rule := range map[string]energy.Rule{"2026-01-05 00:00": energy.RuleShareArea, "2026-01-06 00:00": energy.RuleSum, "2026-01-07 00:00": energy.RuleShareArea} {
		r := readings[date(at).Unix()]
		r.Rule = rule
		readings[date(at).Unix()] = r
	}
	got, err := h.Refresh(t.Context(), a, a.From, h.now)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"AdditionalMetering", "AreaOccupied"}
	if january, february := got[1].Result.Inputs.Derived, got[2].Result.Inputs.Derived; !slices.Equal(january, want) || february != nil {
		t.Errorf("January %v, February %v", january, february)
	}
}

// Months at the edges of a permission: only whole ones, none before it begins,
// none that ends after it does, none that has not ended.
func TestEdges(t *testing.T) {
	h := newHouse(t, "2026-03-20 12:00")
	h.fill("main", energy.Import, "2025-10-01 00:00", "2026-03-20 12:00", 500)
	a := account("2025-12-01 00:30", mainImport)
	got, err := h.Refresh(t.Context(), a, date("2025-10-01 00:00"), date("2027-01-01 00:00"))
	expect(t, got, err, "electricity 2026-01 74.400", "electricity 2026-02 67.200")
	a.From = date("2025-12-01 00:00")
	a.Expires = date("2026-02-28 23:30")
	got, err = h.Refresh(t.Context(), a, date("2025-10-01 00:00"), date("2027-01-01 00:00"))
	expect(t, got, err, "electricity 2025-12 74.400", "electricity 2026-01 74.400")
	got, err = h.Refresh(t.Context(), a, date("2025-12-01 00:30"), date("2026-01-31 23:30"))
	expect(t, got, err)
}

// A finished month stays as it was told: a correction that came later would
// show by how much.
func TestFinishedMonthsStay(t *testing.T) {
	h := newHouse(t, "2026-02-10 00:00")
	h.fill("main", energy.Import, "2026-01-01 00:00", "2026-02-01 00:00", 500)
	a := account("2026-01-01 00:00", mainImport)
	got, err := h.Refresh(t.Context(), a, a.From, h.now)
	expect(t, got, err, "electricity 2026-01 74.400")
	h.fill("main", energy.Import, "2026-01-17 10:00", "2026-01-17 10:30", 90000)
	h.now = h.now.Add(time.Hour)
	other := a
	other.Permission, other.Covers = "another bank's", []grant.Cover{mainImport, mainImport}
	for _, x := range []emissions.Account{a, other} {
		got, err = h.Refresh(t.Context(), x, a.From, h.now)
		expect(t, got, err, "electricity 2026-01 74.400")
	}
	h.readings = nil // the readings were deleted, the month stays
	got, err = h.Monthly(t.Context(), a, a.From, h.now)
	expect(t, got, err, "electricity 2026-01 74.400")
	other.Covers = []grant.Cover{mainImport, {Meter: "annex", Measure: energy.Import}}
	got, err = h.Monthly(t.Context(), other, a.From, h.now)
	expect(t, got, err, "electricity 2026-01 lacks 2976 half-hours of energy")
}

// A correction of a day and more makes a new version once it has been left alone
// for a day; the one before is kept. A smaller one does not, since the
// difference would show it.
func TestRestated(t *testing.T) {
	h := newHouse(t, "2026-02-10 00:00")
	january := date("2026-01-01 00:00")
	h.fill("main", energy.Import, "2026-01-01 00:00", "2026-02-01 00:00", 500)
	a := account("2026-01-01 00:00", mainImport)
	correct := func(from, to string, value int64, b uint64) {
		h.fill("main", energy.Import, from, to, value)
		for at := date(from); at.Before(date(to)); at = at.Add(energy.Period) {
			k := energy.Key{Meter: "main", Measure: energy.Import}
			r := h.readings[k][at.Unix()]
			r.Batch = b
			h.readings[k][at.Unix()] = r
		}
		h.changed = map[time.Time]time.Time{january: h.now}
	}
	look := func(want string, version int) {
		t.Helper()
		if _, err := h.Refresh(t.Context(), a, a.From, h.now); err != nil {
			t.Fatal(err)
		}
		got, err := h.Monthly(t.Context(), a, a.From, h.now) // what a bank sees
		expect(t, got, err, "electricity 2026-01 "+want)
		if v := got[0].Result.Version; v != version {
			t.Errorf("version %d, want %d", v, version)
		}
	}
	kept := func() (n int) {
		t.Helper()
		if err := h.db.QueryRow(`SELECT count(*) FROM monthly_emissions_replaced`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	look("74.400", 1)
	h.now = h.now.Add(time.Hour)
	correct("2026-01-17 10:00", "2026-01-17 10:30", 90_000, 40)
	h.now = h.now.Add(100 * time.Hour)
	look("74.400", 1) // one half-hour: it would show
	correct("2026-01-18 00:00", "2026-01-19 00:00", 600, 41)
	look("74.400", 1) // not left alone yet
	h.now = h.now.Add(23 * time.Hour)
	look("74.400", 1)
	h.now = h.now.Add(2 * time.Hour)
	look("83.830", 2) // 48 x 100 Wh and 89,500 Wh more, at 100 g
	if n := kept(); n != 1 {
		t.Errorf("%d earlier versions are kept", n)
	}
	correct("2026-01-20 00:00", "2026-01-22 00:00", 500, 42) // the same values again
	h.now = h.now.Add(25 * time.Hour)
	look("83.830", 2)
	correct("2026-01-20 00:00", "2026-01-22 00:00", 400, 43)
	h.readings[energy.Key{Meter: "main", Measure: energy.Import}] = nil // deleted before it was looked at
	h.now = h.now.Add(25 * time.Hour)
	look("83.830", 2)
	if n := kept(); n != 1 {
		t.Errorf("%d earlier versions are kept", n)
	}
}

// Several meters are one figure; gas has its own, by the year's factor; a
// month of a year without a factor has none.
func TestSeveralMeters(t *testing.T) {
	h := newHouse(t, "2026-03-20 12:00")
	for _, m := range []string{"main", "annex"} {
		h.fill(m, energy.Import, "2026-01-01 00:00", "2026-02-01 00:00", 500)
	}
	h.fill("boiler", energy.Gas, "2023-12-01 00:00", "2024-02-01 00:00", 10)
	h.fill("boiler", energy.Gas, "2026-01-01 00:00", "2026-02-01 00:00", 10)
	a := account("2023-12-01 00:00", mainImport, grant.Cover{Meter: "boiler", Measure: energy.Gas}, grant.Cover{Meter: "annex", Measure: energy.Import})
	got, err := h.Refresh(t.Context(), a, date("2026-01-01 00:00"), date("2026-02-01 00:00"))
	expect(t, got, err, "electricity 2026-01 148.800", "gas 2026-01 30.152") // 14.88 m3 x 2.02633
	if f := got[1].Result.Inputs.Factor; f == nil || f.Year != 2026 || f.Value != "2.02633" || got[1].Result.Inputs.Grid != nil {
		t.Errorf("inputs %+v", got[1].Result.Inputs)
	}
	gas := account("2023-12-01 00:00", grant.Cover{Meter: "boiler", Measure: energy.Gas})
	got, err = h.Refresh(t.Context(), gas, date("2023-12-01 00:00"), date("2024-02-01 00:00"))
	expect(t, got, err, "gas 2023-12 lacks the factor of the year", "gas 2024-01 30.436")
}

// A month that just ended may still get its last half-hours; an old one that
// has a hole is not on its way.
func TestPending(t *testing.T) {
	h := newHouse(t, "2026-02-02 12:00")
	h.fill("main", energy.Import, "2026-01-01 00:00", "2026-01-31 23:00", 500)
	a := account("2026-01-01 00:00", mainImport)
	got, err := h.Refresh(t.Context(), a, a.From, h.now)
	expect(t, got, err, "electricity 2026-01 lacks 2 half-hours of energy, 1488 half-hours of grid intensity, pending")
	h.now = date("2026-02-03 00:00")
	got, err = h.Refresh(t.Context(), a, a.From, h.now)
	expect(t, got, err, "electricity 2026-01 lacks 2 half-hours of energy, 1488 half-hours of grid intensity")
}

// A gateway sends what it has, oldest first, once a permission is given: for
// two days a month is on its way until something later has come.
func TestHistoryIsOnItsWay(t *testing.T) {
	h := newHouse(t, "2026-03-20 12:00")
	a := account("2025-12-01 00:00", mainImport, grant.Cover{Meter: "boiler", Measure: energy.Gas})
	a.Granted = date("2026-03-20 11:00")
	see := func(want ...string) {
		t.Helper()
		got, err := h.Monthly(t.Context(), a, a.From, h.now)
		expect(t, got, err, want...)
	}
	const electricity, gas = " half-hours of energy, 1488 half-hours of grid intensity", " half-hours of energy"
	see("electricity 2025-12 lacks 1488"+electricity+", pending", "electricity 2026-01 lacks 1488"+electricity+", pending",
		"electricity 2026-02 lacks 1344 half-hours of energy, 1344 half-hours of grid intensity, pending",
		"gas 2025-12 lacks 1488"+gas+", pending", "gas 2026-01 lacks 1488"+gas+", pending", "gas 2026-02 lacks 1344"+gas+", pending")

	h.fill("main", energy.Import, "2025-12-15 00:00", "2026-01-20 00:00", 500) // December can no longer be whole
	h.fill("boiler", energy.Gas, "2025-12-01 00:00", "2026-03-20 12:00", 10)
	rest := []string{"gas 2025-12 30.753", "gas 2026-01 30.152", "gas 2026-02 27.234"}
	see(append([]string{"electricity 2025-12 lacks 672" + electricity, "electricity 2026-01 lacks 576" + electricity + ", pending",
		"electricity 2026-02 lacks 1344 half-hours of energy, 1344 half-hours of grid intensity, pending"}, rest...)...)

	h.now = a.Granted.Add(48 * time.Hour) // the gateway does not answer: no longer on its way
	see(append([]string{"electricity 2025-12 lacks 672" + electricity, "electricity 2026-01 lacks 576" + electricity,
		"electricity 2026-02 lacks 1344 half-hours of energy, 1344 half-hours of grid intensity"}, rest...)...)
}

// With two meters a month is on its way only while each that lacks something
// may still send it.
func TestOneMeterIsPast(t *testing.T) {
	h := newHouse(t, "2026-03-20 12:00")
	h.fill("main", energy.Import, "2026-02-10 00:00", "2026-03-20 12:00", 500) // begins in February
	a := account("2026-02-01 00:00", mainImport, grant.Cover{Meter: "annex", Measure: energy.Import})
	a.Granted = date("2026-03-20 11:00")
	got, err := h.Monthly(t.Context(), a, a.From, h.now)
	expect(t, got, err, "electricity 2026-02 lacks 1776 half-hours of energy, 1344 half-hours of grid intensity")
}

// Run works at once, when notified, and at intervals; one account's trouble
// does not keep the others.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, "2026-02-10 00:00")
		h.fill("main", energy.Import, "2026-01-01 00:00", "2026-02-01 00:00", 500)
		h.fill("broken", energy.Import, "2026-01-01 00:00", "2026-01-01 01:00", 1)
		broken := h.readings[energy.Key{Meter: "broken", Measure: energy.Import}]
		r := broken[date("2026-01-01 00:00").Unix()]
		r.Start = r.Start.Add(time.Minute) // off the half-hour
		broken[date("2026-01-01 00:00").Unix()] = r
		finished := func() (n int) {
			if err := h.db.QueryRow(`SELECT count(*) FROM monthly_emissions`).Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n
		}
		h.accounts = func(round int) []emissions.Account {
			switch round {
			case 1:
				return nil
			case 3:
				h.now = date("2026-03-10 00:00")
				h.fill("main", energy.Import, "2026-02-01 00:00", "2026-03-01 00:00", 500)
			}
			return []emissions.Account{account("2026-01-01 00:00", grant.Cover{Meter: "broken", Measure: energy.Import}), account("2026-01-01 00:00", mainImport)}
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- h.Run(ctx) }()
		time.Sleep(time.Second) // the bubble's clock: none of ours
		if n := finished(); n != 0 {
			t.Errorf("%d months without an account", n)
		}
		h.Notify()
		h.Notify()
		time.Sleep(5 * time.Second)
		if n := finished(); n != 1 {
			t.Errorf("%d months after a notice, want 1", n)
		}
		time.Sleep(16 * time.Minute)
		if n := finished(); n != 2 {
			t.Errorf("%d months after the interval, want 2", n)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
