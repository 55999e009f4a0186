package dcc

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
)

var mainMeter = Device{Meter: "main", Name: mpanA, Measures: []energy.Measure{energy.Import}}

func n3rgyConfig(devices ...Device) Config {
	return Config{Format: "n3rgy", URLs: []string{""}, Token: record.Secret(nil, "key of an API", "secret key"), Devices: devices}
}

const elecMeter = mpanA + "/electricity/consumption"

// On first contact the whole history is read, 13 months in windows of at most 90
// days, each half-hour once; what is not over, or older, is not taken.
func TestN3rgyHistory(t *testing.T) {
	feed := newFakeFeed(t, n3rgyData)
	feed.set(elecMeter, now.AddDate(-2, 0, 0), now.Add(48*time.Hour), constant("0.123"))
	x := newPullTest(t, feed, n3rgyConfig(mainMeter))
	if x.p.Health() == nil {
		t.Error("healthy before anything was asked")
	}
	x.rounds(1)
	good, errs := x.take()
	got := latest(good, 0, 0)
	from, to := utc("2023-03-10 00:00"), utc("2024-04-10 12:00")
	want := int(to.Sub(from) / energy.Period)
	if len(good) != want || len(got) != want || len(errs) > 0 || sum(got) != int64(want)*123 {
		t.Errorf("%d readings of %d half-hours with %d Wh, errors %v, want %d", len(good), len(got), sum(got), errs, want)
	}
	if _, early := got[from]; early || got[from.Add(energy.Period)] != 123 || got[to] != 123 {
		t.Error("the ends of the history are wrong")
	}
	if len(x.asked) != 5 || x.p.Health() != nil {
		t.Errorf("%d requests, health %v", len(x.asked), x.p.Health())
	}
	if !slices.Equal(x.waits, []time.Duration{6 * time.Hour}) {
		t.Errorf("waits %v", x.waits)
	}
}

// After a restart, and at each round, a week is read again and nothing is
// delivered that was; once a day, a month is.
func TestN3rgyRereads(t *testing.T) {
	feed := newFakeFeed(t, n3rgyData)
	feed.set(elecMeter, now.AddDate(-2, 0, 0), now.Add(240*time.Hour), constant("0.123"))
	x := newPullTest(t, feed, n3rgyConfig(mainMeter))
	x.rounds(1)
	x.take()

	feed.clock.add(30 * time.Minute)
	x.rounds(1)
	if good, _ := x.take(); len(good) != 13 { // 6 hours and a half
		t.Errorf("%d half-hours are new", len(good))
	}
	if len(x.asked) != 1 {
		t.Errorf("requests %q", x.asked)
	}

	x.start()
	x.rounds(1)
	good, _ := x.take()
	if got := latest(good, 0, 0); len(got) < 30*48 || len(got) > 32*48 || len(good) != len(got) {
		t.Errorf("after a restart %d half-hours are delivered, want a month's", len(got))
	}
	x.rounds(3)
	if good, _ := x.take(); len(good) != 3*12 {
		t.Errorf("%d half-hours are new in three rounds", len(good))
	}
}

// What the feed corrects is delivered again, and so is what it fills in.
func TestN3rgyCorrections(t *testing.T) {
	feed := newFakeFeed(t, n3rgyData)
	feed.set(elecMeter, now.AddDate(0, -13, -1), now, constant("0.1"))
	hole := [2]time.Time{utc("2024-03-20 00:00"), utc("2024-03-21 00:00")} // three weeks ago
	feed.set(elecMeter, hole[0], hole[1], constant("null"))
	x := newPullTest(t, feed, n3rgyConfig(mainMeter))
	x.rounds(1)
	good, errs := x.take()
	if got := latest(good, 0, 0); len(errs) > 0 || got[utc("2024-03-20 00:00")] != 100 || slices.ContainsFunc(good, func(h heard) bool { return h.Sample.At.After(hole[0]) && !h.Sample.At.After(hole[1]) }) {
		t.Fatalf("a null was taken for a value, errors %v", errs)
	}

	at := utc("2024-04-05 13:30")
	feed.set(elecMeter, at.Add(-energy.Period), at, constant("0.25"))
	x.rounds(1)
	if good, _ := x.take(); len(good) != 1 || !good[0].Sample.At.Equal(at) || good[0].Sample.Value != 250 {
		t.Errorf("a correction: %+v", good)
	}
	feed.set(elecMeter, at.Add(-energy.Period), at, constant("null"))
	feed.set(elecMeter, hole[0], hole[1], constant("0.3"))
	x.rounds(5) // a day, and so once a month
	if good, _ := x.take(); len(good) != 48 || sum(latest(good, 0, 0)) != 48*300 {
		t.Errorf("a back-fill: %d half-hours", len(good))
	}
}

