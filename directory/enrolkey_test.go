package directory

import (
	"net/http"
	"strings"
	"testing"
)

// A key that was taken away from a gateway, since others may have it, does not
// come back by a new code; nor does it for an identity that has run out.
func TestRevokedKeyIsNotCertifiedAgain(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		g, code, err := w.AddGateway(t.Context(), Gateway{Member: w.provider.ID, Name: "Unit 4", Site: "Riverside"})
		if err != nil {
			t.Fatal(err)
		}
		_, client := newKeyCSR(t)
		_, signing := newKeyCSR(t)
		answer(t, w.enrol(code, client, signing), http.StatusCreated)
		if _, err := w.RevokeGateway(t.Context(), g.ID, "stolen"); err != nil {
			t.Fatal(err)
		}
		code = must(w.NewCode(t.Context(), g.ID))(t)
		_, other := newKeyCSR(t)
		for _, x := range [][2]string{{client, other}, {other, signing}, {signing, other}, {client, signing}} {
			if e := answer(t, w.enrol(code, x[0], x[1]), http.StatusBadRequest); !strings.Contains(e["error_description"].(string), "make a new key") {
				t.Errorf("a revoked key: %v", e)
			}
		}
		_, another := newKeyCSR(t)
		answer(t, w.enrol(code, other, another), http.StatusCreated) // and the code was not used up
	})
}
