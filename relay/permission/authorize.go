package permission

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/uplink/grant"
)

// asked is a pushed request and where its answer goes.
type asked struct {
	request
	URI  string // the request_uri
	Host string // of the redirect URI, as the pages show it
}

// offer is what the business is asked to agree to: exactly what is shown, and
// what is recorded when it agrees.
type offer struct {
	Site    Site
	Code    string // by which it was recognised, or
	Held    string // what an account holds
	Number  string // of that account
	How     string // it was recognised
	Text    string
	Covers  []grant.Cover
	From    time.Time
	Since   time.Time // when the business took over the site; zero: nobody had it before
	Expires time.Time
}

// showAuthorize is the authorisation endpoint as the browser first meets it.
// It does not use the request up: a preview or a reload must not spoil it.
func (s *Service) showAuthorize(w http.ResponseWriter, r *http.Request) {
	a, ok := s.findRequest(w, r, r.URL.Query())
	if ok {
		leadsBack(w, a.RedirectURI)
		s.showCode(w, r, http.StatusOK, codePage{Asked: a})
	}
}

// showCode asks which site it is: those of the account that the browser has
// signed in to, or the one with a code.
func (s *Service) showCode(w http.ResponseWriter, r *http.Request, status int, p codePage) {
	p.What, p.Way = s.what(p.Asked.License, p.Asked.Parts), way{p.Asked.Client, p.Asked.URI}
	x, err := s.session(r)
	if err == nil && x != nil {
		p.SignedIn = true
		p.Sites, err = s.heldSites(r.Context(), x.ID)
	} else if err == nil {
		p.Challenge, err = s.accounts.Challenge()
	}
	if err != nil {
		s.pageError(w, r, err)
		return
	}
	withScript(w, p.Challenge.Options)
	s.render(w, r, status, "code", p)
}

// postAuthorize takes the meter code, then the decision.
func (s *Service) postAuthorize(w http.ResponseWriter, r *http.Request) {
	f, ok := s.pageForm(w, r)
	if !ok {
		return
	}
	a, ok := s.findRequest(w, r, f)
	if !ok {
		return
	}
	if f.Get("decision") == "decline" {
		s.decline(w, r, a)
		return
	}
	leadsBack(w, a.RedirectURI)
	again := codePage{Asked: a, Code: cleanName(f.Get("code"))}
	x, err := s.shownBy(r, f)
	var ue *userError
	if errors.As(err, &ue) {
		retryAfter(w, ue)
		again.Problem = ue.say
		s.showCode(w, r, ue.Status, again)
		return
	}
	if err != nil {
		s.pageError(w, r, err)
		return
	}
	o, err := s.offer(r.Context(), a.request, x)
	if err != nil {
		s.pageError(w, r, err)
		return
	}
	if len(o.Covers) == 0 {
		again.Problem = sayOf("code.nometers")
		s.showCode(w, r, http.StatusUnprocessableEntity, again)
		return
	}
	p := offerPage{Asked: a, Offer: o, What: s.what(a.License, a.Parts), Seen: o.digest(), Blocks: blocks(o.Text), Meters: meterLines(o.Covers),
		Receivers: s.receivers(a.License, s.partNames(a.ClientName, a.Parts))}
	if f.Get("decision") == "agree" {
		if f.Get("seen") == p.Seen {
			s.agree(w, r, a, o)
			return
		}
		p.Problem = sayOf("offer.changed")
	}
	s.render(w, r, http.StatusOK, "offer", p)
}

