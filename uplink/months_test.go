package uplink

import (
	"crypto/ecdsa"
	"iter"
	"reflect"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
	"github.com/perseus-edge/perseus-edge/uplink/batch"
	"github.com/perseus-edge/perseus-edge/uplink/grant"
	"github.com/perseus-edge/perseus-edge/uplink/month"
)

// A run is split only where the relay could not work out a register that is
// known here, and then so that it can.
func TestWhole(t *testing.T) {
	const m, x = energy.Measured, energy.Missing
	for name, c := range map[string]struct {
		in   []energy.HalfHour
		want []int // lengths of the pieces
	}{
		"all there":                  {[]energy.HalfHour{hh(0, 5, 105, m), hh(1, 7, 112, m)}, []int{2}},
		"one missing between":        {[]energy.HalfHour{hh(0, 5, 105, m), hh(1, 0, -1, x), hh(2, 7, 150, m)}, []int{3}},
		"missing at the end":         {[]energy.HalfHour{hh(0, 5, 105, m), hh(1, 0, -1, x)}, []int{2}},
		"missing at the beginning":   {[]energy.HalfHour{hh(0, 0, -1, x), hh(1, 7, 150, m)}, []int{2}},
		"all missing":                {[]energy.HalfHour{hh(0, 0, -1, x), hh(1, 0, -1, x)}, []int{2}},
		"missing at both ends":       {[]energy.HalfHour{hh(0, 0, -1, x), hh(1, 5, 105, m), hh(2, 0, -1, x)}, []int{1, 2}},
		"there, in the middle":       {[]energy.HalfHour{hh(0, 5, 105, m), hh(1, 0, -1, x), hh(2, 7, 150, m), hh(3, 0, -1, x), hh(4, 1, 160, m)}, []int{2, 2, 1}},
		"imported, in the middle":    {[]energy.HalfHour{hh(0, 5, -1, m), hh(1, 0, -1, x), hh(2, 7, -1, m), hh(3, 0, -1, x), hh(4, 1, -1, m)}, []int{5}},
		"wrapped in the first":       {[]energy.HalfHour{hh(0, 10, 5, m), hh(1, 1, 6, m)}, []int{2}},
		"wrapped, and missing after": {[]energy.HalfHour{hh(0, 10, 5, m), hh(1, 1, 6, m), hh(2, 0, -1, x)}, []int{2, 1}},
	} {
		var got []int
		for _, p := range whole(c.in) {
			got = append(got, len(p))
			first, last := p[0], p[len(p)-1]
			if len(c.want) > 1 && first.Quality != x { // its register is told at one end at least
				if s := series(mainImport, p); s.Opening < 0 && (last.Quality == x || s.Closing < 0) {
					t.Errorf("%s: the register of the piece from %v on cannot be worked out", name, first.Start)
				}
			}
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: pieces of %v, want %v", name, got, c.want)
		}
	}
}

