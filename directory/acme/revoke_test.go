package acme_test

import (
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/directory/ca"
)

func revocation(c *x509.Certificate, more string) string {
	return fmt.Sprintf(`{"certificate":%q%s}`, base64.RawURLEncoding.EncodeToString(c.Raw), more)
}

// revoked reports whether the directory's list has a certificate.
func (w *world) revoked(t *testing.T, c *x509.Certificate) bool {
	t.Helper()
	l := must(w.dir.CRL(t.Context(), ca.Server))(t)
	crl := must(x509.ParseRevocationList(l.DER))(t)
	for _, e := range crl.RevokedCertificateEntries {
		if e.SerialNumber.Cmp(c.SerialNumber) == 0 {
			return true
		}
	}
	return false
}

func TestRevoke(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		c, stranger := w.registered(t), w.registered(t)
		const path = "/acme/revoke"
		key := newKey(t)
		leaf := c.obtain(key, apiHost, issuerHost)[0]

		refused(t, stranger.post(path, revocation(leaf, "")), http.StatusForbidden, "unauthorized", "Meet the challenges of api.perse.example.com and issuer.perse.example.com")
		nobody := w.client(t)
		refused(t, nobody.post(path, revocation(leaf, "")), http.StatusForbidden, "unauthorized", "another key")
		for _, reason := range []string{"2", "6", "7", "8", "9", "10", "-1", "99"} {
			refused(t, c.post(path, revocation(leaf, `,"reason":`+reason)), 400, "badRevocationReason", "Reason "+reason)
		}
		refused(t, c.post(path, `{"certificate":"AA"}`), 400, "malformed", "cannot be read")
		refused(t, c.post(path, `{"certificate":"+"}`), 400, "malformed", "base64url")
		refused(t, c.post(path, ``), 400, "malformed", "JSON object")
		issuer := w.dir.Authorities.Server.Issuer
		refused(t, c.post(path, revocation(issuer, "")), 404, "malformed", "did not issue")
		// Another hierarchy's certificate is none of ACME's concern.
		csr := must(base64.RawURLEncoding.DecodeString(newCSR(t, newKey(t), x509.CertificateRequest{})))(t)
		member := must(w.dir.IssueClient(t.Context(), w.app.ID, pemCSR(csr)))(t)
		refused(t, c.post(path, revocation(member.Leaf, "")), 404, "malformed", "did not issue")
		if w.revoked(t, leaf) {
			t.Fatal("revoked by a refusal")
		}

		// Whoever shows that he holds all of its names may, though another ordered it.
		o := stranger.order(apiHost)
		stranger.meet(o)
		refused(t, stranger.post(path, revocation(leaf, "")), http.StatusForbidden, "unauthorized", "of issuer.perse.example.com first")
		stranger.meet(stranger.order(issuerHost))
		w.clock.add(61 * time.Minute)
		stranger.nonce, c.nonce = "", ""
		refused(t, stranger.post(path, revocation(leaf, "")), http.StatusForbidden, "unauthorized", "Meet the challenges")
		stranger.meet(stranger.order(apiHost, issuerHost))
		if r := stranger.post(path, revocation(leaf, `,"reason":1`)); r.Code != 200 || r.Body.Len() != 0 {
			t.Fatalf("%d %s", r.Code, r.Body)
		}
		if !w.revoked(t, leaf) {
			t.Error("not in the list")
		}
		refused(t, c.post(path, revocation(leaf, "")), 400, "alreadyRevoked", "already")

		// The account that ordered it; the certificate's own key.
		second := c.obtain(newKey(t), apiHost)[0]
		if r := c.post(path, revocation(second, "")); r.Code != 200 || !w.revoked(t, second) {
			t.Errorf("%d %s", r.Code, r.Body)
		}
		key3 := newKey(t)
		third := c.obtain(key3, apiHost)[0]
		nobody.key, nobody.nonce = key3, ""
		if r := nobody.post(path, revocation(third, `,"reason":4`)); r.Code != 200 || !w.revoked(t, third) {
			t.Errorf("%d %s", r.Code, r.Body)
		}
		var actors []string
		rows := must(w.dir.DB.Query(`SELECT actor FROM directory_audit WHERE action = 'certificate.revoke' ORDER BY seq`))(t)
		defer rows.Close()
		for rows.Next() {
			var a string
			if err := rows.Scan(&a); err != nil {
				t.Fatal(err)
			}
			actors = append(actors, a)
		}
		id := func(c *client) string { return "acme:" + c.kid[len(c.kid)-26:] }
		if got, want := strings.Join(actors, " "), strings.Join([]string{id(stranger), id(c), "certificate:" + third.SerialNumber.String()}, " "); got != want {
			t.Errorf("audit log: %s, want %s", got, want)
		}
	})
}