// Overflows are left out and told once; a day that is full of them is left out.
func TestN3rgyJunk(t *testing.T) {
	feed := newFakeFeed(t, n3rgyData)
	feed.set(elecMeter, utc("2024-04-01 00:00"), utc("2024-04-09 00:00"), constant("0.1"))
	feed.set(elecMeter, utc("2024-04-02 00:00"), utc("2024-04-02 03:30"), constant("8590.017"))        // 7
	feed.set(elecMeter, utc("2024-04-03 20:00"), utc("2024-04-04 00:00"), constant(`"invalid value"`)) // 8
	x := newPullTest(t, feed, n3rgyConfig(mainMeter))
	x.rounds(1)
	good, errs := x.take()
	days := map[string]int{}
	for _, h := range good {
		days[dayOf(h.Sample.At).Format("01-02")]++
	}
	if days["04-02"] != 41 || days["04-03"] != 0 || days["04-04"] != 48 || len(good) != 6*48+41 {
		t.Errorf("days %v", days)
	}
	if len(errs) != 1 || kindOf(errs[0]) != drivers.Sentinel || !strings.Contains(errs[0].Error(), "2024-04-02T00:30:00Z") || !strings.Contains(errs[0].Error(), "and 54 more") {
		t.Errorf("errors %v", errs)
	}
	x.rounds(2)
	if good, errs := x.take(); len(good)+len(errs) > 0 {
		t.Errorf("told again: %v %v", good, errs)
	}
	feed.set(elecMeter, utc("2024-04-03 20:00"), utc("2024-04-04 00:00"), constant("0.5"))
	x.rounds(1)
	if good, _ := x.take(); len(good) != 48 {
		t.Errorf("a day that was put right: %d half-hours", len(good))
	}
}

// What n3rgy is asked, in each of its versions.
func TestN3rgyVersions(t *testing.T) {
	for _, c := range []struct{ query, meter, path string }{
		{"", elecMeter, "/mpxn/" + mpanA + "/utility/electricity/readingtype/consumption"},
		{"?version=2", elecMeter, "/mpxn/" + mpanA + "/utility/electricity/readingtype/consumption"},
		{"?version=1", elecMeter, "/" + mpanA + "/electricity/consumption/1"},
		{"?version=consumer", "/electricity/consumption", "/electricity/consumption/1"},
	} {
		feed := newFakeFeed(t, n3rgyData)
		feed.set(c.meter, utc("2024-04-09 00:00"), utc("2024-04-10 00:00"), constant("0.5"))
		cfg := n3rgyConfig(mainMeter)
		cfg.URLs[0] = "/" + c.query
		x := newPullTest(t, feed, cfg)
		x.rounds(1)
		if good, errs := x.take(); len(good) != 48 || len(errs) > 0 || !slices.Contains(x.asked, "GET "+c.path) {
			t.Errorf("%q: %d half-hours, errors %v, asked %q", c.query, len(good), errs, x.asked)
		}
	}
}

func TestN3rgyVersionOf(t *testing.T) {
	for s, want := range map[string]n3rgyVersion{
		"https://api-v2.data.n3rgy.com": n3rgy2, "https://consumer-api.data.n3rgy.com": n3rgy1Consumer, "https://consumer-api.data.n3rgy.com?version=2": n3rgy2,
		"https://x": n3rgy2, "https://x?version=2": n3rgy2, "https://x?version=1": n3rgy1, "https://x?version=consumer": n3rgy1Consumer,
	} {
		u, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := n3rgyVersionOf(u); got != want || err != nil {
			t.Errorf("%s: version %d, %v", s, got, err)
		}
	}
}

func TestN3rgyRefusedConfigurations(t *testing.T) {
	for name, c := range map[string]Config{
		"no key":      {Format: "n3rgy", URLs: []string{n3rgyExample}, Devices: []Device{mainMeter}},
		"no MPAN":     {Format: "n3rgy", URLs: []string{n3rgyExample}, Token: "x", Devices: []Device{{Meter: "main", Name: "main"}}},
		"a long MPAN": {Format: "n3rgy", URLs: []string{n3rgyExample}, Token: "x", Devices: []Device{{Meter: "main", Name: mpanA + "1"}}},
		"reactive":    {Format: "n3rgy", URLs: []string{n3rgyExample}, Token: "x", Devices: []Device{{Meter: "main", Name: mpanA, Measures: []energy.Measure{energy.ReactiveImport}}}},
		"two urls":    {Format: "n3rgy", URLs: []string{n3rgyExample, n3rgyExample}, Token: "x"},
		"no url":      {Format: "n3rgy", Token: "x"},
		"plain http":  {Format: "n3rgy", URLs: []string{"http://api-v2.data.n3rgy.com"}, Token: "x"},
		"a format":    {Format: "duis", URLs: []string{n3rgyExample}, Token: "x"},
	} {
		if _, err := New(c); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