func TestEndedMonths(t *testing.T) {
	at := func(s string) time.Time {
		v, err := time.Parse("2006-01-02 15:04", s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	ws := []window{{at("2026-01-20 00:30"), at("2026-02-10 00:00")}, {at("2026-02-11 00:00"), at("2026-02-12 00:00")}, {at("2026-04-01 00:00"), at("2027-01-01 00:00")}}
	for now, want := range map[string][]string{
		"2026-01-31 23:59": nil, "2026-02-01 00:00": {"2026-01"}, "2026-03-15 00:00": {"2026-01", "2026-02"},
		"2026-06-01 00:00": {"2026-01", "2026-02", "2026-04", "2026-05"},
	} {
		var got []string
		for _, m := range endedMonths(ws, at(now)) {
			got = append(got, m.String())
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v", now, got, want)
		}
	}
}

func TestTrustFrameworkOfGrants(t *testing.T) {
	for license, want := range map[string]string{
		"https://registry.example/scheme/perseus/license/x/2026-03-12":        "https://registry.example/trust-framework",
		"https://localhost:8443/registry/scheme/perseus/license/x/2026-03-12": "https://localhost:8443/registry/trust-framework",
		"https://registry.example/license":                                    "",
	} {
		if got := trustFramework([]grant.Grant{{License: license}}); got != want {
			t.Errorf("%s: %q, want %q", license, got, want)
		}
	}
	if got := trustFramework(nil); got != "" {
		t.Errorf("of no grants: %q", got)
	}
}

// What the relay stored settles the statements: half-hours of a month make it
// due again, and what is kept outlives the program.
func TestSettledMonths(t *testing.T) {
	out := newOutbox()
	c := &Client{out: out}
	stated := func(c *Client) map[string]string {
		t.Helper()
		m, err := c.stated(mainImport)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	if err := c.noteStated(mainImport, func(m map[string]string) bool {
		m["2026-10"], m["2026-11"] = "https://registry.example/trust-framework 2026-11-01T00:00:00Z", monthNothing
		return true
	}); err != nil {
		t.Fatal(err)
	}
	c = &Client{out: out} // after a restart
	if got := stated(c); len(got) != 2 {
		t.Errorf("%v", got)
	}
	november := &batch.Signed{Batch: batch.Batch{Series: []batch.Series{{Meter: "main", Measure: energy.Import, First: noon, Values: make([]batch.Value, 3)}}}}
	if err := c.settleMonths(november); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"2026-10": "https://registry.example/trust-framework 2026-11-01T00:00:00Z"}
	if got := stated(c); !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := stated(&Client{out: out}); !reflect.DeepEqual(got, want) {
		t.Errorf("kept is %v, want %v", got, want)
	}
}

// readable is an outbox that gives its half-hours again.
type readable struct{ *memOutbox }

func (o readable) HalfHours(k energy.Key, from, to time.Time) iter.Seq2[energy.HalfHour, error] {
	return func(yield func(energy.HalfHour, error) bool) {
		for at := from; at.Before(to); at = at.Add(energy.Period) {
			if h := o.hours[k][at.Unix()]; h != nil && !yield(h.HalfHour, nil) {
				return
			}
		}
	}
}

// A month is stated once it is over, delivered and wanted, under a licence that
// names its trust framework; once, unless the trust framework changes.
func TestWhenMonthsAreStated(t *testing.T) {
	r := newRig(t, 1)
	now := noon.AddDate(0, 0, 20) // 12 December
	c, err := New(Config{Dir: r.dir, Outbox: readable{r.out}, HTTP: r.wire, Now: func() time.Time { return now }, Logger: record.Logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.folder.signer()
	if err != nil {
		t.Fatal(err)
	}
	const license = "https://registry.example/scheme/perseus/license/x/2026-03-12"
	g := grant.Grant{ID: "g", License: license, From: noon.AddDate(0, 0, -5), Granted: noon, Expires: noon.AddDate(1, 0, 0), Covers: []grant.Cover{{Meter: "main", Measure: energy.Import}}}
	due := func(want int, d draft) []batch.Statement {
		t.Helper()
		out, err := c.monthStatements([]grant.Grant{g}, now, d, s)
		if err != nil || len(out) != want {
			t.Fatalf("%d statements are due, want %d; %v", len(out), want, err)
		}
		return out
	}
	r.out.hours[mainImport] = map[int64]*memHour{}
	for i := range 3 {
		h := hh(i, 5, int64(105+5*i), energy.Measured)
		r.out.hours[mainImport][h.Start.Unix()] = &memHour{HalfHour: h}
	}
	c.months.wanted = true
	due(0, draft{}) // not delivered
	for _, h := range r.out.hours[mainImport] {
		h.acked = true
	}
	c.months.wanted = false
	due(0, draft{}) // by an old relay
	c.months.wanted = true
	due(0, draft{spans: []energy.Span{{Key: mainImport, From: noon, To: noon.Add(energy.Period)}}}) // a correction goes in the same batch
	g.License = "https://registry.example/license"
	due(0, draft{})
	g.License = license
	now = noon
	due(0, draft{}) // not over
	now = noon.AddDate(0, 0, 20)
	first := due(1, draft{})
	due(1, draft{}) // until the relay has it
	signed, seed, ok, err := month.ReadCarried(first[0].Body)
	if !ok || err != nil || !allows([]grant.Grant{g}, now, mainImport, first[0].At) {
		t.Fatalf("%v %v at %s", ok, err, first[0].At)
	}
	st, at, err := signed.Verify(s.chain[0].PublicKey.(*ecdsa.PublicKey))
	if err != nil || !at.Equal(now) || st.Gateway != gatewayURL || st.Meter == "main" || len(st.Spans) != 1 || !st.Spans[0].From.Equal(noon.AddDate(0, 0, -5)) {
		t.Errorf("%+v, %v", st, err)
	}
	place, _ := st.Month.Place(noon)
	if month.Root(seed, func(i int) month.Value {
		if i < place || i >= place+3 {
			return month.Value{}
		}
		return month.Value{Present: true, Energy: 5, Cumulative: int64(105 + 5*(i-place)), Quality: energy.Measured, Rule: energy.RuleBracketed}
	}) != st.Root {
		t.Error("it is of other half-hours than are kept")
	}
	if err := c.settleMonths(&batch.Signed{Batch: batch.Batch{Baseline: first}}); err != nil {
		t.Fatal(err)
	}
	due(0, draft{})
	g.License = "https://registry.elsewhere.example/scheme/perseus/license/x/2026-03-12"
	second := due(1, draft{})
	again, _, _, _ := month.ReadCarried(second[0].Body)
	if other, err := again.Read(); err != nil || other.Meter != st.Meter || again.Framework == signed.Framework {
		t.Errorf("%+v, %v", again, err)
	}
}
