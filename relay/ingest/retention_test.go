package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/uplink/batch"
	"github.com/perseus-edge/perseus-edge/uplink/grant"
	"github.com/perseus-edge/perseus-edge/uplink/month"
)

const trustFramework = "https://registry.example/trust-framework"

// state makes a gateway's statement of a month, of values by their place, as
// one of a batch's statements.
func (w *world) state(k energy.Key, m month.Month, spans []month.Span, values map[int]month.Value) (batch.Statement, month.Seed) {
	w.t.Helper()
	seed := month.NewSeed()
	st := month.Statement{Gateway: gatewayURL, Meter: "m", Measure: k.Measure, Month: m, Spans: spans,
		Root: month.Root(seed, func(i int) month.Value { return values[i] })}
	signed, err := month.Sign(st, trustFramework, w.now(), w.signing.Cert().SerialNumber, w.signing.Key)
	if err != nil {
		w.t.Fatal(err)
	}
	body, err := month.Carry(signed, seed)
	if err != nil {
		w.t.Fatal(err)
	}
	return batch.Statement{Meter: k.Meter, Measure: k.Measure, At: spans[0].From, Body: body}, seed
}

// sendStatements sends a batch of statements alone.
func (w *world) sendStatements(ss ...batch.Statement) answer {
	w.t.Helper()
	b := w.next()
	b.Baseline = ss
	raw := w.encode(b)
	a := w.post(raw)
	if a.status == 200 {
		w.advance(raw)
	}
	return a
}

func measured(wh, register int64) month.Value {
	return month.Value{Present: true, Energy: wh, Cumulative: register, Quality: energy.Measured, Rule: energy.RuleBracketed}
}

// A statement is good when it is of the half-hours stored and no others; it is
// no longer given when one changes; and it is opened for what is asked for alone.
func TestMonthStatements(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		ctx, march := t.Context(), month.Of(monday)
		w.service.c.TrustFramework = trustFramework
		w.setNow(march.End().Add(time.Hour))
		w.register()
		w.permits.set(grantFor("g", march.Start, mainIn))
		s := series(mainIn, monday, 10, 20, 30)
		s.Opening = 100
		w.send(s, series(mainIn, march.End().Add(-energy.Period), 5))
		first, _ := march.Place(monday)
		values := map[int]month.Value{first: measured(10, 110), first + 1: measured(20, 130), first + 2: measured(30, 160), march.HalfHours() - 1: measured(5, -1)}
		all := []month.Span{{From: march.Start, To: march.End()}}
		good, _ := w.state(mainIn, march, all, values)
		others := map[string]func(map[int]month.Value){
			"energy":   func(v map[int]month.Value) { v[first] = measured(11, 110) },
			"register": func(v map[int]month.Value) { v[first] = measured(10, -1) },
			"left out": func(v map[int]month.Value) { delete(v, first) },
			"added":    func(v map[int]month.Value) { v[0] = measured(1, 1) },
			"quality":  func(v map[int]month.Value) { x := v[first]; x.Quality = energy.Estimated; v[first] = x },
		}
		refused := 0
		for name, change := range others {
			v := map[int]month.Value{}
			for i, x := range values {
				v[i] = x
			}
			change(v)
			bad, _ := w.state(mainIn, march, all, v)
			if a := w.sendStatements(bad); a.status != 200 {
				t.Fatalf("%s: %+v", name, a)
			}
			refused++
			if n := w.rows(`SELECT COUNT(*) FROM month_statement WHERE state = 'refused'`); n != refused {
				t.Errorf("%s: %d are refused, want %d", name, n, refused)
			}
		}
		// The gateway is asked for the month again, but not for one that the
		// retention has reached: it would bring back what had to go.
		old := month.Of(monday.AddDate(0, -7, 0))
		w.permits.set(grantFor("g", old.Start, mainIn))
		for m, want := range map[month.Month]int{march: 1, old: 0} {
			bad, _ := w.state(mainIn, m, []month.Span{{From: m.Start, To: m.End()}}, map[int]month.Value{5: measured(1, 1)})
			if a := w.sendStatements(bad); a.status != 200 || len(a.Refused) != want {
				t.Errorf("%s: %+v", m, a)
			}
		}
		if a := w.sendStatements(good); a.status != 200 || a.Refused != nil {
			t.Fatalf("%+v", a)
		}
		get := func(from, to time.Time) []MonthStatement {
			t.Helper()
			got, err := w.service.MonthStatements(ctx, gatewayURL, mainIn, from, to)
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		got := get(march.Start, march.End())
		if len(got) != 1 || len(got[0].Proof.Text()) != 1 || len(got[0].Chain) == 0 {
			t.Fatalf("%+v", got)
		}
		// A part of it: the same root, and no more open than asked for.
		part := get(monday.Add(energy.Period), monday.Add(2*energy.Period))
		st, err := part[0].Signed.Read()
		if err != nil {
			t.Fatal(err)
		}
		if part[0].Proof.Root(func(i int) month.Value { return values[i] }) != st.Root {
			t.Error("a part has another root")
		}
		for i := range march.HalfHours() {
			if part[0].Proof.Open(i) != (i == first+1) {
				t.Errorf("place %d is open: %v", i, part[0].Proof.Open(i))
			}
		}
		if got := get(march.End(), march.End().Add(time.Hour)); len(got) != 0 {
			t.Errorf("of another month: %+v", got)
		}
		// A change leaves it behind, a new version takes its place, the old one is kept.
		w.send(series(mainIn, monday, 11))
		if got := get(march.Start, march.End()); len(got) != 0 {
			t.Errorf("of half-hours that have changed: %+v", got)
		}
		values[first] = measured(11, -1)
		better, _ := w.state(mainIn, march, all, values)
		w.sendStatements(better)
		if got := get(march.Start, march.End()); len(got) != 1 {
			t.Errorf("%+v", got)
		}
		if n := w.rows(`SELECT COUNT(*) FROM month_statement WHERE state = 'replaced'`); n != 1 {
			t.Errorf("%d old versions are kept", n)
		}
		// What goes is closed in it for ever; what stays is still proved.
		w.permits.set(grantFor("late", monday.Add(energy.Period), mainIn))
		if n, err := w.service.DeleteUncovered(ctx, gatewayURL); n != 1 || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
		left := get(march.Start, march.End())
		if len(left) != 1 || left[0].Proof.Open(first) || !left[0].Proof.Open(first+1) {
			t.Fatalf("%+v", left)
		}
		delete(values, first)
		if st, _ := left[0].Signed.Read(); left[0].Proof.Root(func(i int) month.Value { return values[i] }) != st.Root {
			t.Error("what stays is not proved any more")
		}
		w.permits.set()
		if n, err := w.service.DeleteUncovered(ctx, gatewayURL); n != 3 || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
		if n := w.rows(`SELECT COUNT(*) FROM month_statement WHERE proof <> ''`); n != 0 {
			t.Errorf("%d statements can still be opened", n)
		}
	})
}

