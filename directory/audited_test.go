package directory_test

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/audit"
	"github.com/perseus-edge/perseus-edge/directory/ca"
	"github.com/perseus-edge/perseus-edge/directory/dirtest"
	"github.com/perseus-edge/perseus-edge/relay/database/databasetest"
)

// TestEveryChangeIsAudited: each change leaves its entries, in the name of who
// made it; what is refused, and what changes nothing, leaves none.
func TestEveryChangeIsAudited(t *testing.T) {
	dirtest.OnBoth(t, func(t *testing.T, w *dirtest.World) {
		ctx := t.Context()
		officer := map[string]string{"name": "Dana", "phone": "+44 1234 567890"}
		app := "/members/applications/" + w.ProviderApp.ID
		_, csr := dirtest.NewKeyCSR(t)
		var doomed, serial, gateway, code string
		send := func(token, method, path string, body any, want int) func() {
			return func() {
				t.Helper()
				headers := []string{}
				if token != "" {
					headers = []string{"Authorization", "Bearer " + token}
				}
				r := w.Call(method, path, body, headers...)
				if r.Code != want {
					t.Errorf("%s %s: %d, want %d: %s", method, path, r.Code, want, r.Body)
				}
			}
		}
		member := "member/" + w.Provider.ID
		owner, admin := "token:"+directory.Mark(w.Owner), "token:"+directory.Mark(w.Admin)
		for _, x := range []struct {
			name  string
			do    func()
			actor string
			want  string // action and subject of each entry; the subject may be the beginning
		}{
			{"contact", send(w.Owner, "PATCH", "/members/me", map[string]string{"email": "new@perse.example"}, 200), owner, "member.update " + member},
			{"contact, the same again", send(w.Owner, "PATCH", "/members/me", map[string]string{"email": "new@perse.example"}, 200), "", ""},
			{"contact, refused", send(w.Owner, "PATCH", "/members/me", map[string]string{"email": "no address"}, 400), "", ""},
			{"contact, not allowed", send(w.Reader, "PATCH", "/members/me", map[string]string{"email": "x@perse.example"}, 403), "", ""},
			{"application", send(w.Owner, "POST", "/members/applications", map[string]any{"scheme": "perseus", "title": "Doomed"}, 201), owner, "application.add application/"},
			{"application changed", send(w.Owner, "PATCH", app, map[string]any{"title": "Gateways"}, 200), owner, "application.update application/" + w.ProviderApp.ID},
			{"application gone", func() {
				doomed = w.Texts(t, `SELECT id FROM directory_applications WHERE name = 'Doomed'`)[0]
				send(w.Owner, "DELETE", "/members/applications/"+doomed, nil, 204)()
			}, owner, "application.remove application/"},
			{"certificate", func() {
				send(w.Owner, "POST", app+"/certificates", map[string]string{"type": "client", "csr": csr}, 201)()
				serial = w.Texts(t, `SELECT serial FROM directory_certificates WHERE hierarchy = 'client'`)[0]
			}, owner, "certificate.issue certificate/"},
			{"certificate, bad request", send(w.Owner, "POST", app+"/certificates", map[string]string{"type": "client", "csr": "x"}, 400), "", ""},
			{"revocation", func() { send(w.Owner, "POST", "/members/certificates/"+serial+"/revoke", map[string]string{}, 200)() }, owner, "certificate.revoke certificate/"},
			{"revocation again", func() { send(w.Owner, "POST", "/members/certificates/"+serial+"/revoke", map[string]string{}, 200)() }, "", ""},
			{"revocation of a stranger's", func() {
				send(w.BankOwner, "POST", "/members/certificates/"+serial+"/revoke", map[string]string{}, 404)()
			}, "", ""},
			{"organisation", send(w.Admin, "POST", "/admin/organizations", map[string]any{"legalName": "New Ltd", "email": "a@new.example", "streetAddress": "1 Main St", "locality": "London", "postalCode": "AB1 2CD",
				"companyNumber": "12345678", "role": "energy-data-provider", "dataOfficer": officer, "licenceOfficer": officer}, 201), admin, "member.add member/"},
			{"owner", send(w.Admin, "POST", "/admin/organizations/"+w.Provider.ID+"/members", map[string]string{"email": "dana@perse.example"}, 201), admin, "owner.add person/dana@perse.example, token.issue token/"},
			{"server certificate", func() {
				key, _ := dirtest.NewKeyCSR(t)
				dirtest.Must(w.IssueServer(ctx, key.Public(), []string{"localhost"}))(t)
			}, audit.Nobody, "certificate.issue certificate/"},
			{"token", func() {
				token := dirtest.Must(w.IssueToken(audit.WithActor(ctx, "operator:root@host"), w.Bank.ID, directory.Reader))(t)
				if err := w.RevokeToken(audit.WithActor(ctx, "operator:root@host"), token); err != nil {
					t.Error(err)
				}
				if err := w.RevokeToken(ctx, token); err != nil { // again: nothing happens
					t.Error(err)
				}
			}, "operator:root@host", "token.issue token/, token.revoke token/"},
			{"data service", func() {
				dirtest.Must(w.AddDataService(ctx, directory.DataService{ID: "half-hours", Application: w.ProviderApp.ID, Title: "x", ConformsTo: "https://x.example/", Endpoint: "https://x.example/"}))(t)
			}, audit.Nobody, "service.add service/half-hours"},
			{"gateway", func() {
				g, c, err := w.AddGateway(ctx, directory.Gateway{Application: w.ProviderApp.ID, Name: "Unit 4", Site: "Riverside"})
				if err != nil {
					t.Fatal(err)
				}
				gateway, code = g.ID, c
			}, audit.Nobody, "*"},
			{"enrolment with a wrong code", func() {
				_, other := dirtest.NewKeyCSR(t)
				if r := w.Enrol("7K2M-9KXA-34TE", csr, other); r.Code == 201 {
					t.Error("enrolled")
				}
			}, "", ""},
			{"enrolment", func() {
				_, a := dirtest.NewKeyCSR(t)
				_, b := dirtest.NewKeyCSR(t)
				if r := w.Enrol(code, a, b); r.Code != 201 {
					t.Errorf("%d %s", r.Code, r.Body)
				}
			}, "code:192.0.2.1", "*"},
			{"revocation list", func() { dirtest.Must(w.CRL(ctx, ca.Client))(t) }, "", ""},
		} {
			before := dirtest.Must(audit.HeadOf(ctx, w.DB))(t)
			x.do()
			es := dirtest.Must(audit.List(ctx, w.DB, audit.Filter{After: before.Seq}))(t)
			var got []string
			for _, e := range es {
				got = append(got, e.Action+" "+e.Subject)
				if e.Actor != x.actor {
					t.Errorf("%s: by %q, want %q", x.name, e.Actor, x.actor)
				}
				if e.Before == e.After && e.Before != "" {
					t.Errorf("%s: %s %s changed nothing", x.name, e.Action, e.Subject)
				}
			}
			want := strings.Split(x.want, ", ")
			if x.want == "" {
				want = nil
			}
			if x.want == "*" { // which entries is another's business: there are some, of the gateway
				if !slices.ContainsFunc(es, func(e audit.Entry) bool { return e.Subject == "gateway/"+gateway }) {
					t.Errorf("%s: %q", x.name, got)
				}
				continue
			}
			same := len(got) == len(want)
			for i := 0; same && i < len(got); i++ {
				same = strings.HasPrefix(got[i], want[i])
			}
			if !same {
				t.Errorf("%s: %q, want %q", x.name, got, want)
			}
		}
		// The certificate's entry has its fingerprint.
		n, _ := new(big.Int).SetString(serial, 10)
		es := dirtest.Must(audit.List(ctx, w.DB, audit.Filter{Subject: "certificate/" + n.String()}))(t)
		if len(es) != 2 || len(es[0].After) != 64 || es[0].Member != w.Provider.ID {
			t.Errorf("%+v", es)
		}
		if _, err := audit.Verify(ctx, w.DB); err != nil {
			t.Error(err)
		}
	})
}

