package enrolapi_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/dirtest"
)

// A key that was taken away from a gateway, since others may have it, does not
// come back by a new code; nor does it for an identity that has run out.
func TestRevokedKeyIsNotCertifiedAgain(t *testing.T) {
	dirtest.OnBoth(t, func(t *testing.T, w *dirtest.World) {
		g, code, err := w.AddGateway(t.Context(), directory.Gateway{Member: w.Provider.ID, Name: "Unit 4", Site: "Riverside"})
		if err != nil {
			t.Fatal(err)
		}
		_, client := dirtest.NewKeyCSR(t)
		_, signing := dirtest.NewKeyCSR(t)
		dirtest.Answer(t, w.Enrol(code, client, signing), http.StatusCreated)
		if _, err := w.RevokeGateway(t.Context(), g.ID, "stolen"); err != nil {
			t.Fatal(err)
		}
		code = dirtest.Must(w.NewCode(t.Context(), g.ID))(t)
		_, other := dirtest.NewKeyCSR(t)
		for _, x := range [][2]string{{client, other}, {other, signing}, {signing, other}, {client, signing}} {
			if e := dirtest.Answer(t, w.Enrol(code, x[0], x[1]), http.StatusBadRequest); !strings.Contains(e["error_description"].(string), "make a new key") {
				t.Errorf("a revoked key: %v", e)
			}
		}
		_, another := dirtest.NewKeyCSR(t)
		dirtest.Answer(t, w.Enrol(code, other, another), http.StatusCreated) // and the code was not used up
	})
}
