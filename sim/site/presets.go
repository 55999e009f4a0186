package site

import (
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"
)

// preset is a bridge of the field, which writes its values in one way.
type preset struct {
	speaks
	write  func(r report, v said) message
	unit   func(v said) message // where the unit is said apart; nil: it is not
	marked bool                 // it says when a value is old
	clock  bool                 // it has times
}

func (p preset) faults() []string {
	out := slices.Clone(spoken)
	if p.clock {
		out = append(out, "1970")
	}
	if p.marked || p.clock {
		out = append(out, "stale")
	}
	return out
}

func (p preset) marks() bool { return p.marked }

func (p preset) messages(r report) (out []message) {
	for _, v := range r.values {
		if p.unit != nil && v.cfg.Heard.UnitName == "" {
			out = append(out, p.unit(v))
		}
		out = append(out, p.write(r, v))
	}
	return out
}

// foreign is a bridge's word on its own state, and a text where JSON is due.
func (p preset) foreign(s *source) []message {
	r := s.report(time.Unix(1_700_000_000, 0))
	if len(r.values) == 0 {
		return nil
	}
	m := p.write(r, r.values[0])
	return []message{{topic: m.topic + "/status", payload: []byte(`{"state":"up"}`)}, {topic: m.topic, payload: []byte("{\"state\":\"up\"")}}
}

// presets are the bridges; field/feeds.md 1.3 to 1.8 has their messages.
var presets = map[string]preset{
	"bacnet-mqtt-gateway": {write: bacnetGateway, marked: true, clock: true},
	"bitpool":             {write: bitpool, marked: true, clock: true},
	"thingsboard":         {write: thingsboard, clock: true},
	"siemens":             {write: siemens, marked: true, clock: true},
	"niagara":             {write: niagara, marked: true, clock: true},
	"homeassistant":       {write: homeAssistant, unit: homeAssistantUnit},
}

// word is one of two.
func word(is bool, then, otherwise string) string {
	if is {
		return then
	}
	return otherwise
}

// object takes type and instance out of a point such as 23_1. Accumulators
// count whole steps.
func object(v said) (kind, instance int, value any) {
	_, _ = fmt.Sscanf(v.cfg.Heard.Name, "%d_%d", &kind, &instance)
	value = number(v)
	if v.number != nil && (kind == 23 || kind == 48) {
		value = json.RawMessage(new(big.Int).Quo(v.number.Num(), v.number.Denom()).String())
	}
	return kind, instance, value
}

func bacnetGateway(r report, v said) message {
	gateway, device, ok := strings.Cut(r.source.meter.Device, "/")
	if !ok {
		gateway, device = "gw1", r.source.meter.Device
	}
	kind, instance, value := object(v)
	ms := milliseconds(r.at)
	body := map[string]any{
		"value": value, "name": r.source.meter.ID, "objectKey": v.cfg.Heard.Name, "objectType": kind, "objectInstance": instance, "deviceId": device, "address": "127.0.0.1",
		"acquiredAt": ms, "publishedAt": ms, "freshnessMs": 15000, "sourceStatus": word(r.marked, "stale", "fresh"), "pollDurationMs": 41, "pollClass": "fast",
	}
	topic := "bacnet-gateway/" + gateway + "/telemetry/" + device + "/" + v.cfg.Heard.Name
	return message{topic: topic, payload: document(body), retain: true}
}

func bitpool(r report, v said) message {
	body := map[string]any{"presentValue": number(v), "timestamp": milliseconds(r.at), "status": word(r.marked, "offline", "online")}
	return message{topic: r.source.meter.Device + "/" + v.cfg.Heard.Name, payload: document(body)}
}

func thingsboard(r report, v said) message {
	body := map[string]any{r.source.meter.Device: []any{map[string]any{"ts": milliseconds(r.at), "values": map[string]any{v.cfg.Heard.Name: number(v)}}}}
	return message{topic: "v1/gateway/telemetry", payload: document(body)}
}

func siemens(r report, v said) message {
	var value any
	if v.number != nil {
		value = text(v.number)
	}
	item := map[string]any{"Variable": v.cfg.Heard.Name, "Type": "LReal", "Value": value, "QualityCode": word(r.marked, "28", "192")}
	return message{topic: v.cfg.Heard.Topic, payload: document(map[string]any{"Timestamp": stamp(r.at), "DataItems": []any{item}})}
}

func niagara(r report, v said) message {
	london, err := time.LoadLocation("Europe/London")
	if err != nil {
		london = time.UTC
	}
	t := r.at
	if t.IsZero() {
		t = time.Unix(0, 0)
	}
	reading := map[string]any{"Timestamp": t.In(london).Format("02-Jan-06 3:04:05 PM MST"), "Value": number(v), "Unit": v.unit, "Status": word(r.marked, "{stale} @ def", "{ok} @ def")}
	if v.cfg.Heard.UnitName != "" {
		delete(reading, "Unit")
	}
	return message{topic: v.cfg.Heard.Topic, payload: document(map[string]any{v.cfg.Heard.Name: reading})}
}

func homeAssistant(r report, v said) message {
	value := "unavailable"
	if v.number != nil {
		value = text(v.number)
	}
	return message{topic: "homeassistant/sensor/" + r.source.meter.Device + "/" + v.cfg.Heard.Name + "/state", payload: []byte(value), retain: true}
}

func homeAssistantUnit(v said) message {
	return message{topic: "homeassistant/sensor/" + v.cfg.Heard.Name + "/unit_of_measurement", payload: document(v.unit), retain: true}
}
