package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/directory/account"
	"github.com/perseus-edge/perseus-edge/directory/dirtest"
)

// A form may take a minute to come. What counts is who the sender is when it
// has come: an administrator who began to send it, and is none any more, gets
// nothing.
func TestASlowFormOutlivesNoRank(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ada := w.signUp("ada@directory.example", "", true)
		send := func(who *human, to string, do func()) *httptest.ResponseRecorder {
			r := httptest.NewRequest(http.MethodPost, w.base+Prefix+to, dirtest.SlowBody(do, "email=friend@directory.example"))
			r.Header = who.header.Clone()
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.AddCookie(&http.Cookie{Name: account.SessionCookie, Value: who.cookie()})
			rec := httptest.NewRecorder()
			w.app.Handler().ServeHTTP(rec, r)
			return rec
		}
		a, err := w.accounts.ByEmail(w.ctx(), ada.email)
		w.must(err)
		if rec := send(ada, "/admin/people/"+a.ID+"/restore-link", func() {}); rec.Code != http.StatusOK {
			t.Fatalf("an administrator: %d", rec.Code)
		}
		for what, end := range map[string]func(id string){
			"demoted":    func(id string) { w.must(w.accounts.Demote(w.ctx(), id)) },
			"closed":     func(id string) { w.must(w.accounts.Close(w.ctx(), id)) },
			"signed out": func(id string) { w.must(w.accounts.EndSessions(w.ctx(), account.Account{ID: id})) },
		} {
			mal := w.signUp(strings.ReplaceAll(what, " ", "")+"@directory.example", "", true)
			m, err := w.accounts.ByEmail(w.ctx(), mal.email)
			w.must(err)
			if rec := send(mal, "/admin/people/"+a.ID+"/restore-link", func() { end(m.ID) }); rec.Code != http.StatusSeeOther || strings.Contains(rec.Body.String(), "/invitation/") {
				t.Errorf("%s meanwhile: %d", what, rec.Code)
			}
		}
	})
}
