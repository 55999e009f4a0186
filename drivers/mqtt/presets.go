package mqtt

// recipe is a Point with what a preset adds to it.
type recipe struct {
	Point
	topics []string
	fresh  string // path of a second word on quality
	object string // path of the kind of BACnet object

	undated bool // not each message has a time
	behind  bool // a device may be named with its gateway, gateway/device
}

// preset says where a known bridge puts things.
type preset struct {
	topics                           []string
	each, value, time, unit, quality string
	fresh, object                    string
	unitTopic, format, zone          string
	undated                          bool // not each message of it has a time
	behind                           bool // devices are behind gateways
}

// under lays a preset under a point: what the point says itself wins.
func (p preset) under(own Point) recipe {
	r := recipe{Point: own, topics: p.topics, fresh: p.fresh, object: p.object}
	if own.Topic != "" {
		r.topics = []string{own.Topic}
	}
	for _, f := range []struct {
		into *string
		text string
	}{{&r.Each, p.each}, {&r.Value, p.value}, {&r.Time, p.time}, {&r.Unit, p.unit}, {&r.Quality, p.quality}, {&r.UnitTopic, p.unitTopic}, {&r.TimeFormat, p.format}, {&r.Zone, p.zone}} {
		if *f.into == "" {
			*f.into = f.text
		}
	}
	r.undated, r.behind = p.undated && own.Time == "", p.behind
	return r
}

// presets are the bridges of the field; field/feeds.md 1.3 to 1.8 has their
// messages. In each the configured name of the meter is {device}, and that of
// the register {point}.
var presets = map[string]preset{
	// device: the BACnet device's number, 114, or gw1/114; point: type and instance, 2_202.
	// Everything is retained, so that acquiredAt must be looked at.
	"bacnet-mqtt-gateway": {
		topics: []string{"bacnet-gateway/{gateway}/telemetry/{device}/{point}"},
		value:  "value", time: "acquiredAt", format: "unix_ms", fresh: "sourceStatus", object: "objectType", behind: true,
	},
	// device: all of the topic before the point, BITPOOL_BACNET_GATEWAY/AHU-1;
	// point: its key, Main_kWh_AI_3. By default it rounds to two decimals
	// (roundDecimal): 10 Wh of kWh, 10 kWh of MWh.
	"bitpool": {
		topics: []string{"{device}/{point}", "{device}/{point}/presentValue", "{device}"},
		each:   `["{point}"]|$`, value: "presentValue|@", time: "timestamp", quality: "status", object: "meta.objectId.type", undated: true,
	},
	// The gateway's API with device as the device's name, or the device API
	// without it; point: the key.
	"thingsboard": {
		topics: []string{"v1/gateway/telemetry", "v1/devices/me/telemetry", "v2/t"},
		each:   `["{device}"]|$`, value: `values["{point}"]|["{point}"]`, time: "ts", format: "unix_ms", undated: true,
	},
	// CloudConnect 7 (DataItems) and Industrial Edge IIH (datapoints); point:
	// Variable or Name. The topic is the site's own. Values and quality codes
	// are texts; 192 is good.
	"siemens": {
		each:  "DataItems[Variable={point}]|[Name={point}].datapoints",
		value: "Value|Measurement", time: "Time|$.Timestamp", quality: "QualityCode|Quality_Code",
	},
	// What the JSON Toolkit and the MQTT drivers can be told to send is up to
	// the site: an object or an array by the point's name, or one value, which
	// may have its unit and status behind it. The topic is the site's own.
	// Times are local, and their zone may be a word: "28-Jun-18 4:42 PM BST".
	"niagara": {
		each: `["{point}"]|$`, value: "Value|value|present_value|@", time: "Timestamp|timestamp|time", unit: "Unit|unit|units", quality: "Status|status|pointStatus",
		format: "2-Jan-06 3:04:05 PM MST|2-Jan-06 3:04 PM MST|auto", zone: "Europe/London", undated: true,
	},
	// mqtt_statestream (point: the entity without its domain) and states that
	// bridges publish for Home Assistant (device: the node). There is no time.
	"homeassistant": {
		topics:    []string{"homeassistant/sensor/{device}/{point}/state", "homeassistant/sensor/{point}/state"},
		unitTopic: "homeassistant/sensor/{point}/unit_of_measurement",
	},
}
