package uplink

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/identitytest"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
)

// What the relay's TLS says no to is said in words that help.
func TestStatusOverTLS(t *testing.T) {
	pki := identitytest.New(t)
	stranger := identitytest.New(t)
	relay := newRelay(t, pki)
	ended := *pki
	ended.NotAfter = time.Now().Add(-time.Hour)
	for name, c := range map[string]struct {
		server *identitytest.PKI
		client *identitytest.PKI
		trust  *identitytest.PKI
		want   string
	}{
		"stranger at the relay":   {pki, stranger, pki, "refused this gateway's certificate"},
		"own certificate ended":   {pki, &ended, pki, "this gateway's certificate ended on"},
		"relay not trusted":       {pki, pki, stranger, "does not trust"},
		"relay certificate ended": {&ended, pki, pki, "set the clock"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			identityFolder(t, dir, pki)
			c.client.Client(gatewayURL, "Shop Ltd", memberURL).Write(dir, "client")
			if err := os.WriteFile(filepath.Join(dir, serverCAFile), identity.EncodeCertificates(c.trust.ServerCA.Root), 0o644); err != nil {
				t.Fatal(err)
			}
			client, err := New(Config{URL: serve(t, c.server, pki.ClientCA.Pool(), relay), Dir: dir, Outbox: newOutbox(), Logger: record.Logger(t),
				Site: Site{Meters: []SiteMeter{{ID: "main", Type: "electricity", Measures: []energy.Measure{energy.Import}}}}})
			if err != nil {
				t.Fatal(err)
			}
			_, err = client.step(t.Context())
			if err == nil {
				t.Fatal("it worked")
			}
			client.failed("send", err)
			if s := client.Status(); s.Connected || !strings.Contains(s.Error, c.want) {
				t.Errorf("status %q, want ..%s.. (%v)", s.Error, c.want, err)
			}
		})
	}
}

func TestClockOff(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, 1)
		c := r.start()
		r.stop()
		for off, want := range map[time.Duration]string{-26 * time.Hour: "26h0m0s behind the relay's: set it", 10 * time.Minute: "10m0s ahead of the relay's: set it"} {
			c.noteClock(http.Header{"Date": {time.Now().Add(-off).UTC().Format(http.TimeFormat)}})
			c.failed("send", &refusal{status: 400, code: "invalid_batch"})
			if s := c.Status(); s.ClockOff != off || !strings.Contains(s.Error, want) {
				t.Errorf("got %v %q, want ..%s..", s.ClockOff, s.Error, want)
			}
		}
		c.noteClock(http.Header{"Date": {time.Now().UTC().Format(http.TimeFormat)}})
		if s := c.Status(); s.ClockOff != 0 {
			t.Errorf("still %v", s.ClockOff)
		}
	})
}
