package account

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestSessionsEnd(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		sm := w.NewSessions()
		visit := func(cookie string, f func(r *http.Request)) (string, *http.Cookie) {
			rec, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)
			if cookie != "" {
				r.AddCookie(&http.Cookie{Name: SessionCookie, Value: cookie})
			}
			sm.LoadAndSave(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { f(r) })).ServeHTTP(rec, r)
			for _, c := range rec.Result().Cookies() {
				return c.Value, c
			}
			return cookie, nil
		}
		put := func(r *http.Request) { sm.Put(r.Context(), "x", "here") }
		has := func(cookie string) (ok bool) {
			visit(cookie, func(r *http.Request) { ok = sm.GetString(r.Context(), "x") == "here" })
			return ok
		}
		cookie, c := visit("", put)
		if c == nil || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || c.MaxAge != 0 || !strings.HasPrefix(c.Name, "__Host-") {
			t.Fatalf("cookie %+v", c)
		}
		if !has(cookie) || has("") || has(cookie+"x") {
			t.Error("sessions are not told apart")
		}
		var stored string
		w.must(w.DB.QueryRow(`SELECT hash FROM directory_sessions`).Scan(&stored))
		if stored == cookie || has(stored) {
			t.Error("what is stored opens a session")
		}

		w.clock.Add(SessionIdle - time.Second)
		if !has(cookie) { // seen: the idle time begins anew
			t.Error("ended before its idle time")
		}
		w.clock.Add(SessionIdle - time.Second)
		if !has(cookie) {
			t.Error("being seen did not count")
		}
		w.clock.Add(SessionIdle)
		if has(cookie) {
			t.Error("an idle session goes on")
		}

		cookie, _ = visit("", put)
		for range 13 { // never idle, and yet it ends
			w.clock.Add(SessionIdle - time.Minute)
			visit(cookie, put)
		}
		if has(cookie) {
			t.Error("a session lasts for ever when it is used")
		}

		cookie, _ = visit("", put)
		renewed, _ := visit(cookie, func(r *http.Request) { w.must(sm.RenewToken(r.Context())) })
		if renewed == cookie || has(cookie) || !has(renewed) {
			t.Error("the token was not renewed")
		}
		visit(renewed, func(r *http.Request) { w.must(sm.Destroy(r.Context())) })
		if has(renewed) {
			t.Error("a session that was ended goes on")
		}

		// Ended while a request of it is under way, which saves it afterwards.
		cookie, _ = visit("", put)
		visit(cookie, func(r *http.Request) {
			visit(cookie, func(r *http.Request) { w.must(sm.Destroy(r.Context())) })
			put(r)
		})
		if has(cookie) {
			t.Error("a session that was ended came back")
		}

		visit("", put)
		w.clock.Add(SessionLife)
		w.must(w.Sweep(w.ctx()))
		var n int
		w.must(w.DB.QueryRow(`SELECT COUNT(*) FROM directory_sessions`).Scan(&n))
		if n != 0 {
			t.Errorf("%d sessions are left that have ended", n)
		}
	})
}
