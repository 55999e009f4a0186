package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
)

const module = "github.com/perseus-edge/perseus-edge/"

// event is one of `go test -json` (go doc test2json).
type event struct {
	Action, Package, Test, Output string
}

// plain turns events back into what `go test` shows without -json: a line for
// each package, and of those that failed what their failed tests said.
type plain struct {
	to       io.Writer
	packages map[string]*pkg
}

type pkg struct {
	tests map[string]*test
	top   []*test  // in the order in which they began
	rest  []string // that belongs to no test
}

type test struct {
	name   string
	result string // "pass", "skip", "fail"; "" while it runs
	output []string
	sub    []*test
}

func newPlain(to io.Writer) *plain { return &plain{to, map[string]*pkg{}} }

// line takes a line of go test's output.
func (p *plain) line(text string) (e event, ok bool) {
	if err := json.Unmarshal([]byte(text), &e); err != nil || e.Action == "" {
		io.WriteString(p.to, text)
		return e, false
	}
	k := p.packages[e.Package]
	if k == nil {
		k = &pkg{tests: map[string]*test{}}
		p.packages[e.Package] = k
	}
	switch e.Action {
	case "build-output":
		io.WriteString(p.to, e.Output)
	case "output":
		if e.Test == "" {
			k.rest = append(k.rest, e.Output)
		} else {
			t := k.test(e.Test)
			t.output = append(t.output, e.Output)
		}
	case "pass", "skip", "fail":
		if e.Test != "" {
			t := k.test(e.Test)
			t.result = e.Action
			if e.Action != "fail" { // nobody will ask
				t.output, t.sub = nil, nil
			}
			break
		}
		p.end(k, e.Action == "fail")
		delete(p.packages, e.Package)
	}
	return e, true
}

func (k *pkg) test(name string) *test {
	if t := k.tests[name]; t != nil {
		return t
	}
	t := &test{name: name}
	k.tests[name] = t
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		above := k.test(name[:i])
		above.sub = append(above.sub, t)
	} else {
		k.top = append(k.top, t)
	}
	return t
}

// end shows a package that has ended.
func (p *plain) end(k *pkg, failed bool) {
	if !failed {
		for _, l := range k.rest {
			if strings.HasPrefix(l, "ok  ") || strings.HasPrefix(l, "?   ") || strings.HasPrefix(l, "\t") {
				io.WriteString(p.to, l)
			}
		}
		return
	}
	for _, t := range k.top {
		p.failed(t, "")
	}
	for _, l := range k.rest {
		io.WriteString(p.to, l)
	}
}

// failed shows a test that failed, its own line first; of one that was broken
// off (a panic, a timeout) what it printed, as it stands.
func (p *plain) failed(t *test, indent string) {
	switch t.result {
	case "pass", "skip":
		return
	case "":
		for _, l := range t.output {
			if !framing(l) {
				io.WriteString(p.to, l)
			}
		}
	default:
		for _, l := range t.output {
			if l := strings.TrimLeft(l, " "); strings.HasPrefix(l, "--- FAIL: ") {
				fmt.Fprint(p.to, indent, l)
			}
		}
		for _, l := range t.output {
			if !framing(l) && !strings.HasPrefix(strings.TrimLeft(l, " "), "--- FAIL: ") {
				fmt.Fprint(p.to, indent, l)
			}
		}
	}
	for _, s := range t.sub {
		p.failed(s, indent+"    ")
	}
}

// framing is what -json prints around the tests.
func framing(l string) bool {
	for _, f := range []string{"=== RUN", "=== PAUSE", "=== CONT", "=== NAME"} {
		if strings.HasPrefix(l, f) {
			return true
		}
	}
	return false
}

// lines gives the lines of r, however long, each with its end.
func lines(r io.Reader) iter.Seq[string] {
	return func(yield func(string) bool) {
		b := bufio.NewReaderSize(r, 1<<16)
		for {
			l, err := b.ReadString('\n')
			if l != "" && !yield(l) {
				return
			}
			if err != nil {
				if !errors.Is(err, io.EOF) {
					yield(fmt.Sprintf("suite: read the output of go test: %v\n", err))
				}
				return
			}
		}
	}
}
