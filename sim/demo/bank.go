package demo

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/provenance"
)

// bank is the demo's bank: an OAuth client of the FAPI 2 profile that receives
// monthly emissions. It finds every endpoint in the issuer's metadata.
type bank struct {
	mtls     *http.Client // shows the bank's client certificate
	plain    *http.Client
	id       string // its application URL: the URI in its certificate
	issuer   string
	resource string
	redirect string
	license  string

	endpoints struct {
		Issuer        string `json:"issuer"`
		Authorization string `json:"authorization_endpoint"`
		Token         string `json:"token_endpoint"`
		PAR           string `json:"pushed_authorization_request_endpoint"`
	}
	verifier, state string
	access, refresh string
}

func (b *bank) discover(ctx context.Context) error {
	if _, err := getJSON(ctx, b.plain, b.issuer+"/.well-known/oauth-authorization-server", "", &b.endpoints); err != nil {
		return err
	}
	if b.endpoints.Issuer != b.issuer {
		return fmt.Errorf("the metadata of %s names another issuer: %s", b.issuer, b.endpoints.Issuer)
	}
	return nil
}

// ask pushes the authorisation request and gives the link for the business.
func (b *bank) ask(ctx context.Context) (string, error) {
	b.verifier, b.state = secret(), secret()
	sum := sha256.Sum256([]byte(b.verifier))
	var pushed struct {
		RequestURI string `json:"request_uri"`
	}
	err := b.post(ctx, b.endpoints.PAR, url.Values{
		"response_type": {"code"}, "client_id": {b.id}, "redirect_uri": {b.redirect}, "scope": {b.license},
		"state": {b.state}, "code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}, &pushed)
	return b.endpoints.Authorization + "?" + url.Values{"client_id": {b.id}, "request_uri": {pushed.RequestURI}}.Encode(), err
}

// finish takes the redirect that the business came back with and trades its
// code for tokens.
func (b *bank) finish(ctx context.Context, back *url.URL) error {
	q := back.Query()
	if q.Get("state") != b.state || q.Get("iss") != b.issuer {
		return errors.New("the redirect does not belong to this request (state or iss)")
	}
	return b.tokens(ctx, url.Values{"grant_type": {"authorization_code"}, "code": {q.Get("code")},
		"redirect_uri": {b.redirect}, "code_verifier": {b.verifier}, "client_id": {b.id}})
}

func (b *bank) renew(ctx context.Context) error {
	return b.tokens(ctx, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {b.refresh}, "client_id": {b.id}})
}

func (b *bank) tokens(ctx context.Context, form url.Values) error {
	var t struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	if err := b.post(ctx, b.endpoints.Token, form, &t); err != nil {
		return err
	}
	b.access = t.Access
	if t.Refresh != "" {
		b.refresh = t.Refresh
	}
	return nil
}

// report is what the relay tells a bank.
type report struct {
	Data       []provenance.Entry `json:"data"`
	Provenance json.RawMessage    `json:"provenance"`
	answer     []byte             // as it came
}

// errNotYet says that the relay knows the meter but not yet every half-hour.
var errNotYet = errors.New("the report is not complete yet (202)")

func (b *bank) report(ctx context.Context, from, to time.Time) (*report, error) {
	link := b.resource + "/emissions?" + url.Values{"from": {from.Format(time.RFC3339)}, "to": {to.Format(time.RFC3339)}}.Encode()
	var answer json.RawMessage
	_, err := getJSON(ctx, b.mtls, link, b.access, &answer)
	switch {
	case isStatus(err, http.StatusAccepted):
		return nil, fmt.Errorf("%w: %w", errNotYet, err)
	case isStatus(err, http.StatusUnauthorized):
		if err := b.renew(ctx); err != nil {
			return nil, err
		}
		_, err = getJSON(ctx, b.mtls, link, b.access, &answer)
	}
	if err != nil {
		return nil, err
	}
	r := report{answer: answer}
	return &r, json.Unmarshal(answer, &r)
}

func (b *bank) post(ctx context.Context, to string, form url.Values, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := b.mtls.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return &statusError{to, resp.StatusCode, strings.TrimSpace(string(body))}
	}
	return json.Unmarshal(body, into)
}

func secret() string {
	var b [32]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(b[:])
}
