package directory_test

import (
	"crypto"
	"errors"
	"io"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/directory/ca"
	"github.com/perseus-edge/perseus-edge/directory/dirtest"
	"github.com/perseus-edge/perseus-edge/identity"
)

// outKey is a key in a token that can be pulled out.
type outKey struct {
	crypto.Signer
	out atomic.Bool
}

var errOut = errors.New("the token is not plugged in")

func (k *outKey) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if k.out.Load() {
		return nil, errOut
	}
	return k.Signer.Sign(random, digest, opts)
}

// While the issuer's key cannot sign, the last list is given for as long as it
// holds, or relays would refuse everybody after an hour; but not once somebody
// was revoked, who would not be in it.
func TestCRLWhileTheKeyIsOut(t *testing.T) {
	dirtest.OnBoth(t, func(t *testing.T, w *dirtest.World) {
		dir := filepath.Join(t.TempDir(), "authorities")
		w.Service.Authorities = dirtest.Must(ca.CreateAuthorities(dir, "Example Framework", dirtest.Start))(t)
		was := w.Authorities.Client
		k := &outKey{Signer: dirtest.Must(identity.ReadKey(filepath.Join(dir, "client", "issuer.key")))(t)}
		w.Authorities.Client = dirtest.Must(ca.NewAuthority(ca.Client, was.Root, was.Issuer, k))(t)
		_, csr := dirtest.NewKeyCSR(t)
		c := dirtest.Must(w.IssueClient(t.Context(), w.ProviderApp.ID, []byte(csr)))(t)
		first := dirtest.Must(w.CRL(t.Context(), ca.Client))(t)

		k.out.Store(true)
		w.Clock.Add(ca.CRLRefresh + time.Minute)
		if l, err := w.CRL(t.Context(), ca.Client); err != nil || l.Number != first.Number || string(l.DER) != string(first.DER) || !l.ThisUpdate.Equal(first.ThisUpdate) {
			t.Errorf("an hour later: number %d after %d, %v", l.Number, first.Number, err)
		}
		w.Clock.Add(ca.CRLLife - ca.CRLRefresh)
		if _, err := w.CRL(t.Context(), ca.Client); !errors.Is(err, errOut) {
			t.Errorf("a list that holds no longer: %v", err)
		}
		k.out.Store(false)
		second := dirtest.Must(w.CRL(t.Context(), ca.Client))(t)
		if second.Number <= first.Number {
			t.Errorf("number %d after %d", second.Number, first.Number)
		}

		k.out.Store(true)
		dirtest.Must(0, w.Revoke(t.Context(), c.Leaf.SerialNumber))(t)
		if _, err := w.CRL(t.Context(), ca.Client); !errors.Is(err, errOut) {
			t.Errorf("a list without one who was revoked: %v", err)
		}
		k.out.Store(false)
		if l := w.ReadCRL(t, ca.Client); len(l.RevokedCertificateEntries) != 1 {
			t.Errorf("%d revoked", len(l.RevokedCertificateEntries))
		}
	})
}
