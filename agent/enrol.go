package agent

import (
	"context"
	"errors"

	"github.com/perseus-edge/perseus-edge/uplink"
)

// Errors of Enroll, besides those of uplink.Enroll.
var (
	ErrRecordsOnly = errors.New("this gateway only records: to let it send, add uplink to its configuration first")
	ErrEnrolling   = errors.New("an enrolment is under way: wait a minute, then look at this page again")
)

// Enroll gives this gateway its identity with a one-time code, or what the
// code's QR code holds, and has the uplink take it up at once. A gateway that
// has a working identity keeps it (uplink.ErrEnrolled), and none becomes another
// gateway here: both take the command on the machine itself.
func (a *Agent) Enroll(ctx context.Context, directory, code string) (uplink.Enrolment, error) {
	u := a.opt.Config.Uplink
	if u == nil {
		return uplink.Enrolment{}, ErrRecordsOnly
	}
	if !a.enrolling.TryLock() {
		return uplink.Enrolment{}, ErrEnrolling
	}
	defer a.enrolling.Unlock()
	if u.Directory != "" {
		directory = u.Directory
	}
	e, err := uplink.Enroll(ctx, uplink.EnrollRequest{Directory: directory, Code: code, Dir: u.Identity, CAFile: u.CA, Keys: u.KeyStore, Now: a.opt.Wall, HTTP: a.opt.HTTP})
	if err != nil {
		a.log.Warn("enrolment on the local page did not work", "problem", err)
		return e, err
	}
	a.log.Info("enrolled on the local page", "gateway", e.Gateway, "organisation", e.Organisation)
	a.Note("Enrolled for " + e.Organisation + ".")
	select {
	case a.enrolled <- struct{}{}:
	default:
	}
	if c := a.uplink.Load(); c != nil {
		c.Reread()
	}
	return e, nil
}
