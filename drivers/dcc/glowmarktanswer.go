package dcc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// glowmarktAnswer is what Glowmarkt answers for the readings of a resource.
type glowmarktAnswer struct {
	Status     string   `json:"status"`
	Units      string   `json:"units"`
	Classifier string   `json:"classifier"`
	Data       [][2]any `json:"data"` // Unix seconds of the start, and the value or null
	Query      struct {
		Period   string `json:"period"`
		Function string `json:"function"`
	} `json:"query"`
	Error string `json:"error"`
}

// unripe is how long a zero at the end of the readings may stand for what has
// not come yet: the last hours are seen as zeros until they are filled in.
const unripe = 48 * time.Hour

// decodeGlowmarkt reads an answer with half-hourly readings. Its times name the
// starts of half-hours: asked from 00:00, the first is 00:00.
func decodeGlowmarkt(data []byte, m energy.Measure, now time.Time) ([]half, error) {
	var a glowmarktAnswer
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(&a); err != nil {
		return nil, fmt.Errorf("the answer is broken: %w", err)
	}
	switch {
	case a.Status != "OK" || a.Error != "":
		return nil, fmt.Errorf("the answer says %q %s", clip(a.Status), clip(a.Error))
	case a.Query.Period != "" && a.Query.Period != "PT30M":
		return nil, unwilling("the answer goes by %q, not by half-hours", clip(a.Query.Period))
	case a.Query.Function != "" && a.Query.Function != "sum":
		return nil, unwilling("the answer gives the %q, not the sum", clip(a.Query.Function))
	case a.Data == nil:
		return nil, fmt.Errorf("the answer has no data")
	case a.Classifier != "" && !classified(a.Classifier, m):
		return nil, unwilling("the resource is %q, which is not %s: write device: the id of the right one", clip(a.Classifier), m)
	case len(a.Data) == 0:
		return nil, nil
	}
	factor, err := factorOf(a.Units, m)
	if err != nil {
		return nil, unwilling("%w", err)
	}
	out := make([]half, 0, len(a.Data))
	for _, pair := range a.Data {
		n, ok := pair[0].(json.Number)
		if !ok {
			return nil, unwilling("a value is dated %q", clip(fmt.Sprint(pair[0])))
		}
		seconds, err := n.Int64()
		if err != nil || seconds < 0 || seconds > 1<<33 { // mutate: 1970 and 2242 are refused below as well
			return nil, unwilling("a value is dated %q", clip(n.String()))
		}
		end, err := endOf(time.Unix(seconds, 0).Add(energy.Period))
		if err != nil {
			return nil, unwilling("a value is dated %q: %w", clip(n.String()), err)
		}
		if pair[1] == nil {
			continue
		}
		h := half{end: end}
		if h.value, err = scalar(pair[1], factor); err != nil {
			h = half{end: end, wrong: wrongly(pair[1], err)}
		} else if h.wrong = sane(h.value); h.wrong != "" {
			h.value = 0
		}
		out = append(out, h)
	}
	return ripe(out, now), nil
}

// classified reports whether a classifier is of a measure. That of exports is
// not documented: any of electricity will do that is not consumption or cost.
func classified(c string, m energy.Measure) bool {
	switch m {
	case energy.Import:
		return c == "electricity.consumption"
	case energy.Gas:
		return c == "gas.consumption"
	case energy.Export:
		return strings.HasPrefix(c, "electricity.") && c != "electricity.consumption" && !strings.HasSuffix(c, "cost")
	}
	return false
}

// ripe leaves out the zeros after the last value that is none, while they are young.
func ripe(all []half, now time.Time) []half {
	var last time.Time
	for _, h := range all {
		if (h.value != 0 || h.wrong != "") && h.end.After(last) {
			last = h.end
		}
	}
	out := all[:0]
	for _, h := range all {
		if h.value == 0 && h.wrong == "" && h.end.After(last) && now.Sub(h.end) < unripe {
			continue
		}
		out = append(out, h)
	}
	return out
}
