package expiry_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/ca"
	"github.com/perseus-edge/perseus-edge/directory/dirtest"
	"github.com/perseus-edge/perseus-edge/directory/expiry"
	"github.com/perseus-edge/perseus-edge/directory/form"
	"github.com/perseus-edge/perseus-edge/directory/notice"
	"github.com/perseus-edge/perseus-edge/relay/database/databasetest"
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
	dirtest.OnBoth(t, func(t *testing.T, w *dirtest.World) {
		ctx := t.Context()
		_, csr := dirtest.NewKeyCSR(t)
		c := dirtest.Must(w.IssueClient(ctx, w.ProviderApp.ID, []byte(csr)))(t).Leaf
		_, csr = dirtest.NewKeyCSR(t)
		revoked := dirtest.Must(w.IssueClient(ctx, w.ProviderApp.ID, []byte(csr)))(t).Leaf
		if err := w.Revoke(ctx, revoked.SerialNumber); err != nil {
			t.Fatal(err)
		}
		dirtest.Must(w.AddOwner(ctx, w.Provider.ID, "dana@perse.example"))(t)
		mail, hook := &outbox{}, &outbox{}
		ways := expiry.Warnings{Mail: mail, Webhook: hook}
		warn := func() int {
			t.Helper()
			return dirtest.Must(expiry.New(w.Service).Warn(ctx, ways))(t)
		}
		id := "certificate/" + c.SerialNumber.String()
		if n := warn(); n != 0 {
			t.Errorf("%d warnings a year before", n)
		}
		w.Clock.Set(c.NotAfter.Add(-30*24*time.Hour - time.Second))
		warn() // the roots' lists end at about the same time
		mail.take()
		hook.take()
		w.Clock.Add(time.Second)
		if n := warn(); n != 2 {
			t.Errorf("%d warnings, want a mail and a webhook", n)
		}
		m := mail.sent[0]
		if !slices.Equal(m.To, []string{"contact@perse.example", "dana@perse.example"}) || !strings.Contains(m.Subject, "Perse Gateways: a certificate ends in 30 days") ||
			!strings.Contains(m.Text, c.SerialNumber.String()) || !strings.Contains(m.Text, "Perse Energy Ltd") {
			t.Errorf("mail %+v", m)
		}
		if d := hook.sent[0].Data.(expiry.EndingJSON); d.Threshold != 30 || d.Serial != c.SerialNumber.String() || d.Member != dirtest.Base+"/m/"+w.Provider.ID || d.Ends != form.RFC3339(c.NotAfter) {
			t.Errorf("webhook %+v", d)
		}
		if got := mail.take(); !slices.Equal(got, []string{id + "/30"}) || !slices.Equal(hook.take(), got) {
			t.Errorf("ids %v", got)
		}
		if n := warn(); n != 0 {
			t.Errorf("%d warnings again", n)
		}
		// Down for the 14 days' warning: the one of 7 days comes, and it alone.
		w.Clock.Set(c.NotAfter.Add(-6 * 24 * time.Hour))
		warn()
		if got := mail.take(); !slices.Contains(got, id+"/7") || slices.Contains(got, id+"/14") {
			t.Errorf("ids %v", got)
		}
		hook.take()
		// The mail server is away: the webhook goes out once, the mail later.
		w.Clock.Set(c.NotAfter.Add(-20 * time.Hour))
		mail.fail = errors.New("away")
		if _, err := expiry.New(w.Service).Warn(ctx, ways); err == nil || !strings.Contains(err.Error(), "away") {
			t.Errorf("no word of it: %v", err)
		}
		if got := hook.take(); !slices.Contains(got, id+"/1") {
			t.Errorf("webhook %v", got)
		}
		mail.fail = nil
		if warn() != 0 {
			t.Error("tried again at once")
		}
		w.Clock.Add(expiry.WarnRetry)
		warn()
		if got := mail.take(); !slices.Contains(got, id+"/1") || len(hook.take()) != 0 {
			t.Errorf("later: %v", got)
		}
		w.Clock.Set(c.NotAfter.Add(time.Second))
		if warn() != 0 {
			t.Error("warned of what has ended")
		}
		w.Clock.Add(expiry.WarnKeep)
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
	dirtest.OnBoth(t, func(t *testing.T, w *dirtest.World) {
		ctx := t.Context()
		_, g := dirtest.Enrolled(t, w)
		mail := &outbox{}
		w.Clock.Set(g.Client.Leaf.NotAfter.Add(-25 * 24 * time.Hour))
		dirtest.Must(expiry.New(w.Service).Warn(ctx, expiry.Warnings{Mail: mail}))(t)
		var about []string
		for _, n := range mail.sent {
			if strings.HasPrefix(n.Subject, "Gateway") {
				about = append(about, n.ID)
			}
		}
		if len(about) != 2 || !strings.Contains(mail.sent[0].Text, "renews within the hour") {
			t.Errorf("warned of %v", about)
		}
		_, csr := dirtest.NewKeyCSR(t)
		dirtest.Must(w.Renew(ctx, g.Client.Leaf, ca.Client, []byte(csr)))(t)
		mail.take()
		w.Clock.Add(12 * 24 * time.Hour)
		dirtest.Must(expiry.New(w.Service).Warn(ctx, expiry.Warnings{Mail: mail}))(t)
		if got := mail.take(); slices.Contains(got, "certificate/"+g.Client.Leaf.SerialNumber.String()+"/14") || !slices.Contains(got, "certificate/"+g.Signing.Leaf.SerialNumber.String()+"/14") {
			t.Errorf("after the client certificate was renewed: %v", got)
		}
	})
}

// TestWarnOfAuthorities: the roots' lists hold for a year, issuers for ten.
func TestWarnOfAuthorities(t *testing.T) {
	w := dirtest.New(t, "sqlite:"+filepath.Join(t.TempDir(), "d.db"))
	mail := &outbox{}
	ways := expiry.Warnings{Mail: mail, Operator: "ops@directory.example", Days: []int{10}}
	w.Clock.Set(dirtest.Start.Add(ca.RootCRLLife - 9*24*time.Hour))
	dirtest.Must(expiry.New(w.Service).Warn(t.Context(), ways))(t)
	if got := mail.sent; len(got) != 3 || got[0].To[0] != "ops@directory.example" || !strings.Contains(got[0].Text, "ceremony sign") {
		t.Errorf("lists: %+v", got)
	}
	mail.take()
	// A member without an address: the operator is told; without an operator
	// nobody is, which does not count.
	_, csr := dirtest.NewKeyCSR(t)
	c := dirtest.Must(w.IssueClient(t.Context(), w.BankApp.ID, []byte(csr)))(t).Leaf
	w.Clock.Set(c.NotAfter.Add(-9 * 24 * time.Hour))
	if n := dirtest.Must(expiry.New(w.Service).Warn(t.Context(), expiry.Warnings{Mail: mail, Days: []int{9}}))(t); n != 0 || !strings.Contains(w.Logs.String(), "nobody to write to") {
		t.Errorf("%d warnings to nobody", n)
	}
	mail.take()
	if n := dirtest.Must(expiry.New(w.Service).Warn(t.Context(), ways))(t); n != 1 || !slices.Equal(mail.sent[0].To, []string{"ops@directory.example"}) {
		t.Errorf("%d warnings, %+v", n, mail.sent)
	}
	mail.take()
	w.Clock.Set(w.Authorities.Client.Issuer.NotAfter.Add(-time.Hour))
	dirtest.Must(expiry.New(w.Service).Warn(t.Context(), ways))(t)
	if got := mail.take(); len(got) != 3 || !strings.HasPrefix(got[0], "issuer/") {
		t.Errorf("issuers: %v", got)
	}
	if _, err := expiry.New(w.Service).Warn(t.Context(), expiry.Warnings{Days: []int{0}}); err == nil {
		t.Error("0 days taken")
	}
}

// TestWarnOnce: of several processes at once each warning is sent by one.
func TestWarnOnce(t *testing.T) {
	for name, dsn := range map[string]func(testing.TB) string{
		"sqlite":   func(t testing.TB) string { return "sqlite:" + filepath.Join(t.TempDir(), "d.db") },
		"postgres": databasetest.Postgres,
	} {
		t.Run(name, func(t *testing.T) {
			d := dsn(t)
			w := dirtest.New(t, d)
			for range 8 {
				_, csr := dirtest.NewKeyCSR(t)
				dirtest.Must(w.IssueClient(t.Context(), w.BankApp.ID, []byte(csr)))(t)
			}
			services := []*directory.Service{w.Service, w.Open(t, d), w.Open(t, d)}
			w.Clock.Add(year - 48*time.Hour)
			hook := &outbox{}
			var wg sync.WaitGroup
			for _, s := range services {
				for range 2 {
					wg.Go(func() {
						if _, err := expiry.New(s).Warn(context.Background(), expiry.Warnings{Webhook: hook}); err != nil {
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
