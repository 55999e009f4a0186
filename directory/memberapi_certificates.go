package directory

import (
	"archive/zip"
	"bytes"
	"context"
	"math/big"
	"net/http"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/identity"
)

// certificateJSON is a certificate as its member sees it.
type certificateJSON struct {
	ID          string `json:"id"` // its serial number, decimal
	Type        string `json:"type"`
	Name        string `json:"name,omitempty"` // the member's label
	NotBefore   string `json:"notBefore"`
	NotAfter    string `json:"notAfter"`
	Revoked     string `json:"revoked,omitempty"`     // when
	Certificate string `json:"certificate,omitempty"` // PEM: leaf, issuer; only in the answer that made it
	Root        string `json:"root,omitempty"`        // PEM; likewise
}

// certificatesListed bounds a list: the newest are in it.
const certificatesListed = 100

func (s *Service) certificatesOf(ctx context.Context, app string) ([]certificateJSON, error) {
	issued, err := s.Certificates(ctx, app)
	if err != nil {
		return nil, err
	}
	var out []certificateJSON
	for _, c := range issued {
		out = append(out, certificateJSON{ID: c.Serial, Type: string(c.Hierarchy), Name: c.Label, NotBefore: rfc3339(c.NotBefore), NotAfter: rfc3339(c.NotAfter), Revoked: rfc3339(c.Revoked)})
	}
	return out, nil
}

// issueFor issues a certificate to an application of a member.
func (s *Service) issueFor(r *http.Request, m Member, h Hierarchy, label, csr string) (Certificate, error) {
	return s.IssueTo(r.Context(), m.ID, r.PathValue("id"), h, label, []byte(csr))
}

// postSign serves POST /members/applications/{id}/certificates/{type}/sign,
// type client or signing: {"csr" (PEM),"name"? (a label)} -> 201 with the
// certificate. Of the CSR only the key counts.
func (s *Service) postSign(w http.ResponseWriter, r *http.Request, m Member) error {
	var in struct {
		CSR  string `json:"csr"`
		Name string `json:"name"`
	}
	if err := readStrict(r, &in); err != nil {
		return err
	}
	h := Hierarchy(r.PathValue("type"))
	c, err := s.issueFor(r, m, h, in.Name, in.CSR)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, certificateJSON{ID: c.Leaf.SerialNumber.String(), Type: string(h), Name: in.Name,
		NotBefore: rfc3339(c.Leaf.NotBefore), NotAfter: rfc3339(c.Leaf.NotAfter),
		Certificate: string(c.PEM()), Root: string(identity.EncodeCertificates(s.Authorities.Of(h).Root))})
}

func serialNumber(text string) (*big.Int, error) {
	serial, ok := new(big.Int).SetString(text, 10)
	if !ok || len(text) > 48 || serial.String() != text {
		return nil, invalid("serial: need a certificate's serial number in decimal")
	}
	return serial, nil
}

// getCertificate serves GET /members/certificates/{serial}.pem: a certificate
// of the member, with its issuer.
func (s *Service) getCertificate(w http.ResponseWriter, r *http.Request, m Member) error {
	text, ok := strings.CutSuffix(r.PathValue("file"), ".pem")
	if !ok {
		return ErrNotFound
	}
	name, pem, err := s.CertificateFile(r.Context(), m.ID, text)
	if err != nil {
		return err
	}
	return attach(w, "application/x-pem-file", name, pem)
}

// issuerOf gives the PEM of the issuer that signed a leaf, or nothing when it
// is not the one at work now.
func (s *Service) issuerOf(h Hierarchy, leaf string) []byte {
	issuer := s.Authorities.Of(h).Issuer
	cs, err := identity.ParseCertificates([]byte(leaf))
	if err != nil || cs[0].CheckSignatureFrom(issuer) != nil {
		return nil
	}
	return identity.EncodeCertificates(issuer)
}

// postRevoke serves POST /members/certificates/{serial}/revoke (no body;
// serial in decimal) -> 200 {"id","revoked" (when)}. It is for good.
func (s *Service) postRevoke(w http.ResponseWriter, r *http.Request, m Member) error {
	serial, err := serialNumber(r.PathValue("serial"))
	if err != nil {
		return err
	}
	if err := s.revoke(r.Context(), serial, m.ID); err != nil {
		return err
	}
	var at int64
	err = s.DB.QueryRowContext(r.Context(), `SELECT revoked_at FROM directory_certificates WHERE serial = $1`, serial.String()).Scan(&at)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, map[string]string{"id": serial.String(), "revoked": rfc3339(time.Unix(at, 0))})
}

// getBundle serves GET /members/ca/{client,signing,server}.zip: the
// hierarchy's root, its issuer, and both in one file.
func (s *Service) getBundle(w http.ResponseWriter, r *http.Request, _ bearer) error {
	name, ok := strings.CutSuffix(r.PathValue("file"), ".zip")
	h := Hierarchy(name)
	if !ok || h != Client && h != Signing && h != Server {
		return ErrNotFound
	}
	a := s.Authorities.Of(h)
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, f := range []struct {
		name string
		pem  []byte
	}{
		{"root.pem", identity.EncodeCertificates(a.Root)},
		{"issuer.pem", identity.EncodeCertificates(a.Issuer)},
		{"bundle.pem", identity.EncodeCertificates(a.Issuer, a.Root)},
	} {
		out, err := z.CreateHeader(&zip.FileHeader{Name: name + "-" + f.name, Method: zip.Deflate, Modified: a.Issuer.NotBefore})
		if err == nil {
			_, err = out.Write(f.pem)
		}
		if err != nil {
			return err
		}
	}
	if err := z.Close(); err != nil {
		return err
	}
	return attach(w, "application/zip", "directory-"+name+"-certificates.zip", b.Bytes())
}

// attach sends a file. name is of safe characters.
func attach(w http.ResponseWriter, mediaType, name string, b []byte) error {
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	w.Write(b) // an error here is the client's connection: there is nobody to tell
	return nil
}
