package permission_test

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

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
			return w.browser().post("/permissions/withdraw", url.Values{"code": {code}, "permission": {a.Permission}})
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
		w.browser().post("/permissions/withdraw", url.Values{"code": {code2}, "permission": {id}})
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

func (w *world) idOf(client, gateway string) (id string) {
	w.t.Helper()
	must(w.t, w.db.QueryRow(`SELECT id FROM permissions WHERE client = $1 AND gateway = $2 AND revoked = 0`, client, gateway).Scan(&id))
	return id
}

func FuzzAccepted(f *testing.F) {
	f.Add("cy-GB, en;q=0.5")
	f.Fuzz(func(t *testing.T, header string) {
		if got := permission.Accepted(header); got != "en" && got != "cy" {
			t.Errorf("%q: %q", header, got)
		}
	})
}
