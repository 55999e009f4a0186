package permission_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/uplink/grant"
)

// slowly sends a request whose body is held back until meanwhile has run, and
// gives the answer's status line.
func (a *app) slowly(t *testing.T, path, contentType, body string, meanwhile func()) string {
	t.Helper()
	u, err := url.Parse(a.w.server)
	must(t, err)
	conn, err := tls.Dial("tcp", u.Host, identity.ClientTLS(a.w.pki.ServerCA.Pool(), a.leaf.Get))
	must(t, err)
	defer conn.Close()
	half := len(body) / 2
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", path, u.Host, contentType, len(body))
	in := bufio.NewReader(conn)
	line, err := in.ReadString('\n') // "100 Continue": the handler has begun to read, so it has looked at the certificate
	must(t, err)
	if !strings.Contains(line, "100") {
		t.Fatalf("before the body: %s", line)
	}
	_, err = in.ReadString('\n')
	must(t, err)
	fmt.Fprint(conn, body[:half])
	meanwhile()
	fmt.Fprint(conn, body[half:])
	line, err = in.ReadString('\n')
	must(t, err)
	return strings.TrimSpace(line)
}

// attackSlowBody: a certificate is revoked, or runs out, while its holder sends
// a body byte by byte. What it asks for is not done.
func attackSlowBody(t *testing.T, w *world) {
	const form = "application/x-www-form-urlencoded"
	tok := w.bank.flow(perseus.LicenseCombined(), code1)
	_, challenge := pkce()
	for _, c := range []struct{ path, kind, body string }{
		{"/oauth/token", form, url.Values{"grant_type": {"refresh_token"}, "client_id": {bankURL}, "refresh_token": {tok.refresh}}.Encode()},
		{"/oauth/par", form, w.bank.parForm(perseus.LicenseCombined(), challenge).Encode()},
		{"/oauth/permission", form, url.Values{"token": {tok.refresh}}.Encode()},
		{"/oauth/revoke", form, url.Values{"token": {tok.refresh}}.Encode()},
		{"/messages", "application/json", bodyOf(tok.refresh)},
	} {
		a := w.app(bankURL, "Green Bank plc", w.bank.roles()...)
		if got := a.slowly(t, c.path, c.kind, c.body, func() { w.revoke(a) }); !strings.Contains(got, " 401 ") {
			t.Errorf("%s of a certificate that was revoked meanwhile: %s", c.path, got)
		}
	}
	if res := w.bank.use(tok.access); res.Status != 200 {
		t.Errorf("something was done: %d", res.Status)
	}
	a := w.app(bankURL, "Green Bank plc", w.bank.roles()...)
	body := url.Values{"grant_type": {"refresh_token"}, "client_id": {bankURL}, "refresh_token": {tok.refresh}}.Encode()
	if got := a.slowly(t, "/oauth/token", form, body, func() { w.advance(a.leaf.Cert().NotAfter.Sub(w.now()) + time.Second) }); !strings.Contains(got, " 401 ") {
		t.Errorf("a certificate that ran out meanwhile: %s", got)
	}
}

func (a *app) roles() []string {
	p, err := identity.PeerOf(a.leaf.Cert())
	must(a.w.t, err)
	return p.Roles
}

// attackLongPoll: a gateway's certificate is revoked while its question waits.
func attackLongPoll(t *testing.T, w *world) {
	res := w.gate.poll(t, "", "")
	waiting := make(chan answer)
	go func() { waiting <- w.gate.poll(t, res.Header.Get("ETag"), "wait=50") }()
	for w.svc.Waiting(gateway1) == 0 {
		runtime.Gosched()
	}
	w.revoke(w.gate)
	w.bank.flow(perseus.LicenseCombined(), code1)
	refused(t, <-waiting, 403, "certificate_revoked")
}

