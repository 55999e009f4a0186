package permission

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/uplink/grant"
)

// maxWait is the longest that a gateway's question for grants is held, under
// the 60 s after which many middleboxes drop a silent connection.
const maxWait = 55 * time.Second

// showWithdrawn is for how long a withdrawn permission stays in the gateway's
// set, so that its page can say what became of it.
const showWithdrawn = 30 * 24 * time.Hour

// serveGrants gives a gateway its signed grants. With If-None-Match and Prefer:
// wait=N (RFC 7240) it answers as soon as they differ, or 304 after N seconds.
func (s *Service) serveGrants(w http.ResponseWriter, r *http.Request) {
	peer, err := s.gateway(r)
	if err == nil && len(peer.Roles) > 0 {
		err = &Error{Status: http.StatusForbidden, Code: "access_denied", Description: "this address is for gateways; your certificate is an application's"}
	}
	if err == nil {
		err = s.within(r.Context(), "grants", peer.Application, cmp.Or(s.c.GrantsRate, defaultGrantsRate))
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if err := s.endTold(r.Context(), peer.Application, r.Header.Get(grant.WithdrawnHeader)); err != nil {
		s.fail(w, r, err)
		return
	}
	known := r.Header.Get("If-None-Match")
	wait := preferredWait(r.Header.Values("Prefer"))
	if known == "" {
		wait = 0
	}
	set, etag, err := s.awaitGrants(r.Context(), peer.Application, known, wait)
	if r.Context().Err() != nil {
		// The gateway has gone, or this process is being stopped: then it hears
		// that it has missed nothing, and asks again.
		if known == "" {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if err == nil { // a minute may have gone by
		_, err = s.gateway(r)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	h := w.Header()
	h.Set("ETag", etag)
	h.Set("Cache-Control", "private, no-cache")
	if wait > 0 {
		h.Set("Preference-Applied", "wait="+strconv.Itoa(int(wait/time.Second)))
	}
	if etag == known {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	raw, err := grant.Sign(set, s.c.Signer, s.c.Chain)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	w.Write(raw)
}

// awaitGrants reads the gateway's set, again after every change, until it is
// not the known one or the wait is over. It costs nothing while it waits.
func (s *Service) awaitGrants(ctx context.Context, gateway, known string, wait time.Duration) (grant.Set, string, error) {
	watch := s.hub.watch(gateway)
	defer watch.stop()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for last := wait == 0; ; {
		// The version is read first: a change after it is woken for.
		v, err := s.version(ctx, gateway)
		if err != nil {
			return grant.Set{}, "", err
		}
		watch.saw(v)
		set, etag, err := s.grantSet(ctx, gateway)
		if err != nil || etag != known || last {
			return set, etag, err
		}
		select {
		case <-watch.ch:
		case <-timer.C:
			last = true // what ended by itself meanwhile shows now
		case <-ctx.Done():
			return grant.Set{}, "", ctx.Err()
		}
	}
}

// grantSet is what a gateway should know now, and its entity tag. The tag
// changes with the grants, with what becomes of the code and with the signing
// certificate, not with the time.
func (s *Service) grantSet(ctx context.Context, gateway string) (grant.Set, string, error) {
	now := s.now()
	ps, err := s.rows(ctx, now, `WHERE p.gateway = $2 AND p.expires > $1 AND (p.revoked = 0 OR p.revoked > $3)
		ORDER BY CASE WHEN p.revoked = 0 THEN 0 ELSE 1 END, p.revoked DESC, p.granted, p.id`,
		gateway, now.Add(-showWithdrawn).Unix())
	if err != nil {
		return grant.Set{}, "", err
	}
	set := grant.Set{Gateway: gateway, Issued: s.c.Now().UTC(), Grants: []grant.Grant{}}
	for _, p := range ps {
		if (p.live(now) || !p.Revoked.IsZero()) && len(set.Grants) < grant.MaxGrants {
			set.Grants = append(set.Grants, p.grant())
		}
	}
	if set.Code, set.Retired, err = s.codeOf(ctx, gateway); err != nil {
		return grant.Set{}, "", err
	}
	b, err := json.Marshal(set.Grants)
	if err != nil {
		return grant.Set{}, "", err
	}
	h := sha256.New()
	h.Write(s.c.Chain[0].Raw)
	h.Write(b)
	fmt.Fprintf(h, "%s %t", set.Code, set.Retired)
	return set, `"` + base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:18]) + `"`, nil
}

// preferredWait reads wait=N of Prefer headers (RFC 7240): 0 where there is
// none that can be read, at most maxWait.
func preferredWait(headers []string) time.Duration {
	for _, h := range headers {
		for p := range strings.SplitSeq(h, ",") {
			name, value, _ := strings.Cut(p, "=")
			if !strings.EqualFold(strings.TrimSpace(name), "wait") {
				continue
			}
			value, _, _ = strings.Cut(value, ";")
			n, err := strconv.ParseUint(strings.Trim(strings.TrimSpace(value), `"`), 10, 31)
			if err != nil {
				return 0
			}
			return min(time.Duration(n)*time.Second, maxWait)
		}
	}
	return 0
}
