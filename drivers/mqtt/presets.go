package mqtt

// recipe is a Point with what a preset adds to it.
type recipe struct {
	Point
	topics []string
	fresh  string // path of a second word on quality
	object string // path of the kind of BACnet object
}

// preset says where a known bridge puts things.
type preset struct {
	topics                           []string
	each, value, time, unit, quality string
	fresh, object                    string
	unitTopic, format, zone          string
	good, invalid                    []string
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
	if own.Good == nil {
		r.Good = p.good
	}
	if own.Invalid == nil {
		r.Invalid = p.invalid
	}
	return r
}

// presets are the bridges of the field; field/feeds.md 1.3 to 1.8 has their messages.
var presets = map[string]preset{}
