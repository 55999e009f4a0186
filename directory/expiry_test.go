package directory

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/directory/notice"
)

// outbox is a sender that remembers.
type outbox struct {
	mu   sync.Mutex
	fail error
	sent []notice.Notice
}

func (o *outbox) Send(_ context.Context, n notice.Notice) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.fail != nil {
		return o.fail
	}
	o.sent = append(o.sent, n)
	return nil
}

func (o *outbox) take() (ids []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, n := range o.sent {
		ids = append(ids, n.ID)
	}
	o.sent = nil
	return ids
}

const year = 365 * 24 * time.Hour

func TestWarn(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		_, csr := newKeyCSR(t)
		c := must(w.IssueClient(ctx, w.providerApp.ID, []byte(csr)))(t).Leaf
		_, csr = newKeyCSR(t)
		revoked := must(w.IssueClient(ctx, w.providerApp.ID, []byte(csr)))(t).Leaf
		if err := w.Revoke(ctx, revoked.SerialNumber); err != nil {
			t.Fatal(err)
		}
		must(w.AddOwner(ctx, w.provider.ID, "dana@perse.example"))(t)
		mail, hook := &outbox{}, &outbox{}
		ways := Warnings{Mail: mail, Webhook: hook}
		warn := func() int {
			t.Helper()
			return must(w.Warn(ctx, ways))(t)
		}
		id := "certificate/" + c.SerialNumber.String()
		if n := warn(); n != 0 {
			t.Errorf("%d warnings a year before", n)
		}
		w.clock.t = c.NotAfter.Add(-30*24*time.Hour - time.Second)
		warn() // the roots' lists end at about the same time
		mail.take()
		hook.take()
		w.clock.add(time.Second)
		if n := warn(); n != 2 {
			t.Errorf("%d warnings, want a mail and a webhook", n)
		}
		m := mail.sent[0]
		if !slices.Equal(m.To, []string{"contact@perse.example", "dana@perse.example"}) || !strings.Contains(m.Subject, "Perse Gateways: a certificate ends in 30 days") ||
			!strings.Contains(m.Text, c.SerialNumber.String()) || !strings.Contains(m.Text, "Perse Energy Ltd") {
			t.Errorf("mail %+v", m)
		}
		if d := hook.sent[0].Data.(endingJSON); d.Threshold != 30 || d.Serial != c.SerialNumber.String() || d.Member != base+"/m/"+w.provider.ID || d.Ends != rfc3339(c.NotAfter) {
			t.Errorf("webhook %+v", d)
		}
		if got := mail.take(); !slices.Equal(got, []string{id + "/30"}) || !slices.Equal(hook.take(), got) {
			t.Errorf("ids %v", got)
		}
		if n := warn(); n != 0 {
			t.Errorf("%d warnings again", n)
		}
		// Down for the 14 days' warning: the one of 7 days comes, and it alone.
		w.clock.t = c.NotAfter.Add(-6 * 24 * time.Hour)
		warn()
		if got := mail.take(); !slices.Contains(got, id+"/7") || slices.Contains(got, id+"/14") {
			t.Errorf("ids %v", got)
		}
		hook.take()
		// The mail server is away: the webhook goes out once, the mail later.
		w.clock.t = c.NotAfter.Add(-20 * time.Hour)
		mail.fail = errors.New("away")
		if _, err := w.Warn(ctx, ways); err == nil || !strings.Contains(err.Error(), "away") {
			t.Errorf("no word of it: %v", err)
		}
		if got := hook.take(); !slices.Contains(got, id+"/1") {
			t.Errorf("webhook %v", got)
		}
		mail.fail = nil
		if warn() != 0 {
			t.Error("tried again at once")
		}
		w.clock.add(warnRetry)
		warn()
		if got := mail.take(); !slices.Contains(got, id+"/1") || len(hook.take()) != 0 {
			t.Errorf("later: %v", got)
		}
		w.clock.t = c.NotAfter.Add(time.Second)
		if warn() != 0 {
			t.Error("warned of what has ended")
		}
		w.clock.add(warnKeep)
		warn()
		var rows int
		if err := w.DB.QueryRow(`SELECT COUNT(*) FROM directory_warnings WHERE subject = $1`, id).Scan(&rows); err != nil || rows != 0 {
			t.Errorf("%d rows stay, %v", rows, err)
		}
	})
}

