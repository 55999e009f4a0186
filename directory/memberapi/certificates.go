package memberapi

import (
	"archive/zip"
	"bytes"
	"context"
	"net/http"
	"strings"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/answer"
	"github.com/perseus-edge/perseus-edge/directory/ca"
	"github.com/perseus-edge/perseus-edge/directory/fault"
	"github.com/perseus-edge/perseus-edge/directory/form"
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

func (s *API) certificatesOf(ctx context.Context, app string) ([]certificateJSON, error) {
	issued, err := s.Certificates(ctx, app)
	if err != nil {
		return nil, err
	}
	var out []certificateJSON
	for _, c := range issued {
		out = append(out, certificateJSON{ID: c.Serial, Type: string(c.Hierarchy), Name: c.Label, NotBefore: form.RFC3339(c.NotBefore), NotAfter: form.RFC3339(c.NotAfter), Revoked: form.RFC3339(c.Revoked)})
	}
	return out, nil
}

// issueFor issues a certificate to an application of a member.
func (s *API) issueFor(r *http.Request, m directory.Member, h ca.Hierarchy, label, csr string) (directory.Certificate, error) {
	return s.IssueTo(r.Context(), m.ID, r.PathValue("id"), h, label, []byte(csr))
}

// postSign serves POST /members/applications/{id}/certificates/{type}/sign,
// type client or signing: {"csr" (PEM),"name"? (a label)} -> 201 with the
// certificate. Of the CSR only the key counts.
func (s *API) postSign(w http.ResponseWriter, r *http.Request, m directory.Member) error {
	var in struct {
		CSR  string `json:"csr"`
		Name string `json:"name"`
	}
	if err := readStrict(r, &in); err != nil {
		return err
	}
	h := ca.Hierarchy(r.PathValue("type"))
	c, err := s.issueFor(r, m, h, in.Name, in.CSR)
	if err != nil {
		return err
	}
	return answer.WriteJSON(w, http.StatusCreated, certificateJSON{ID: c.Leaf.SerialNumber.String(), Type: string(h), Name: in.Name,
		NotBefore: form.RFC3339(c.Leaf.NotBefore), NotAfter: form.RFC3339(c.Leaf.NotAfter),
		Certificate: string(c.PEM()), Root: string(identity.EncodeCertificates(s.Authorities.Of(h).Root))})
}

// getCertificate serves GET /members/certificates/{serial}.pem: a certificate
// of the member, with its issuer.
func (s *API) getCertificate(w http.ResponseWriter, r *http.Request, m directory.Member) error {
	text, ok := strings.CutSuffix(r.PathValue("file"), ".pem")
	if !ok {
		return fault.ErrNotFound
	}
	name, pem, err := s.CertificateFile(r.Context(), m.ID, text)
	if err != nil {
		return err
	}
	return attach(w, "application/x-pem-file", name, pem)
}

// postRevoke serves POST /members/certificates/{serial}/revoke (no body;
// serial in decimal) -> 200 {"id","revoked" (when)}. It is for good.
func (s *API) postRevoke(w http.ResponseWriter, r *http.Request, m directory.Member) error {
	serial := r.PathValue("serial")
	if err := s.RevokeOf(r.Context(), m.ID, serial); err != nil {
		return err
	}
	at, err := s.Revoked(r.Context(), serial)
	if err != nil {
		return err
	}
	return answer.WriteJSON(w, http.StatusOK, map[string]string{"id": serial, "revoked": form.RFC3339(at)})
}

// getBundle serves GET /members/ca/{client,signing,server}.zip: the
// hierarchy's root, its issuer, and both in one file.
func (s *API) getBundle(w http.ResponseWriter, r *http.Request, _ directory.Bearer) error {
	name, ok := strings.CutSuffix(r.PathValue("file"), ".zip")
	h := ca.Hierarchy(name)
	if !ok || h != ca.Client && h != ca.Signing && h != ca.Server {
		return fault.ErrNotFound
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