// findRequest reads client_id and request_uri and finds their request. Where
// it fails, it has answered: never by a redirect, since an address in a bad
// request is not to be trusted.
func (s *Service) findRequest(w http.ResponseWriter, r *http.Request, f url.Values) (asked, bool) {
	if len(f["client_id"]) != 1 || len(f["request_uri"]) != 1 {
		s.message(w, r, http.StatusBadRequest, "link.incomplete.title", sayOf("link.incomplete"))
		return asked{}, false
	}
	a := asked{URI: f.Get("request_uri")}
	err := s.db.QueryRowContext(r.Context(), `SELECT client, client_name, member, parts, license, redirect_uri, state, challenge
		FROM oauth_requests WHERE hash = $1 AND client = $2 AND expires > $3`, hashOf(a.URI), f.Get("client_id"), s.now().Unix()).
		Scan(&a.Client, &a.ClientName, &a.Member, &a.Parts, &a.License, &a.RedirectURI, &a.State, &a.Challenge)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		s.message(w, r, http.StatusBadRequest, "link.out.title", sayOf("link.out"))
		return asked{}, false
	case err != nil:
		s.pageError(w, r, err)
		return asked{}, false
	}
	u, err := url.Parse(a.RedirectURI)
	if err != nil {
		s.pageError(w, r, err)
		return asked{}, false
	}
	a.Host = u.Hostname()
	return a, true
}

// offer puts together what a request would mean for a site.
func (s *Service) offer(ctx context.Context, q request, x shown) (offer, error) {
	now, site := s.now(), x.Site
	o := offer{Site: site, Code: x.Code, Held: x.Held, Number: x.Number, How: x.How, Covers: s.coversOf(site, q.License, q.Parts),
		Text:    s.permissionText(q.License, s.partNames(q.ClientName, q.Parts)),
		From:    energy.MonthStart(now.Add(-s.c.History)),
		Expires: now.AddDate(1, 0, 0)}
	// What was before this business had the site is another's.
	var err error
	if o.Since, err = s.tenantSince(ctx, site.Gateway); err != nil {
		return offer{}, fmt.Errorf("find since when the site is this business's: %w", err)
	}
	if first := o.Since.Add(energy.Period - 1).Truncate(energy.Period); first.After(o.From) {
		o.From = first
	}
	// A renewal reaches as far back as what it renews: that is what is shown.
	var from int64
	err = s.db.QueryRowContext(ctx, `SELECT available_from FROM permissions WHERE client = $1 AND license = $2 AND gateway = $3 AND revoked = 0`,
		q.Client, q.License, site.Gateway).Scan(&from)
	switch {
	case err == nil:
		o.From = unix(from)
	case !errors.Is(err, sql.ErrNoRows):
		return offer{}, fmt.Errorf("find what is renewed: %w", err)
	}
	return o, nil
}

// digest identifies what was shown, so that what is recorded is what was read
// even if the site or the texts change in between. The instant of expiry moves
// with the clock and is not part of it; the lifetime is in the text.
func (o offer) digest() string {
	b, err := json.Marshal([]any{o.Site.Gateway, o.Site.Name, o.Site.Outcode, o.Text, o.Covers, o.From.Unix()})
	if err != nil {
		panic(err) // strings and numbers always encode
	}
	h := sha256.Sum256(b)
	return base64.RawURLEncoding.EncodeToString(h[:])
}

// decline uses the request up and tells the client.
func (s *Service) decline(w http.ResponseWriter, r *http.Request, a asked) {
	err := s.db.Write(r.Context(), func(tx *sql.Tx) error { return s.consumeRequest(r.Context(), tx, a) })
	if err != nil {
		s.pageError(w, r, err)
		return
	}
	s.redirect(w, r, a, url.Values{"error": {"access_denied"}, "error_description": {"The business did not agree."}})
}

// redirect sends the browser back with the answer. 303 makes it a GET, so that
// the form's content does not travel along.
func (s *Service) redirect(w http.ResponseWriter, r *http.Request, a asked, answer url.Values) {
	if a.State != "" {
		answer.Set("state", a.State)
	}
	answer.Set("iss", s.issuer.String())
	http.Redirect(w, r, withAnswer(a.RedirectURI, answer), http.StatusSeeOther)
}

// withAnswer adds the answer to a redirect URI and leaves the rest as it is.
func withAnswer(redirectURI string, answer url.Values) string {
	sep := "?"
	if strings.Contains(redirectURI, "?") {
		sep = "&"
	}
	return redirectURI + sep + answer.Encode()
}
