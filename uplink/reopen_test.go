package uplink

import (
	"net/http"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/uplink/batch"
	"github.com/perseus-edge/perseus-edge/uplink/grant"
)

func TestForgotten(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	g := func(id string, granted, revoked time.Time) grant.Grant {
		return grant.Grant{ID: id, Covers: []grant.Cover{{Meter: "m", Measure: energy.Import}}, From: now.AddDate(-1, 0, 0),
			Granted: granted, Expires: now.AddDate(1, 0, 0), Revoked: revoked}
	}
	never := time.Time{}
	later := g("late", now, never)
	later.From = now.AddDate(0, -1, 0)
	for _, c := range []struct {
		name          string
		before, after []grant.Grant
		want          int
	}{
		{"nothing changed", []grant.Grant{g("a", now, never)}, []grant.Grant{g("a", now, never)}, 0},
		{"a new one", nil, []grant.Grant{g("a", now, never)}, 0},
		{"withdrawn", []grant.Grant{g("a", now, never)}, []grant.Grant{g("a", now, now.Add(time.Hour))}, 1},
		{"not told any more", []grant.Grant{g("a", now, never)}, nil, 1},
		{"known as withdrawn", []grant.Grant{g("a", now, now.Add(time.Hour))}, []grant.Grant{g("a", now, now.Add(time.Hour))}, 0},
		{"another one covered it all the while", []grant.Grant{g("a", now, never), g("b", now, never)},
			[]grant.Grant{g("a", now, now.Add(time.Hour)), g("b", now, never)}, 0},
		{"another one came after the withdrawal", []grant.Grant{g("a", now, never)},
			[]grant.Grant{g("a", now, now.Add(time.Hour)), g("b", now.Add(2*time.Hour), never)}, 1},
		{"another one reaches less far back", []grant.Grant{g("a", now, never)}, []grant.Grant{g("a", now, now.Add(time.Hour)), later}, 1},
	} {
		if got := forgotten(c.before, c.after); len(got) != c.want {
			t.Errorf("%s: %v, want %d spans", c.name, got, c.want)
		}
	}
}

// A business withdraws, the relay deletes, and the business agrees anew: the
// history must be whole again.
func TestAgreedAnewAfterAWithdrawal(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, 21)
		r.out.add(mainImport, hours(time.Now(), 100)...)
		first := grantOf("g1", mainImport)
		r.relay.grant(first)
		r.start()
		defer r.end()
		pass(time.Minute)
		r.settled(mainImport)
		first.Revoked = time.Now()
		r.relay.mu.Lock()
		r.relay.values = map[energy.Key]map[int64]batch.Value{} // what a withdrawal deletes
		r.relay.mu.Unlock()
		r.relay.grant(first)
		pass(time.Hour)
		if n, _, _, _ := r.relay.counts(); n != 0 {
			t.Fatalf("%d half-hours left after the withdrawal", n)
		}
		r.relay.grant(first, grantOf("g2", mainImport))
		pass(time.Minute)
		if n, _, _, _ := r.relay.counts(); n != 100 {
			t.Errorf("the relay has %d of 100 half-hours under the new permission", n)
		}
		r.settled(mainImport)
	})
}

// A relay that was restored from an old backup gets again what it had
// acknowledged since.
func TestRelayRestoredFromABackup(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, 22)
		r.relay.grant(grantOf("g1", mainImport))
		c := r.start()
		defer r.end()
		for range 3 { // three batches
			pass(30 * time.Minute)
			r.out.add(mainImport, hours(time.Now(), 1)...)
			c.Notify()
			pass(time.Minute)
		}
		r.settled(mainImport)
		r.relay.wipe()
		pass(30 * time.Minute)
		r.out.add(mainImport, hours(time.Now(), 1)...)
		c.Notify()
		pass(time.Hour)
		if n, _, _, _ := r.relay.counts(); n != 4 {
			t.Errorf("the relay has %d of 4 half-hours", n)
		}
		r.settled(mainImport)
	})
}

// The relay stores a batch and its answer is lost; before the gateway asks
// again the business withdraws and agrees anew. The relay still knows the
// batch's hash, but not its half-hours: to offer it once more would get it
// acknowledged for nothing.
func TestAgreedAnewWhileABatchIsOnItsWay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, 22)
		r.out.add(mainImport, hours(time.Now(), 100)...)
		first := grantOf("g1", mainImport)
		r.relay.grant(first)
		r.wire.pick = func(q *http.Request) fault {
			if q.Method == http.MethodPost {
				return lost
			}
			return none
		}
		r.start()
		defer r.end()
		pass(10 * time.Second)
		if seq, _, _ := r.out.Oldest(); seq != 1 {
			t.Fatalf("sealed is %d", seq)
		}
		first.Revoked = time.Now().Add(-2 * time.Second)
		r.relay.mu.Lock()
		r.relay.values = map[energy.Key]map[int64]batch.Value{} // what a withdrawal deletes
		r.relay.mu.Unlock()
		second := grantOf("g2", mainImport) // granted after that, and live at once
		r.relay.grant(first, second)
		r.wire.mu.Lock()
		r.wire.pick = nil
		r.wire.mu.Unlock()
		pass(24 * time.Hour)
		r.settled(mainImport)
	})
}
