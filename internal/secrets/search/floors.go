package search

import (
	"fmt"
	"strings"
)

// Floor is what the tests of a package, and of those below it, record at least:
// a recorder that has gone silent must not pass for logs without secrets.
type Floor struct {
	In    string
	Lines int            // of logs
	Made  map[string]int // secrets by kind
}

// Floors holds about a third of what was recorded on 2026-11-22 without PostgreSQL.
var Floors = []Floor{}

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
