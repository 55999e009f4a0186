package directory

import (
	"crypto/rand"
	"net"
	"net/mail"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// idAlphabet has no letter that looks like a digit.
const idAlphabet = "0123456789abcdefghjkmnpqrstvwxyz"

var idForm = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)

// newID is 60 random bits: short enough that the URL of a gateway of
// https://directory.core.sandbox.trust.ib1.org fits the 64 characters of a
// certificate's common name.
func newID() string {
	var b [12]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	for i, c := range b {
		b[i] = idAlphabet[c&31]
	}
	return string(b[:])
}

// checkID accepts what newID makes and short names chosen by an operator.
func checkID(id string) error {
	if !idForm.MatchString(id) {
		return invalid("id %q: need 1 to 32 of a-z, 0-9 and -, not beginning with -", id)
	}
	return nil
}

// checkText accepts a non-empty line of printable text.
func checkText(what, s string, max int) error {
	switch {
	case strings.TrimSpace(s) == "":
		return invalid("%s is missing", what)
	case !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }):
		return invalid("%s: need one line of printable text", what)
	case utf8.RuneCountInString(s) > max:
		return invalid("%s: at most %d characters", what, max)
	}
	return nil
}

// checkURL accepts absolute http and https URLs without a password, at most
// 2,000 bytes long.
func checkURL(what, raw string) error {
	u, err := url.Parse(raw)
	if err != nil || len(raw) > 2000 || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.User != nil {
		return invalid("%s: need an absolute URL such as https://example.org/, got %q", what, cut(raw, 80))
	}
	return nil
}

func checkOptionalURL(what, raw string) error {
	if raw == "" {
		return nil
	}
	return checkURL(what, raw)
}

func checkOptionalText(what, s string, max int) error {
	if s == "" {
		return nil
	}
	return checkText(what, s, max)
}

// checkOptionalEmail accepts a bare address, without a name or comments.
func checkOptionalEmail(what, s string) error {
	if s == "" {
		return nil
	}
	if a, err := mail.ParseAddress(s); err != nil || a.Address != s || len(s) > 254 || strings.ContainsFunc(s, unicode.IsSpace) {
		return invalid("%s: need an address such as name@example.org, got %q", what, cut(s, 80))
	}
	return nil
}

// checkDay accepts a day that is not to come, or nothing.
func checkDay(what, s string, now time.Time) error {
	if s == "" {
		return nil
	}
	t, err := time.Parse(time.DateOnly, s)
	if err != nil || t.Year() < 2000 {
		return invalid("%s: need a day such as 2026-01-31, got %q", what, cut(s, 20))
	}
	if t.After(now) {
		return invalid("%s %s: it is to come. An entry holds at once, so make it on the day", what, s)
	}
	return nil
}

var countryForm = regexp.MustCompile(`^[A-Z]{2}$`)

var hostForm = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$`)

// addressForm is what a reader of URLs takes for an IPv4 address, however short
// or in whatever base (WHATWG URL, "ends in a number"): 127.1, 10.0x1.
var addressForm = regexp.MustCompile(`(^|\.)([0-9]+|0x[0-9a-f]*)$`)

// checkHosts accepts DNS names in lower case, without wildcards, and loopback
// addresses, for demonstrations on one machine. No other address gets a
// certificate: it has no name to look up in the directory.
func checkHosts(hosts []string) error {
	if len(hosts) == 0 || len(hosts) > 20 {
		return invalid("server certificate: need 1 to 20 hosts, got %d", len(hosts))
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			if !ip.IsLoopback() {
				return invalid("server certificate: %s: only loopback addresses and DNS names", h)
			}
			continue
		}
		if len(h) > 253 || !hostForm.MatchString(h) || addressForm.MatchString(h) {
			return invalid("server certificate: %q is not a DNS name in lower case without wildcard", cut(h, 80))
		}
	}
	return nil
}

// cut shortens s to max characters.
func cut(s string, max int) string {
	if r := []rune(s); len(r) > max {
		return string(r[:max])
	}
	return s
}
