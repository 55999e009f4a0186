package ingest

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/uplink/batch"
)

const (
	maxSite   = 512 << 10 // bytes of a site's JSON
	maxMeters = 2000
	maxText   = 200 // characters of a site's name
)

// outcodes is the pattern of the consumption API's schema, version 2026-03-12.
var outcodes = regexp.MustCompile(`^[A-Z]{1,2}[0-9][0-9A-Z]?$`)

// description is what a gateway says of itself with PUT /gateway/v1/site.
type description struct {
	name, outcode, code string // code in the form of identity.NewCode
	signing             []*x509.Certificate
	meters              []Meter
}

// parseSite reads and checks a gateway's description. Fields that it does not
// know are passed over, so that a newer gateway can talk to an older relay.
func parseSite(data []byte) (*description, error) {
	var in struct {
		Name    string `json:"name"`
		Outcode string `json:"outcode"`
		Code    string `json:"code"`
		Signing string `json:"signing_certificate"`
		Meters  []struct {
			ID       string           `json:"id"`
			Type     string           `json:"type"`
			Measures []energy.Measure `json:"measures"`
		} `json:"meters"`
	}
	if err := json.Unmarshal(data, &in); err != nil {
		return nil, fmt.Errorf("site: %w", err)
	}
	d := &description{name: strings.TrimSpace(in.Name), outcode: strings.ToUpper(strings.TrimSpace(in.Outcode))}
	if !plain(d.name, maxText) {
		return nil, fmt.Errorf("site: name: give it 1 to %d characters on one line", maxText)
	}
	if !outcodes.MatchString(d.outcode) {
		return nil, fmt.Errorf("site: outcode %.12q: give the first half of the postcode, such as SW8", in.Outcode)
	}
	var err error
	if d.code, err = identity.ParseCode(in.Code); err != nil {
		return nil, fmt.Errorf("site: code: %w", err)
	}
	if len(in.Signing) > identity.MaxPEM {
		return nil, fmt.Errorf("site: signing_certificate: larger than %d bytes", identity.MaxPEM)
	}
	if d.signing, err = identity.ParseCertificates([]byte(in.Signing)); err != nil {
		return nil, fmt.Errorf("site: signing_certificate: %w", err)
	}
	if len(in.Meters) > maxMeters {
		return nil, fmt.Errorf("site: %d meters: at most %d", len(in.Meters), maxMeters)
	}
	seen := map[string]bool{}
	for i, m := range in.Meters {
		if !plain(m.ID, batch.MaxName) || len(m.ID) > batch.MaxName {
			return nil, fmt.Errorf("site: meter %d: id: give it 1 to %d bytes on one line", i, batch.MaxName)
		}
		if seen[m.ID] {
			return nil, fmt.Errorf("site: meter %q comes twice", m.ID)
		}
		seen[m.ID] = true
		if err := checkMeasures(m.Type, m.Measures); err != nil {
			return nil, fmt.Errorf("site: meter %q: %w", m.ID, err)
		}
		d.meters = append(d.meters, Meter{ID: m.ID, Type: m.Type, Measures: m.Measures, Listed: true})
	}
	return d, nil
}

func checkMeasures(kind string, ms []energy.Measure) error {
	if kind != "electricity" && kind != "gas" {
		return fmt.Errorf("type %.20q: use electricity or gas", kind)
	}
	if len(ms) == 0 {
		return errors.New("it has no measures")
	}
	for i, m := range ms {
		if !m.Carried() || (m == energy.Gas) != (kind == "gas") {
			return fmt.Errorf("a meter of type %s cannot measure %s", kind, m)
		}
		if slices.Contains(ms[:i], m) {
			return fmt.Errorf("measure %s comes twice", m)
		}
	}
	return nil
}

// plain reports whether s is 1 to most characters of text on one line.
func plain(s string, most int) bool {
	return s != "" && utf8.ValidString(s) && utf8.RuneCountInString(s) <= most && !strings.ContainsFunc(s, unicode.IsControl)
}
