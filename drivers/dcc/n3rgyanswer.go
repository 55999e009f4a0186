package dcc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// n3rgyAnswer is what n3rgy answers: version 2 has devices, version 1 has the
// values at its top. An error is a list of its own, with any status.
type n3rgyAnswer struct {
	Resource    string       `json:"resource"`
	Granularity string       `json:"granularity"`
	Unit        string       `json:"unit"`
	Values      []n3rgyValue `json:"values"`
	Devices     []struct {
		Values []n3rgyValue `json:"values"`
	} `json:"devices"`
	Errors []struct {
		Message string `json:"message"`
	} `json:"errors"`
	Message string `json:"message"`
}

type n3rgyValue struct {
	Value     any    `json:"value"`          // version 1
	Primary   any    `json:"primaryValue"`   // version 2
	Secondary any    `json:"secondaryValue"` // of the second element of a twin-element meter
	Timestamp string `json:"timestamp"`      // end of the half-hour, UTC
}

// decodeN3rgy reads an answer of n3rgy's, version 1 or 2. Its times name the
// ends of half-hours in UTC: a day is 00:30 to 00:00 of the next. A half-hour
// without a value (null) is left out. Where a property has several devices of a
// kind, as around an exchange, their half-hours are put together.
func decodeN3rgy(data []byte, m energy.Measure) ([]half, error) {
	var a n3rgyAnswer
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(&a); err != nil {
		return nil, fmt.Errorf("the answer is broken: %w", err)
	}
	lists := [][]n3rgyValue{a.Values}
	for _, dev := range a.Devices {
		lists = append(lists, dev.Values)
	}
	count := 0
	for _, l := range lists {
		count += len(l)
	}
	switch {
	case len(a.Errors) > 0:
		return nil, unwilling("%s", clip(a.Errors[0].Message))
	case a.Values == nil && a.Devices == nil:
		return nil, unwilling("the answer has neither values nor devices: %s", clip(a.Message))
	case strings.Contains(a.Resource, "tariff"):
		return nil, unwilling("the answer is a tariff, not consumption")
	case a.Granularity != "" && a.Granularity != "halfhour":
		return nil, unwilling("the answer goes by %q, not by half-hours", clip(a.Granularity))
	case count == 0:
		return nil, nil
	}
	factor, err := factorOf(a.Unit, m)
	if err != nil {
		return nil, unwilling("%w", err)
	}
	var merged devices
	for _, l := range lists {
		var out []half
		for _, v := range l {
			h, ok, err := v.half(m, factor)
			if err != nil {
				return nil, err
			}
			if ok {
				out = append(out, h)
			}
		}
		merged.add(out)
	}
	return merged.all, nil
}

func (v n3rgyValue) half(m energy.Measure, factor *big.Rat) (h half, ok bool, err error) {
	layout := "2006-01-02 15:04"
	if len(v.Timestamp) > len(layout) {
		layout = time.DateTime
	}
	t, err := time.Parse(layout, v.Timestamp)
	if err == nil {
		t, err = endOf(t)
	}
	if err != nil {
		return h, false, unwilling("a value is dated %q: %w", clip(v.Timestamp), err)
	}
	first := v.Primary
	if first == nil {
		first = v.Value
	}
	h = half{end: t}
	if first == nil {
		return h, false, nil
	}
	if h.value, err = scalar(first, factor); err != nil {
		return half{end: t, wrong: wrongly(first, err)}, true, nil
	}
	h.wrong = sane(h.value)
	// What a meter with two elements imports is the sum of both. Of exports the
	// second value is another quantity, reactive energy (GBCS use case ECS22a).
	if v.Secondary != nil && m == energy.Import && h.wrong == "" {
		second, err := scalar(v.Secondary, factor)
		if err != nil {
			return half{end: t, wrong: wrongly(v.Secondary, err)}, true, nil
		}
		if h.wrong = sane(second); h.wrong == "" {
			h.value += second
		}
	}
	if h.wrong != "" {
		h.value = 0
	}
	return h, true, nil
}

// wrongly is what is wrong with a value that is no number. "invalid value" is
// how n3rgy writes one above the largest allowed.
func wrongly(v any, err error) string {
	if s, ok := v.(string); ok && s == "invalid value" {
		return junk
	}
	return fmt.Sprintf("%q %v", clip(fmt.Sprint(v)), err)
}

// scalar reads a number of a JSON document.
func scalar(v any, factor *big.Rat) (int64, error) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, errNumber
	}
	return amount(n.String(), factor)
}

// devices puts together what several devices say. An old meter and the new one
// that took its place share a half-hour at most, of which each has its part;
// where both have a value that is not zero, they may as well be two names of one
// meter: nobody knows, and neither is taken.
type devices struct {
	all []half
	at  map[time.Time]int // where in all
}

func (d *devices) add(one []half) {
	if d.at == nil {
		d.at = map[time.Time]int{}
	}
	before := len(d.all)
	for _, h := range one {
		i, had := d.at[h.end]
		switch {
		case !had || i >= before: // also what a device says twice, for tidy to find
			d.at[h.end] = len(d.all)
			d.all = append(d.all, h)
		case d.all[i].wrong != "" || h == (half{end: h.end}):
		case h.wrong != "" || d.all[i].value == 0:
			d.all[i] = h
		default:
			d.all[i] = half{end: h.end, wrong: twice}
		}
	}
}

// refusal is an answer that another attempt would not make better.
type refusal struct{ error }

func (r refusal) Unwrap() error { return r.error }

func unwilling(format string, args ...any) error { return refusal{fmt.Errorf(format, args...)} }

func refused(err error) bool { var r refusal; return errors.As(err, &r) }

// clip bounds what of a foreign text is put into an error.
func clip(s string) string {
	const most = 160
	s = strings.ToValidUTF8(strings.Join(strings.Fields(s), " "), "")
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}
