package uplink

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/perseus-edge/perseus-edge/identity"
)

// enrolmentAnswer is what the directory answers.
type enrolmentAnswer struct {
	Gateway            string `json:"gateway"`
	Member             string `json:"member"`
	Organisation       string `json:"organisation"`
	Relay              string `json:"relay"`
	ClientCertificate  string `json:"client_certificate"`
	SigningCertificate string `json:"signing_certificate"`
	SigningRoots       string `json:"signing_roots"`
	ClientRoots        string `json:"client_roots"`
}

// requestEnrolment asks the directory. lost says that it may have said yes
// though that has not arrived.
func requestEnrolment(ctx context.Context, r EnrollRequest, directory, code, as string, client, signing crypto.Signer) (_ *enrolmentAnswer, lost bool, err error) {
	clientCSR, err := identity.NewCSR(client, "gateway")
	if err != nil {
		return nil, false, err
	}
	signingCSR, err := identity.NewCSR(signing, "gateway")
	if err != nil {
		return nil, false, err
	}
	in := map[string]string{"code": code, "client_csr": string(clientCSR), "signing_csr": string(signingCSR)}
	if as != "" {
		in["gateway"] = as
	}
	body, err := json.Marshal(in)
	if err != nil {
		return nil, false, err
	}
	ctx, cancel := context.WithTimeout(ctx, enrollTime)
	defer cancel()
	hc := &http.Client{Transport: r.HTTP,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	a, err := do(ctx, hc, http.MethodPost, directory+"/gateway/v1/enrollments",
		http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}}, body, 8*identity.MaxPEM)
	if err != nil {
		return nil, true, fmt.Errorf("%s: %w", explain(err, "the directory "+directory, "", r.Now()), err)
	}
	if a.status != http.StatusCreated {
		no := a.refused(r.Now())
		switch {
		case no.code == "mistyped_code":
			return nil, false, &worded{"the directory cannot read this code: compare it with the original", no}
		case no.code == "invalid_code":
			return nil, false, &worded{"the directory " + directory + " does not know this code: it may be of another directory, used already, withdrawn, or too old. Have it make a new one", no}
		case no.code == "other_gateway":
			return nil, false, &worded{no.description + " The latter is done by perseus-agent enroll --other-gateway.", no}
		case a.status == http.StatusTooManyRequests:
			return nil, false, &worded{"the directory has seen too many wrong codes from this network: wait some minutes, then try again", no}
		case a.status >= 500:
			return nil, true, fmt.Errorf("the directory has a fault of its own; try again later, with the same code: %w", no)
		}
		return nil, false, fmt.Errorf("the directory refused: check its address: %w", no)
	}
	var got enrolmentAnswer
	if err := json.Unmarshal(a.body, &got); err != nil {
		return nil, true, fmt.Errorf("the directory's answer cannot be read: is %s really a directory? %w", directory, err)
	}
	return &got, false, nil
}

// check makes sure that the certificates are for these keys and this gateway
// and chain to the roots beside them, and gives the files to write.
func (got *enrolmentAnswer) check(e Enrolment, client, signing crypto.Signer, now time.Time) (map[string][]byte, error) {
	if u, err := url.Parse(got.Gateway); err != nil || u.Scheme == "" || u.Host == "" {
		return nil, fmt.Errorf("%q is not a gateway's URL", plain(got.Gateway, 100))
	}
	if _, err := baseURL(got.Relay); err != nil {
		return nil, fmt.Errorf("relay: %w", err)
	}
	files := map[string][]byte{}
	for _, c := range []struct {
		what, bundle, roots, file string
		key                       crypto.Signer
		usage                     x509.ExtKeyUsage
	}{
		{"client certificate", got.ClientCertificate, got.ClientRoots, clientCertFile, client, x509.ExtKeyUsageClientAuth},
		{"signing certificate", got.SigningCertificate, got.SigningRoots, signingCertFile, signing, x509.ExtKeyUsageAny},
	} {
		chain, err := identity.ParseCertificates([]byte(c.bundle))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.what, err)
		}
		roots, err := identity.ParseCertificates([]byte(c.roots))
		if err != nil {
			return nil, fmt.Errorf("roots of the %s: %w", c.what, err)
		}
		if err := matches(chain[0], c.key, e.Gateway); err != nil {
			return nil, fmt.Errorf("%s: %w", c.what, err)
		}
		if peer, _ := identity.PeerOf(chain[0]); peer.Member != e.Member {
			return nil, fmt.Errorf("%s: is for the member %s, not %s", c.what, plain(peer.Member, 100), plain(e.Member, 100))
		}
		_, err = chain[0].Verify(x509.VerifyOptions{Roots: identity.Pool(roots...), Intermediates: identity.Pool(chain[1:]...),
			CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{c.usage}})
		var invalid x509.CertificateInvalidError
		if errors.As(err, &invalid) && invalid.Reason == x509.Expired {
			return nil, fmt.Errorf("%s: is not valid at %s, which is what this computer's clock says: set the clock: %w", c.what, now.UTC().Format("2006-01-02 15:04 MST"), err)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.what, err)
		}
		files[c.file] = identity.EncodeCertificates(chain...)
		if c.file == signingCertFile {
			files[signingRootFile] = identity.EncodeCertificates(roots...)
		}
	}
	return files, nil
}