// A code that comes twice ends all that it gave, also an access token that a
// refresh made at the same instant: on a database where one transaction does
// not see the other, such a one is written after the others have ended.
func TestReplayEndsTokensOfARefreshAtTheSameTime(t *testing.T) {
	databases(t, func(t *testing.T, open func(*testing.T) *database.DB) {
		w := newWorld(t, open(t))
		for range 10 {
			uri, verifier := w.bank.push(perseus.LicenseCombined())
			code := w.browser().agree(bankURL, uri, code1).Get("code")
			tok := w.bank.redeem(code, verifier)
			var mu sync.Mutex
			access := []string{tok.access}
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					for range 5 {
						if s := w.bank.refresh(tok.refresh).str("access_token"); s != "" {
							mu.Lock()
							access = append(access, s)
							mu.Unlock()
						}
					}
				})
			}
			wg.Go(func() {
				refused(t, w.bank.post("/oauth/token", w.bank.redeemForm(code, verifier)), 400, "invalid_grant")
			})
			wg.Wait()
			for _, s := range access {
				refused(t, w.bank.use(s), 401, "invalid_token")
			}
		}
		// What such a race leaves behind, without the luck: a refresh token that
		// ended, and an access token beside it that did not.
		tok := w.bank.flow(perseus.LicenseCombined(), code1)
		other := w.bank.flow(perseus.LicenseCombined(), code1)
		_, err := w.db.Exec(`UPDATE oauth_tokens SET revoked = $1 WHERE kind = 'refresh' AND grant_id = (SELECT grant_id FROM oauth_tokens WHERE hash = $2)`, w.now().Unix(), hashed(tok.access))
		must(t, err)
		refused(t, w.bank.use(tok.access), 401, "invalid_token")
		if res := w.bank.use(other.access); res.Status != 200 {
			t.Errorf("the renewal's own token: %d", res.Status)
		}
	})
}

// A gateway keeps the withdrawals that it has seen. Where the relay was put back
// to a backup of before one, the gateway says so, and it is done again: with the
// tokens, the data, and a message to the client. It speaks for itself alone.
func TestGatewayTellsOfWithdrawal(t *testing.T) {
	databases(t, func(t *testing.T, open func(*testing.T) *database.DB) {
		var box mailbox
		w := newWorld(t, open(t), mailed(&box))
		tok, other := w.bank.flow(perseus.LicenseCombined(), code1), w.bank.flow(perseus.LicenseCombined(), code2)
		id, otherID := w.idOf(bankURL, gateway1), w.idOf(bankURL, gateway2)
		tell := func(a *app, ids string) answer {
			r, err := http.NewRequest("GET", w.server+"/gateway/v1/grants", nil)
			must(t, err)
			r.Header.Set(grant.WithdrawnHeader, ids)
			return do(t, a.http, r)
		}
		for _, s := range []string{otherID, "nonsense", "", ",,,", strings.Repeat(otherID+",", 60), "\xff\xfe", "'; DROP TABLE permissions; --"} {
			if res := tell(w.gate, s); res.Status != 200 {
				t.Errorf("%.40q: %d", s, res.Status)
			}
		}
		refused(t, tell(w.bank, id), 403, "access_denied")
		if w.bank.use(tok.access).Status != 200 || w.bank.use(other.access).Status != 200 || len(w.purged) > 0 {
			t.Fatal("somebody else, or nonsense, ended a permission")
		}
		set := w.verify(t, tell(w.gate, "nonsense, "+id))
		if len(set.Grants) != 1 || set.Grants[0].Revoked.IsZero() {
			t.Errorf("the answer does not show it: %+v", set)
		}
		refused(t, w.bank.use(tok.access), 401, "invalid_token")
		refused(t, w.bank.refresh(tok.refresh), 400, "invalid_grant")
		if res := w.bank.use(other.access); res.Status != 200 || len(w.purged) != 1 || w.purged[0] != gateway1 {
			t.Errorf("%d, %v", res.Status, w.purged)
		}
		must(t, w.svc.Deliver(t.Context()))
		if len(box.got) != 1 {
			t.Errorf("the client was told: %v", box.got)
		}
		page := text(w.browser().post("/permissions", url.Values{"code": {code1}}).Body)
		if !strings.Contains(page, "the gateway on the site had kept") {
			t.Errorf("the page says %s", page)
		}
		w.verify(t, tell(w.gate, id)) // once more does no harm
		if len(w.purged) != 1 {
			t.Errorf("%d deletions", len(w.purged))
		}
	})
}

// A record whose time is over is forgotten; one that was renewed between the
// look and the deletion is not.
func TestForgetLooksAgain(t *testing.T) {
	databases(t, func(t *testing.T, open func(*testing.T) *database.DB) {
		w := newWorld(t, open(t))
		tok := w.bank.flow(perseus.LicenseCombined(), code1)
		id := w.idOf(bankURL, gateway1)
		must(t, w.svc.Forget(context.WithoutCancel(t.Context()), id))
		if res := w.bank.use(tok.access); res.Status != 200 {
			t.Errorf("a permission in force was forgotten: %d", res.Status)
		}
		w.advance(8 * 366 * 24 * time.Hour)
		must(t, w.svc.Forget(t.Context(), id))
		var n int
		must(t, w.db.QueryRow(`SELECT COUNT(*) FROM permissions`).Scan(&n))
		if n != 0 {
			t.Error("its time is over, and it is still there")
		}
	})
}

func hashed(secret string) []byte {
	h := sha256.Sum256([]byte(secret))
	return h[:]
}
