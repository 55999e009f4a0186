package bacnet

import (
	"encoding/json"
	"strings"
)

// StatusFlags are BACnet's four status bits (property 111), in the order of
// the standard's bit string.
type StatusFlags uint8

// The flags.
const (
	InAlarm      StatusFlags = 1 << iota // speaks of the plant: no fault of the reading
	Fault                                // the reading is not to be trusted
	Overridden                           // somebody put it there by hand at the device
	OutOfService                         // somebody put it there, or nothing updates it
)

// Measured reports whether the value is a measurement: neither faulty,
// overridden nor out of service. An alarm alone says nothing against it.
func (f StatusFlags) Measured() bool { return f&(Fault|Overridden|OutOfService) == 0 }

var flagNames = map[string]StatusFlags{
	"inalarm": InAlarm, "alarm": InAlarm, "fault": Fault, "infault": Fault, "overridden": Overridden, "override": Overridden, "outofservice": OutOfService, "oos": OutOfService,
}

// ParseStatusFlags reads status flags as bridges write them: four booleans or
// four 0s and 1s in an array, an object of names, "0000" or "0,0,0,0" or
// "{false,true,false,false}", or names ("fault;out-of-service"). A lone number
// is not taken for flags, since the order of its bits is anybody's guess.
func ParseStatusFlags(v any) (StatusFlags, bool) {
	switch v := v.(type) {
	case []any:
		if len(v) != 4 {
			return 0, false
		}
		var f StatusFlags
		for i, e := range v {
			set, ok := bit(e)
			if !ok {
				return 0, false
			}
			if set {
				f |= 1 << i
			}
		}
		return f, true
	case map[string]any:
		var f StatusFlags
		known := false
		for name, e := range v {
			one, ok := flagNames[plainName(name)]
			set, is := bit(e)
			if !ok || !is {
				continue
			}
			known = true
			if set {
				f |= one
			}
		}
		return f, known
	case string:
		return fromText(v)
	}
	return 0, false
}

func bit(v any) (set, ok bool) {
	switch v := v.(type) {
	case bool:
		return v, true
	case json.Number:
		return v == "1", v == "0" || v == "1"
	}
	return false, false
}

func fromText(s string) (StatusFlags, bool) {
	s = strings.Trim(strings.ToLower(strings.TrimSpace(s)), "{}[]()")
	parts := strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(",; ", r) })
	if len(parts) == 1 && len(s) == 4 && strings.Trim(s, "01") == "" {
		parts = strings.Split(s, "")
	}
	var f StatusFlags
	if len(parts) == 4 {
		positional := true
		for i, p := range parts {
			switch p {
			case "1", "true", "t":
				f |= 1 << i
			case "0", "false", "f":
			default:
				positional = false
			}
		}
		if positional {
			return f, true
		}
		f = 0
	}
	for _, p := range parts {
		one, ok := flagNames[plainName(p)]
		if !ok {
			return 0, false
		}
		f |= one
	}
	return f, len(parts) > 0
}

// plainName is a name without case, spaces, hyphens and underscores.
func plainName(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		}
		return -1
	}, s)
}
