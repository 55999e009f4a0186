package acme

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"net/http"
	"slices"
	"strings"
)

// maxRequest bounds a certificate request: 16 KiB, twenty times a usual one.
const maxRequest = 16 << 10

// checkRequest reads a certificate request (DER) for an order's hosts, and gives
// its key, which is all that counts: the names come from the order, everything
// else from the profile. Still the names must be the order's (7.4): a client
// that asks for others would not get what it believes.
func checkRequest(der []byte, hosts []string, accountKey any) (*ecdsa.PublicKey, error) {
	bad := func(format string, args ...any) (*ecdsa.PublicKey, error) {
		return nil, problemf(badCSR, http.StatusBadRequest, format, args...)
	}
	if len(der) > maxRequest {
		return bad("The certificate request has %d bytes, at most 16 KiB are read.", len(der))
	}
	req, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return bad("The certificate request cannot be read: it must be PKCS #10 in DER.")
	}
	key, ok := req.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return bad("The certificate request's key is not ECDSA on P-256, the only kind that the scheme's server certificates have (certbot: --key-type ecdsa --elliptic-curve secp256r1; lego: --key-type ec256; Caddy: key_type p256).")
	}
	if err := req.CheckSignature(); err != nil {
		return bad("The certificate request is not signed by its own key.")
	}
	if k, ok := accountKey.(interface{ Equal(crypto.PublicKey) bool }); ok && k.Equal(key) {
		return bad("The certificate request's key is the account's. A server needs a key of its own.")
	}
	if len(req.IPAddresses)+len(req.EmailAddresses)+len(req.URIs) > 0 {
		return bad("The certificate request asks for addresses or URIs besides DNS names: only DNS names are certified.")
	}
	var asked []string
	for _, n := range req.DNSNames {
		asked = append(asked, strings.ToLower(n))
	}
	if cn := strings.ToLower(req.Subject.CommonName); cn != "" {
		asked = append(asked, cn)
	}
	for _, n := range asked {
		if !slices.Contains(hosts, n) {
			return bad("The certificate request asks for %q, which the order does not have: it has %s.", cut(n, 80), list(hosts))
		}
	}
	for _, h := range hosts {
		if !slices.Contains(asked, h) {
			return bad("The certificate request leaves out %s, which the order has.", h)
		}
	}
	return key, nil
}
