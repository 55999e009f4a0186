package directory

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"io"
	"math"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/perseus-edge/perseus-edge/identity"
)

// The part of EST (RFC 7030) that gateways need. The label in the address
// names the hierarchy (3.2.2); without one it is the client hierarchy. Both
// kinds of certificate are renewed with the client certificate.
func (s *Service) renewRoutes() []route {
	return []route{
		{"GET", "/.well-known/est/cacerts", s.getCACerts},
		{"GET", "/.well-known/est/{label}/cacerts", s.getCACerts},
		{"POST", "/.well-known/est/simplereenroll", s.postReenroll},
		{"POST", "/.well-known/est/{label}/simplereenroll", s.postReenroll},
	}
}

func estHierarchy(r *http.Request) (Hierarchy, error) {
	switch h := Hierarchy(r.PathValue("label")); h {
	case "", Client:
		return Client, nil
	case Signing:
		return Signing, nil
	default:
		return "", &httpError{http.StatusNotFound, "not_found", "Certificates are renewed at /client/ and /signing/."}
	}
}

// getCACerts serves the issuer and the root of a hierarchy (RFC 7030, 4.1).
func (s *Service) getCACerts(w http.ResponseWriter, r *http.Request) error {
	h, err := estHierarchy(r)
	if err != nil {
		return err
	}
	a := s.Authorities.Of(h)
	return writeCertsOnly(w, a.Issuer, a.Root)
}

// postReenroll serves simplereenroll (RFC 7030, 4.2.2): a request (PKCS #10,
// DER in base64) over mutual TLS for a certificate (certs-only, in base64). The
// subject of the request is not looked at: all names come from the directory.
//
// 400 invalid_request: the request; a new key may fare better. 401
// no_certificate: none was shown. 403: the one shown does not count, and
// certificate_revoked or certificate_expired say that only a new code helps.
// 429 too_many_certificates with Retry-After.
func (s *Service) postReenroll(w http.ResponseWriter, r *http.Request) error {
	h, err := estHierarchy(r)
	if err != nil {
		return err
	}
	shown, err := s.shownCertificate(r)
	if err != nil {
		w.Header().Set("WWW-Authenticate", `Mutual realm="directory"`)
		return err
	}
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/pkcs10" {
		return &httpError{http.StatusUnsupportedMediaType, "unsupported_media_type", "Send a PKCS #10 request in base64, with Content-Type: application/pkcs10."}
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(string(body)), ""))
	if err != nil {
		return invalid("the body is not base64")
	}
	c, err := s.Renew(r.Context(), shown, h, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
	if often := new(tooOften); errors.As(err, &often) {
		w.Header().Set("Retry-After", itoa(int64(math.Ceil(often.wait.Seconds()))))
		err = &httpError{http.StatusTooManyRequests, "too_many_certificates", "This gateway has had too many certificates within a day. Try again later."}
	}
	if he := new(httpError); errors.As(err, &he) {
		s.Logger.Warn("renewal refused", "reason", he.code, "serial", shown.SerialNumber, "from", s.ClientAddress(r))
	}
	if err != nil {
		return err
	}
	s.Logger.Info("gateway renewed", "hierarchy", h, "gateway", shown.Subject.CommonName, "was", shown.SerialNumber, "is", c.Leaf.SerialNumber)
	w.Header().Set("Cache-Control", "no-store")
	return writeCertsOnly(w, c.Leaf)
}

// shownCertificate is the client certificate of the connection, checked but for
// its revocation. The handshake (identity.AskingTLS) has only made sure that
// the client has its key.
func (s *Service) shownCertificate(r *http.Request) (*x509.Certificate, error) {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return nil, &httpError{http.StatusUnauthorized, "no_certificate",
			"Certificates are renewed over mutual TLS, with the gateway's client certificate. A proxy that ends TLS before the directory takes it away."}
	}
	a, now := s.Authorities.Client, s.Now()
	leaf := r.TLS.PeerCertificates[0]
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots: a.Pool(), Intermediates: identity.Pool(slices.Concat(r.TLS.PeerCertificates[1:], []*x509.Certificate{a.Issuer})...),
		CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	day := "2006-01-02 15:04 MST"
	switch {
	case err == nil:
		return leaf, nil
	case now.After(leaf.NotAfter) && leaf.CheckSignatureFrom(a.Issuer) == nil:
		return nil, forbidden("certificate_expired", "The gateway's certificate ended on "+leaf.NotAfter.UTC().Format(day)+". Ask for a new code and enrol the gateway again.")
	case now.Before(leaf.NotBefore) && leaf.CheckSignatureFrom(a.Issuer) == nil:
		return nil, forbidden("certificate_not_begun", "The gateway's certificate begins on "+leaf.NotBefore.UTC().Format(day)+", here it is "+now.UTC().Format(day)+".")
	}
	return nil, forbidden("invalid_certificate", "The certificate that was shown is not a client certificate of this directory.")
}

// writeCertsOnly answers with a certs-only message in lines of base64.
func writeCertsOnly(w http.ResponseWriter, cs ...*x509.Certificate) error {
	der, err := identity.EncodeCertsOnly(cs...)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/pkcs7-mime; smime-type=certs-only")
	h.Set("Content-Transfer-Encoding", "base64")
	text := base64.StdEncoding.EncodeToString(der)
	for len(text) > 0 {
		n := min(64, len(text))
		if _, err := io.WriteString(w, text[:n]+"\n"); err != nil {
			return nil // the client is gone: there is nobody to tell
		}
		text = text[n:]
	}
	return nil
}
