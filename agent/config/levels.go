package config

import (
	"fmt"
	"slices"
	"strings"
)

// level is one kind of mapping in the file.
type level struct {
	keys  []string
	where string // how a message says where its keys belong
}

// The levels of a configuration.
var (
	topLevel    = &level{[]string{"site", "period", "store", "web", "uplink", "clock", "gas", "buses", "meters"}, "at the top level of the file"}
	siteLevel   = &level{[]string{"name", "outcode"}, "under site"}
	storeLevel  = &level{[]string{"path", "keep_half_hours", "keep_samples"}, "under store"}
	webLevel    = &level{[]string{"listen", "names", "enroll"}, "under web"}
	uplinkLevel = &level{[]string{"url", "directory", "identity", "ca", "key_store"}, "under uplink"}
	busLevel    = &level{append([]string{"id", "driver", "url", "timeout", "pause", "single_client"}, listeningKeys...), "in a bus"}
	gasLevel    = &level{[]string{"calorific_values"}, "under gas"}
	clockLevel  = &level{[]string{"trust"}, "under clock"}
	meterLevel  = &level{[]string{"id", "bus", "unit", "template", "registers", "measures", "part", "counts", "input", "pulse", "poll", "ct", "vt", "primary", "rating", "serial", "serial_register",
		"mpan", "mprn", "corrected", "zone", "vcf", "converted_from", "max_gap", "check_meter", "check_power", "alarms", "exchanges", "validate", "substitute", "substitute_after", "virtual", "device", "metadata", "points", "expect"}, "in a meter"}
	measuresLevel = &level{[]string{"import", "export", "reactive-import", "reactive-export", "gas", "generation", "heat", "cooling", "water"}, "under registers"}
	registerLevel = &level{[]string{"address", "table", "type", "order", "unit", "pulse", "scale", "modulus", "invalid"}, "under registers, inside import or another measure"}
	pointsLevel   = &level{measuresLevel.keys, "under points"}
	pointLevel    = &level{[]string{"point", "topic", "each", "value", "time", "time_format", "zone", "quality", "good", "invalid", "unit", "unit_path", "unit_topic", "scale", "power", "modulus", "interval"}, "under points, inside import or another measure"}
	ratingLevel   = &level{[]string{"amps", "volts", "phases", "kva", "qmax", "kw"}, "under rating"}
	alarmLevel    = &level{[]string{"table", "address", "bit", "when", "means", "severity"}, "under alarms"}
	serialLevel   = &level{[]string{"address", "table", "type", "order", "words"}, "under serial_register"}
	exchangeLevel = &level{append([]string{"at", "old_serial", "new_serial", "note"}, measuresLevel.keys...), "under exchanges"}
	readLevel     = &level{[]string{"closing", "opening"}, "under exchanges, inside import or another measure"}
	virtualLevel  = &level{[]string{"sum", "of", "minus", "share", "shares", "method", "tolerance"}, "under virtual"}
	shareLevel    = &level{[]string{"from", "share"}, "under shares"}
	templateLevel = &level{[]string{"title", "maker", "source", "checked", "note", "phases", "max_current", "transformers", "primary", "serial_register", "registers", "inputs", "counter", "sunspec"}, "in a template"}
	sourceLevel   = &level{[]string{"document", "reader", "device", "revision", "page", "measures"}, "under source"}
)

// around is where a key that is out of place may have been meant to be: one
// level up or down. A meter, its measures and their registers count as one, as
// the measures are easily forgotten.
var around = map[*level][]*level{
	topLevel:      {siteLevel, storeLevel, webLevel, uplinkLevel, clockLevel, gasLevel, busLevel, meterLevel},
	siteLevel:     {topLevel},
	storeLevel:    {topLevel},
	webLevel:      {topLevel},
	uplinkLevel:   {topLevel},
	busLevel:      {topLevel},
	clockLevel:    {topLevel},
	gasLevel:      {topLevel},
	meterLevel:    {measuresLevel, registerLevel, ratingLevel, virtualLevel, topLevel},
	ratingLevel:   {meterLevel},
	alarmLevel:    {meterLevel, registerLevel},
	virtualLevel:  {shareLevel, meterLevel},
	shareLevel:    {virtualLevel},
	exchangeLevel: {readLevel, meterLevel},
	readLevel:     {exchangeLevel},
	measuresLevel: {registerLevel, meterLevel},
	registerLevel: {measuresLevel, meterLevel},
}

// meant is the key of the level itself that was most likely meant by word; ""
// where there is none, or where a key of a level around it is nearer.
func (l *level) meant(word string) string {
	own, other := nearest(word, l.keys), nearest(word, l.keysAround())
	if other != "" && distance(word, other) < distance(word, own) {
		return ""
	}
	return own
}

func (l *level) keysAround() (keys []string) {
	for _, other := range around[l] {
		keys = append(keys, other.keys...)
	}
	return keys
}

// hint says what to write instead of a key that the level does not have, or
// where the key belongs.
func (l *level) hint(word string) string {
	if l.meant(word) != "" {
		return suggest(word, l.keys)
	}
	var where []string
	meant := nearest(word, l.keysAround())
	if meant == "" {
		return suggest(word, l.keys)
	}
	for _, other := range around[l] {
		if slices.Contains(other.keys, meant) {
			where = append(where, other.where)
		}
	}
	if meant == word {
		return "it belongs " + strings.Join(where, " or ")
	}
	return fmt.Sprintf("did you mean %q? It belongs %s", meant, strings.Join(where, " or "))
}
