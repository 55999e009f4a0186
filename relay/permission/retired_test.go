package permission_test

import (
	"crypto/sha256"
	"net/http"
	"runtime"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/relay/permission"
)

// A gateway hears at once that its code stands for the site no more, though no
// permission ends by it, and by another process than the one that it asks; a
// gateway that registered another code hears that this one stands.
func TestGatewayHearsOfNewTenant(t *testing.T) {
	databases(t, func(t *testing.T, open func(*testing.T) *database.DB) {
		w := newWorld(t, open(t))
		if set := w.verify(t, w.gate.poll(t, "", "")); set.Code != "" || set.Retired {
			t.Errorf("before it registered: %+v", set)
		}
		register := func(code string) {
			t.Helper()
			hash := sha256.Sum256([]byte(code))
			_, err := w.db.Exec(`INSERT INTO site (gateway, member, name, outcode, code_hash, registered, updated) VALUES ($1, 'm', 'n', 'o', $2, 0, 0)
				ON CONFLICT (gateway) DO UPDATE SET code_hash = excluded.code_hash`, gateway1, hash[:])
			must(t, err)
		}
		register(code1)
		res := w.gate.poll(t, "", "")
		if set := w.verify(t, res); set.Code != identity.CodeVersion(code1) || set.Retired {
			t.Errorf("%+v", set)
		}
		waiting := make(chan answer)
		go func() { waiting <- w.gate.poll(t, res.Header.Get("ETag"), "wait=50") }()
		for w.svc.Waiting(gateway1) == 0 {
			runtime.Gosched()
		}
		if _, err := permission.EndTenancy(t.Context(), w.db, w.now(), gateway1); err != nil {
			t.Fatal(err)
		}
		// By this those who wait are woken, not only at the end of their wait.
		var version int
		if err := w.db.QueryRow(`SELECT version FROM grant_versions WHERE gateway = $1`, gateway1).Scan(&version); err != nil || version != 1 {
			t.Errorf("version %d, %v", version, err)
		}
		select {
		case res = <-waiting:
			if set := w.verify(t, res); !set.Retired || set.Code != identity.CodeVersion(code1) {
				t.Errorf("after the last tenant: %+v", set)
			}
		case <-time.After(time.Minute):
			t.Fatal("the gateway was not told")
		}
		if again := w.gate.poll(t, res.Header.Get("ETag"), ""); again.Status != http.StatusNotModified {
			t.Errorf("again: %d", again.Status)
		}
		register("9999-8888-7777")
		if set := w.verify(t, w.gate.poll(t, res.Header.Get("ETag"), "")); set.Retired || set.Code != identity.CodeVersion("9999-8888-7777") {
			t.Errorf("with a new code: %+v", set)
		}
		register(code1) // it is not to come back
		if set := w.verify(t, w.gate.poll(t, "", "")); !set.Retired {
			t.Errorf("with the old code again: %+v", set)
		}
	})
}
