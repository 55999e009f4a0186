package uplink

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/identitytest"
)

// TestEnrollAgainKnowsTheAuthority: a gateway of a private directory whose
// identity was revoked comes back with a code alone, as its page offers: it
// knows that directory's authority already. Another directory's it does not.
func TestEnrollAgainKnowsTheAuthority(t *testing.T) {
	pki := identitytest.New(t)
	d := &memDirectory{t: t, pki: pki, relay: "https://relay.example"}
	directory, elsewhere := serve(t, pki, nil, d), serve(t, pki, nil, d)
	home := filepath.Join(t.TempDir(), "identity")
	if _, err := Enroll(t.Context(), EnrollRequest{Directory: directory, Code: goodCode, Dir: home, CAFile: caFile(t, pki)}); err != nil {
		t.Fatal(err)
	}
	again := EnrollRequest{Directory: elsewhere, Code: goodCode, Dir: home, Force: true}
	if _, err := Enroll(t.Context(), again); err == nil || !strings.Contains(err.Error(), "--ca") {
		t.Errorf("at another directory: %v, want that its authority is not trusted", err)
	}
	d.used = false
	again.Directory = directory + "/"
	if _, err := Enroll(t.Context(), again); err != nil {
		t.Fatalf("with a new code, at the directory that it knows: %v", err)
	}
	_, dir, err := readEnrolment(home)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, serverCAFile)); err != nil || !bytes.Equal(b, identity.EncodeCertificates(pki.ServerCA.Root)) {
		t.Errorf("the new enrolment's authority: %v\n%s", err, b)
	}
}
