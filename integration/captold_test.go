package integration

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/relay/permission"
)

// When the business withdraws on the relay's page, the demo's carbon accountant
// is told, at the address that the directory has for it, and its page shows it.
func TestTheDemosAccountantIsTold(t *testing.T) {
	d := theDemo(t)
	c, err := newClient(d.CAP.ClientID, d.file(d.CAP.Cert), d.file(d.CAP.Key), d.file(d.ServerCA))
	if err != nil {
		t.Fatal(err)
	}
	c.issuer, c.resource, c.license = d.Issuer, d.Resource, d.license("energy-consumption-edp-cap")
	if err := c.permit(t.Context(), d.SME.Code); err != nil {
		t.Fatal(err)
	}
	told := func() int {
		t.Helper()
		a, err := ask(t.Context(), c.people, http.MethodGet, d.CAPPage, "", nil)
		if err != nil || a.status != http.StatusOK || strings.Contains(string(a.body), c.refresh) {
			t.Fatalf("the accountant's page: %d, %v", a.status, err)
		}
		return strings.Count(string(a.body), "has withdrawn a permission")
	}
	before := told()
	db, err := database.Open("sqlite:" + d.file("central.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ps, err := permission.List(t.Context(), db, time.Now(), permission.Filter{Client: c.id, State: permission.StateLive})
	if err != nil || len(ps) == 0 {
		t.Fatalf("permissions of %s: %+v, %v", c.id, ps, err)
	}
	newest := slices.MaxFunc(ps, func(a, b permission.Summary) int { return a.LastGranted.Compare(b.LastGranted) })
	a, err := ask(t.Context(), c.people, http.MethodPost, d.Issuer+"/permissions/withdraw", "", url.Values{"code": {d.SME.Code}, "permission": {newest.ID}})
	if err != nil || a.status != http.StatusOK {
		t.Fatalf("withdraw: %d %s, %v", a.status, a.body, err)
	}
	until(t, 90*time.Second, "the accountant is told", nil, func() error {
		if n := told(); n <= before {
			return fmt.Errorf("its page shows %d messages, %d before the withdrawal", n, before)
		}
		return nil
	})
}
