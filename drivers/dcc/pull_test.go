package dcc

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
)

// The stretch that a round asks for.
func TestWindows(t *testing.T) {
	const d = 24 * time.Hour
	for _, c := range []struct {
		name  string
		read  time.Time
		deep  bool
		span  time.Duration
		first string
		n     int
	}{
		{"nothing read", time.Time{}, true, 90 * d, "2023-03-10 00:00", 5},
		{"nothing read, never deep", time.Time{}, false, 90 * d, "2023-03-10 00:00", 5},
		{"all read", now, false, 90 * d, "2024-04-03 00:00", 1},
		{"all read, deep", now, true, 90 * d, "2024-03-11 00:00", 1},
		{"all read, deep, short windows", now, true, 10 * d, "2024-03-11 00:00", 4},
		{"a window that just fits", now, false, 7*d + 12*time.Hour, "2024-04-03 00:00", 1},
		{"a window that just does not", now, false, 7*d + 12*time.Hour - energy.Period, "2024-04-03 00:00", 2},
		{"half read", utc("2023-09-01 00:00"), false, 90 * d, "2023-08-25 00:00", 3},
		{"read before there was history", utc("2020-01-01 00:00"), true, 90 * d, "2023-03-10 00:00", 5},
		{"read a little in the future", now.Add(d), false, 90 * d, "2024-04-03 00:00", 1},
		{"read in the future", now.Add(d + 1), false, 90 * d, "2023-03-10 00:00", 5},
	} {
		got := windows(c.read, now, c.span, c.deep)
		if len(got) != c.n || !got[0].from.Equal(utc(c.first)) || !got[len(got)-1].to.Equal(utc("2024-04-10 12:00")) {
			t.Errorf("%s: %v", c.name, got)
			continue
		}
		for i, w := range got {
			if i > 0 && !w.from.Equal(got[i-1].to) || w.to.Sub(w.from) > c.span || !w.from.Before(w.to) {
				t.Errorf("%s: window %d is %v", c.name, i, w)
			}
		}
	}
	if got := windows(time.Time{}, utc("2024-04-10 12:00"), 90*d, false); !got[len(got)-1].to.Equal(utc("2024-04-10 12:00")) {
		t.Errorf("on the half-hour: %v", got)
	}
}

// Faults: nothing is lost, nothing is taken of a broken answer, and the server
// is left alone for longer each time.
func TestN3rgyFaults(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault fault
		kind  drivers.Kind
		waits []time.Duration // after the first, second ... failure
	}{
		{"429", status(429, "", `{"message":"Too Many Requests"}`), drivers.Exception, []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute}},
		{"429 with Retry-After", status(429, "600", ""), drivers.Exception, []time.Duration{10 * time.Minute, 10 * time.Minute, 10 * time.Minute, 10 * time.Minute, 16 * time.Minute}},
		{"500", status(500, "", "<html>"), drivers.Exception, []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 16 * time.Minute, 32 * time.Minute, time.Hour, time.Hour}},
		{"503 with a date", status(503, "Wed, 10 Apr 2024 14:10:00 GMT", ""), drivers.Exception, []time.Duration{2*time.Hour - 2*politely, 2 * time.Minute}},
		{"500 without words", status(500, "", `{"errors":[]}`), drivers.Exception, []time.Duration{time.Minute}},
		{"truncated", truncated, drivers.Protocol, []time.Duration{time.Minute, 2 * time.Minute}},
		{"broken off", broken, drivers.Protocol, []time.Duration{time.Minute, 2 * time.Minute}},
		{"hung up", hungUp, drivers.Protocol, []time.Duration{time.Minute, 2 * time.Minute}},
		{"a log-in page", page, drivers.Protocol, []time.Duration{time.Minute, 2 * time.Minute}},
		{"sent elsewhere", elsewhere, drivers.Protocol, []time.Duration{time.Minute, 2 * time.Minute}},
		{"403", status(403, "", `{"errors":[{"code":403,"message":"Consent for the given MPxN not found."}]}`), drivers.Exception, []time.Duration{6 * time.Hour, 6 * time.Hour}},
		{"401", status(401, "", ""), drivers.Exception, []time.Duration{6 * time.Hour, 6 * time.Hour}},
		{"400", status(400, "", ""), drivers.Exception, []time.Duration{6 * time.Hour}},
	} {
		t.Run(c.name, func(t *testing.T) {
			feed := newFakeFeed(t, n3rgyData)
			feed.set(elecMeter, now.AddDate(-2, 0, 0), now.AddDate(0, 0, 9), constant("0.123"))
			cfg := n3rgyConfig(mainMeter)
			// On a connection that was used before, Go asks twice by itself.
			cfg.HTTP = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			x := newPullTest(t, feed, cfg)
			feed.faults = []fault{nil, nil} // two windows go well
			feed.every = nil
			for range c.waits {
				feed.faults = append(feed.faults, c.fault)
			}
			x.rounds(len(c.waits))
			if !slices.Equal(x.waits, c.waits) {
				t.Errorf("waits %v, want %v", x.waits, c.waits)
			}
			err := x.p.Health()
			if kindOf(err) != c.kind {
				t.Errorf("health %v", err)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the key is in the error: %v", err)
			}
			good, _ := x.take()
			if got := latest(good, 0, 0); len(got) < 2*80*48 || len(got) > 2*90*48 {
				t.Errorf("%d half-hours of two good windows", len(got))
			}
			x.rounds(1)
			more, _ := x.take()
			all := latest(append(good, more...), 0, 0)
			end := feed.clock.now().Add(-x.waits[0]).Truncate(energy.Period)
			if want := int(end.Sub(utc("2023-03-10 00:00")) / energy.Period); len(all) < want-1 || x.p.Health() != nil {
				t.Errorf("%d half-hours in the end, want %d; health %v", len(all), want, x.p.Health())
			}
		})
	}
}

