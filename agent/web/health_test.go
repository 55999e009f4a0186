package web

import (
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/agent"
	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
)

// What an installer sees at the top: how many are read, and of each that is
// not, since when, why, and what to try; a bus that is down speaks for its
// meters.
func TestHealth(t *testing.T) {
	now := midnight.Add(14 * time.Hour)
	ok := func(id, bus string) agent.MeterStatus {
		return agent.MeterStatus{ID: id, Bus: bus, State: "ok", Since: midnight, Answered: now, Registers: []agent.RegisterStatus{{Measure: energy.Import, At: now}}}
	}
	silent := func(id, bus string) agent.MeterStatus {
		m := ok(id, bus)
		m.State, m.Since, m.Again = "failing", now.Add(-3*time.Hour), now.Add(4*time.Minute)
		m.Down = &drivers.Reason{Kind: drivers.Timeout, Says: "no answer in time", Hint: "look at this one"}
		return m
	}
	partly := ok("half", "tcp")
	partly.State = "partly"
	partly.Registers = append(partly.Registers, agent.RegisterStatus{Measure: energy.Export, Error: "refused", Why: &drivers.Reason{Kind: drivers.Exception, Says: "it answers, and refuses", Hint: "is the table right?"}})
	never := silent("new", "tcp")
	never.Answered = time.Time{}
	lost := func(id, bus string) agent.MeterStatus {
		m := silent(id, bus)
		m.Since = now.Add(-59 * time.Second)
		return m
	}
	fresh := lost("c", "tcp")
	fresh.Answered = time.Time{}
	inPart := partly
	inPart.Since = now.Add(-59 * time.Second)
	gone := agent.BusStatus{ID: "rs485", State: "down", Error: "it hangs", Since: now.Add(-59 * time.Second)}
	stuck := gone
	stuck.State = "stuck"
	waiting, derived := ok("soon", "tcp"), agent.MeterStatus{ID: "tenant", State: "derived", Derived: "a share"}
	waiting.State = "waiting"
	buses := []agent.BusStatus{{ID: "tcp", State: "ok"}, {ID: "rs485", State: "down", Error: "gone", Since: now.Add(-time.Minute), Again: now.Add(10 * time.Second), Down: &drivers.Reason{Kind: drivers.Refused, Says: "no connection", Hint: "is the adapter plugged in?"}}}
	row := func(d downView) string {
		return strings.Join([]string{d.Name, d.Part, join(d.Takes, d.More), d.Since, d.For, d.Why, d.Try, d.Again}, "|")
	}
	for _, c := range []struct {
		name   string
		buses  []agent.BusStatus
		meters []agent.MeterStatus
		words  string
		class  string
		rows   []string
	}{
		{"nothing configured", nil, nil, "No meter is configured", "good", nil},
		{"one", buses[:1], []agent.MeterStatus{ok("a", "tcp")}, "The meter is read", "good", nil},
		{"all, and one that nobody asks", buses[:1], []agent.MeterStatus{ok("a", "tcp"), ok("b", "tcp"), derived}, "All 2 meters are read", "good", nil},
		{"just started", buses[:1], []agent.MeterStatus{ok("a", "tcp"), waiting}, "1 of 2 meters is read, 1 has given nothing yet", "warn", nil},
		{"one silent", buses[:1], []agent.MeterStatus{ok("a", "tcp"), silent("b", "tcp")}, "1 of 2 meters is read", "bad", []string{"b|||11:00 on 1 January|for 3 hours|No answer in time.|Look at this one.|Tried again in 4 minutes."}},
		{"one never read", buses[:1], []agent.MeterStatus{never, waiting, waiting}, "0 of 3 meters are read, 2 have given nothing yet", "bad", []string{"new|||Never read|for 3 hours|No answer in time.|Look at this one.|Tried again in 4 minutes."}},
		{"a register", buses[:1], []agent.MeterStatus{partly}, "The meter is read", "warn", []string{"half|export||Never read|for 14 hours|It answers, and refuses.|Is the table right?|"}},
		{"a bus", buses, []agent.MeterStatus{silent("x", "rs485"), silent("y", "rs485"), ok("a", "tcp")}, "1 of 3 meters is read", "bad",
			[]string{"rs485||x and y|13:59 on 1 January|for 60 seconds|No connection.|Is the adapter plugged in?|Tried again in 10 seconds."}},
		{"one lost its last poll", buses[:1], []agent.MeterStatus{ok("a", "tcp"), lost("b", "tcp")}, "All 2 meters are read, 1 did not answer just now", "good", nil},
		{"one answered in part just now", buses[:1], []agent.MeterStatus{ok("a", "tcp"), inPart}, "All 2 meters are read, 1 did not answer just now", "good", nil},
		{"one has not answered yet", buses[:1], []agent.MeterStatus{ok("a", "tcp"), fresh}, "1 of 2 meters is read, 1 has given nothing yet", "warn", nil},
		{"a bus has just gone", []agent.BusStatus{gone}, []agent.MeterStatus{lost("x", "rs485"), lost("y", "rs485")}, "All 2 meters are read, 2 did not answer just now", "good", nil},
		{"a bus is stuck", []agent.BusStatus{stuck}, []agent.MeterStatus{ok("x", "rs485")}, "The meter is read", "bad", []string{"rs485||x|13:59 on 1 January|for 59 seconds|It hangs.||"}},
	} {
		v := healthOf(agent.Status{Buses: c.buses, Meters: c.meters}, now)
		if v.Words != c.words || v.Class != c.class || len(v.Down) != len(c.rows) || len(v.Wires) != len(c.buses) {
			t.Errorf("%s: %q %s %+v", c.name, v.Words, v.Class, v.Down)
			continue
		}
		for i, want := range c.rows {
			if got := row(v.Down[i]); got != want {
				t.Errorf("%s: %s, want %s", c.name, got, want)
			}
		}
	}
	var many []agent.MeterStatus
	for range 12 {
		many = append(many, silent("m", "rs485"))
	}
	if d := healthOf(agent.Status{Buses: buses, Meters: many}, now).Down; len(d) != 1 || join(d[0].Takes, d[0].More) != strings.Repeat("m, ", 7)+"m and 4 more" {
		t.Errorf("%+v", d)
	}
}