// A statement that is not the gateway's own is passed over, the half-hours
// beside it are stored.
func TestStatementsOfOthersArePassedOver(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		march := month.Of(monday)
		w.service.c.TrustFramework = trustFramework
		w.setNow(march.End().Add(time.Hour))
		w.register()
		w.permits.set(grantFor("g", march.Start, mainIn))
		w.send(series(mainIn, monday, 10))
		first, _ := march.Place(monday)
		spans := []month.Span{{From: march.Start, To: march.End()}}
		values := map[int]month.Value{first: measured(10, -1)}
		st := month.Statement{Gateway: gatewayURL, Meter: "m", Measure: energy.Import, Month: march, Spans: spans}
		seed := month.NewSeed()
		st.Root = month.Root(seed, func(i int) month.Value { return values[i] })
		carry := func(s month.Signed, err error) batch.Statement {
			t.Helper()
			body, err2 := month.Carry(s, seed)
			if err := errors.Join(err, err2); err != nil {
				t.Fatal(err)
			}
			return batch.Statement{Meter: "main", Measure: energy.Import, At: monday, Body: body}
		}
		serial := w.signing.Cert().SerialNumber
		elsewhere, export := st, st
		elsewhere.Gateway, export.Measure = "https://directory.example/g/2", energy.Export
		other := w.pki.Signing(gatewayURL, "Ops Ltd", memberURL)
		garbage := batch.Statement{Meter: "main", Measure: energy.Import, At: monday, Body: []byte(`{"perseus-edge:half-hours":{}}`)}
		for name, s := range map[string]batch.Statement{
			"another key":             carry(month.Sign(st, trustFramework, w.now(), serial, other.Key)),
			"another certificate":     carry(month.Sign(st, trustFramework, w.now(), other.Cert().SerialNumber, w.signing.Key)),
			"another gateway":         carry(month.Sign(elsewhere, trustFramework, w.now(), serial, w.signing.Key)),
			"another measure":         carry(month.Sign(export, trustFramework, w.now(), serial, w.signing.Key)),
			"another trust framework": carry(month.Sign(st, "https://other.example/trust-framework", w.now(), serial, w.signing.Key)),
			"signed later":            carry(month.Sign(st, trustFramework, w.now().Add(time.Minute), serial, w.signing.Key)),
			"garbage":                 garbage,
		} {
			if a := w.sendStatements(s); a.status != 200 {
				t.Errorf("%s: %+v", name, a)
			}
			if n := w.rows(`SELECT COUNT(*) FROM month_statement`); n != 0 {
				t.Errorf("%s: it was kept", name)
			}
		}
		if a := w.sendStatements(carry(month.Sign(st, trustFramework, w.now(), serial, w.signing.Key))); a.status != 200 || w.rows(`SELECT COUNT(*) FROM month_statement WHERE state = 'good'`) != 1 {
			t.Errorf("the gateway's own: %+v", a)
		}
	})
}

