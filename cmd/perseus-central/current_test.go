package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/identitytest"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
)

// While it is not known which certificates are revoked no program is served;
// who watches over the relay still learns how it is.
func TestNobodyIsServedWithoutRevocationLists(t *testing.T) {
	var missing error
	served := 0
	h := whenCurrent(lists{func() error { return missing }, nil}, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served++ }))
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

// lists are revocation lists of a test.
type lists struct {
	current func() error
	issuer  *x509.Certificate // revoked
}

func (l lists) Current() error { return l.current() }

func (l lists) RevokedIssuer(chains [][]*x509.Certificate) bool {
	return l.issuer != nil && len(chains) > 0 && slices.ContainsFunc(chains[0], l.issuer.Equal)
}

// A certificate of an issuer that its root has revoked opens nothing, whatever
// it says: the key of such an issuer may be in other hands.
func TestRevokedIssuerOpensNothing(t *testing.T) {
	pki := identitytest.New(t)
	leaf := pki.Client("https://directory.example/a/bank", "Bank plc", "https://directory.example/m/bank")
	root := pki.ClientCA
	list := func(serials ...*big.Int) []byte {
		l := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now().Add(-400 * 24 * time.Hour), NextUpdate: time.Now().Add(-35 * 24 * time.Hour)}
		for _, n := range serials {
			l.RevokedCertificateEntries = append(l.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: n, RevocationTime: l.ThisUpdate})
		}
		der, err := x509.CreateRevocationList(rand.Reader, l, root.Root, root.RootKey)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	for name, c := range map[string]struct {
		fetch func(context.Context) ([]byte, error)
		want  int
	}{
		"not revoked":        {func(context.Context) ([]byte, error) { return list(big.NewInt(7)), nil }, 200},
		"revoked":            {func(context.Context) ([]byte, error) { return list(root.Issuer.SerialNumber), nil }, 401}, // though the list is past its date
		"no list to be had":  {func(context.Context) ([]byte, error) { return nil, errors.New("404") }, 200},
		"another one's list": {func(context.Context) ([]byte, error) { return pki.SigningCA.Issuer.Raw, nil }, 200},
	} {
		r, err := identity.NewRevocations(identity.RevocationsConfig{Sources: []identity.CRLSource{{Name: "revoked client issuers", Issuers: true, Issuer: root.Root, Fetch: c.fetch}}, Logger: record.Logger(t)})
		if err != nil {
			t.Fatal(err)
		}
		r.Refresh(t.Context())
		if _, ok := r.Age(); r.Current() != nil || !ok {
			t.Errorf("%s: the relay would stop: %v", name, r.Current())
		}
		h := whenCurrent(r, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		for _, path := range []string{"/oauth/token", "/gateway/v1/batches", "/datasources"} {
			q := httptest.NewRequest(http.MethodPost, path, nil)
			q.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{append(slices.Clone(leaf.Chain), root.Root)}}
			w := httptest.NewRecorder()
			if h.ServeHTTP(w, q); w.Code != c.want {
				t.Errorf("%s: %s: %d", name, path, w.Code)
			}
		}
	}
}
