package directory_test

import (
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/audit"
	"github.com/perseus-edge/perseus-edge/directory/ca"
	"github.com/perseus-edge/perseus-edge/directory/dirtest"
	"github.com/perseus-edge/perseus-edge/directory/fault"
)

// TestRevokedWithItsSigning: who takes away the last client certificate of a
// gateway takes away the gateway, its signing certificate with it; an older one
// of two takes nothing else along.
func TestRevokedWithItsSigning(t *testing.T) {
	dirtest.OnBoth(t, func(t *testing.T, w *dirtest.World) {
		ctx := t.Context()
		g, e := dirtest.Enrolled(t, w)
		_, csr := dirtest.NewKeyCSR(t)
		newer := dirtest.Must(w.Renew(ctx, e.Client.Leaf, ca.Client, []byte(csr)))(t)
		listed := func(h ca.Hierarchy, serial *big.Int) bool {
			for _, x := range w.ReadCRL(t, h).RevokedCertificateEntries {
				if x.SerialNumber.Cmp(serial) == 0 {
					return true
				}
			}
			return false
		}
		revoke := func(serial *big.Int) directory.Standing {
			t.Helper()
			dirtest.Answer(t, w.Call("POST", "/members/certificates/"+serial.String()+"/revoke", nil, "Authorization", "Bearer "+w.Owner), 200)
			return dirtest.Must(w.Standing(ctx, g.ID))(t)
		}
		signing := e.Signing.Leaf.SerialNumber
		if st := revoke(e.Client.Leaf.SerialNumber); st.State != "enrolled" || listed(ca.Signing, signing) {
			t.Errorf("with the older of two client certificates: %+v", st)
		}
		if st := revoke(newer.Leaf.SerialNumber); st.State != "revoked" {
			t.Errorf("with the last one: %+v", st)
		}
		if !listed(ca.Client, e.Client.Leaf.SerialNumber) || !listed(ca.Client, newer.Leaf.SerialNumber) || !listed(ca.Signing, signing) {
			t.Error("a certificate of a revoked gateway is not in its list")
		}
		if at := dirtest.Must(w.Revoked(ctx, signing.String()))(t); !at.Equal(w.Clock.Now()) {
			t.Errorf("the signing certificate reads revoked at %v", at)
		}
		if i := slices.IndexFunc(dirtest.Must(w.Certificates(ctx, w.ProviderApp.ID))(t), func(c directory.Issued) bool { return c.Serial == signing.String() && c.Revoked.IsZero() }); i >= 0 {
			t.Error("the list of certificates has it as good")
		}
		es := dirtest.Must(audit.List(ctx, w.DB, audit.Filter{Action: "certificate.revoke"}))(t)
		if len(es) != 3 || !strings.Contains(es[2].Detail, "gateway/"+g.ID) {
			t.Errorf("%+v", es)
		}
		// Nor does a single signing certificate take the gateway along.
		_, other := dirtest.Enrolled(t, w)
		revoke(other.Signing.Leaf.SerialNumber)
		if listed(ca.Client, other.Client.Leaf.SerialNumber) {
			t.Error("the client certificate went with the signing certificate")
		}
	})
}

// TestRevokedKeyOfAnApplication: the key of a certificate that was revoked gets
// no other, in neither hierarchy and for no application of the member; the key
// of one that is good, or of a stranger, is none of that.
func TestRevokedKeyOfAnApplication(t *testing.T) {
	dirtest.OnBoth(t, func(t *testing.T, w *dirtest.World) {
		ctx := t.Context()
		_, csr := dirtest.NewKeyCSR(t)
		c := dirtest.Must(w.IssueClient(ctx, w.ProviderApp.ID, []byte(csr)))(t)
		dirtest.Must(w.IssueClient(ctx, w.ProviderApp.ID, []byte(csr)))(t) // renewed with its key: as before
		if err := w.Revoke(ctx, c.Leaf.SerialNumber); err != nil {
			t.Fatal(err)
		}
		second := dirtest.Must(w.AddApplication(ctx, directory.Application{Member: w.Provider.ID, Name: "Second"}))(t)
		for name, path := range map[string]string{"client": w.ProviderApp.ID + "/certificates/client", "signing": w.ProviderApp.ID + "/certificates/signing", "another application": second.ID + "/certificates/client"} {
			e := dirtest.Answer(t, w.Call("POST", "/members/applications/"+path+"/sign", map[string]string{"csr": csr}, "Authorization", "Bearer "+w.Owner), 400)
			if say := e["error_description"].(string); !strings.Contains(say, "serial "+c.Leaf.SerialNumber.String()) || !strings.Contains(say, "make a new key") {
				t.Errorf("%s: %s", name, say)
			}
		}
		_, code, err := w.AddGateway(ctx, directory.Gateway{Member: w.Provider.ID, Name: "Unit 4", Site: "Riverside"})
		if err != nil {
			t.Fatal(err)
		}
		_, other := dirtest.NewKeyCSR(t)
		if _, err := w.Enroll(ctx, code, []byte(csr), []byte(other)); !errors.Is(err, fault.ErrInvalid) {
			t.Errorf("a gateway with the key: %v", err)
		}
		dirtest.Must(w.IssueClient(ctx, w.ProviderApp.ID, []byte(other)))(t)
	})
}
