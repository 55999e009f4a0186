package agent

import (
	"context"
	"errors"
	"time"

	"github.com/perseus-edge/perseus-edge/uplink"
)

// retryUplink is how often an uplink that could not begin is tried again: so
// that enrolling needs no restart.
const retryUplink = 15 * time.Second

// runUplink makes the uplink client as soon as the gateway is enrolled, and
// runs it.
func (a *Agent) runUplink(ctx context.Context) {
	for logged := ""; ; {
		c, err := a.newUplink()
		if err == nil {
			a.upErr.Store(nil)
			err = c.Run(ctx)
		}
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			words := err.Error()
			a.upErr.Store(&words)
			if words != logged {
				a.log.Warn("uplink cannot begin", "reason", err)
				logged = words
			}
		}
		t := time.NewTimer(retryUplink)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-a.enrolled:
			t.Stop()
		case <-t.C:
		}
	}
}

// newUplink makes the client and shows it. The code is the one that is kept, so
// that one that was made meanwhile counts.
func (a *Agent) newUplink() (*uplink.Client, error) {
	a.coding.Lock()
	defer a.coding.Unlock()
	c := a.opt.Config
	site := uplink.Site{Name: c.Site.Name, Outcode: c.Site.Outcode}
	for _, m := range c.Meters {
		if sent := m.Sent(); len(sent) > 0 {
			site.Meters = append(site.Meters, uplink.SiteMeter{ID: m.ID, Type: m.Type(), Measures: sent})
		}
	}
	u, err := uplink.New(uplink.Config{
		URL: c.Uplink.URL, Dir: c.Uplink.Identity, Site: site, Outbox: a.opt.Store,
		Now: a.opt.Wall, Logger: a.log, HTTP: a.opt.HTTP, Jitter: a.opt.Jitter, Keys: c.Uplink.KeyStore,
	})
	if err == nil {
		a.uplink.Store(u)
	}
	return u, err
}

// uplinkNotify says that there may be something new to send.
func (a *Agent) uplinkNotify() {
	if c := a.uplink.Load(); c != nil {
		c.Notify()
	}
}

func (a *Agent) uplinkStatus() *UplinkStatus {
	if a.opt.Config.Uplink == nil {
		return nil
	}
	c := a.uplink.Load()
	if c == nil {
		s := &UplinkStatus{State: "starting"}
		if w := a.upErr.Load(); w != nil {
			s.State, s.Reason = "cannot begin", *w
		}
		if _, err := uplink.ReadEnrolment(a.opt.Config.Uplink.Identity); errors.Is(err, uplink.ErrNotEnrolled) {
			s.State = "not enrolled"
		}
		return s
	}
	d := c.Status()
	s := &UplinkStatus{State: "waiting for a permission", Reason: d.Error, Status: &d}
	for _, g := range d.Grants {
		if g.Live(a.opt.Wall()) {
			s.State = "sending"
		}
	}
	if !d.Connected {
		s.State = "offline"
	}
	for _, x := range d.Certificates {
		if x.State == "revoked" || x.State == "expired" && s.State != "revoked" {
			s.State = x.State
		}
	}
	return s
}
