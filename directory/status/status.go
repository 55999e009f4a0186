// Package status says how certificates stand: revocation lists, OCSP, and the
// certificates of issuers and roots. All of it is signed and may go over plain HTTP.
package status

import (
	"encoding/base64"
	"encoding/hex"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/answer"
	"github.com/perseus-edge/perseus-edge/directory/ca"
	"github.com/perseus-edge/perseus-edge/directory/fault"
	"github.com/perseus-edge/perseus-edge/directory/ocsp"
	"github.com/perseus-edge/perseus-edge/identity"
)

// ocspCache is how long caches keep an answer, so a revocation is seen after that
// at the latest.
const ocspCache = 5 * time.Minute

// ocspHandler answers OCSP requests (RFC 6960, and RFC 5019 for what may be
// kept by caches) for the certificates of all three hierarchies, signed by the
// issuer that is meant. It stands before the mux, which would take two slashes
// of a request in base64 for one.
func (s *Server) ocspHandler(w http.ResponseWriter, r *http.Request) error {
	der, ok := ocspRequest(r)
	req, err := ocsp.ParseRequest(der)
	if !ok || err != nil {
		return writeOCSP(w, ocsp.Malformed.DER())
	}
	a := s.ocspAuthority(req)
	if a == nil {
		return writeOCSP(w, ocsp.Unauthorized.DER())
	}
	statuses := make([]ocsp.Status, len(req.Certificates))
	for i, c := range req.Certificates {
		if statuses[i], err = s.CertificateStatus(r.Context(), a.Hierarchy, c.Serial.String()); err != nil {
			s.Logger.Error("status of a certificate", "serial", c.Serial, "error", err)
			return writeOCSP(w, ocsp.InternalError.DER())
		}
	}
	select { // once all that can be refused has been
	case s.signing <- struct{}{}:
		defer func() { <-s.signing }()
	default:
		return writeOCSP(w, ocsp.TryLater.DER())
	}
	now := s.Now().UTC().Truncate(time.Second)
	out, err := a.AnswerOCSP(req, statuses, now)
	if err != nil {
		s.Logger.Error("status of a certificate: cannot sign", "error", err)
		return writeOCSP(w, ocsp.InternalError.DER())
	}
	if r.Method != http.MethodPost && !req.HasNonce() {
		h := w.Header()
		h.Set("Cache-Control", "max-age="+strconv.Itoa(int(ocspCache/time.Second))+", public, no-transform, must-revalidate")
		h.Set("Last-Modified", now.Format(http.TimeFormat))
		h.Set("Expires", now.Add(ocspCache).Format(http.TimeFormat))
	}
	return writeOCSP(w, out)
}

// ocspRequest takes the DER out of a POST's body or of a GET's address
// (RFC 6960, A.1).
func ocspRequest(r *http.Request) ([]byte, bool) {
	if r.Method == http.MethodPost {
		if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/ocsp-request" {
			return nil, false
		}
		der, err := io.ReadAll(io.LimitReader(r.Body, ocsp.MaxRequest+1))
		return der, err == nil
	}
	// The address as it was sent: + is a character of base64 here, and some
	// clients escape what others do not.
	text, err := url.PathUnescape(strings.TrimPrefix(r.URL.EscapedPath(), "/ocsp/"))
	if err != nil || len(text) > 2*ocsp.MaxRequest {
		return nil, false
	}
	der, err := base64.StdEncoding.DecodeString(text)
	return der, err == nil
}

// ocspAuthority is the one that issued all certificates of a request; nil when
// there is none.
func (s *Server) ocspAuthority(r ocsp.Request) *ca.Authority {
	for _, h := range ca.Hierarchies {
		a, all := s.Authorities.Of(h), true
		for _, c := range r.Certificates {
			all = all && c.Issued(a.Issuer)
		}
		if all {
			return a
		}
	}
	return nil
}

func writeOCSP(w http.ResponseWriter, der []byte) error {
	h := w.Header()
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "no-store")
	}
	h.Set("Content-Type", "application/ocsp-response")
	w.Write(der) // an error here is the client's connection
	return nil
}

// mostSigning is how many answers of OCSP are signed at a time; who asks for one
// more is told to try later. Anybody may ask, and an issuer's key in a token signs
// some forty times a second and one thing after another: certificates and lists
// must not have to wait behind a crowd.
const mostSigning = 8

// Server says how certificates stand.
type Server struct {
	*directory.Service
	signing chan struct{}
}

// New makes the server of a directory.
func New(d *directory.Service) *Server { return &Server{d, make(chan struct{}, mostSigning)} }

