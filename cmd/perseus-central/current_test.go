package main

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// While it is not known which certificates are revoked no program is served;
// who watches over the relay still learns how it is.
func TestNobodyIsServedWithoutRevocationLists(t *testing.T) {
	var missing error
	served := 0
	h := whenCurrent(func() error { return missing }, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served++ }))
	ask := func(path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, path, nil))
		return w
	}
	if ask("/token"); served != 1 {
		t.Error("not served though the lists are current")
	}
	missing = errors.New("the list of revoked client certificates has not been had yet")
	if ask("/healthz"); served != 2 {
		t.Error("the health check is not answered")
	}
	for _, path := range []string{"/token", "/gateway/v1/batches", "/healthz/..", "//healthz"} {
		w := ask(path)
		var body struct {
			Error string `json:"error"`
			Words string `json:"error_description"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || w.Code != 503 || w.Header().Get("Retry-After") == "" || served != 2 ||
			body.Error != "temporarily_unavailable" || !strings.Contains(body.Words, "revoked client certificates") {
			t.Errorf("%s: %d %s (%v)", path, w.Code, w.Body, err)
		}
	}
}
