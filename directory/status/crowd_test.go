package status_test

import (
	"crypto"
	"encoding/base64"
	"io"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"testing"

	peer "golang.org/x/crypto/ocsp"

	"github.com/perseus-edge/perseus-edge/directory/ca"
	"github.com/perseus-edge/perseus-edge/directory/dirtest"
	"github.com/perseus-edge/perseus-edge/identity"
)

// slowKey signs when it is let.
type slowKey struct {
	crypto.Signer
	begun chan struct{}
	let   chan struct{}
}

func (k *slowKey) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	k.begun <- struct{}{}
	<-k.let
	return k.Signer.Sign(random, digest, opts)
}

// A crowd that asks for statuses while the issuer's key is slow (in a token) is
// answered as far as there is room; the others are told to come again, at once,
// and are answered when there is room again.
func TestOCSPOfACrowd(t *testing.T) {
	w := dirtest.New(t, "sqlite:"+t.TempDir()+"/d.db")
	dir := filepath.Join(t.TempDir(), "authorities")
	w.Service.Authorities = dirtest.Must(ca.CreateAuthorities(dir, "Example Framework", dirtest.Start))(t)
	_, csr := dirtest.NewKeyCSR(t)
	c := dirtest.Must(w.IssueClient(t.Context(), w.ProviderApp.ID, []byte(csr)))(t)
	was := w.Authorities.Client
	k := &slowKey{dirtest.Must(identity.ReadKey(filepath.Join(dir, "client", "issuer.key")))(t), make(chan struct{}), make(chan struct{})}
	w.Authorities.Client = dirtest.Must(ca.NewAuthority(ca.Client, was.Root, was.Issuer, k))(t)
	der := dirtest.Must(peer.CreateRequest(c.Leaf, c.Issuer, nil))(t)
	ask := func() *httptest.ResponseRecorder {
		return w.Call("GET", "/ocsp/"+url.PathEscape(base64.StdEncoding.EncodeToString(der)), nil)
	}
	answers := make(chan *httptest.ResponseRecorder)
	const room = 8
	for range room {
		go func() { answers <- ask() }()
	}
	for range room {
		<-k.begun
	}
	for range 3 {
		r := ask()
		if _, err := peer.ParseResponse(r.Body.Bytes(), nil); err != (peer.ResponseError{Status: peer.TryLater}) || r.Header().Get("Cache-Control") != "no-store" {
			t.Fatalf("with all of it taken: %v %v", err, r.Header())
		}
	}
	close(k.let)
	for range room {
		if got, err := peer.ParseResponseForCert((<-answers).Body.Bytes(), c.Leaf, c.Issuer); err != nil || got.Status != peer.Good {
			t.Errorf("one of the first: %v", err)
		}
	}
	go func() { <-k.begun }()
	if got, err := peer.ParseResponseForCert(ask().Body.Bytes(), c.Leaf, c.Issuer); err != nil || got.Status != peer.Good {
		t.Errorf("afterwards: %v", err)
	}
}
