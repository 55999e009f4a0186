package search

import (
	"fmt"
	"strings"

	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
)

// Floor is what the tests of a package, and of those below it, record at least:
// a recorder that has gone silent must not pass for logs without secrets.
type Floor struct {
	In    string
	Lines int            // of logs
	Made  map[string]int // secrets by kind
}

// Floors holds about a third of what was recorded on 2026-11-22, so that it is
// reached without PostgreSQL too. A room that makes a new kind gets a line.
var Floors = []Floor{
	{"identity", 60, map[string]int{"enrolment code": 50, record.KeyKind: 20}},
	{"agent", 800, map[string]int{"code of a bill or a gateway's page": 30, "token of a gateway's page": 12, "enrolment code": 8}},
	{"uplink", 3000, map[string]int{record.KeyKind: 400, "code of a bill or a gateway's page": 30, "seed of a statement": 60}},
	{"store", 300, nil},
	{"drivers", 500, map[string]int{record.KeyKind: 3, "password of a broker": 1, "password of an account": 1, "key of an API": 1}},
	{"provenance", 20, map[string]int{record.KeyKind: 100}},
	{"relay/account", 30, map[string]int{"session of a business": 3, "TOTP seed": 3, "password of a business": 1}},
	{"relay/bank", 30, map[string]int{record.KeyKind: 100}},
	{"relay/consumption", 40, map[string]int{record.KeyKind: 100, "seed of a statement": 6}},
	{"relay/ingest", 100, map[string]int{record.KeyKind: 80, "seed of a statement": 3}},
	{"relay/permission", 600, map[string]int{record.KeyKind: 300, "request_uri": 90, "OAuth code": 80, "OAuth token": 120, "key of an evidence page": 60,
		"code of a bill or a gateway's page": 12, "session of a business": 6, "TOTP seed": 4}},
	{"directory", 800, map[string]int{record.KeyKind: 300, "API token": 150, "enrolment code": 130, "recovery code": 500, "session cookie": 60, "TOTP seed": 50,
		"link of an invitation, a sign-in or a recovery": 100, "password of a person": 1, "key of a webhook": 1, "password of a mail server": 1, "key of the ACME nonces": 60}},
	{"cmd/perseus-central", 150, map[string]int{record.KeyKind: 50, "API token": 3, "key that seals accounts": 5, "key that seals tokens": 5, "link of an invitation, a sign-in or a recovery": 1}},
	{"cmd/perseus-agent", 300, map[string]int{"token of a gateway's page": 1, "code of a bill or a gateway's page": 1}},
	{"sim", 150, map[string]int{"password of a simulated meter": 8}},
	{"integration", 300, map[string]int{record.KeyKind: 5}},
}

// below says which floors were not reached.
func (r *Report) below(floors []Floor) (out []string) {
	in := func(pkg, room string) bool { return pkg == room || strings.HasPrefix(pkg, room+"/") }
	for _, f := range floors {
		lines, made := 0, map[string]int{}
		for pkg, n := range r.Logged {
			if in(pkg, f.In) {
				lines += n
			}
		}
		for pkg, kinds := range r.Made {
			for k, n := range kinds {
				if in(pkg, f.In) {
					made[k] += n
				}
			}
		}
		if lines < f.Lines {
			out = append(out, fmt.Sprintf("the tests of %s recorded %d lines of logs, at least %d were expected: do their loggers come from internal/secrets/record?", f.In, lines, f.Lines))
		}
		for k, want := range f.Made {
			if made[k] < want {
				out = append(out, fmt.Sprintf("the tests of %s recorded %d secrets of the kind %q, at least %d were expected: does each package import internal/secrets/record, and is the maker in internal/secrets/search/makers.go?", f.In, made[k], k, want))
			}
		}
	}
	return out
}
