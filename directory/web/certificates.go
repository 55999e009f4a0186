package web

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/ca"
	"github.com/perseus-edge/perseus-edge/directory/fault"
)

// certificateView is a certificate and how it stands.
type certificateView struct {
	directory.Issued
	State string // good, soon (it ends within 30 days), ended or revoked
}

// soon is when people should think of a new certificate.
const soon = 30 * 24 * time.Hour

func (v *visit) certificateView(c directory.Issued) certificateView {
	state, now := "good", v.Directory.Now()
	switch {
	case !c.Revoked.IsZero():
		state = "revoked"
	case !now.Before(c.NotAfter):
		state = "ended"
	case now.Add(soon).After(c.NotAfter):
		state = "soon"
	}
	return certificateView{c, state}
}

// postCertificate issues a certificate for a request that was uploaded, or
// pasted.
func (v *visit) postCertificate() error {
	csr := []byte(v.form("csr"))
	if f, _, err := v.r.FormFile("file"); err == nil {
		b, err := io.ReadAll(f)
		f.Close()
		if err != nil {
			return err
		}
		if len(b) > 0 {
			csr = b
		}
	} else if !errors.Is(err, http.ErrMissingFile) && !errors.Is(err, http.ErrNotMultipart) {
		return err
	}
	if len(csr) == 0 {
		return v.applicationPage(&refusal{http.StatusBadRequest, "Choose the file with the request, or paste its text."})
	}
	if strings.Contains(string(csr), "PRIVATE KEY") {
		return v.applicationPage(&refusal{http.StatusBadRequest, "That is a private key. Keep it to yourself, it was not stored here: send the certificate request (CSR) that belongs to it. If others may have seen the key, make a new one."})
	}
	_, err := v.Directory.IssueTo(v.ctx(), v.member.ID, v.r.PathValue("id"), ca.Hierarchy(v.form("type")), v.form("label"), csr)
	if err != nil {
		return v.applicationPage(err)
	}
	return v.done(v.at("applications", v.r.PathValue("id"))+"#certificates", "The certificate is issued. Download it below.")
}

// getCertificate gives a certificate with its issuer, as a file.
func (v *visit) getCertificate() error {
	serial, ok := strings.CutSuffix(v.r.PathValue("file"), ".pem")
	if !ok {
		return fault.ErrNotFound
	}
	name, pem, err := v.Directory.CertificateFile(v.ctx(), v.member.ID, serial)
	if errors.Is(err, fault.ErrInvalid) {
		err = fault.ErrNotFound
	}
	if err != nil {
		return err
	}
	h := v.w.Header()
	h.Set("Content-Type", "application/x-pem-file")
	h.Set("Content-Disposition", `attachment; filename="`+name+`"`)
	v.w.Write(pem) // an error here is the visitor's connection: there is nobody to tell
	return nil
}

func (v *visit) postRevoke() error {
	err := v.Directory.RevokeOf(v.ctx(), v.member.ID, v.r.PathValue("serial"))
	if errors.Is(err, fault.ErrInvalid) {
		err = fault.ErrNotFound
	}
	if err != nil {
		return err
	}
	return v.done(v.back(), "The certificate is revoked. It is on the public list from now on; others take it up within minutes.")
}

// tokensPage lists tokens, and shows a new one, once.
type tokensPage struct {
	Tokens    []directory.Token
	New       string
	Label     string
	Directory string
}

func (v *visit) tokensPage(token string, wrong error) error {
	ts, err := v.Directory.Tokens(v.ctx(), v.member.ID)
	if err != nil {
		return err
	}
	p := tokensPage{ts, token, v.form("label"), v.Directory.BaseURL}
	if wrong != nil {
		return v.again("tokens", "Tokens for programs", p, wrong)
	}
	return v.render(http.StatusOK, "tokens", "Tokens for programs", p)
}

func (v *visit) getTokens() error { return v.tokensPage("", nil) }

func (v *visit) postToken() error {
	token, err := v.Directory.MakeToken(v.ctx(), v.member.ID, directory.Access(v.form("access")), v.form("label"))
	return v.tokensPage(token, err)
}

func (v *visit) postEndToken() error {
	if err := v.Directory.EndToken(v.ctx(), v.member.ID, v.r.PathValue("id")); err != nil {
		return err
	}
	return v.done(v.at("tokens"), "The token does not work any more.")
}
