package permission

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/relay/ingest"
	"github.com/perseus-edge/perseus-edge/uplink/grant"
)

// Site is a business's site, as its gateway registered it.
type Site = ingest.Site

// SiteFinder finds a site by the code that its gateway shows, in the form of
// identity.ParseCode. Its error is or wraps ingest.ErrNotFound when no site
// has that code. *ingest.Service is one. Site finds the site of a gateway's URL,
// in the same way.
type SiteFinder interface {
	SiteByCode(ctx context.Context, code string) (Site, error)
	Site(ctx context.Context, gateway string) (Site, error)
}

// userError is what a page tells the person in front of it.
type userError struct {
	say
	Status int
	Retry  time.Duration // when to try again; 0: no matter
}

func (e *userError) Error() string { return e.Key }

// refuse is a *userError with the words of a key.
func refuse(status int, key string) *userError { return &userError{say: sayOf(key), Status: status} }

// siteByCode finds the site of a typed meter code, within the limits. Its
// error is a *userError unless the fault is ours. how says what kind of code it
// was.
func (s *Service) siteByCode(r *http.Request, typed string) (site Site, code, how string, err error) {
	if strings.TrimSpace(typed) == "" {
		return Site{}, "", "", refuse(http.StatusUnprocessableEntity, "code.empty")
	}
	if len(typed) > 64 {
		typed = typed[:64]
	}
	code, err = identity.ParseCode(strings.TrimSpace(typed))
	if err != nil {
		return Site{}, "", "", refuse(http.StatusUnprocessableEntity, "code.malformed")
	}
	from := s.c.Address(r)
	back, wait, err := s.limits.try(r.Context(), from, s.c.Now())
	if err != nil {
		return Site{}, "", "", fmt.Errorf("count a meter code: %w", err)
	}
	if back == nil {
		s.log.Warn("permission: too many wrong meter codes", "address", from)
		return Site{}, "", "", &userError{say: sayOf("code.toomany"), Status: http.StatusTooManyRequests, Retry: wait}
	}
	site, how, err = s.recognise(r.Context(), code)
	switch {
	case errors.Is(err, ingest.ErrNotFound):
		s.log.Info("permission: wrong meter code", "address", from)
		return Site{}, "", "", refuse(http.StatusUnprocessableEntity, "code.unknown")
	case err != nil:
		return Site{}, "", "", errors.Join(fmt.Errorf("find the site: %w", err), back())
	}
	if err := back(); err != nil {
		return Site{}, "", "", fmt.Errorf("count a meter code: %w", err)
	}
	site.Name, site.Outcode = cleanName(site.Name), cleanName(site.Outcode)
	return site, code, how, nil
}

// coversOf lists the registers of a site that a request covers: everything
// that the site measures where the client is to see consumption; where it gets
// emissions alone (a bank, under either of its licences) what their
// calculation uses, import and gas, and no more: nothing else need leave the site.
func (s *Service) coversOf(site Site, license, parts string) []grant.Cover {
	var out []grant.Cover
	emissionsOnly := license == s.c.Scheme.LicenseEmissions() || parts == "fsp"
	for _, m := range site.Meters {
		for _, measure := range m.Measures {
			if emissionsOnly && measure != energy.Import && measure != energy.Gas {
				continue
			}
			if c := (grant.Cover{Meter: m.ID, Measure: measure}); measure.Carried() && !slices.Contains(out, c) {
				out = append(out, c)
			}
		}
	}
	return out
}

func encodeCovers(cs []grant.Cover) (string, error) {
	b, err := json.Marshal(cs)
	return string(b), err
}

func decodeCovers(s string) ([]grant.Cover, error) {
	var cs []grant.Cover
	if err := json.Unmarshal([]byte(s), &cs); err != nil {
		return nil, fmt.Errorf("stored covers cannot be read: %w", err)
	}
	return cs, nil
}

// meterLine is a meter as the pages show it; Measures are keys.
type meterLine struct {
	ID       string
	Measures []string
}

// meterLines puts covers into words, one line for each meter, in their order.
func meterLines(cs []grant.Cover) []meterLine {
	var out []meterLine
	for i, c := range cs {
		key := "measure." + c.Measure.String()
		if i > 0 && cs[i-1].Meter == c.Meter {
			out[len(out)-1].Measures = append(out[len(out)-1].Measures, key)
			continue
		}
		out = append(out, meterLine{ID: cleanName(c.Meter), Measures: []string{key}})
	}
	return out
}
