package directory

import (
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/directory/ocsp"
)

// An answer about a certificate's status holds for ocspLife: eight hours is the
// least that the CA/Browser Forum's baseline requirements (4.9.10) allow. Caches
// keep it for ocspCache, so a revocation is seen after that at the latest.
const (
	ocspLife  = 8 * time.Hour
	ocspCache = 5 * time.Minute
)

// OCSPURL is where a certificate's status can be asked for.
func (s *Service) OCSPURL() string { return s.status() + "/ocsp" }

// status is the address at which revocation lists and the like are.
func (s *Service) status() string {
	if s.StatusURL != "" {
		return s.StatusURL
	}
	return s.BaseURL
}

func (s *Service) statusURLs(h Hierarchy) statusURLs {
	return statusURLs{crl: s.CRLURL(h), ocsp: s.OCSPURL(), issuer: s.status() + "/ca/" + string(h) + "-issuer.cer"}
}

// ocspHandler answers OCSP requests (RFC 6960, and RFC 5019 for what may be
// kept by caches) for the certificates of all three hierarchies, signed by the
// issuer that is meant. It stands before the mux, which would take two slashes
// of a request in base64 for one.
func (s *Service) ocspHandler(w http.ResponseWriter, r *http.Request) error {
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
		if statuses[i], err = s.certificateStatus(r.Context(), a.Hierarchy, c.Serial.String()); err != nil {
			s.Logger.Error("status of a certificate", "serial", c.Serial, "error", err)
			return writeOCSP(w, ocsp.InternalError.DER())
		}
	}
	now := s.Now().UTC().Truncate(time.Second)
	out, err := ocsp.Answer(req, statuses, now, now, now.Add(ocspLife), a.Issuer, a.key)
	if err != nil {
		s.Logger.Error("status of a certificate: cannot sign", "error", err)
		return writeOCSP(w, ocsp.InternalError.DER())
	}
	if r.Method != http.MethodPost && !req.HasNonce() {
		h := w.Header()
		h.Set("Cache-Control", "max-age="+itoa(int64(ocspCache/time.Second))+", public, no-transform, must-revalidate")
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
func (s *Service) ocspAuthority(r ocsp.Request) *Authority {
	for _, h := range Hierarchies {
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

func (s *Service) certificateStatus(ctx context.Context, h Hierarchy, serial string) (ocsp.Status, error) {
	var revoked sql.NullInt64
	err := s.DB.QueryRowContext(ctx, `SELECT revoked_at FROM directory_certificates WHERE serial = $1 AND hierarchy = $2`, serial, string(h)).Scan(&revoked)
	if errors.Is(err, sql.ErrNoRows) {
		return ocsp.Status{}, nil
	}
	st := ocsp.Status{Known: true}
	if revoked.Valid {
		st.Revoked = time.Unix(revoked.Int64, 0)
	}
	return st, err
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

// StatusHandler serves, and serves nothing else, what someone who checks a
// certificate needs: revocation lists, issuers' and roots' certificates, OCSP.
// All of it is signed, so it may go over plain HTTP (RFC 5280, 8), where a
// client need not check a certificate in order to check a certificate.
func (s *Service) StatusHandler() http.Handler {
	mux := http.NewServeMux()
	for _, r := range s.statusRoutes() {
		if !strings.HasPrefix(r.path, "/ocsp") {
			mux.Handle(r.path, s.dispatch(map[string]handler{r.method: r.handle}))
		}
	}
	mux.Handle("/", s.dispatch(map[string]handler{"": func(http.ResponseWriter, *http.Request) error {
		return &httpError{http.StatusNotFound, "not_found", "There is nothing at this address."}
	}}))
	return s.beforeMux(mux)
}

func (s *Service) statusRoutes() []route {
	return []route{
		{"GET", "/crl/{file}", s.getCRL},
		{"GET", "/ca/{file}", s.getCA},
		{"GET", "/ocsp/{request...}", s.ocspHandler},
		{"POST", "/ocsp", s.ocspHandler},
	}
}

// beforeMux takes OCSP requests out before a mux mends their addresses.
func (s *Service) beforeMux(mux http.Handler) http.Handler {
	get, post := s.dispatch(map[string]handler{"GET": s.ocspHandler}), s.dispatch(map[string]handler{"POST": s.ocspHandler})
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
