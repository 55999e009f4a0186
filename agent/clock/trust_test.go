package clock

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestBelievable(t *testing.T) {
	now := day(noon)
	built := day("2026-10-01 00:00:00")
	rtc := func(d time.Duration) Sync { return Sync{Board: true, RTC: now.Add(d)} }
	for _, c := range []struct {
		name string
		o    Options
		sync Sync
		wall time.Time
		want Source
		why  string
	}{
		{"a server", Options{Policy: Auto}, Sync{}, now, Assumed, "taken as it is"},
		{"at the floor", Options{Policy: Auto, Floor: now}, Sync{}, now, Assumed, ""},
		{"before the floor", Options{Policy: Auto, Floor: now.Add(ns)}, Sync{}, now, Unknown, "newest reading"},
		{"before the floor, served", Options{Policy: Auto, Floor: now.Add(h)}, Sync{Synchronised: true}, now, NTP, ""},
		{"before the floor, always", Options{Policy: Always, Floor: now.Add(h)}, Sync{Board: true}, now, Operator, ""},
		{"before it was built, always", Options{Policy: Always, Built: now.Add(ns)}, Sync{Synchronised: true}, now, Unknown, "cannot be"},
		{"when it was built", Options{Policy: Auto, Built: now}, Sync{}, now, Assumed, ""},
		{"twenty years on", Options{Policy: Auto, Built: built}, Sync{}, built.Add(ceiling), Assumed, ""},
		{"more than twenty years on", Options{Policy: Auto, Built: built}, Sync{}, built.Add(ceiling + ns), Unknown, "cannot be"},
		{"more than twenty years on, served", Options{Policy: Auto, Built: built}, Sync{Synchronised: true}, built.Add(ceiling + ns), NTP, ""},
		{"a board", Options{Policy: Auto}, Sync{Board: true, Note: "a note"}, now, Unknown, "no battery clock: waiting for a time server, or for somebody to set the clock (a note)"},
		{"a board with a battery clock", Options{Policy: Auto}, rtc(0), now, RTC, "battery"},
		{"a minute behind", Options{Policy: Auto}, rtc(-time.Minute), now, RTC, ""},
		{"a minute ahead", Options{Policy: Auto}, rtc(time.Minute), now, RTC, ""},
		{"more than a minute", Options{Policy: Auto}, rtc(time.Minute + ns), now, Unknown, "battery clock shows"},
		{"a battery clock before the floor", Options{Policy: Auto, Floor: now.Add(h)}, rtc(0), now, Unknown, "newest reading"},
		{"a server whose battery clock is in local time", Options{Policy: Auto}, Sync{RTC: now.Add(h)}, now, Assumed, ""},
		{"synchronised wanted, not so", Options{Policy: Synchronised}, rtc(0), now, Unknown, "as the configuration says"},
		{"synchronised wanted", Options{Policy: Synchronised}, Sync{Synchronised: true}, now, NTP, ""},
	} {
		src, why := c.o.believable(look{c.sync, time.Hour, c.wall})
		if src != c.want || !strings.Contains(why, c.why) || why == "" {
			t.Errorf("%s: %q (%s), want %q", c.name, src, why, c.want)
		}
	}
}

func TestParsePolicy(t *testing.T) {
	for s, want := range map[string]Policy{"": Auto, "auto": Auto, "always": Always, "synchronised": Synchronised} {
		if p, err := ParsePolicy(s); p != want || err != nil {
			t.Errorf("%q: %q %v", s, p, err)
		}
	}
	if _, err := ParsePolicy("never"); err == nil || !strings.Contains(err.Error(), `"never": use one of auto, always, synchronised`) {
		t.Errorf("%v", err)
	}
}

func TestKept(t *testing.T) {
	first := func() (*hand, *Clock) {
		w := &hand{wall: day(noon), mono: time.Hour, sync: Sync{Board: true, Synchronised: true, Boot: "b1"}}
		return w, w.clock(Options{})
	}
	for _, c := range []struct {
		name string
		do   func(w *hand, o *Options)
		want Source
	}{
		{"an hour later", func(w *hand, o *Options) { w.pass(time.Hour) }, NTP},
		{"at once", func(w *hand, o *Options) {}, NTP},
		{"drift", func(w *hand, o *Options) { w.wall = w.wall.Add(-Slack) }, NTP},
		{"set meanwhile", func(w *hand, o *Options) { w.wall = w.wall.Add(Slack + ns) }, Unknown},
		{"set back meanwhile", func(w *hand, o *Options) { w.wall = w.wall.Add(-Slack - ns) }, Unknown},
		{"another boot", func(w *hand, o *Options) { w.sync.Boot = "b2" }, Unknown},
		{"another boot at the same instant", func(w *hand, o *Options) { w.pass(-ns) }, Unknown},
		{"another policy", func(w *hand, o *Options) { o.Policy = Synchronised }, Unknown},
		{"cannot be", func(w *hand, o *Options) { o.Built = w.wall.Add(time.Hour) }, Unknown},
		{"damaged", func(w *hand, o *Options) { o.Kept = o.Kept[:len(o.Kept)-1] }, Unknown},
		{"another version", func(w *hand, o *Options) {
			o.Kept = []byte(strings.Replace(string(o.Kept), `"version":1`, `"version":2`, 1))
		}, Unknown},
		{"no source", func(w *hand, o *Options) { o.Kept = []byte(strings.Replace(string(o.Kept), `"ntp"`, `""`, 1)) }, Unknown},
		{"before the floor", func(w *hand, o *Options) { o.Floor = w.wall.Add(time.Hour) }, NTP},
	} {
		w, k := first()
		o := Options{Kept: k.Kept()}
		w.sync.Synchronised = false
		c.do(w, &o)
		if got := w.clock(o).Status().Source; got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	// The wire form is kept in stores: it must not change by accident.
	_, k := first()
	if got := string(k.Kept()); got != `{"version":1,"boot":"b1","raw":1795345200000000000,"mono":3600000000000,"source":"ntp","confirmed":3600000000000}` {
		t.Errorf("kept %s", got)
	}
	w, _ := first()
	w.sync = Sync{Board: true}
	if b := w.clock(Options{}).Kept(); b != nil {
		t.Errorf("an untrusted clock keeps %s", b)
	}
}

// Whatever a store gives back, it lends no trust but to a clock that stands as it says.
func FuzzKept(f *testing.F) {
	f.Add([]byte(`{"version":1,"boot":"b1","raw":1795345200000000000,"mono":3600000000000,"source":"ntp","confirmed":3600000000000}`))
	f.Add([]byte(`{"version":1,"raw":9223372036854775807,"mono":-9223372036854775808,"source":"x"}`))
	f.Add([]byte(`{"version":1,"boot":"b1","raw":-9223372036854775808}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, b []byte) {
		w := &hand{wall: day(noon), mono: time.Hour, sync: Sync{Board: true, Boot: "b1"}}
		c := w.clock(Options{Kept: b})
		var k kept
		if json.Unmarshal(b, &k) != nil {
			k = kept{}
		}
		raw := day(noon).Sub(epoch) - time.Hour
		near := k.Raw >= raw-Slack && k.Raw <= raw+Slack
		if c.Trusted() != (k.Version == 1 && k.Boot == "b1" && near && k.Mono <= time.Hour && k.Source != "") {
			t.Errorf("trusted %v with %s", c.Trusted(), b)
		}
	})
}
