package site

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// User is the name under which a rehearsal's agent logs in; its password is
// the key of the site.
const User = "rehearsal"

var uuid = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// resourceOf is the id of a register's resource: the meter's own name, where
// that is one.
func resourceOf(s *source, m energy.Measure) string {
	if uuid.MatchString(s.meter.Device) && len(s.registers) == 1 {
		return strings.ToLower(s.meter.Device)
	}
	return uuidOf(s.meter.ID + "/" + m.String())
}

func uuidOf(name string) string {
	h := fnv.New64a()
	h.Write([]byte(name))
	n := h.Sum64()
	return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", uint32(n>>32), uint16(n>>16), n&0xFFF, n>>20&0xFFF, n&0xFFFFFFFFFFFF)
}

var classifiers = map[energy.Measure]string{energy.Import: "electricity.consumption", energy.Export: "electricity.export", energy.Gas: "gas.consumption"}

// glowmarkt answers as Hildebrand's API does. Its times name the starts of
// half-hours; what has no value yet is null where nulls are asked for, else 0.
func (f feed) glowmarkt(r *http.Request) (status int, body any) {
	path := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	for len(path) > 0 && path[0] != "auth" && path[0] != "virtualentity" && path[0] != "resource" {
		path = path[1:] // the first part of the address
	}
	if len(path) == 1 && path[0] == "auth" {
		var in struct{ Username, Password string }
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.Username != User || in.Password != f.key {
			return http.StatusUnauthorized, map[string]any{"valid": false, "error": "wrong user or password"}
		}
		return http.StatusOK, map[string]any{"valid": true, "token": "token-" + f.key, "exp": f.now().Add(7 * 24 * time.Hour).Unix()}
	}
	if t := r.Header.Get("token"); t != "token-"+f.key && t != f.key {
		return http.StatusUnauthorized, map[string]any{"error": "token expired"}
	}
	switch {
	case len(path) == 1 && path[0] == "virtualentity":
		all := []any{}
		for _, s := range f.sources {
			all = append(all, f.entity(s))
		}
		return http.StatusOK, all
	case len(path) == 3 && path[0] == "virtualentity" && path[2] == "resources":
		for _, s := range f.sources {
			if uuidOf(s.meter.ID) == path[1] || strings.EqualFold(s.meter.Device, path[1]) {
				return http.StatusOK, f.entity(s)
			}
		}
	case len(path) == 3 && path[0] == "resource" && path[2] == "catchup":
		return http.StatusOK, map[string]any{"data": map[string]any{"valid": true}}
	case len(path) == 3 && path[0] == "resource" && path[2] == "readings":
		for _, s := range f.sources {
			for _, reg := range s.registers {
				if resourceOf(s, reg.cfg.Measure) == strings.ToLower(path[1]) {
					return f.readings(r, reg)
				}
			}
		}
	}
	return http.StatusNotFound, map[string]any{"error": "Resource not found"}
}

// entity is a property with its resources; it bears the name that the
// configuration gives it.
func (f feed) entity(s *source) any {
	resources := []any{}
	for _, r := range s.registers {
		resources = append(resources, map[string]any{"resourceId": resourceOf(s, r.cfg.Measure), "classifier": classifiers[r.cfg.Measure], "name": r.cfg.Measure.String(), "baseUnit": "kWh"})
	}
	return map[string]any{"veId": uuidOf(s.meter.ID), "name": s.meter.Device, "resources": resources}
}

func (f feed) readings(r *http.Request, reg *register) (status int, body any) {
	const layout = "2006-01-02T15:04:05"
	q := r.URL.Query()
	from, err1 := time.Parse(layout, q.Get("from"))
	to, err2 := time.Parse(layout, q.Get("to"))
	if err1 != nil || err2 != nil || to.Sub(from) > 10*24*time.Hour || q.Get("period") != "PT30M" {
		return http.StatusBadRequest, map[string]any{"status": "ERROR", "error": "use a window of at most 10 days and PT30M"}
	}
	all := map[time.Time]half{}
	for _, h := range halves(reg, f.dice, from, to.Add(energy.Period), f.now()) {
		all[h.end] = h
	}
	var data []half
	for start := from.Truncate(energy.Period); !start.After(to); start = start.Add(energy.Period) {
		h := all[start.Add(energy.Period)]
		h.end = start.Add(energy.Period)
		data = append(data, h)
	}
	empty := json.RawMessage(word(q.Get("nulls") == "1", "null", "0"))
	return http.StatusOK, map[string]any{
		"status": "OK", "name": reg.cfg.Measure.String(), "units": word(reg.cfg.Measure == energy.Gas, "m3", "kWh"), "classifier": classifiers[reg.cfg.Measure],
		"query": map[string]any{"from": q.Get("from"), "to": q.Get("to"), "period": "PT30M", "function": "sum"},
		"data": listed(data, func(h half) any {
			v := json.RawMessage(h.value)
			if h.value == "" || h.fault == "nan" {
				v = empty
			}
			return []any{h.end.Add(-energy.Period).Unix(), v}
		}),
	}
}