// The page has it, with names and words of devices escaped, and each meter's
// own page says how it is read.
func TestHealthOnThePage(t *testing.T) {
	s := everything()
	s.Meters[1].Down.Says, s.Meters[1].ID = "<b>it is so</b>", "de<ad"
	s.Meters[1].Since, s.Buses[3].Since = s.Now.Add(-time.Hour), s.Now.Add(-time.Hour)
	v := view{Status: s, Health: healthOf(s, s.Now)}
	for _, m := range s.Meters {
		v.Meters = append(v.Meters, meterView{MeterStatus: m, Answers: answers(m)})
	}
	v.More = true
	text := func() string {
		var b strings.Builder
		if err := pageTemplate.Execute(&b, v); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	page := text()
	for _, want := range []string{
		"1 of 2 meters is read", "bus serial", "Not read through it: de&lt;ad.", "<b>Try:</b> Look.", "30 ms", "<h2>The wires</h2>", "connected to mqtt://127.0.0.1:1883",
		"2 late or foreign frames thrown away", "1 file no good", "Errors: timeout 1, refused 2, exception 3",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, never := range []string{"<b>it is", "de<ad"} {
		if strings.Contains(page, never) {
			t.Errorf("the page has %q", never)
		}
	}
	v.Meters, v.More = v.Meters[:1], false
	v.Meters[0].State, v.Meters[0].Unfilled = "ok", []string{"the exchange leaves <half-hours> missing"}
	v.Meters[0].Words, v.Meters[0].Class = meterWords(v.Meters[0].MeterStatus, s.Now)
	v.Meters[0].Stated = statedOf(v.Meters[0].MeterStatus)
	page = text()
	for _, want := range []string{`class="dot warn">This`, "is read; an exchange that was stated did not work", "The exchange leaves &lt;half-hours&gt; missing.", "perseus-agent import"} {
		if !strings.Contains(page, want) {
			t.Errorf("the front page lacks %q", want)
		}
	}
	v.One = true
	v.Meters[0].Read = readOf(s.Meters[0])
	page = text()
	for _, want := range []string{"How it is read", "20 ms the last time, 21 on average, 19 of 20 within 30 (the last 60)", "100, 2.0 kB in, 1.2 kB out", "timeout 1, refused 2"} {
		if !strings.Contains(page, want) {
			t.Errorf("the meter's page lacks %q", want)
		}
	}
	if strings.Contains(page, "The wires") || readOf(s.Meters[2]) != nil {
		t.Error("a meter's page is about that meter, and a virtual one has no wire")
	}
}
