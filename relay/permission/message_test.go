package permission_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/scheme"
	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/relay/permission"
)

// mailbox is a Delivery that keeps what it gets, or fails.
type mailbox struct {
	mu    sync.Mutex
	got   []string // application, space, body
	ids   []string
	fails error
	hook  func(application string)
}

func (m *mailbox) Deliver(_ context.Context, application, id string, body []byte) error {
	if m.hook != nil {
		m.hook(application)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ids = append(m.ids, id)
	if m.fails != nil {
		return m.fails
	}
	m.got = append(m.got, application+" "+string(body))
	return nil
}

func mailed(m *mailbox) func(*permission.Config) {
	return func(c *permission.Config) { c.Messages = m }
}

// end withdraws the client's permission for the site on the page.
func (w *world) end(client, code string) answer {
	w.t.Helper()
	all, err := w.svc.Permissions(w.t.Context())
	must(w.t, err)
	site, err := w.sites.SiteByCode(w.t.Context(), code)
	must(w.t, err)
	for _, a := range all {
		if a.Client == client && a.Gateway == site.Gateway {
			return w.browser().post("/permissions/withdraw", url.Values{"code": {code}, "permission": {a.Permission}, "sure": {"yes"}})
		}
	}
	w.t.Fatalf("%s has no permission for the site", client)
	return answer{}
}

func bodyOf(token string) string {
	return `{"ib1:message":"https://registry.example/trust-framework","subject":"https://registry.trust.ib1.org/message/withdrawal-of-permission/2025-03-16","body":{"token":"` + token + `"}}`
}

// A withdrawal by the business is told to the client, once for each refresh
// token that it ended, after they ended; one by the client is not.
func TestMessageOfWithdrawal(t *testing.T) {
	databases(t, func(t *testing.T, open func(*testing.T) *database.DB) {
		var box mailbox
		w := newWorld(t, open(t), mailed(&box))
		first, other := w.bank.flow(perseus.LicenseCombined(), code1), w.cap.flow(perseus.LicenseConsumption(), code1)
		second := w.bank.flow(perseus.LicenseCombined(), code1) // a renewal
		must(t, w.svc.Deliver(t.Context()))
		if len(box.ids) != 0 {
			t.Fatalf("told before the withdrawal: %v", box.got)
		}
		box.hook = func(string) {
			for _, tok := range []tokens{first, second} {
				if res := w.bank.refresh(tok.refresh); res.Status != 400 {
					t.Errorf("told before the token ended: %d", res.Status)
				}
			}
		}
		w.end(bankURL, code1)
		must(t, w.svc.Deliver(t.Context()))
		must(t, w.svc.Deliver(t.Context()))
		want := []string{bankURL + " " + bodyOf(first.refresh), bankURL + " " + bodyOf(second.refresh)}
		slices.Sort(want)
		slices.Sort(box.got)
		if !slices.Equal(box.got, want) {
			t.Errorf("delivered %v, want %v", box.got, want)
		}
		box.got, box.hook = nil, nil
		if res := w.cap.post("/oauth/revoke", url.Values{"token": {other.refresh}}); res.Status != 200 {
			t.Fatalf("revoke: %d", res.Status)
		}
		must(t, w.svc.Deliver(t.Context()))
		if len(box.got) != 0 {
			t.Errorf("the client was told of its own revocation: %v", box.got)
		}
		// A permission whose code was never redeemed has no token to name.
		uri, _ := w.bank.push(perseus.LicenseCombined())
		w.browser().agree(bankURL, uri, code2)
		var id string
		must(t, w.db.QueryRow(`SELECT id FROM permissions WHERE gateway = $1`, gateway2).Scan(&id))
		w.browser().post("/permissions/withdraw", url.Values{"code": {code2}, "permission": {id}, "sure": {"yes"}})
		must(t, w.svc.Deliver(t.Context()))
		if len(box.got) != 0 {
			t.Errorf("a message without a token: %v", box.got)
		}
	})
}

// A client that cannot be reached is tried again, ever less often, and then is
// a dead letter, which the operator sees and can send again.
func TestDeadLetter(t *testing.T) {
	databases(t, func(t *testing.T, open func(*testing.T) *database.DB) {
		box := mailbox{fails: errors.New("connection\x1b[31m refused")}
		w := newWorld(t, open(t), mailed(&box))
		tok := w.bank.flow(perseus.LicenseCombined(), code1)
		w.end(bankURL, code1)
		began := w.now()
		for try := 1; try <= permission.MessageTries; try++ {
			must(t, w.svc.Deliver(t.Context()))
			must(t, w.svc.Deliver(t.Context())) // not before it is due
			if len(box.ids) != try {
				t.Fatalf("%d tries after %v, want %d", len(box.ids), w.now().Sub(began), try)
			}
			if try < permission.MessageTries {
				w.advance(min(30*time.Second<<(try-1), 6*time.Hour) * 6 / 5)
			}
		}
		if d := w.now().Sub(began); d < 48*time.Hour || d > 6*24*time.Hour {
			t.Errorf("given up after %v", d)
		}
		w.advance(24 * time.Hour)
		must(t, w.svc.Deliver(t.Context()))
		if len(box.ids) != permission.MessageTries || len(slices.Compact(box.ids)) != 1 {
			t.Errorf("%d tries under %d names", len(box.ids), len(slices.Compact(box.ids)))
		}
		dead, err := permission.Messages(t.Context(), w.db, permission.MessageDead)
		must(t, err)
		if len(dead) != 1 || dead[0].Client != bankURL || dead[0].Attempts != permission.MessageTries || dead[0].Problem != "connection[31m refused" || dead[0].State != permission.MessageDead {
			t.Fatalf("dead letters: %+v", dead)
		}
		if n, err := permission.RetryMessages(t.Context(), w.db, w.now(), "no such"); err != nil || n != 0 {
			t.Errorf("retry of nothing: %d, %v", n, err)
		}
		if n, err := permission.RetryMessages(t.Context(), w.db, w.now(), dead[0].ID); err != nil || n != 1 {
			t.Errorf("retry: %d, %v", n, err)
		}
		box.fails = nil
		must(t, w.svc.Deliver(t.Context()))
		if !slices.Equal(box.got, []string{bankURL + " " + bodyOf(tok.refresh)}) {
			t.Errorf("after the retry: %v", box.got)
		}
		all, err := permission.Messages(t.Context(), w.db, "")
		if err != nil || len(all) != 1 || all[0].State != permission.MessageSent || all[0].Problem != "" {
			t.Errorf("in the end: %+v, %v", all, err)
		}
		for i := 1; i < 40; i++ {
			if p := permission.MessagePause(i); p < 30*time.Second || p > 6*time.Hour*6/5 {
				t.Errorf("pause %d: %v", i, p)
			}
		}
	})
}

// Several processes on one database share the queue: each message goes out
// once. One that dies while it has a message loses it to another when its lease
// is over.
func TestProcessesShareTheQueue(t *testing.T) {
	databases(t, func(t *testing.T, open func(*testing.T) *database.DB) {
		var box mailbox
		db := open(t)
		w := newWorld(t, db, mailed(&box))
		var others []*permission.Service
		for range 2 {
			o := newWorld(t, db, mailed(&box), func(c *permission.Config) { c.Now = w.now })
			others = append(others, o.svc)
		}
		for range 12 {
			w.bank.flow(perseus.LicenseCombined(), code1)
			w.end(bankURL, code1)
		}
		var wg sync.WaitGroup
		for _, s := range append(others, w.svc) {
			wg.Go(func() { must(t, s.Deliver(t.Context())) })
		}
		wg.Wait()
		slices.Sort(box.got)
		if n := len(slices.Compact(box.got)); len(box.ids) != 12 || n != 12 {
			t.Errorf("%d deliveries of %d messages, want 12 of 12", len(box.ids), n)
		}

		// The process goes away in the middle.
		w.bank.flow(perseus.LicenseCombined(), code1)
		w.end(bankURL, code1)
		ctx, die := context.WithCancel(t.Context())
		box.hook = func(string) { die() }
		if err := w.svc.Deliver(ctx); !errors.Is(err, context.Canceled) && err != nil {
			t.Error(err)
		}
		box.hook = nil
		n := len(box.ids)
		must(t, others[0].Deliver(t.Context()))
		if len(box.ids) != n {
			t.Error("taken while another has it")
		}
		w.advance(permission.MessageLease)
		must(t, others[0].Deliver(t.Context()))
		if len(box.ids) != n+1 {
			t.Error("not taken when the lease was over")
		}
	})
}

// The receiver of another member, behind mutual TLS: it sees the relay's
// certificate, and the relay checks its.
func TestHTTPDelivery(t *testing.T) {
	w := newWorld(t, openSQLite(t))
	relay := w.pki.Client("https://directory.example/a/relay", "Perseus Relay Ltd", "https://directory.example/m/relay", perseus.Role(scheme.EDP))
	type got struct{ peer, body, kind, key string }
	var seen []got
	status := 204
	mux := http.NewServeMux()
	mux.HandleFunc("POST /inbox", func(rw http.ResponseWriter, r *http.Request) {
		p, err := identity.RequestPeer(r)
		must(t, err)
		b, err := io.ReadAll(r.Body)
		must(t, err)
		seen = append(seen, got{p.Application, string(b), r.Header.Get("Content-Type"), r.Header.Get("Idempotency-Key")})
		rw.WriteHeader(status)
	})
	moved := w.listen(http.RedirectHandler("https://elsewhere.example/", http.StatusTemporaryRedirect), true)
	host := w.listen(mux, true)
	address := host + "/inbox"
	var lookup error
	config := permission.HTTPDeliveryConfig{Certificate: relay.Get, ServerRoots: w.pki.ServerCA.Pool(), Private: true,
		Find: func(_ context.Context, app string) (string, error) { return address, lookup }}
	d, err := permission.NewHTTPDelivery(config)
	must(t, err)
	must(t, d.Deliver(t.Context(), bankURL, "id1", []byte(`{"a":1}`)))
	if len(seen) != 1 || seen[0] != (got{"https://directory.example/a/relay", `{"a":1}`, "application/json", `"id1"`}) {
		t.Errorf("the receiver saw %+v", seen)
	}
	untrusted := httptest.NewTLSServer(mux)
	defer untrusted.Close()
	for _, c := range []struct {
		name, address, want string
		status              int
	}{
		{"an error", host + "/inbox", "503", 503},
		{"moved", moved, "307", 204},
		{"a server of nobody's", untrusted.URL + "/inbox", "certificate", 204},
		{"no address", "", "messageDelivery", 204},
		{"http", "http://bank.example/inbox", "https", 204},
		{"a user", "https://u:p@bank.example/inbox", "https", 204},
		{"nonsense", "https://%zz", "https", 204},
	} {
		address, status = c.address, c.status
		if err := d.Deliver(t.Context(), bankURL, "id2", nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	lookup = errors.New("directory down")
	if err := d.Deliver(t.Context(), bankURL, "id2", nil); err == nil || !strings.Contains(err.Error(), "directory down") {
		t.Errorf("directory down: %v", err)
	}
	// Outside a sandbox nothing goes to a private address, by whatever name.
	lookup, status, config.Private = nil, 204, false
	d, err = permission.NewHTTPDelivery(config)
	must(t, err)
	n := len(seen)
	for _, a := range []string{host + "/inbox", strings.Replace(host, "127.0.0.1", "localhost", 1) + "/inbox", strings.Replace(host, "127.0.0.1", "[::ffff:127.0.0.1]", 1) + "/inbox"} {
		address = a
		if err := d.Deliver(t.Context(), bankURL, "id3", nil); err == nil || !strings.Contains(err.Error(), "public internet") || len(seen) != n {
			t.Errorf("%s: %v", a, err)
		}
	}
	if _, err := permission.NewHTTPDelivery(permission.HTTPDeliveryConfig{}); err == nil {
		t.Error("made of nothing")
	}
}

func TestRefusePrivate(t *testing.T) {
	for _, a := range []string{"10.1.2.3:443", "127.0.0.1:443", "169.254.169.254:80", "172.16.0.1:443", "192.168.0.1:443", "100.64.0.1:443", "0.0.0.0:443",
		"224.0.0.1:443", "255.255.255.255:443", "198.18.0.1:443", "[::1]:443", "[::]:443", "[fe80::1%eth0]:443", "[fd00::1]:443", "[ff02::1]:443",
		"[::ffff:10.0.0.1]:443", "[64:ff9b::a00:1]:443", "[2002:a00:1::1]:443", "[2001:db8::1]:443", "name:443", ""} {
		if permission.RefusePrivate(a) == nil {
			t.Errorf("%s is taken for public", a)
		}
	}
	for _, a := range []string{"93.184.215.14:443", "[2606:2800:21f:cb07:6820:80da:af6b:8b2c]:443"} {
		if err := permission.RefusePrivate(a); err != nil {
			t.Error(err)
		}
	}
}

func TestMessageAddress(t *testing.T) {
	const app, in = "https://d.example/a/1", "https://in.example/m"
	for _, c := range []struct{ doc, want string }{
		{`{"id":"` + app + `","messageDelivery":"` + in + `"}`, in},
		{`{"@context":{},"@id":"` + app + `","ib1:messageDelivery":{"@id":"` + in + `"}}`, in},
		{`{"@graph":[{"@id":"` + app + `","https://registry.trust.ib1.org/ns/1.0#messageDelivery":[{"@value":"` + in + `"}]},{"@id":"https://d.example/a/2","messageDelivery":"https://wrong.example"}]}`, in},
		{`[{"@id":"` + app + `","https://registry.trust.ib1.org/ns/1.0/messageDelivery":[{"@id":"` + in + `"}]}]`, in},
		{`{"@id":"` + app + `"}`, ""},
		{`{"@id":"` + app + `","messageDelivery":""}`, ""},
		{`{"@id":"https://d.example/a/2","messageDelivery":"` + in + `"}`, ""},
		{`{"messageDelivery":[1,null,true,{"@id":7}]}`, ""},
		{`{"messageDelivery":["https://a.example","https://b.example"]}`, "error"},
		{`<html>`, "error"},
		{strings.Repeat("[", 5000) + strings.Repeat("]", 5000), ""},
	} {
		got, err := permission.MessageAddress([]byte(c.doc), app)
		if err != nil {
			got = "error"
		}
		if got != c.want {
			t.Errorf("%.120s: %q, %v; want %q", c.doc, got, err, c.want)
		}
	}
}

func FuzzMessageAddress(f *testing.F) {
	f.Add([]byte(`{"@graph":[{"@id":"https://d.example/a/1","ib1:messageDelivery":{"@id":"x"}}]}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		a, err := permission.MessageAddress(doc, "https://d.example/a/1")
		if err != nil && a != "" {
			t.Errorf("%q and %v", a, err)
		}
	})
}

// The address is looked up in the directory, which says how long it holds;
// nothing outside the directory is asked for.
func TestDirectoryLookup(t *testing.T) {
	var asked []string
	cache, body, status := "public, max-age=60", "", 200
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Path+" "+r.Header.Get("Accept"))
		rw.Header().Set("Cache-Control", cache)
		rw.WriteHeader(status)
		io.WriteString(rw, body)
	}))
	defer srv.Close()
	now := time.Now()
	d := permission.NewDirectoryLookup(srv.URL, srv.Client(), func() time.Time { return now })
	app := srv.URL + "/a/bank"
	body = fmt.Sprintf(`{"@id":%q,"ib1:messageDelivery":{"@id":"https://bank.example/in"}}`, app)
	find := func(want string, times int) {
		t.Helper()
		got, err := d.Find(t.Context(), app)
		if err != nil {
			got = "error: " + err.Error()
		}
		if !strings.HasPrefix(got, want) || len(asked) != times {
			t.Errorf("%q after %d questions, want %q after %d", got, len(asked), want, times)
		}
	}
	find("https://bank.example/in", 1)
	find("https://bank.example/in", 1)
	now = now.Add(time.Minute)
	body, cache = `{}`, "no-store, max-age=60"
	find("", 2)
	find("", 3)
	status = 404
	find("error: the directory answered 404", 4)
	status, body = 200, strings.Repeat(" ", 1<<20+1)
	find("error: the directory's answer is larger", 5)
	for _, a := range []string{"https://169.254.169.254/a", srv.URL, srv.URL + ".evil.example/a", "http://x"} {
		if _, err := d.Find(t.Context(), a); err == nil || len(asked) != 5 {
			t.Errorf("%s was asked for: %v", a, err)
		}
	}
}

// Messages that others send to us.
func TestMessageTaken(t *testing.T) {
	databases(t, func(t *testing.T, open func(*testing.T) *database.DB) {
		var box mailbox
		w := newWorld(t, open(t), mailed(&box))
		send := func(a *app, body string) answer {
			r, err := http.NewRequest("POST", w.server+"/messages", strings.NewReader(body))
			must(t, err)
			r.Header.Set("Content-Type", "application/json")
			return do(t, a.http, r)
		}
		// Of a permission that we issued to the sender.
		tok := w.bank.flow(perseus.LicenseCombined(), code1)
		if res := send(w.stranger, bodyOf(tok.refresh)); res.Status != 204 || w.bank.use(tok.access).Status != 200 {
			t.Errorf("somebody else's message: %d", res.Status)
		}
		if res := send(w.bank, bodyOf(tok.access)); res.Status != 204 || w.bank.use(tok.access).Status != 200 {
			t.Errorf("an access token: %d", res.Status)
		}
		for range 2 { // a message may come twice
			if res := send(w.bank, bodyOf(tok.refresh)); res.Status != 204 || res.Body != "" {
				t.Errorf("%d %s", res.Status, res.Body)
			}
		}
		refused(t, w.bank.use(tok.access), 401, "invalid_token")
		if n := len(w.purged); n != 1 {
			t.Errorf("%d deletions", n)
		}
		must(t, w.svc.Deliver(t.Context()))
		if len(box.got) != 0 {
			t.Errorf("the sender was told: %v", box.got)
		}
		// Of one that another provider issued to us, on which two of ours rely.
		provider := w.app("https://directory.example/a/dcc", "Smart Meter Data Ltd", perseus.Role(scheme.EDP))
		a, b := w.bank.flow(perseus.LicenseCombined(), code1), w.cap.flow(perseus.LicenseConsumption(), code2)
		kept := w.cap.flow(perseus.LicenseConsumption(), code1)
		all, err := w.svc.Permissions(t.Context())
		must(t, err)
		for _, p := range all {
			if p.Client == bankURL || p.Gateway == gateway2 {
				must(t, permission.Hold(t.Context(), w.db, w.now(), p.Permission, provider.id, "upstream-token"))
			}
		}
		if err := permission.Hold(t.Context(), w.db, w.now(), "nonsense", provider.id, "x"); err == nil {
			t.Error("a link of nothing")
		}
		if res := send(w.stranger, bodyOf("upstream-token")); res.Status != 204 || w.bank.use(a.access).Status != 200 {
			t.Errorf("not the issuer: %d", res.Status)
		}
		if res := send(provider, bodyOf("upstream-token")); res.Status != 204 {
			t.Errorf("the issuer: %d %s", res.Status, res.Body)
		}
		refused(t, w.bank.use(a.access), 401, "invalid_token")
		refused(t, w.cap.use(b.access), 401, "invalid_token")
		if res := w.cap.use(kept.access); res.Status != 200 {
			t.Errorf("one that does not rely on it: %d", res.Status)
		}
		must(t, w.svc.Deliver(t.Context()))
		want := []string{bankURL + " " + bodyOf(a.refresh), capURL + " " + bodyOf(b.refresh)}
		slices.Sort(box.got)
		if !slices.Equal(box.got, want) {
			t.Errorf("passed on: %v", box.got)
		}
		// What is no message.
		for _, c := range []struct {
			body string
			want int
		}{
			{"", 400}, {"null", 400}, {"[]", 400}, {"{}", 400}, {bodyOf(""), 400}, {bodyOf(strings.Repeat("x", 5000)), 400},
			{strings.Replace(bodyOf("x"), "registry.example", "registry.other.example", 1), 400},
			{strings.Replace(bodyOf("x"), "withdrawal-of", "granting-of", 1), 400},
			{strings.Replace(bodyOf("x"), `"x"`, `7`, 1), 400},
			{bodyOf(strings.Repeat("x", 17<<10)), 413},
		} {
			refused(t, send(w.bank, c.body), c.want, "invalid_request")
		}
		refused(t, w.bank.post("/messages", url.Values{"token": {"x"}}), 415, "invalid_request")
		refused(t, send(w.gate, bodyOf("x")), 403, "access_denied")
		w.mu.Lock()
		w.revoked[w.bank.leaf.Chain[0].SerialNumber.String()] = true
		w.mu.Unlock()
		refused(t, send(w.bank, bodyOf("x")), 401, "invalid_client")
	})
}

// A bank's permission for emissions relies on that of the relay's own member,
// which works them out: it falls with it, at one stroke, and its bank is told.
func TestLinkedPermissions(t *testing.T) {
	databases(t, func(t *testing.T, open func(*testing.T) *database.DB) {
		var box mailbox
		w := newWorld(t, open(t), mailed(&box))
		own := w.app("https://directory.example/a/own", "Perseus Relay Ltd", perseus.Role(scheme.CAP))
		before := w.stranger.flow(perseus.LicenseEmissions(), code1) // stood before there was anything to rely on
		base := own.flow(perseus.LicenseConsumption(), code1)
		linked := w.bank.flow(perseus.LicenseEmissions(), code1)
		elsewhere := w.bank.flow(perseus.LicenseEmissions(), code2)
		theirs := w.cap.flow(perseus.LicenseConsumption(), code1) // another accountant's leg
		// Upwards nothing falls.
		w.end(bankURL, code1)
		if own.use(base.access).Status != 200 {
			t.Error("what was relied on fell with what relied on it")
		}
		linked = w.bank.flow(perseus.LicenseEmissions(), code1)
		linked = w.bank.flow(perseus.LicenseEmissions(), code1) // a renewal keeps its link
		page := w.browser().post("/permissions/withdraw", url.Values{"code": {code1}, "permission": {w.idOf("https://directory.example/a/own", gateway1)}})
		if !strings.Contains(text(page.Body), "Green Bank plc") {
			t.Errorf("the question does not say what falls with it: %s", text(page.Body))
		}
		if own.use(base.access).Status != 200 {
			t.Fatal("withdrawn without an answer to the question")
		}
		box.got = nil
		must(t, w.svc.Deliver(t.Context()))
		box.got, w.purged = nil, nil
		w.end("https://directory.example/a/own", code1)
		refused(t, own.use(base.access), 401, "invalid_token")
		refused(t, w.bank.use(linked.access), 401, "invalid_token")
		for name, res := range map[string]answer{"older than it": w.stranger.use(before.access), "another site's": w.bank.use(elsewhere.access), "another accountant's": w.cap.use(theirs.access)} {
			if res.Status != 200 {
				t.Errorf("%s fell too: %d", name, res.Status)
			}
		}
		if !slices.Equal(w.purged, []string{gateway1}) {
			t.Errorf("deletions: %v", w.purged)
		}
		must(t, w.svc.Deliver(t.Context()))
		told := map[string]int{}
		for _, m := range box.got {
			c, _, _ := strings.Cut(m, " ")
			told[c]++
		}
		if told["https://directory.example/a/own"] != 1 || told[bankURL] != 2 || len(told) != 2 {
			t.Errorf("told: %v", told)
		}
		var with, by string
		must(t, w.db.QueryRow(`SELECT revoked_by, revoked_with FROM permissions WHERE client = $1 AND gateway = $2 ORDER BY granted DESC, revoked_by LIMIT 1`, bankURL, gateway1).Scan(&by, &with))
		if by != "linked" || with == "" {
			t.Errorf("recorded: by %q, with %q", by, with)
		}
		// A revocation by the client, and by a message, cascades as well.
		base = own.flow(perseus.LicenseConsumption(), code1)
		linked = w.bank.flow(perseus.LicenseEmissions(), code1)
		own.post("/oauth/revoke", url.Values{"token": {base.refresh}})
		refused(t, w.bank.use(linked.access), 401, "invalid_token")
	})
}

// Granting what relies on a permission while that is withdrawn leaves nothing
// that stands without it.
func TestLinkRaces(t *testing.T) {
	databases(t, func(t *testing.T, open func(*testing.T) *database.DB) {
		w := newWorld(t, open(t))
		own := w.app("https://directory.example/a/own", "Perseus Relay Ltd", perseus.Role(scheme.CAP))
		for range 8 {
			base := own.flow(perseus.LicenseConsumption(), code1)
			w.bank.flow(perseus.LicenseEmissions(), code1)
			uri, _ := w.bank.push(perseus.LicenseEmissions())
			var wg sync.WaitGroup
			wg.Go(func() { w.browser().agree(bankURL, uri, code1) })
			wg.Go(func() { own.post("/oauth/revoke", url.Values{"token": {base.refresh}}) })
			wg.Wait()
			var n int
			must(t, w.db.QueryRow(`SELECT count(*) FROM permission_links l JOIN permissions p ON p.id = l.permission JOIN permissions q ON q.id = l.relies_on
				WHERE p.revoked = 0 AND q.revoked <> 0`).Scan(&n))
			if n != 0 {
				t.Fatalf("%d permissions stand without what they rely on", n)
			}
			_, err := w.db.Exec(`UPDATE permissions SET revoked = 1 WHERE revoked = 0`)
			must(t, err)
		}
	})
}

func (w *world) idOf(client, gateway string) (id string) {
	w.t.Helper()
	must(w.t, w.db.QueryRow(`SELECT id FROM permissions WHERE client = $1 AND gateway = $2 AND revoked = 0`, client, gateway).Scan(&id))
	return id
}
