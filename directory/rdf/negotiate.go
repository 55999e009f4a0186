package rdf

import (
	"strconv"
	"strings"
)

// Media types.
const (
	TypeTurtle = "text/turtle"
	TypeJSONLD = "application/ld+json"
	TypeXML    = "application/rdf+xml"
	TypeJSON   = "application/json"
	TypeHTML   = "text/html"
)

// Negotiate picks, of the media types on offer, the one that the Accept
// headers of a request weigh most (RFC 9110, 12.5.1); of equals, the one that
// is offered first. Without the header, or with an empty one, that is the
// first; "" when none will do. Parameters of a range other than q are passed
// over: no type here comes in variants. A header of more than 4 KiB is read to
// that length.
func Negotiate(accept []string, offers ...string) string {
	header := strings.Join(accept, ",")
	if header = header[:min(len(header), 4096)]; strings.Trim(header, " \t,") == "" {
		return offers[0]
	}
	ranges := splitOutsideQuotes(header, ',')
	best, most := "", 0
	for _, offer := range offers {
		if q := weight(ranges, offer); q > most {
			best, most = offer, q
		}
	}
	return best
}

// weight is what a header gives a type, in thousandths: the weight of the most
// specific range that takes it in.
func weight(ranges []string, kind string) int {
	group, _, _ := strings.Cut(kind, "/")
	q, specific := 0, 0
	for _, part := range ranges {
		params := splitOutsideQuotes(part, ';')
		s := 0
		switch strings.ToLower(strings.TrimSpace(params[0])) {
		case kind:
			s = 3
		case group + "/*":
			s = 2
		case "*/*":
			s = 1
		}
		if s == 0 || s < specific {
			continue
		}
		v := 1000
		for _, p := range params[1:] {
			if name, value, _ := strings.Cut(p, "="); strings.EqualFold(strings.TrimSpace(name), "q") {
				v = thousandths(strings.TrimSpace(value))
				break
			}
		}
		if s > specific || v > q { // the same range twice: the greater weight
			specific, q = s, v
		}
	}
	return q
}

// thousandths reads a qvalue: 0 to 1 with up to three decimals. Anything else
// is 0, so that a range that cannot be read asks for nothing.
func thousandths(s string) int {
	if len(s) == 0 || len(s) > 5 || s[0] != '0' && s[0] != '1' || len(s) > 1 && s[1] != '.' {
		return 0
	}
	digits := ""
	if len(s) > 2 {
		digits = s[2:]
	}
	n, err := strconv.ParseUint((digits + "000")[:3], 10, 16)
	if err != nil || s[0] == '1' && n > 0 {
		return 0
	}
	return int(s[0]-'0')*1000 + int(n)
}

// splitOutsideQuotes splits at a separator that is in no quoted string.
func splitOutsideQuotes(s string, sep byte) []string {
	var out []string
	start, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case s[i] == '\\' && quoted:
			i++
		case s[i] == sep && !quoted:
			out = append(out, s[start:i])
			start = i + 1
		}
	}
	return append(out, s[start:])
}