// What was collected longer ago than the retention goes, whenever it was of;
// what came later stays; each deletion is logged, and signed for.
func TestRetention(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.register()
		w.attest()
		g := grantFor("g", monday.AddDate(-2, 0, 0), mainIn)
		g.Expires = monday.AddDate(3, 0, 0)
		w.permits.set(g)
		begin := w.now()
		w.send(series(mainIn, monday.AddDate(-1, 0, 0), 1, 2), series(mainIn, monday, 3)) // history and what is new, at once
		w.setNow(begin.AddDate(0, 0, 100))
		w.send(series(mainIn, monday.Add(energy.Period), 4))
		if n, err := w.service.DeleteExpired(ctx); n != 0 || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
		if ds, err := w.service.Deletions(ctx, ""); len(ds) != 0 || err != nil {
			t.Fatalf("%+v, %v", ds, err)
		}
		w.setNow(begin.Add(DefaultRetention + time.Second))
		if n, err := w.service.DeleteExpired(ctx); n != 3 || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
		if got := energies(w.readings(mainIn)); !slices.Equal(got, []int64{4}) {
			t.Errorf("%v are left", got)
		}
		if n := w.rows(`SELECT COUNT(*) FROM batch WHERE body IS NOT NULL`); n != 1 {
			t.Errorf("%d bodies are left", n)
		}
		if d := w.attested("retention", 3, 1, monday.AddDate(-1, 0, 0), monday); !d.Collected.Equal(begin.Add(time.Second)) {
			t.Errorf("%+v", d)
		}
		// The body of a batch may have gone before its half-hours, with those of
		// another permission: they go in their time all the same.
		if _, err := w.db.Exec(`UPDATE batch SET body = NULL`); err != nil {
			t.Fatal(err)
		}
		w.setNow(begin.AddDate(0, 0, 100).Add(DefaultRetention + time.Second))
		if n, err := w.service.DeleteExpired(ctx); n != 1 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		// The chain goes on, and nothing is done twice.
		w.send(series(mainIn, monday.Add(2*energy.Period), 5))
		if n, err := w.service.DeleteExpired(ctx); n != 0 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	})
}

