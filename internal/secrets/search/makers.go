package search

import (
	"encoding/base32"
	"encoding/base64"
	"strings"
)

// maker says what a function draws random bytes for.
type maker struct {
	in, name string // a package or those below it, and the function or method without its receiver
	caller   string // likewise, where the function serves several; "" for any
	kind     string // "" where it is no secret
	spell    func([]byte) string
	typed    bool // people type it: case and hyphens do not matter
}

var (
	b64 = base64.RawURLEncoding.EncodeToString
	b32 = base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString

	crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
)

// makers has every function of the module that draws from crypto/rand: one that
// is missing fails the suite. The first that fits counts.
var makers = []maker{
	{in: "identity", name: "NewCode", kind: "code of a bill or a gateway's page", spell: grouped(crockford), typed: true},
	{in: "identity", name: "NewEnrolCode", kind: "enrolment code", spell: enrolCode, typed: true},
	{in: "identity/identitytest", name: "sign"},            // serial numbers
	{in: "identity/identitytest", name: "NewPasskey"},      // its identifier; the key is newkey.Make's
	{in: "identity/signin", name: "random"},                // salts of passwords
	{in: "identity/keystore", name: "makeToken"},           // the name of an object
	{in: "identity/keystore/keystoretest", name: "NewPIN"}, // handed over by itself
	{in: "agent/web", name: "newToken", kind: "token of a gateway's page", spell: asText},

	{in: "relay/permission", name: "newSecret", caller: "servePAR", kind: "request_uri", spell: b64},
	{in: "relay/permission", name: "newSecret", caller: "agree", kind: "OAuth code", spell: b64},
	{in: "relay/permission", name: "newSecret", caller: "newToken", kind: "OAuth token", spell: b64},
	{in: "relay/permission", name: "newSecret", caller: "recordGrant", kind: "key of an evidence page", spell: b64},
	{in: "relay/permission", name: "newSecret", caller: "newName"}, // names of permissions, grants and messages
	{in: "relay/permission", name: "newSecret", kind: "secret of the issuer", spell: b64},
	{in: "relay/permission", name: "lease"},
	{in: "relay/permission", name: "messagePause"},
	{in: "relay/permission", name: "incidentNumber"},
	{in: "relay/bank", name: "internal"},
	{in: "relay/consumption", name: "refuse"},
	{in: "relay/ingest", name: "handle"},
	{in: "relay/ingest", name: "newSource"}, // a meter's outside name
	{in: "relay/ingest", name: "note"},      // the name of a deletion
	{in: "relay/account", name: "newSecret", caller: "Start", kind: "session of a business", spell: b64},
	{in: "relay/account", name: "newSecret", caller: "Offer"},   // the name of an account
	{in: "relay/account", name: "newSecret", caller: "addSite"}, // of a row
	{in: "relay/account", name: "newNumber"},                    // which a business says aloud
	{in: "relay/database/databasetest", name: "Postgres"},
	{in: "provenance", name: "NewID"},
	{in: "store", name: "rebase"},      // which writing of a file it is
	{in: "uplink/month", name: "Sign"}, // the name of a step
	{in: "uplink/month", name: "NewSeed", kind: "seed of a statement", spell: nil},
	{in: "uplink", name: "meterName", kind: "salt of the meters' names", spell: nil},

	{in: "directory", name: "newToken", kind: "API token", spell: func(b []byte) string { return "pdt_" + b64(b) }},
	{in: "directory", name: "newSecret", kind: "link of an invitation, a sign-in or a recovery", spell: b64},
	{in: "directory", name: "newRecoveryCode", kind: "recovery code", spell: grouped(crockford), typed: true},
	{in: "github.com/pquerna/otp", name: "Generate", kind: "TOTP seed", spell: b32},
	{in: "github.com/alexedwards/scs", name: "generateToken", kind: "session cookie", spell: b64},
	{in: "directory/acme", name: "loadSecret", kind: "key of the ACME nonces", spell: nil},
	{in: "directory/acme", name: "issue"},            // a nonce
	{in: "directory/acme", name: "newAuthorization"}, // served by http-01 to anyone
	{in: "directory/form", name: "NewID"},
	{in: "directory/acme", name: "newID"},
	{in: "directory/account", name: "newID"},
	{in: "directory", name: "newSerial"},
	{in: "directory", name: "fail"},
	{in: "cmd/perseus-central", name: "makeAccountsKey", kind: "key that seals accounts", spell: nil},
	{in: "cmd/perseus-central", name: "initRelay", kind: "key that seals tokens", spell: nil},

	{in: "sim/demo", name: "secret", kind: "PKCE verifier or state", spell: b64},
	{in: "sim/site", name: "New", kind: "password of a simulated meter", spell: asText},
	{in: "sim/site", name: "up"}, // part of a client's name
}

// ofTests is what functions in files of tests draw.
var ofTests = maker{kind: "made by a test", spell: b64}

func asText(b []byte) string { return string(b) } // the draws of rand.Text are spelled before

// find gives the maker of a draw; known is false for a function of ours that is
// not in the list. Of other people's code only what the list names counts.
func find(by, caller string) (m maker, known bool) {
	if by == "test" {
		return ofTests, true
	}
	at, name := split(by)
	_, callerName := split(caller)
	for _, m := range makers {
		if (at == m.in || strings.HasPrefix(at, m.in+"/")) && name == m.name && (m.caller == "" || m.caller == callerName) {
			return m, true
		}
	}
	host, _, _ := strings.Cut(at, "/")
	return maker{}, strings.Contains(host, ".")
}

// split takes "relay/permission.Service.agree.func1" apart into the package and
// "agree".
func split(f string) (at, name string) {
	slash := strings.LastIndexByte(f, '/') + 1
	last, rest, _ := strings.Cut(f[slash:], ".")
	parts := strings.Split(rest, ".")
	for len(parts) > 1 && (strings.HasPrefix(parts[len(parts)-1], "func") || strings.Trim(parts[len(parts)-1], "0123456789") == "") {
		parts = parts[:len(parts)-1]
	}
	return f[:slash] + last, parts[len(parts)-1]
}

// grouped spells a code of one character for each byte, in groups of four.
func grouped(alphabet string) func([]byte) string {
	return func(b []byte) string {
		var s strings.Builder
		for i, c := range b {
			if i > 0 && i%4 == 0 {
				s.WriteByte('-')
			}
			s.WriteByte(alphabet[c&31])
		}
		return s.String()
	}
}
