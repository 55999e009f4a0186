package dcc

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/drivers"
)

// What is counted of a web API: by meter what it was asked and gave, of all the
// statuses, and when it last gave something.
func TestCountsOfAPull(t *testing.T) {
	feed := newFakeFeed(t, n3rgyData)
	feed.set(elecMeter, now.AddDate(0, -13, 0), now, constant("0.123"))
	x := newPullTest(t, feed, n3rgyConfig(mainMeter, Device{Meter: "refused", Name: mpanB, Measures: mainMeter.Measures}))
	if w := x.p.Wire(); w.Requests != 0 || w.Feed != nil {
		t.Fatalf("before anything was asked: %+v", w)
	}
	x.rounds(1)
	good, refused, w := x.p.Traffic(0), x.p.Traffic(1), x.p.Wire()
	if good.Requests != 5 || good.BytesIn < 100_000 || good.BytesOut < 500 {
		t.Errorf("the meter that answers: %+v", good)
	}
	if refused.Requests != 1 || refused.BytesIn == 0 || refused.BytesIn > 1000 {
		t.Errorf("the meter without consent: %+v", refused)
	}
	if w.Traffic != good.Add(refused) || !maps.Equal(w.Feed.Statuses, map[string]uint64{"2xx": 5, "403": 1}) || w.Feed.Fetched.Before(now) {
		t.Errorf("the feed: %+v %+v", w, *w.Feed)
	}
	readings, _ := x.take()
	if len(readings) == 0 || readings[0].Took <= 0 {
		t.Errorf("%d readings, the first without how long it took", len(readings))
	}

	w.Feed.Statuses["2xx"] = 99 // what was given is the asker's own
	fetched := x.p.Wire().Feed.Fetched
	feed.every = hungUp
	feed.clock.add(24 * time.Hour)
	x.rounds(1)
	w = x.p.Wire()
	if w.Feed.Statuses["none"] == 0 || w.Feed.Statuses["2xx"] != 5 || !w.Feed.Fetched.Equal(fetched) {
		t.Errorf("a server that hangs up: %+v", *w.Feed)
	}
}

func TestStatusKind(t *testing.T) {
	for status, want := range map[int]string{200: "2xx", 204: "2xx", 301: "3xx", 400: "4xx", 401: "401", 403: "403", 404: "404", 418: "4xx", 429: "429", 500: "5xx", 599: "5xx", 600: "none", 0: "none", 199: "none"} {
		if got := statusKind(status); got != want {
			t.Errorf("%d: %s, want %s", status, got, want)
		}
	}
}

// Of a drop folder: files done and bad, and for a meter those that spoke of it.
func TestCountsOfAFolder(t *testing.T) {
	d := newDrop(t, "", importOf(mpanA), Device{Meter: "b", Name: mpanB, Measures: mainMeter.Measures})
	text := plain(mpanA, utc("2024-03-01 00:00"), 48)
	d.write("a.csv", text)
	d.write("b.csv", "nothing of the kind")
	if err := d.settled(); err != nil {
		t.Fatal(err)
	}
	w := d.f.Wire()
	want := drivers.Traffic{Requests: 1, BytesIn: uint64(len(text))}
	if d.f.Traffic(0) != want || d.f.Traffic(1) != (drivers.Traffic{}) || w.Traffic != want {
		t.Errorf("%+v %+v, all %+v", d.f.Traffic(0), d.f.Traffic(1), w.Traffic)
	}
	if w.Feed.FilesDone != 1 || w.Feed.FilesBad != 1 || !w.Feed.Fetched.Equal(d.clock.now()) {
		t.Errorf("%+v", *w.Feed)
	}
}

// Of displays: messages, those that are not understood, connections, and the
// broker that is heard.
func TestCountsOfDisplays(t *testing.T) {
	b := newBroker(t, "", false)
	x := listenGlow(t, Config{URLs: []string{"mqtt://" + b.address}, Devices: []Device{elec}})
	b.waitSubscribed(t, "glow/+/SENSOR/+")
	x.healthIs(healthy)
	good := electricity("2024-04-10T12:00:00Z", "6613.405", "2", mpanA)
	for _, payload := range []string{"no JSON", good} {
		if err := b.Publish("glow/"+displayA+"/SENSOR/electricitymeter", []byte(payload), false, 0); err != nil {
			t.Fatal(err)
		}
	}
	x.next()
	x.healthIs(func(error) bool { return x.g.Wire().Messages.Heard == 2 })
	w := x.g.Wire()
	if w.Messages.Unread != 1 || w.Connects != 1 || !strings.Contains(w.Using, b.address) || w.BytesIn != uint64(len(good)+len("no JSON")) {
		t.Errorf("%+v %+v", w, *w.Messages)
	}
	if got := x.g.Traffic(0); got != (drivers.Traffic{Requests: 1, BytesIn: uint64(len(good))}) {
		t.Errorf("the meter: %+v", got)
	}
	b.die()
	x.healthIs(func(error) bool { return x.g.Wire().Using == "" })
}
