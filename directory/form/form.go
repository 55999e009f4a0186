// Package form knows the forms of what people and programs enter and read: ids, names,
// addresses, days, DNS names. What is not of its form is a fault (fault.ErrInvalid) whose
// words say what is wrong.
package form

import (
	"crypto/rand"
	"fmt"
	"net"
	"net/mail"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/perseus-edge/perseus-edge/directory/fault"
)

// idAlphabet has no letter that looks like a digit.
const idAlphabet = "0123456789abcdefghjkmnpqrstvwxyz"

var idForm = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)

// NewID is 60 random bits: short enough that the URL of a gateway of
// https://directory.core.sandbox.trust.ib1.org fits the 64 characters of a
// certificate's common name.
func NewID() string {
	var b [12]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	for i, c := range b {
		b[i] = idAlphabet[c&31]
	}
	return string(b[:])
}

// ID accepts what newID makes and short names chosen by an operator.
func ID(id string) error {
	if !idForm.MatchString(id) {
		return fault.Invalid("id %q: need 1 to 32 of a-z, 0-9 and -, not beginning with -", id)
	}
	return nil
}

// Text accepts a non-empty line of printable text.
func Text(what, s string, max int) error {
	switch {
	case strings.TrimSpace(s) == "":
		return fault.Invalid("%s is missing", what)
	case !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }):
		return fault.Invalid("%s: need one line of printable text", what)
	case utf8.RuneCountInString(s) > max:
		return fault.Invalid("%s: at most %d characters", what, max)
	}
	return nil
}

// URL accepts absolute http and https URLs without a password, at most
// 2,000 bytes long.
func URL(what, raw string) error {
	u, err := url.Parse(raw)
	if err != nil || len(raw) > 2000 || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.User != nil {
		return fault.Invalid("%s: need an absolute URL such as https://example.org/, got %q", what, Cut(raw, 80))
	}
	return nil
}

// OptionalURL is URL, or nothing.
func OptionalURL(what, raw string) error {
	if raw == "" {
		return nil
	}
	return URL(what, raw)
}

// OptionalText is Text, or nothing.
func OptionalText(what, s string, max int) error {
	if s == "" {
		return nil
	}
	return Text(what, s, max)
}

// OptionalEmail accepts a bare address, without a name or comments.
func OptionalEmail(what, s string) error {
	if s == "" {
		return nil
	}
	if a, err := mail.ParseAddress(s); err != nil || a.Address != s || len(s) > 254 || strings.ContainsFunc(s, unicode.IsSpace) {
		return fault.Invalid("%s: need an address such as name@example.org, got %q", what, Cut(s, 80))
	}
	return nil
}

// Day accepts a day that is not to come, or nothing.
func Day(what, s string, now time.Time) error {
	if s == "" {
		return nil
	}
	t, err := time.Parse(time.DateOnly, s)
	if err != nil || t.Year() < 2000 {
		return fault.Invalid("%s: need a day such as 2026-01-31, got %q", what, Cut(s, 20))
	}
	if t.After(now) {
		return fault.Invalid("%s %s: it is to come. An entry holds at once, so make it on the day", what, s)
	}
	return nil
}

// Country is the form of a country: two capital letters (ISO 3166-1).
var Country = regexp.MustCompile(`^[A-Z]{2}$`)

var hostForm = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$`)

// addressForm is what a reader of URLs takes for an IPv4 address, however short
// or in whatever base (WHATWG URL, "ends in a number"): 127.1, 10.0x1.
var addressForm = regexp.MustCompile(`(^|\.)([0-9]+|0x[0-9a-f]*)$`)

// Hosts accepts DNS names in lower case, without wildcards, and loopback
// addresses, for demonstrations on one machine. No other address gets a
// certificate: it has no name to look up in the directory.
func Hosts(hosts []string) error {
	if len(hosts) == 0 || len(hosts) > 20 {
		return fault.Invalid("server certificate: need 1 to 20 hosts, got %d", len(hosts))
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			if !ip.IsLoopback() {
				return fault.Invalid("server certificate: %s: only loopback addresses and DNS names", h)
			}
			continue
		}
		if len(h) > 253 || !hostForm.MatchString(h) || addressForm.MatchString(h) {
			return fault.Invalid("server certificate: %q is not a DNS name in lower case without wildcard", Cut(h, 80))
		}
	}
	return nil
}

// Cut shortens s to max characters.
func Cut(s string, max int) string {
	if r := []rune(s); len(r) > max {
		return string(r[:max])
	}
	return s
}

// RFC3339 gives a time as JSON and the audit log have it; "" for the zero time.
func RFC3339(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// DNSName is the DNS name in a URL, in lower case; "" where there is none, as
// with an IP address in whatever spelling.
func DNSName(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	h := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	if len(h) > 253 || !hostForm.MatchString(h) || addressForm.MatchString(h) {
		return ""
	}
	return h
}

// Unique gives each of the texts once, sorted.
func Unique(s []string) []string { return slices.Compact(slices.Sorted(slices.Values(s))) }

// BaseURL accepts an absolute URL without password, query or fragment, and gives
// it without slashes at its end.
func BaseURL(raw string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" ||
		u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("need an absolute URL such as https://directory.example.org, got %q", raw)
	}
	return strings.TrimRight(raw, "/"), nil
}
