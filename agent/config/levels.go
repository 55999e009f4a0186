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
	topLevel      = &level{[]string{"site", "period", "store", "web", "uplink", "buses", "meters"}, "at the top level of the file"}
	siteLevel     = &level{[]string{"name", "outcode"}, "under site"}
	storeLevel    = &level{[]string{"path", "keep_half_hours", "keep_samples"}, "under store"}
	webLevel      = &level{[]string{"listen"}, "under web"}
	uplinkLevel   = &level{[]string{"url", "identity", "ca"}, "under uplink"}
	busLevel      = &level{[]string{"id", "driver", "url", "timeout", "pause", "format"}, "in a bus"}
	meterLevel    = &level{[]string{"id", "bus", "unit", "template", "registers", "measures", "poll", "ct", "serial", "virtual"}, "in a meter"}
	measuresLevel = &level{[]string{"import", "export", "reactive-import", "reactive-export", "gas"}, "under registers"}
	registerLevel = &level{[]string{"address", "table", "type", "order", "unit", "scale", "modulus"}, "under registers, inside import or another measure"}
	templateLevel = &level{[]string{"title", "manual", "checked", "note", "phases", "max_current", "registers"}, "in a template"}
)

// around is where a key that is out of place may have been meant to be: one
// level up or down. A meter, its measures and their registers count as one, as
// the measures are easily forgotten.
var around = map[*level][]*level{
	topLevel:      {siteLevel, storeLevel, webLevel, uplinkLevel, busLevel, meterLevel},
	siteLevel:     {topLevel},
	storeLevel:    {topLevel},
	webLevel:      {topLevel},
	uplinkLevel:   {topLevel},
	busLevel:      {topLevel},
	meterLevel:    {measuresLevel, registerLevel, topLevel},
	measuresLevel: {registerLevel, meterLevel},
	registerLevel: {measuresLevel, meterLevel},
}

// hint says what to write instead of a key that the level does not have, or
// where the key belongs.
func (l *level) hint(word string) string {
	if nearest(word, l.keys) != "" {
		return suggest(word, l.keys)
	}
	var keys, where []string
	for _, other := range around[l] {
		keys = append(keys, other.keys...)
	}
	meant := nearest(word, keys)
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