// Handler serves, and serves nothing else, what someone who checks a
// certificate needs: revocation lists, issuers' and roots' certificates, OCSP.
// All of it is signed, so it may go over plain HTTP (RFC 5280, 8), where a
// client need not check a certificate in order to check a certificate.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, r := range s.Routes() {
		if !strings.HasPrefix(r.Path, "/ocsp") {
			mux.Handle(r.Path, answer.Dispatch(s.Logger, map[string]answer.Handler{r.Method: r.Handle}))
		}
	}
	mux.Handle("/", answer.Dispatch(s.Logger, map[string]answer.Handler{"": func(http.ResponseWriter, *http.Request) error {
		return answer.Refuse(http.StatusNotFound, "not_found", "There is nothing at this address.")
	}}))
	return s.Before(mux)
}

// Routes are the addresses of the server.
func (s *Server) Routes() []answer.Route {
	return []answer.Route{
		answer.On("GET", "/crl/{file}", s.getCRL),
		answer.On("GET", "/ca/{file}", s.getCA),
		answer.On("GET", "/ocsp/{request...}", s.ocspHandler),
		answer.On("POST", "/ocsp", s.ocspHandler),
	}
}

// Before takes OCSP requests out before a mux mends their addresses.
func (s *Server) Before(mux http.Handler) http.Handler {
	get, post := answer.Dispatch(s.Logger, map[string]answer.Handler{"GET": s.ocspHandler}), answer.Dispatch(s.Logger, map[string]answer.Handler{"POST": s.ocspHandler})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/ocsp" || r.URL.Path == "/ocsp/" && r.Method == http.MethodPost:
			post.ServeHTTP(w, r)
		case strings.HasPrefix(r.URL.Path, "/ocsp/"):
			get.ServeHTTP(w, r)
		default:
			mux.ServeHTTP(w, r)
		}
	})
}

// getCRL serves /crl/<hierarchy>.crl, and <hierarchy>-root.crl, which the root
// signed at its ceremony.
func (s *Server) getCRL(w http.ResponseWriter, r *http.Request) error {
	name, ok := strings.CutSuffix(r.PathValue("file"), ".crl")
	if !ok {
		return fault.ErrNotFound
	}
	if h, ok := strings.CutSuffix(name, "-root"); ok {
		a := s.Authorities.Of(ca.Hierarchy(h))
		if a == nil || a.RootCRL == nil {
			return fault.ErrNotFound
		}
		if answer.Cached(w, r, `"`+a.RootCRL.Number.String()+`"`, time.Hour) {
			return nil
		}
		w.Header().Set("Content-Type", "application/pkix-crl")
		w.Write(a.RootCRL.Raw)
		return nil
	}
	l, err := s.CRL(r.Context(), ca.Hierarchy(name))
	if err != nil {
		return err
	}
	// No cache in between: a revocation must reach a reader that asks again.
	if answer.Cached(w, r, `"`+strconv.FormatInt(l.Number, 10)+`"`, 0) {
		return nil
	}
	w.Header().Set("Content-Type", "application/pkix-crl")
	w.Header().Set("Last-Modified", l.ThisUpdate.Format(http.TimeFormat))
	w.Write(l.DER)
	return nil
}

// getCA serves /ca/<hierarchy>.pem: the issuer, then the root; and each in DER
// as <hierarchy>-issuer.cer and <hierarchy>-root.cer, as certificates name them.
func (s *Server) getCA(w http.ResponseWriter, r *http.Request) error {
	if name, ok := strings.CutSuffix(r.PathValue("file"), ".cer"); ok {
		h, which, _ := strings.Cut(name, "-")
		a := s.Authorities.Of(ca.Hierarchy(h))
		if a == nil || which != "issuer" && which != "root" {
			return fault.ErrNotFound
		}
		c := a.Issuer
		if which == "root" {
			c = a.Root
		}
		if answer.Cached(w, r, `"`+hex.EncodeToString(c.SerialNumber.Bytes())+`"`, time.Hour) {
			return nil
		}
		w.Header().Set("Content-Type", "application/pkix-cert")
		w.Write(c.Raw)
		return nil
	}
	name, ok := strings.CutSuffix(r.PathValue("file"), ".pem")
	a := s.Authorities.Of(ca.Hierarchy(name))
	if !ok || a == nil {
		return fault.ErrNotFound
	}
	if answer.Cached(w, r, `"`+hex.EncodeToString(a.Issuer.SubjectKeyId)+`"`, time.Hour) {
		return nil
	}
	w.Header().Set("Content-Type", "application/x-pem-file")
	w.Write(identity.EncodeCertificates(a.Issuer, a.Root))
	return nil
}
