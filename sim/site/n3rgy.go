package site

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// feed is a web API with the half-hours of some meters, behind a key.
type feed struct {
	*page
	sources []*source
	key     string
}

// reading writes values of a feed: in order, but for those that are swapped,
// and once, but for those that are repeated. none is how it says that it has
// no value.
func listed(all []half, write func(half) any) []any {
	out := []any{}
	for _, h := range all {
		out = append(out, write(h))
		switch n := len(out); {
		case h.fault == "repeat":
			out = append(out, write(h))
		case h.fault == "swap" && n > 1:
			out[n-1], out[n-2] = out[n-2], out[n-1]
		}
	}
	return out
}

// n3rgyJunk is what the network gives for a value that ran over: a meter's all
// ones, in Wh or litres.
const n3rgyJunk = "4294967.295"

// n3rgy answers as n3rgy does, versions 1 and 2 and that for consumers. Its
// times name the ends of half-hours, in UTC without saying so.
func (f feed) n3rgy(r *http.Request) (status int, body any) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	header, id, utility, kind, second := "Authorization", "", "", "", false
	switch {
	case len(parts) == 6 && parts[0] == "mpxn" && parts[2] == "utility" && parts[4] == "readingtype":
		header, id, utility, kind, second = "x-api-key", parts[1], parts[3], parts[5], true
	case len(parts) == 4 && parts[3] == "1":
		id, utility, kind = parts[0], parts[1], parts[2]
	case len(parts) == 3 && parts[2] == "1":
		utility, kind = parts[0], parts[1]
	default:
		return http.StatusNotFound, map[string]any{"message": "no such resource"}
	}
	if r.Header.Get(header) != f.key {
		return http.StatusForbidden, map[string]any{"message": "User is not authorized to access this resource with an explicit deny"}
	}
	const minutes = "200601021504"
	from, err1 := time.Parse(minutes, r.URL.Query().Get("start"))
	to, err2 := time.Parse(minutes, r.URL.Query().Get("end"))
	if err1 != nil || err2 != nil || to.Sub(from) > 90*24*time.Hour {
		return http.StatusBadRequest, map[string]any{"errors": []any{map[string]any{"code": 400, "message": "the window is not one of at most 90 days"}}}
	}
	measure := map[string]energy.Measure{"electricity/consumption": energy.Import, "electricity/production": energy.Export, "gas/consumption": energy.Gas}[utility+"/"+kind]
	reg := f.register(func(s *source) bool { return id == "" || s.meter.Device == id }, measure)
	if reg == nil {
		return http.StatusForbidden, map[string]any{"errors": []any{map[string]any{"code": 403, "message": "Consent for the given MPxN not found"}}}
	}
	name := word(second, "primaryValue", "value")
	values := listed(halves(reg, f.dice, from, to, f.now()), func(h half) any {
		v := json.RawMessage(h.value)
		if h.fault == "nan" {
			v = json.RawMessage(n3rgyJunk)
		}
		return map[string]any{name: v, "timestamp": h.end.Format("2006-01-02 15:04")}
	})
	answer := map[string]any{"resource": r.URL.RequestURI(), "start": from.Format(minutes), "end": to.Format(minutes), "granularity": "halfhour",
		"unit": word(measure == energy.Gas, "m3", "kWh"), "availableCacheRange": map[string]any{"start": reg.load.Origin().Format(minutes), "end": f.now().AddDate(0, 0, 1).Format(minutes)}}
	if second {
		answer["devices"] = []any{map[string]any{"deviceId": "01-00-00-00-00-00-01-01", "values": values}}
	} else {
		answer["values"] = values
	}
	return http.StatusOK, answer
}

// register finds the register of a measure.
func (f feed) register(is func(*source) bool, m energy.Measure) *register {
	for _, s := range f.sources {
		if is(s) {
			if i := slices.IndexFunc(s.registers, func(r *register) bool { return r.cfg.Measure == m }); i >= 0 {
				return s.registers[i]
			}
		}
	}
	return nil
}
