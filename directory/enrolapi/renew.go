package enrolapi

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
	"strconv"
	"strings"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/answer"
	"github.com/perseus-edge/perseus-edge/directory/ca"
	"github.com/perseus-edge/perseus-edge/directory/fault"
	"github.com/perseus-edge/perseus-edge/identity"
)

func estHierarchy(r *http.Request) (ca.Hierarchy, error) {
	switch h := ca.Hierarchy(r.PathValue("label")); h {
	case "", ca.Client:
		return ca.Client, nil
	case ca.Signing:
		return ca.Signing, nil
	default:
		return "", answer.Refuse(http.StatusNotFound, "not_found", "Certificates are renewed at /client/ and /signing/.")
	}
}

// getCACerts serves the issuer and the root of a hierarchy (RFC 7030, 4.1).
func (s *API) getCACerts(w http.ResponseWriter, r *http.Request) error {
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
func (s *API) postReenroll(w http.ResponseWriter, r *http.Request) error {
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
		return answer.Refuse(http.StatusUnsupportedMediaType, "unsupported_media_type", "Send a PKCS #10 request in base64, with Content-Type: application/pkcs10.")
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(string(body)), ""))
	if err != nil {
		return fault.Invalid("the body is not base64")
	}
	c, err := s.Renew(r.Context(), shown, h, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
	if often := new(directory.TooOften); errors.As(err, &often) {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(often.Wait.Seconds()))))
		err = answer.Refuse(http.StatusTooManyRequests, "too_many_certificates", "This gateway has had too many certificates within a day. Try again later.")
	}
	if he, refused := new(answer.Error), new(fault.Refusal); errors.As(err, &refused) {
		s.Logger.Warn("renewal refused", "reason", refused.Code, "serial", shown.SerialNumber, "from", s.clientAddress(r))
	} else if errors.As(err, &he) {
		s.Logger.Warn("renewal refused", "reason", he.Code, "serial", shown.SerialNumber, "from", s.clientAddress(r))
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
func (s *API) shownCertificate(r *http.Request) (*x509.Certificate, error) {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return nil, answer.Refuse(http.StatusUnauthorized, "no_certificate",
			"Certificates are renewed over mutual TLS, with the gateway's client certificate. A proxy that ends TLS before the directory takes it away.")
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
		return nil, fault.Forbid("certificate_expired", "The gateway's certificate ended on "+leaf.NotAfter.UTC().Format(day)+". Ask for a new code and enrol the gateway again.")
	case now.Before(leaf.NotBefore) && leaf.CheckSignatureFrom(a.Issuer) == nil:
		return nil, fault.Forbid("certificate_not_begun", "The gateway's certificate begins on "+leaf.NotBefore.UTC().Format(day)+", here it is "+now.UTC().Format(day)+".")
	}
	return nil, fault.Forbid("invalid_certificate", "The certificate that was shown is not a client certificate of this directory.")
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
