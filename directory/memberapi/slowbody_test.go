package memberapi_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/dirtest"
)

// A body may take a minute to come: a token that ended meanwhile does nothing.
func TestASlowBodyOutlivesNoToken(t *testing.T) {
	dirtest.OnBoth(t, func(t *testing.T, w *dirtest.World) {
		send := func(token string, do func()) int {
			r := httptest.NewRequest(http.MethodPost, dirtest.Base+"/members/gateways", dirtest.SlowBody(do, `{"name":"Mine","site":"Riverside"}`))
			r.Header.Set("Authorization", "Bearer "+token)
			r.Header.Set("Content-Type", "application/json")
			rec := httptest.NewRecorder()
			w.Front.Handler().ServeHTTP(rec, r)
			return rec.Code
		}
		token := dirtest.Must(w.IssueToken(t.Context(), w.Provider.ID, directory.Owner))(t)
		if got := send(token, func() {}); got != http.StatusCreated {
			t.Fatalf("a good token: %d", got)
		}
		got := send(token, func() {
			if err := w.RevokeToken(t.Context(), token); err != nil {
				t.Error(err)
			}
		})
		gs := dirtest.Must(w.Gateways(t.Context(), w.Provider.ID))(t)
		if got != http.StatusUnauthorized || len(gs) != 1 {
			t.Errorf("a token that ended meanwhile: %d, %d gateways", got, len(gs))
		}
	})
}