// A meter without consent does not keep the other from being read; a server that
// has had enough is not asked for the other either, and both have their turn.
func TestN3rgySeveral(t *testing.T) {
	gasMeter := Device{Meter: "gas", Name: "3938424403", Measures: []energy.Measure{energy.Gas}}
	feed := newFakeFeed(t, n3rgyData)
	feed.set("3938424403/gas/consumption", utc("2024-04-09 00:00"), now, constant("0.5"))
	x := newPullTest(t, feed, n3rgyConfig(Device{Meter: "main", Name: mpanA, Measures: []energy.Measure{energy.Import, energy.Export}}, gasMeter))
	x.rounds(1)
	good, errs := x.take()
	if got := latest(good, 1, 0); len(got) != 72 || sum(got) != 72*500/2+72*500/2 || len(errs) != 2 || x.p.Health() != nil {
		t.Errorf("%d half-hours of gas, errors %v, health %v", len(got), errs, x.p.Health())
	}
	for _, err := range errs {
		if !strings.Contains(err.Error(), "Consent") || !strings.Contains(err.Error(), "consent for this meter") {
			t.Errorf("error %v", err)
		}
	}

	x.start()
	feed.every = status(429, "", "")
	x.rounds(6)
	turns := map[string]int{}
	for _, a := range x.asked {
		turns[a]++
	}
	if len(x.asked) != 6 || len(turns) != 3 {
		t.Errorf("requests %v: one a round, each in its turn", turns)
	}
}

// Whenever it dies, nothing of the history is lost.
func TestN3rgyCrashes(t *testing.T) {
	feed := newFakeFeed(t, n3rgyData)
	feed.set(elecMeter, now.AddDate(0, -13, -1), now.Add(time.Hour), constant("0.1"))
	x := newPullTest(t, feed, n3rgyConfig(mainMeter))
	var all []heard
	for crash := 1; ; crash++ {
		x.settles = 0
		died := func() (died bool) {
			defer func() { died = recover() != nil }()
			x.refuse = func() error {
				if x.settles == crash {
					panic("power cut")
				}
				return nil
			}
			x.rounds(1)
			return false
		}()
		x.die()
		good, _ := x.take()
		all = append(all, good...)
		if !died {
			break
		}
		x.start()
	}
	if got := latest(all, 0, 0); len(got) != int(utc("2024-04-10 12:00").Sub(utc("2023-03-10 00:00"))/energy.Period) {
		t.Errorf("%d half-hours are stored", len(got))
	}
}

// While nothing can be stored nothing is asked for; and what could not be stored,
// or not be marked as read, is read again.
func TestN3rgyCannotStore(t *testing.T) {
	feed := newFakeFeed(t, n3rgyData)
	feed.set(elecMeter, utc("2024-04-09 00:00"), utc("2024-04-10 00:00"), constant("0.5"))
	x := newPullTest(t, feed, n3rgyConfig(mainMeter))
	x.refuse = func() error { return errFull }
	x.rounds(2)
	if len(x.asked) > 0 || len(x.pending)+len(x.stored) > 0 || x.p.Health() == nil || !strings.Contains(x.p.Health().Error(), errFull.Error()) {
		t.Errorf("asked %q, health %v", x.asked, x.p.Health())
	}
	x.refuse, x.refuseSet = nil, errFull
	x.rounds(1)
	if x.take(); x.p.Health() == nil {
		t.Error("healthy though marks cannot be kept")
	}
	x.refuseSet = nil
	x.settles = 0
	x.refuse = func() error {
		if x.settles == 2 {
			return errFull
		}
		return nil
	}
	x.rounds(1)
	x.die()
	x.take()
	x.refuse = nil
	x.rounds(1)
	if good, _ := x.take(); len(good) != 48 || x.p.Health() != nil {
		t.Errorf("%d half-hours, health %v", len(good), x.p.Health())
	}
}