// A deletion broken off at any transaction is finished by the next one; no
// transaction holds the gateway up for more than a month of one register.
func TestDeletionBrokenOff(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.register()
		start := monday.AddDate(0, -6, 0)
		w.service.c.Attest = func(d Deletion) (json.RawMessage, error) {
			return fmt.Appendf(nil, `{"halfHours":%d}`, d.HalfHours), nil
		}
		export := energy.Key{Meter: "main", Measure: energy.Export}
		w.permits.set(grantFor("g", start, mainIn, export))
		rng := rand.New(rand.NewPCG(1, 1))
		for at := start; at.Before(monday.AddDate(0, 0, -20)); at = at.AddDate(0, 0, 20) {
			w.send(series(mainIn, at, make([]int64, 48*20)...), series(export, at, make([]int64, 48)...))
		}
		before := len(w.readings(mainIn)) + len(w.readings(export))
		if before < 6000 {
			t.Fatalf("only %d half-hours", before)
		}
		var gone int64
		turns, most, asked := 0, 0, 0
		for turns = 1; ; turns++ {
			ctx, cancel := context.WithCancel(t.Context())
			stop, had := rng.IntN(12)+2, before-int(gone)
			asked = 0
			w.permits.mu.Lock()
			w.permits.grants = nil
			w.permits.asked = func() {
				if asked++; asked == stop {
					cancel()
				}
			}
			w.permits.mu.Unlock()
			n, err := w.service.DeleteUncovered(ctx, gatewayURL)
			cancel()
			gone += n
			w.permits.mu.Lock()
			w.permits.asked = nil
			w.permits.mu.Unlock()
			if left := len(w.readings(mainIn)) + len(w.readings(export)); left != had-int(n) {
				t.Fatalf("turn %d: %d of %d went, %d are left", turns, n, had, left)
			}
			if stop <= asked && n > 0 {
				most = max(most, int(n)/max(stop-1, 1))
			}
			if err == nil {
				break
			}
			if turns > 200 {
				t.Fatal(err)
			}
		}
		if int(gone) != before || turns < 2 {
			t.Errorf("%d of %d went in %d turns", gone, before, turns)
		}
		if most > daysAtOnce*perDay {
			t.Errorf("%d half-hours in a transaction", most)
		}
		ds, err := w.service.Deletions(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		var logged int64
		for _, d := range ds {
			logged += d.HalfHours
			if d.Finished.IsZero() || !strings.Contains(string(d.Record), fmt.Sprintf(`"halfHours":%d`, d.HalfHours)) {
				t.Errorf("a deletion that was broken off is not signed for: %+v", d)
			}
		}
		if logged != gone || len(ds) < 2 {
			t.Errorf("%d went, %d are logged", gone, logged)
		}
	})
}

// A permission that is given while a deletion is under way keeps what it covers.
func TestPermissionDuringDeletion(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.register()
		w.permits.set(grantFor("g", monday.AddDate(0, -3, 0), mainIn))
		for at := monday.AddDate(0, -2, 0); at.Before(monday.AddDate(0, 0, -20)); at = at.AddDate(0, 0, 20) {
			w.send(series(mainIn, at, make([]int64, 48*20)...))
		}
		w.permits.set()
		asked := 0
		w.permits.mu.Lock()
		w.permits.asked = func() {
			if asked++; asked == 2 {
				w.permits.grants = []grant.Grant{grantFor("new", monday.AddDate(0, -3, 0), mainIn)}
			}
		}
		w.permits.mu.Unlock()
		n, err := w.service.DeleteUncovered(t.Context(), gatewayURL)
		if err != nil || n == 0 || n > daysAtOnce*perDay {
			t.Errorf("%d, %v", n, err)
		}
		if len(w.readings(mainIn)) == 0 {
			t.Error("what the new permission covers is gone")
		}
	})
}

// A half-hour of a month that is over, new or changed, is noted; one of the
// month at hand, the same value again and a deletion are not.
func TestChanged(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.register()
		g := grantFor("g", monday.AddDate(0, -2, 0), mainIn)
		w.permits.set(g)
		february, march := monday.AddDate(0, -1, 0), month.Of(monday).Start
		changed := func(k energy.Key) map[time.Time]time.Time {
			t.Helper()
			out, err := w.service.Changed(ctx, gatewayURL, []energy.Key{k}, monday.AddDate(0, -3, 0), w.now())
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		w.send(series(mainIn, monday, 1))
		if got := changed(mainIn); len(got) != 0 {
			t.Errorf("of the month at hand: %v", got)
		}
		w.send(series(mainIn, february, 1, 2))
		at := w.now()
		if got := changed(mainIn); len(got) != 1 || !got[month.Of(february).Start].Equal(at) {
			t.Errorf("%v", got)
		}
		w.setNow(march.AddDate(0, 1, 3))
		w.send(series(mainIn, february, 1, 2))
		if got := changed(mainIn); len(got) != 1 || !got[month.Of(february).Start].Equal(at) {
			t.Errorf("the same again: %v", got)
		}
		w.send(series(mainIn, monday, 2))
		if got := changed(mainIn); len(got) != 2 || !got[march].Equal(w.now()) {
			t.Errorf("%v", got)
		}
		if got := changed(energy.Key{Meter: "main", Measure: energy.Export}); len(got) != 0 {
			t.Errorf("of another register: %v", got)
		}
		before := changed(mainIn)
		w.setNow(w.now().AddDate(0, 0, 1))
		w.permits.set()
		if n, err := w.service.DeleteUncovered(ctx, gatewayURL); n == 0 || err != nil {
			t.Fatal(n, err)
		}
		if got := changed(mainIn); !got[march].Equal(before[march]) {
			t.Errorf("a deletion: %v", got)
		}
	})
}
