package directory_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/perseus-edge/perseus-edge/directory/dirtest"
	"github.com/perseus-edge/perseus-edge/directory/fault"
)

// TestCodesAtOnce: a device enrols with a code while the site's owners make
// others, withdraw them and revoke the gateway. Whoever comes too late is told so;
// nobody is told of the database's locks.
func TestCodesAtOnce(t *testing.T) {
	dirtest.OnBoth(t, func(t *testing.T, w *dirtest.World) {
		ctx := t.Context()
		g, _ := dirtest.Enrolled(t, w)
		enrol := func(code string) {
			_, a := dirtest.NewKeyCSR(t)
			_, b := dirtest.NewKeyCSR(t)
			if _, err := w.Enroll(ctx, code, []byte(a), []byte(b)); err != nil && !errors.Is(err, fault.ErrCode) {
				t.Errorf("enrolment: %v", err)
			}
		}
		var wg sync.WaitGroup
		for range 3 { // owners, each of whom hands the code to a device at once
			wg.Go(func() {
				var devices sync.WaitGroup
				for range 12 {
					code, err := w.NewCode(ctx, g.ID)
					if err != nil {
						t.Errorf("new code: %v", err)
						continue
					}
					devices.Go(func() { enrol(code) })
				}
				devices.Wait()
			})
		}
		wg.Go(func() {
			for range 12 {
				if _, err := w.WithdrawCode(ctx, g.ID); err != nil {
					t.Errorf("withdrawal: %v", err)
				}
				if _, err := w.RevokeGateway(ctx, g.ID, ""); err != nil {
					t.Errorf("revocation: %v", err)
				}
			}
		})
		wg.Wait()
	})
}
