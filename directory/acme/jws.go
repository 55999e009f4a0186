package acme

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/go-jose/go-jose/v4"
)

// signer says whose signature an address takes.
type signer int

const (
	byAccount signer = iota // an account's, named by kid
	byKey                   // the key's in the header, jwk
	byEither
)

// algorithms are those that accounts may sign with. RFC 8555, 6.2 demands
// ES256 and wishes for EdDSA; RS256 is what older clients have.
var algorithms = []jose.SignatureAlgorithm{jose.ES256, jose.ES384, jose.EdDSA, jose.RS256}

// envelope is a JWS whose signature is not checked yet.
type envelope struct {
	jws        *jose.JSONWebSignature
	alg        jose.SignatureAlgorithm
	kid        string           // account URL; empty with key
	key        *jose.JSONWebKey // embedded
	nonce, url string
}

// parseEnvelope reads a JWS in the one form that RFC 8555, 6.2 permits:
// flattened JSON, one signature, all of its header protected.
func parseEnvelope(body []byte) (envelope, error) {
	e, err := parseJWS(body)
	if err != nil {
		return envelope{}, err
	}
	if e.nonce == "" {
		return envelope{}, problemf(badNonce, http.StatusBadRequest, "The protected header has no nonce.")
	}
	return e, nil
}

// parseJWS is parseEnvelope for the inner JWS of a key change too, which has no
// nonce.
func parseJWS(body []byte) (envelope, error) {
	bad := func(words string) (envelope, error) {
		return envelope{}, problemf(malformed, http.StatusBadRequest, "%s", words)
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil {
		return bad("The body is not a JWS in flattened JSON: an object of protected, payload and signature.")
	}
	if members["header"] != nil || members["signatures"] != nil {
		return bad("The JWS must be in flattened JSON with one signature, and all of its header must be protected.")
	}
	jws, err := jose.ParseSignedJSON(string(body), algorithms)
	if other := new(jose.ErrUnexpectedSignatureAlgorithm); errors.As(err, &other) {
		p := problemf(badSignatureAlgorithm, http.StatusBadRequest, "The JWS is signed with %q. Use ES256, ES384, EdDSA or RS256.", cut(string(other.Got), 40))
		for _, a := range algorithms {
			p.Algorithms = append(p.Algorithms, string(a))
		}
		return envelope{}, p
	}
	if err != nil || len(jws.Signatures) != 1 {
		return bad("The body is not a JWS that can be read: protected, payload and signature in base64url without padding, and a public key of a known kind.")
	}
	h := jws.Signatures[0].Protected
	e := envelope{jws: jws, alg: jose.SignatureAlgorithm(h.Algorithm), kid: h.KeyID, key: h.JSONWebKey, nonce: h.Nonce}
	for _, name := range []jose.HeaderKey{"crit", "b64"} {
		if _, ok := h.ExtraHeaders[name]; ok {
			return bad("The protected header has " + string(name) + ": this server knows no extension of JWS.")
		}
	}
	e.url, _ = h.ExtraHeaders["url"].(string)
	if e.url == "" {
		return bad("The protected header has no url.")
	}
	if (e.kid == "") == (e.key == nil) {
		return bad("The protected header needs either kid, the account's URL, or jwk, the key itself, and not both.")
	}
	if e.key != nil {
		if _, err := keyAlgorithm(e.key.Key); err != nil {
			return envelope{}, err
		}
	}
	return e, nil
}

// verify checks the signature, and gives the payload.
func (e *envelope) verify(key *jose.JSONWebKey) ([]byte, error) {
	want, err := keyAlgorithm(key.Key)
	if err != nil {
		return nil, err
	}
	if e.alg != want {
		p := problemf(badSignatureAlgorithm, http.StatusBadRequest, "The JWS is signed with %s, the account's key is one for %s.", e.alg, want)
		p.Algorithms = []string{string(want)}
		return nil, p
	}
	payload, err := e.jws.Verify(key.Key)
	if err != nil {
		return nil, problemf(malformed, http.StatusBadRequest, "The signature is not the one that the key makes of this request.")
	}
	return payload, nil
}

// keyAlgorithm gives the one algorithm that an account's key signs with.
func keyAlgorithm(key any) (jose.SignatureAlgorithm, error) {
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			return jose.ES256, nil
		case elliptic.P384():
			return jose.ES384, nil
		}
	case ed25519.PublicKey:
		return jose.EdDSA, nil
	case *rsa.PublicKey:
		// Larger ones only cost the server time.
		if n := k.N.BitLen(); n >= 2048 && n <= 4096 && k.E >= 65537 && k.E&1 == 1 {
			return jose.RS256, nil
		}
	}
	return "", problemf(badPublicKey, http.StatusBadRequest, "The key is none that an account may have: use ECDSA on P-256 or P-384, Ed25519, or RSA of 2048 to 4096 bits.")
}

// thumbprint is the key's name (RFC 7638).
func thumbprint(key *jose.JSONWebKey) (string, error) {
	b, err := key.Thumbprint(crypto.SHA256)
	if err != nil {
		return "", problemf(badPublicKey, http.StatusBadRequest, "The key has no thumbprint.")
	}
	return base64.RawURLEncoding.EncodeToString(b), nil
}
