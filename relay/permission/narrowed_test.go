package permission_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/relay/ingest"
	"github.com/perseus-edge/perseus-edge/relay/permission"
)

// drops records what is to be deleted after renewals, and fails as told.
type drops struct {
	mu   sync.Mutex
	got  []string
	fail error
	told chan string // optional
}

func (d *drops) with(c *permission.Config) {
	c.OnNarrow = func(_ context.Context, gateway string) error {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.got = append(d.got, gateway)
		if d.told != nil {
			d.told <- gateway
		}
		return d.fail
	}
}

func (d *drops) take() (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, d.got = len(d.got), nil
	return n
}

// siteWith is the site of code1 with these measures of its electricity meter.
func siteWith(measures ...energy.Measure) permission.Site {
	return permission.Site{Gateway: gateway1, Member: relayMember, Name: "Riverside Unit 4", Outcode: "SW8",
		Meters: []ingest.Meter{{ID: "main", Type: "electricity", Measures: measures}}}
}

// A renewal that covers less than before has what it drops deleted, at once and
// a minute later for good, and again until that succeeds; the operator sees that
// it is due. One that covers as much or more deletes nothing.
func TestRenewalForLess(t *testing.T) {
	databases(t, func(t *testing.T, open func(*testing.T) *database.DB) {
		var d drops
		w := newWorld(t, open(t), d.with)
		sweep := func(what string, calls, due int) {
			t.Helper()
			err := w.svc.Sweep(t.Context())
			if (err != nil) != (d.fail != nil) {
				t.Errorf("%s: %v", what, err)
			}
			c, err := permission.Count(t.Context(), w.db, w.now())
			must(t, err)
			if n := d.take(); n != calls || c.Undeleted != due {
				t.Errorf("%s: %d deletions, %d due; want %d and %d", what, n, c.Undeleted, calls, due)
			}
		}
		renew := func(measures ...energy.Measure) {
			t.Helper()
			w.sites.set(code1, siteWith(measures...))
			w.cap.flow(perseus.LicenseConsumption(), code1)
		}
		renew(energy.Import)
		sweep("the first grant", 0, 0)
		renew(energy.Import)
		sweep("the same again", 0, 0)
		renew(energy.Import, energy.Export)
		sweep("more", 0, 0)
		other := w.idOf(capURL, gateway1)
		renew(energy.Export)
		if w.idOf(capURL, gateway1) != other {
			t.Fatal("it was not renewed")
		}
		d.fail = errors.New("the disk is full")
		sweep("less, but it fails", 1, 1)
		w.advance(3 * time.Minute)
		sweep("it fails again", 1, 1)
		c, err := permission.Count(t.Context(), w.db, w.now())
		must(t, err)
		if c.Overdue != 3*time.Minute {
			t.Errorf("overdue: %v", c.Overdue)
		}
		d.fail = nil
		sweep("for good", 1, 0)
		sweep("done", 0, 0)
		// Another meter in place of the one before: that is less as well.
		renew(energy.Import)
		sweep("at once", 1, 1)
		renew(energy.Import, energy.Export) // more again changes nothing about what is due
		w.advance(time.Minute)
		sweep("for good", 1, 0)
		sweep("done", 0, 0)
	})
}

// The deletion does not wait for the next minute.
func TestRenewalForLessAtOnce(t *testing.T) {
	databases(t, func(t *testing.T, open func(*testing.T) *database.DB) {
		d := drops{told: make(chan string, 100)}
		w := newWorld(t, open(t), d.with)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		defer wg.Wait()
		defer cancel()
		wg.Go(func() { w.svc.Run(ctx) })
		w.sites.set(code1, siteWith(energy.Import, energy.Export))
		w.cap.flow(perseus.LicenseConsumption(), code1)
		w.sites.set(code1, siteWith(energy.Import))
		w.cap.flow(perseus.LicenseConsumption(), code1)
		select {
		case g := <-d.told:
			if g != gateway1 {
				t.Errorf("deleted of %s", g)
			}
		case <-time.After(30 * time.Second):
			t.Error("nothing was deleted in half a minute")
		}
	})
}
