package directory

import (
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/perseus-edge/perseus-edge/directory/audit"
	"github.com/perseus-edge/perseus-edge/identity"
)

// postEnrollment serves POST /gateway/v1/enrollments:
//
//	{"code","client_csr","signing_csr","gateway"?} -> 201
//	{"gateway","member","organisation","relay","client_certificate",
//	 "signing_certificate","signing_roots","client_roots"}
//
// Requests and certificates are PEM; certificates are bundles of leaf and
// issuer. gateway is the URL that the device goes by now, if it has one. 400
// mistyped_code: the code is none, by its check character; nothing is lost. 400
// invalid_request: a request is not acceptable, the code is still good. 403
// invalid_code: unknown, used or expired, which look the same. 409
// other_gateway: the code is not for the device; it is still good. 429
// too_many_attempts with Retry-After: too many wrong codes from this address.
//
// The same request again gets the same answer for as long as the code is good:
// an answer that is lost on the way costs no code.
func (s *Service) postEnrollment(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Code       string `json:"code"`
		ClientCSR  string `json:"client_csr"`
		SigningCSR string `json:"signing_csr"`
		Gateway    string `json:"gateway"`
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	if _, err := identity.ParseEnrolCode(in.Code); err != nil {
		return &httpError{http.StatusBadRequest, "mistyped_code", sentence(err.Error())}
	}
	from := s.ClientAddress(r)
	forgive, wait, ok, err := s.attempt(r.Context(), from)
	if err != nil {
		return err
	}
	if !ok {
		s.Logger.Warn("enrolment refused: too many wrong codes", "from", from)
		w.Header().Set("Retry-After", itoa(int64(math.Ceil(wait.Seconds()))))
		return &httpError{http.StatusTooManyRequests, "too_many_attempts", "Too many codes were wrong. Wait a minute, then type the code again."}
	}
	e, err := s.EnrollAs(audit.WithActor(r.Context(), "code:"+from.String()), in.Gateway, in.Code, []byte(in.ClientCSR), []byte(in.SigningCSR))
	if errors.Is(err, ErrCode) {
		s.Logger.Warn("enrolment refused: code not valid", "from", from)
		return &httpError{http.StatusForbidden, "invalid_code", "This code is wrong, was used already, or is too old. Ask whoever gave it to you for a new one."}
	}
	forgive() // it was not a guess
	if err != nil {
		return err
	}
	s.Logger.Info("gateway enrolled", "gateway", e.Gateway.URL, "member", e.Member.URL, "from", from)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Location", e.Gateway.URL)
	return writeJSON(w, http.StatusCreated, map[string]string{
		"gateway":             e.Gateway.URL,
		"member":              e.Member.URL,
		"organisation":        e.Member.Name,
		"relay":               s.RelayURL,
		"client_certificate":  string(e.Client.PEM()),
		"signing_certificate": string(e.Signing.PEM()),
		"signing_roots":       string(identity.EncodeCertificates(s.Authorities.Signing.Root)),
		"client_roots":        string(identity.EncodeCertificates(s.Authorities.Client.Root)),
	})
}

// rfc3339 gives a time as the JSON of this API has it; "" for the zero time.
func rfc3339(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// sentence makes a sentence of an error's words.
func sentence(text string) string {
	r, n := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(r)) + strings.TrimSuffix(text[n:], ".") + "."
}
