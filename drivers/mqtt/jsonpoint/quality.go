package jsonpoint

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/perseus-edge/perseus-edge/drivers/mqtt/bacnet"
	"github.com/perseus-edge/perseus-edge/energy"
)

// The words of the field for a value that can be counted, and for one that is
// old but was good. Whatever else a source says is bad quality: what cannot be
// understood is not taken for good.
var (
	goodWords  = []string{"good", "ok", "{ok}", "online", "up", "fresh", "valid", "normal", "true", "actual", "measured", "no-fault-detected", "nofaultdetected"}
	staleWords = []string{"stale", "{stale}", "old", "offline", "timeout", "cached", "last-known", "500"}
)

// Quality judges what a source says of its value: by the words given as good
// alone, or by those of the field, OPC quality codes (192 to 255 are good) and
// BACnet status flags.
func Quality(v any, good []string) energy.Flags {
	const none = energy.Flags(0)
	if len(good) > 0 {
		if slices.Contains(good, text(v)) {
			return none
		}
		if slices.Contains(staleWords, strings.ToLower(text(v))) {
			return none.With(13)
		}
		return none.With(14)
	}
	if f, ok := bacnet.ParseStatusFlags(v); ok {
		if f.Measured() {
			return none
		}
		return none.With(14)
	}
	s := strings.ToLower(strings.TrimSpace(text(v)))
	if s == "500" || slices.Contains(staleWords, s) {
		return none.With(13)
	}
	if _, number := v.(json.Number); number || s != "" && strings.Trim(s, "0123456789") == "" {
		if n, err := strconv.Atoi(s); err == nil && n >= 192 && n <= 255 {
			return none
		}
		return none.With(14)
	}
	// Niagara writes "{ok} @ def" or "{down,stale}".
	if inside, ok := strings.CutPrefix(s, "{"); ok {
		word, _, _ := strings.Cut(inside, "}")
		switch words := strings.Split(word, ","); {
		case word == "ok" || word == "":
			return none
		case !slices.ContainsFunc(words, func(w string) bool { return w != "alarm" && w != "unackedalarm" }):
			return none // an alarm speaks of the plant, not of the reading
		case slices.Contains(words, "stale"):
			return none.With(13)
		}
		return none.With(14)
	}
	if slices.Contains(goodWords, s) {
		return none
	}
	return none.With(14)
}
