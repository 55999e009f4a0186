package memberapi

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/directory/fault"
)

// FuzzStrict: no body makes the reader of bodies fail otherwise than as the
// client's mistake.
func FuzzStrict(f *testing.F) {
	for _, s := range []string{`{"title":"x","role":["y"],"dataService":{"oauthIssuer":null}}`, `{"a":{"b":[{"c":1,"c":2}]}}`, `[`, `{"title":{}}`, `{"Title":"x","title":"y"}`, `{"title":"\ud800"}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		var p applicationPatch
		err := readStrict(patch(body), &p)
		if err != nil && !errors.Is(err, fault.ErrInvalid) {
			t.Fatalf("%q: %v", body, err)
		}
	})
}

// patch is a request with a JSON body.
func patch(body string) *http.Request {
	r := httptest.NewRequest(http.MethodPatch, "/x", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	return r
}
