package keystore

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
)

// tokenURI is what a PKCS#11 URI (RFC 7512) says of a token, and of a key in it.
type tokenURI struct {
	token, serial string // label and serial number; empty: whichever there is
	module, pin   string // absolute paths; empty: what pkcs11-tool takes by itself, and DefaultPIN
	id, object    string // CKA_ID, as bytes, and CKA_LABEL: of a key's file alone
}

// maxTokenURI bounds the text of one.
const maxTokenURI = 2048

// The attributes that are known, before and after the question mark.
var (
	pathAttributes  = []string{"token", "serial", "object", "id", "type"}
	queryAttributes = []string{"module-path", "pin-source"}
)

// parseToken reads "pkcs11", which leaves everything open, or a PKCS#11 URI that
// names a token.
func parseToken(kind string) (tokenURI, error) {
	if kind == PKCS11 {
		return tokenURI{}, nil
	}
	u, err := parseTokenURI(kind)
	if err == nil && (u.id != "" || u.object != "") {
		err = errors.New("it names a key (object, id, type): name the token alone, keys are made anew")
	}
	return u, err
}

func parseTokenURI(text string) (u tokenURI, err error) {
	rest, ok := strings.CutPrefix(text, PKCS11+":")
	if !ok || len(text) > maxTokenURI {
		return u, errors.New("not a PKCS#11 URI")
	}
	path, query, _ := strings.Cut(rest, "?")
	seen := map[string]string{}
	for i, part := range []string{path, query} {
		known := [][]string{pathAttributes, queryAttributes}[i]
		for _, a := range strings.Split(part, []string{";", "&"}[i]) {
			if a == "" && part == "" {
				continue
			}
			name, coded, ok := strings.Cut(a, "=")
			value, bad := url.PathUnescape(coded)
			_, twice := seen[name]
			switch {
			case name == "pin-value":
				return u, errors.New("a PIN does not belong there: write it into a file of mode 0600 and name that with pin-source=")
			case !slices.Contains(known, name):
				return u, fmt.Errorf("%q is not known: use token=, serial=, then ? and module-path=, pin-source= with & between them", name)
			case !ok || bad != nil || value == "" || len(value) > 512 || name != "id" && !printable(value):
				return u, fmt.Errorf("%s= is empty or cannot be read: write what is no letter, digit, - . _ or / as %%20 and so on", name)
			case twice:
				return u, fmt.Errorf("%s= is there twice", name)
			}
			seen[name] = value
		}
	}
	u = tokenURI{seen["token"], seen["serial"], seen["module-path"], strings.TrimPrefix(seen["pin-source"], "file:"), seen["id"], seen["object"]}
	for name, p := range map[string]string{"module-path": u.module, "pin-source": u.pin} {
		if p != "" && !filepath.IsAbs(p) {
			return u, fmt.Errorf("%s=%s: write the whole path of a file", name, p)
		}
	}
	return u, nil
}

func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == '�' })
}

// String writes the URI, in one order always.
func (u tokenURI) String() string {
	join := func(sep string, names []string, values map[string]string) string {
		var out []string
		for _, n := range names {
			if v := values[n]; v != "" {
				out = append(out, n+"="+escape(v))
			}
		}
		return strings.Join(out, sep)
	}
	path := map[string]string{"token": u.token, "serial": u.serial, "object": u.object, "id": u.id}
	if u.id != "" {
		path["type"] = "private"
	}
	text := PKCS11 + ":" + join(";", pathAttributes, path)
	if q := join("&", queryAttributes, map[string]string{"module-path": u.module, "pin-source": u.pin}); q != "" {
		text += "?" + q
	}
	return text
}

// escape leaves what every reader of such URIs takes for itself.
func escape(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._/", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// covers reports whether a key of the token v may be in the token that u names.
func (u tokenURI) covers(v tokenURI) bool {
	return (u.token == "" || u.token == v.token) && (u.serial == "" || u.serial == v.serial)
}

// name is what messages call the token.
func (u tokenURI) name() string {
	switch {
	case u.token != "" && u.serial != "":
		return fmt.Sprintf("the token %q (serial number %s)", u.token, u.serial)
	case u.token != "":
		return fmt.Sprintf("the token %q", u.token)
	case u.serial != "":
		return "the token with the serial number " + u.serial
	}
	return "the token"
}

// slot is a place of the module with a token in it.
type slot struct {
	id, token, serial string
	flags             []string
}

// maxSlots bounds what is read of a listing.
const maxSlots = 256

// parseSlots reads what pkcs11-tool --list-token-slots prints: the tokens that
// are ready for use, or that somebody locked.
func parseSlots(text string) (slots []slot) {
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if rest, ok := strings.CutPrefix(line, "Slot "); ok {
			_, rest, _ = strings.Cut(rest, "(")
			id, _, ok := strings.Cut(rest, ")")
			if !ok || len(id) > 20 || !strings.HasPrefix(id, "0x") || strings.Trim(id[2:], "0123456789abcdefABCDEF") != "" || len(slots) == maxSlots {
				return slots
			}
			slots = append(slots, slot{id: id})
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || len(slots) == 0 || !strings.HasPrefix(line, "  ") {
			continue
		}
		s, value := &slots[len(slots)-1], strings.TrimSpace(value)
		switch strings.TrimSpace(name) {
		case "token label":
			s.token = value
		case "serial num":
			s.serial = value
		case "token flags":
			s.flags = strings.Split(value, ", ")
		}
	}
	return slots
}

func (s slot) has(flag string) bool { return slices.Contains(s.flags, flag) }

// choose finds the one token that u means.
func choose(slots []slot, u tokenURI) (slot, error) {
	labels := map[string]bool{}
	var fit []slot
	for _, s := range slots {
		if !s.has("token initialized") {
			continue
		}
		labels[fmt.Sprintf("%q (serial number %s)", s.token, s.serial)] = true
		if u.covers(tokenURI{token: s.token, serial: s.serial}) {
			fit = append(fit, s)
		}
	}
	others := strings.Join(slices.Sorted(maps.Keys(labels)), ", ")
	switch {
	case len(fit) == 1:
		return fit[0], nil
	case len(fit) > 1:
		return slot{}, fmt.Errorf("there are several tokens: %s: name one with token= or serial=", others)
	case len(labels) > 0:
		return slot{}, fmt.Errorf("%s %w, only %s: put it back", u.name(), ErrAbsent, others)
	}
	return slot{}, fmt.Errorf("%s %w, or this account may not use it: put it back, or see the installer's guide, keys in a token", u.name(), ErrAbsent)
}