// TestWarnGateways: a gateway that renews itself is no news; one that has not
// is.
func TestWarnGateways(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		g := w.enrolled(t)
		mail := &outbox{}
		w.clock.t = g.Client.Leaf.NotAfter.Add(-25 * 24 * time.Hour)
		must(w.Warn(ctx, Warnings{Mail: mail}))(t)
		var about []string
		for _, n := range mail.sent {
			if strings.HasPrefix(n.Subject, "Gateway") {
				about = append(about, n.ID)
			}
		}
		if len(about) != 2 || !strings.Contains(mail.sent[0].Text, "renews within the hour") {
			t.Errorf("warned of %v", about)
		}
		_, csr := newKeyCSR(t)
		must(w.Renew(ctx, g.Client.Leaf, Client, []byte(csr)))(t)
		mail.take()
		w.clock.add(12 * 24 * time.Hour)
		must(w.Warn(ctx, Warnings{Mail: mail}))(t)
		if got := mail.take(); slices.Contains(got, "certificate/"+g.Client.Leaf.SerialNumber.String()+"/14") || !slices.Contains(got, "certificate/"+g.Signing.Leaf.SerialNumber.String()+"/14") {
			t.Errorf("after the client certificate was renewed: %v", got)
		}
	})
}

// enrolled is a gateway with its certificates.
func (w *world) enrolled(t testing.TB) Enrolment {
	t.Helper()
	_, code, err := w.AddGateway(t.Context(), Gateway{Application: w.providerApp.ID, Name: "Unit 4", Site: "Riverside"})
	if err != nil {
		t.Fatal(err)
	}
	_, a := newKeyCSR(t)
	_, b := newKeyCSR(t)
	return must(w.Enroll(t.Context(), code, []byte(a), []byte(b)))(t)
}

// TestWarnOfAuthorities: the roots' lists hold for a year, issuers for ten.
func TestWarnOfAuthorities(t *testing.T) {
	w := newWorld(t, "sqlite:"+filepath.Join(t.TempDir(), "d.db"))
	mail := &outbox{}
	ways := Warnings{Mail: mail, Operator: "ops@directory.example", Days: []int{10}}
	w.clock.t = start.Add(rootCRLLife - 9*24*time.Hour)
	must(w.Warn(t.Context(), ways))(t)
	if got := mail.sent; len(got) != 3 || got[0].To[0] != "ops@directory.example" || !strings.Contains(got[0].Text, "ceremony sign") {
		t.Errorf("lists: %+v", got)
	}
	mail.take()
	// A member without an address: the operator is told; without an operator
	// nobody is, which does not count.
	_, csr := newKeyCSR(t)
	c := must(w.IssueClient(t.Context(), w.bankApp.ID, []byte(csr)))(t).Leaf
	w.clock.t = c.NotAfter.Add(-9 * 24 * time.Hour)
	if n := must(w.Warn(t.Context(), Warnings{Mail: mail, Days: []int{9}}))(t); n != 0 || !strings.Contains(w.logs.String(), "nobody to write to") {
		t.Errorf("%d warnings to nobody", n)
	}
	mail.take()
	if n := must(w.Warn(t.Context(), ways))(t); n != 1 || !slices.Equal(mail.sent[0].To, []string{"ops@directory.example"}) {
		t.Errorf("%d warnings, %+v", n, mail.sent)
	}
	mail.take()
	w.clock.t = w.Authorities.Client.Issuer.NotAfter.Add(-time.Hour)
	must(w.Warn(t.Context(), ways))(t)
	if got := mail.take(); len(got) != 3 || !strings.HasPrefix(got[0], "issuer/") {
		t.Errorf("issuers: %v", got)
	}
	if _, err := w.Warn(t.Context(), Warnings{Days: []int{0}}); err == nil {
		t.Error("0 days taken")
	}
}

// TestWarnOnce: of several processes at once each warning is sent by one.
func TestWarnOnce(t *testing.T) {
	for name, dsn := range map[string]func(*testing.T) string{
		"sqlite":   func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "d.db") },
		"postgres": postgresDSN,
	} {
		t.Run(name, func(t *testing.T) {
			d := dsn(t)
			w := newWorld(t, d)
			for range 8 {
				_, csr := newKeyCSR(t)
				must(w.IssueClient(t.Context(), w.bankApp.ID, []byte(csr)))(t)
			}
			services := []*Service{w.Service, w.open(t, d), w.open(t, d)}
			w.clock.add(year - 48*time.Hour)
			hook := &outbox{}
			var wg sync.WaitGroup
			for _, s := range services {
				for range 2 {
					wg.Go(func() {
						if _, err := s.Warn(context.Background(), Warnings{Webhook: hook}); err != nil {
							t.Error(err)
						}
					})
				}
			}
			wg.Wait()
			ids := hook.take()
			slices.Sort(ids)
			if got := slices.Compact(slices.Clone(ids)); len(got) != len(ids) || len(ids) != 8+3 {
				t.Errorf("%d sent, %d of them different, want 8 certificates and 3 lists", len(ids), len(got))
			}
		})
	}
}
