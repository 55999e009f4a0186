package main

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/agent"
	"github.com/perseus-edge/perseus-edge/agent/web"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
	"github.com/perseus-edge/perseus-edge/store"
	"github.com/perseus-edge/perseus-edge/uplink"
)

// The command asks before it ends a code, and says what became of it, while no
// agent runs.
func TestCodeCommand(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "agent.yaml")
	text := `site: {name: "Riverside Unit 4", outcode: SW8}
store: {path: agent.db}
web: {listen: "127.0.0.1:1"}
uplink: {url: "https://relay.example.org", identity: identity}
buses:
  - {id: b, driver: modbus, url: "tcp://127.0.0.1:1"}
meters:
  - {id: main, bus: b, unit: 1, template: eastron-sdm630}
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	call := func(answer string, args ...string) (out string, err error) {
		var b bytes.Buffer
		in := &invocation{FlagSet: flag.NewFlagSet("code", flag.ContinueOnError), cmd: codeCommand, argv: append(args, "--config", file), stdout: &b, stderr: record.Writer(t, "perseus-agent", nil)}
		in.SetOutput(in.stderr)
		err = codeVerb(in, strings.NewReader(answer))
		return b.String(), err
	}
	if _, err := call(""); err == nil || !strings.Contains(err.Error(), "the agent has not run") {
		t.Errorf("without a store: %v", err)
	}
	kept := func() (code string) {
		t.Helper()
		s, _, err := store.Open(filepath.Join(dir, "agent.db"), store.Options{})
		if err == nil {
			code, err = uplink.SiteCode(s)
			err = errors.Join(err, s.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
		return code
	}
	first := kept()
	if out, err := call(""); err != nil || !strings.Contains(out, "Your meter code: "+first) {
		t.Errorf("%s%v", out, err)
	}
	for _, no := range []string{"", "no\n", "y\n", strings.Repeat("yes", 100)} {
		out, err := call(no, "new")
		if err == nil || !strings.Contains(err.Error(), "nothing was changed") || !strings.Contains(out, first+". It ends at once") || kept() != first {
			t.Errorf("answered %.10q: %s%v", no, out, err)
		}
	}
	for _, x := range []struct {
		answer string
		args   []string
	}{{"Yes\n", []string{"new"}}, {"", []string{"new", "--yes"}}} {
		before := kept()
		out, err := call(x.answer, x.args...)
		after := kept()
		if after == before || !strings.Contains(out, "Your new meter code: "+after) || err == nil || !strings.Contains(err.Error(), "the agent is not running") {
			t.Errorf("%v: %s after %s: %s%v", x.args, after, before, out, err)
		}
	}
	var p *problem
	if _, err := call("", "old"); !errors.As(err, &p) || p.code != usage {
		t.Errorf("a verb that is none: %v", err)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(text, "uplink:", "# uplink:", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := call("", "new", "--yes"); !errors.Is(err, agent.ErrNoCode) {
		t.Errorf("records only: %v", err)
	}
}

// What the running agent did is said; where the relay could not be told that
// is, and the command has not done what it was asked for.
func TestCodeCommandSaysWhatBecameOfIt(t *testing.T) {
	for name, x := range map[string]struct {
		made web.NewCodeAnswer
		err  error
		want string // in the output
		fail string // in the error
	}{
		"told":     {web.NewCodeAnswer{Code: "9999-8888-7777"}, nil, "Your new meter code: 9999-8888-7777\nThe one before is no longer valid.\n", ""},
		"not told": {web.NewCodeAnswer{Code: "9999-8888-7777", NotTold: "still stands there"}, nil, "Your new meter code: 9999-8888-7777\n", "still stands there"},
		"not made": {web.NewCodeAnswer{}, errors.New("the disk is full"), "", "the disk is full"},
	} {
		var b bytes.Buffer
		err := (&invocation{stdout: &b}).newCode(true, strings.NewReader(""), "7K2M-9QXA-04TB", func() (web.NewCodeAnswer, error) { return x.made, x.err })
		if b.String() != x.want || (err == nil) != (x.fail == "") || err != nil && !strings.Contains(err.Error(), x.fail) {
			t.Errorf("%s: %q, %v", name, b.String(), err)
		}
	}
}

// status says of a code that stands for the site no more that it does, and what
// to do, and does not show it as one to type.
func TestStatusOfARetiredCode(t *testing.T) {
	s := wellStatus()
	s.Retired = true
	s.Uplink = &agent.UplinkStatus{State: "sending", Status: &uplink.Status{Relay: "https://relay.example.org", Code: "7K2M-9QXA-04TB", CodeRetired: true}}
	var b bytes.Buffer
	if err := printStatus(&b, "table", &daemon{status: s}, statusNow); err != nil {
		t.Fatal(err)
	}
	if out := b.String(); !strings.Contains(out, "Wrong: the meter code is no longer valid: the site has a new tenant. Make a new code with perseus-agent code new") ||
		strings.Contains(out, "7K2M-9QXA-04TB") || strings.Contains(out, "All is well") {
		t.Errorf("%s", out)
	}
	if err := showCode(&b, s); err == nil || !strings.Contains(err.Error(), "new tenant") {
		t.Errorf("code: %v", err)
	}
	s.Retired, s.Code = false, "9999-8888-7777"
	s.Uplink.Status.CodeNotTold = true
	b.Reset()
	if err := showCode(&b, s); err != nil || !strings.Contains(b.String(), "The relay has not heard of this code yet") {
		t.Errorf("not told: %s %v", b.String(), err)
	}
}
