package site

import (
	"encoding/json"
	"strings"
	"time"
)

// udmi writes pointset events. Meters may be points of one device.
type udmi struct{ speaks }

func (udmi) faults() []string { return dated }

func udmiTopic(name string) string {
	if site, device, ok := strings.Cut(name, "/"); ok {
		return site + "/devices/" + device + "/events/pointset"
	}
	return "/devices/" + name + "/events/pointset"
}

func (udmi) messages(r report) []message {
	points := map[string]any{}
	for _, v := range r.values {
		points[v.cfg.Heard.Name] = map[string]any{"present_value": number(v)}
	}
	// Two meters of one device speak apart: each message is a part of all.
	body := map[string]any{"version": "1.5.7", "timestamp": stamp(r.at), "partial_update": true, "points": points}
	return []message{{topic: udmiTopic(r.source.meter.Device), payload: document(body)}}
}

func (udmi) foreign(s *source) []message {
	other := strings.TrimPrefix(udmiTopic(s.meter.Device), "/")
	return []message{
		{topic: strings.Replace(other, "/events/", "-2/events/", 1), payload: document(map[string]any{"timestamp": stamp(time.Unix(1_700_000_000, 0)), "version": "1.5.7", "points": map[string]any{}})},
		{topic: udmiTopic(s.meter.Device), payload: []byte("<html>not for you</html>")},
	}
}

// number is a value as a JSON number, with all its digits; null where there is
// none.
func number(v said) any {
	if v.number == nil {
		return nil
	}
	return json.RawMessage(text(v.number))
}

func document(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		return nil // nothing here that JSON cannot hold
	}
	return b
}
