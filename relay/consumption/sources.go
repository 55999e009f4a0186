package consumption

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/relay/ingest"
	"github.com/perseus-edge/perseus-edge/relay/permission"
	"github.com/perseus-edge/perseus-edge/uplink/grant"
)

// source is a meter as the API shows it.
type source struct {
	ID       string   `json:"id"`
	Type     string   `json:"type"`
	Location location `json:"location"`
	Measures []string `json:"availableMeasures"`
	meter    string
	listed   bool // the gateway still has it
}

type location struct {
	Outcode string `json:"ukPostcodeOutcode"`
}

// sources serves GET /datasources.
func (s *Service) sources(w http.ResponseWriter, r *http.Request, a permission.Access) error {
	list, err := s.covered(r.Context(), a)
	if err != nil {
		return err
	}
	s.log.Info("consumption: data sources listed", "permission", a.Permission, "client", a.Client, "sources", len(list))
	writeJSON(w, http.StatusOK, map[string][]source{"data": list})
	return nil
}

// covered lists the meters that a permission covers, with the measures of each
// that it covers: also meters that the gateway no longer has, since their
// history is still there.
func (s *Service) covered(ctx context.Context, a permission.Access) ([]source, error) {
	site, err := s.c.Store.Site(ctx, a.Gateway)
	if errors.Is(err, ingest.ErrNotFound) {
		return []source{}, nil
	} else if err != nil {
		return nil, err
	}
	meters, err := s.c.Store.Meters(ctx, a.Gateway)
	if err != nil {
		return nil, err
	}
	list := []source{}
	for _, m := range meters {
		one := source{ID: m.Source, Type: m.Type, Location: location{site.Outcode}, meter: m.ID, listed: m.Listed}
		for _, name := range []string{"import", "export"} {
			k, ok := measureOf(m.Type, name)
			if ok && slices.Contains(m.Measures, k) && slices.Contains(a.Covers, grant.Cover{Meter: m.ID, Measure: k}) {
				one.Measures = append(one.Measures, name)
			}
		}
		if len(one.Measures) > 0 {
			list = append(list, one)
		}
	}
	return list, nil
}

// measureOf translates the API's measure of a meter of some type: a gas meter
// has an import, its volume. Reactive energy is not part of the API.
func measureOf(kind, name string) (energy.Measure, bool) {
	switch {
	case kind == "gas" && name == "import":
		return energy.Gas, true
	case kind == "electricity" && name == "import":
		return energy.Import, true
	case kind == "electricity" && name == "export":
		return energy.Export, true
	}
	return 0, false
}