// A mark that is damaged, or from a future that a wrong clock saw.
func TestN3rgyMarks(t *testing.T) {
	for mark, n := range map[string]int{"": 5, "damaged": 5, `{"read":"2099-01-01T00:00:00Z"}`: 5, `{"read":"2024-04-11T00:00:00Z"}`: 1, `{"read":"2024-04-09T00:00:00Z"}`: 1, `{"read":"2023-09-01T00:00:00Z"}`: 3} {
		feed := newFakeFeed(t, n3rgyData)
		feed.set(elecMeter, utc("2024-04-09 00:00"), utc("2024-04-10 00:00"), constant("0.5"))
		x := newPullTest(t, feed, n3rgyConfig(mainMeter))
		const name = "dcc/n3rgy/main/" + mpanA + "/import"
		if mark != "" {
			x.meta[name] = []byte(mark)
		}
		x.rounds(1)
		if len(x.asked) != n || len(x.meta) != 1 || !strings.Contains(string(x.meta[name]), "2024-04-") {
			t.Errorf("mark %q: %d requests, marks %s", mark, len(x.asked), x.meta)
		}
	}
}

// A meter that could not be reached for weeks: what comes late is taken, and it
// is not asked more often than need be while it is silent.
func TestN3rgySilentMeter(t *testing.T) {
	feed := newFakeFeed(t, n3rgyData)
	feed.set(elecMeter, now.AddDate(0, -13, -1), utc("2024-03-01 00:00"), constant("0.1"))
	x := newPullTest(t, feed, n3rgyConfig(mainMeter))
	x.rounds(4)
	x.take()
	feed.set(elecMeter, utc("2024-03-01 00:00"), utc("2024-04-10 00:00"), constant("0.2"))
	x.rounds(1)
	if good, _ := x.take(); len(good) != 40*48 || len(x.asked) != 1 {
		t.Errorf("%d half-hours of 40 days", len(good))
	}
}

func TestRetryAfter(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"": 0, "0": 0, "-5": 0, "x": 0, "1": time.Second, "21600": 6 * time.Hour, "21601": 6 * time.Hour, "9999999999999": 6 * time.Hour,
		now.Add(time.Minute).Format(http.TimeFormat): time.Minute, now.Add(-time.Minute).Format(http.TimeFormat): 0, now.Add(999 * time.Hour).Format(http.TimeFormat): 6 * time.Hour,
	} {
		if got := retryAfter(s, now); got != want {
			t.Errorf("retryAfter(%q) = %s", s, got)
		}
	}
}

// A round asks for what is due, to the moment, and for nothing else.
func TestDue(t *testing.T) {
	feed := newFakeFeed(t, n3rgyData)
	x := newPullTest(t, feed, n3rgyConfig(mainMeter)) // nobody has given consent
	for i, c := range []struct {
		after time.Duration
		asks  int
	}{{0, 1}, {0, 0}, {slowPace - 1, 0}, {1, 1}, {0, 0}, {-time.Nanosecond, 1}} {
		feed.clock.add(c.after)
		x.p.round(t.Context(), x.deliver)
		if got := feed.requests(); len(got) != c.asks {
			t.Errorf("round %d asks %q, want %d", i, got, c.asks)
		}
	}
}

// A server may send on to another place on itself.
func TestWebRedirect(t *testing.T) {
	feed := newFakeFeed(t, n3rgyData)
	feed.set(elecMeter, utc("2024-04-09 00:00"), utc("2024-04-10 00:00"), constant("0.5"))
	x := newPullTest(t, feed, n3rgyConfig(mainMeter))
	feed.faults = []fault{func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
		http.Redirect(w, r, r.URL.String(), http.StatusTemporaryRedirect)
		return true
	}}
	x.rounds(1)
	if good, _ := x.take(); len(good) != 48 || x.p.Health() != nil || len(x.asked) != 6 {
		t.Errorf("%d half-hours, health %v, asked %d times", len(good), x.p.Health(), len(x.asked))
	}
}

func TestClip(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"a\n b", "a b"}, {strings.Repeat("x", 160), strings.Repeat("x", 160)}, {strings.Repeat("x", 161), strings.Repeat("x", 160) + "..."},
		{strings.Repeat("x", 159) + "ä", strings.Repeat("x", 159) + "..."}, {"a \t\n b", "a b"},
	} {
		if got := clip(c.in); got != c.want {
			t.Errorf("clip(%q) = %q", c.in, got)
		}
	}
}

// A server that sends too much, and nowhere to send to.
func TestWebBounds(t *testing.T) {
	feed := newFakeFeed(t, n3rgyData)
	feed.every = func(w http.ResponseWriter, _ *http.Request, _ []byte) bool {
		chunk := []byte(strings.Repeat(" ", 1<<20))
		for range maxAnswer>>20 + 1 {
			if _, err := w.Write(chunk); err != nil {
				break
			}
		}
		return true
	}
	x := newPullTest(t, feed, n3rgyConfig(mainMeter))
	x.rounds(1)
	if err := x.p.Health(); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("health %v", err)
	}
	feed.Close()
	x.rounds(1)
	if err := x.p.Health(); kindOf(err) != drivers.Refused || strings.Contains(fmt.Sprint(err), "/mpxn/") {
		t.Errorf("health %v", err)
	}
}
