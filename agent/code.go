package agent

import (
	"context"
	"errors"

	"github.com/perseus-edge/perseus-edge/uplink"
)

// ErrNoCode is the error of NewCode where the gateway only records.
var ErrNoCode = errors.New("this gateway only records: nobody asks for a meter code of it")

// NewCode makes a new meter code, and has the uplink tell the relay of it at
// once: from then on the one before stands for nothing. A *uplink.CodeNotTold
// says that the code was made, but the relay could not be told of it yet.
func (a *Agent) NewCode(ctx context.Context) (code string, err error) {
	if a.opt.Config.Uplink == nil {
		return "", ErrNoCode
	}
	a.coding.Lock()
	defer a.coding.Unlock()
	if c := a.uplink.Load(); c != nil {
		code, err = c.NewCode(ctx)
	} else if code, err = uplink.MakeCode(a.opt.Store); err == nil {
		err = &uplink.CodeNotTold{Why: "this gateway does not reach a relay yet"}
	}
	if code != "" {
		a.log.Info("a new meter code was made", "told", err == nil)
		a.Note("A new meter code was made, in the place of the one before.")
	}
	return code, err
}

// siteCode is the code by which the business recognises its meter, and whether
// it stands for the site no more. A gateway that only records shows none: who
// has the code can answer for the business, and nobody asks for it.
func (a *Agent) siteCode() (code string, retired bool) {
	if a.opt.Config.Uplink == nil {
		return "", false
	}
	if c := a.uplink.Load(); c != nil {
		code, stands := c.CodeStands()
		return code, !stands
	}
	code, err := uplink.SiteCode(a.opt.Store)
	if err != nil {
		a.log.Error("site code cannot be kept", "error", err)
	}
	return code, false
}
