package ca_test

import (
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/directory/ca"
	"github.com/perseus-edge/perseus-edge/identity/keystore/keystoretest"
)

// TestIssuerInATPM: an issuer's key that no file has: made by the request, used
// for certificates, lists and OCSP.
func TestIssuerInATPM(t *testing.T) {
	_, socket, _ := strings.Cut(keystoretest.SoftwareTPM(t), ":")
	w, _ := issuersIn(t, map[ca.Hierarchy]string{ca.Client: "tpm:client.key?device=" + socket})
	useClientIssuer(t, w)
}