// TestAuditFails: where the log cannot be written, the change is not made.
func TestAuditFails(t *testing.T) {
	dirtest.OnBoth(t, func(t *testing.T, w *dirtest.World) {
		dirtest.Must(w.DB.Exec(`ALTER TABLE directory_audit RENAME TO away`))(t)
		if err := w.UpdateMember(t.Context(), w.Bank.ID, func(c *directory.Contact) { c.Email = "x@bank.example" }); err == nil || !strings.Contains(err.Error(), "audit") {
			t.Errorf("changed without an entry: %v", err)
		}
		dirtest.Must(w.DB.Exec(`ALTER TABLE away RENAME TO directory_audit`))(t)
		if m := dirtest.Must(w.Member(t.Context(), w.Bank.ID))(t); m.Email != "" {
			t.Error("the change is there")
		}
		defer func() {
			if recover() == nil {
				t.Error("an entry outside of a transaction was taken")
			}
		}()
		w.Audit(nil, audit.Event{})
	})
}

// TestAuditAtOnce: changes of several processes at once make one chain.
func TestAuditAtOnce(t *testing.T) {
	dsn := databasetest.Postgres(t)
	w := dirtest.New(t, dsn)
	other := w.Open(t, dsn)
	done := make(chan error)
	const each = 10
	for i, s := range []*directory.Service{w.Service, other, w.Service, other} {
		go func() {
			for n := range each {
				_, err := s.AddApplication(t.Context(), directory.Application{Member: []string{w.Provider.ID, w.Bank.ID}[i%2], Name: fmt.Sprint(i, n)})
				done <- err
			}
		}()
	}
	for range 4 * each {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	es := dirtest.Must(audit.List(t.Context(), w.DB, audit.Filter{Action: "application.add"}))(t)
	if _, err := audit.Verify(t.Context(), w.DB); err != nil || len(es) != 4*each+2 {
		t.Errorf("%d entries, %v", len(es), err)
	}
}
