package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// fakeManager is a service manager in memory.
type fakeManager struct {
	refuse error // of able
	s      state
	plan   plan
	fails  error // of start
	did    []string
}

func (f *fakeManager) able() error { return f.refuse }
func (f *fakeManager) install(p plan) ([]string, error) {
	f.plan = p
	if f.s.installed {
		return nil, nil
	}
	f.s.installed, f.s.automatic = true, true
	return []string{"unit written"}, nil
}
func (f *fakeManager) uninstall() ([]string, error) {
	if !f.s.installed {
		return nil, nil
	}
	f.s = state{}
	return []string{"stopped", "unit removed"}, nil
}
func (f *fakeManager) start() error {
	f.did = append(f.did, "start")
	if f.fails == nil {
		f.s.running = true
	}
	return f.fails
}
func (f *fakeManager) stop() error           { f.did = append(f.did, "stop"); f.s.running = false; return nil }
func (f *fakeManager) state() (state, error) { return f.s, nil }

func verb(m manager, args ...string) (code int, out, errs string) {
	var o, e bytes.Buffer
	c := serviceCommand
	c.run = func(in *invocation) error { return serviceVerb(in, m) }
	code = c.call(args, &o, &e)
	return code, o.String(), e.String()
}

func TestServiceVerbs(t *testing.T) {
	cfg := configured(t, "127.0.0.1:1", "127.0.0.1:1")
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	if err := os.WriteFile(bad, []byte("site: {nam: A}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	m := &fakeManager{}
	for _, c := range []struct {
		args []string
		code int
		want string // in the output, or the errors where code is not 0
	}{
		{nil, usage, "give one of install|uninstall|start|stop|status"},
		{[]string{"restart"}, usage, `"restart" is not one of`},
		{[]string{"install", "now"}, usage, `"now" is not expected here`},
		{[]string{"status"}, failed, "not installed: see perseus-agent service install"},
		{[]string{"start"}, failed, "not installed"},
		{[]string{"stop"}, failed, "not installed"},
		{[]string{"uninstall"}, done, "The service is not installed: nothing was changed."},
		{[]string{"install", "--config", bad}, usage, "unknown key \"nam\""},
		{[]string{"install", "--config", bad + "x"}, usage, "no configuration at " + bad + "x: give one with --config"},
		{[]string{"status"}, failed, "not installed"}, // a bad configuration installs nothing
		{[]string{"install", "--config", cfg}, done, "Next: perseus-agent service start"},
		{[]string{"--config", cfg, "install"}, done, "The service is installed already, just so: nothing was changed."},
		{[]string{"status"}, failed, "it is not running: perseus-agent service start starts it"},
		{[]string{"start"}, done, "It runs."},
		{[]string{"start"}, done, "It is running already"},
		{[]string{"status"}, done, "The service runs."},
		{[]string{"stop"}, done, "It is stopped; the last readings are stored."},
		{[]string{"stop"}, done, "It is not running."},
		{[]string{"uninstall", "--config", cfg}, done, cfg},
		{[]string{"uninstall", "--config", cfg}, done, "nothing was changed"},
	} {
		code, out, errs := verb(m, c.args...)
		if code != done {
			out = errs
		}
		if code != c.code || !strings.Contains(out, c.want) {
			t.Errorf("service %s: exit %d, want %d and %q:\n%s", strings.Join(c.args, " "), code, c.code, c.want, out)
		}
	}
	if m.plan.cfg == nil || m.plan.cfg.File != cfg || !filepath.IsAbs(m.plan.exec) || m.plan.folders()[0] != filepath.Dir(cfg) {
		t.Errorf("installed with %+v", m.plan)
	}
	if _, err := os.Stat(cfg); err != nil {
		t.Errorf("uninstall took the configuration: %v", err)
	}
	if got := strings.Join(m.did, " "); got != "start stop stop" {
		t.Errorf("the manager was told: %s", got)
	}
}

// A configuration named relatively means the same file to the service.
func TestServiceInstallMakesThePathAbsolute(t *testing.T) {
	cfg := configured(t, "127.0.0.1:1", "127.0.0.1:1")
	t.Chdir(filepath.Dir(cfg))
	m := &fakeManager{}
	if code, _, errs := verb(m, "install", "--config", "agent.yaml"); code != done || m.plan.cfg.File != cfg || m.plan.cfg.Store.Path != filepath.Join(filepath.Dir(cfg), "agent.db") {
		t.Errorf("exit %d %s, %+v", code, errs, m.plan.cfg)
	}
}

func TestServiceNeedsRights(t *testing.T) {
	cfg := configured(t, "127.0.0.1:1", "127.0.0.1:1")
	m := &fakeManager{refuse: errors.New("this needs root"), s: state{installed: true, running: true, since: "yesterday"}}
	for _, v := range []string{"install", "uninstall", "start", "stop"} {
		if code, out, errs := verb(m, v, "--config", cfg); code != failed || out != "" || !strings.Contains(errs, "this needs root") {
			t.Errorf("%s: exit %d\n%s%s", v, code, out, errs)
		}
	}
	if len(m.did) > 0 || m.plan.cfg != nil {
		t.Errorf("without the right it did %v", m.did)
	}
	if code, out, _ := verb(m, "status"); code != done || !strings.Contains(out, "The service runs, since yesterday.") {
		t.Errorf("status: exit %d\n%s", code, out)
	}
}

func TestServiceSaysWhatIsWrong(t *testing.T) {
	m := &fakeManager{
		s:     state{installed: true, since: "noon", restarts: 3, trouble: "the program gave no sign of life", lastError: "level=ERROR msg=x", log: "journalctl", definition: "/a/unit"},
		fails: errors.New("job failed"),
	}
	code, out, errs := verb(m, "status")
	if code != failed || !strings.Contains(errs, "it is not running") {
		t.Errorf("exit %d %s", code, errs)
	}
	for _, want := range []string{"does not run, since noon.", "no sign of life", "3 times since", "level=ERROR msg=x", "journalctl", "/a/unit", "does not start by itself"} {
		if !strings.Contains(out, want) {
			t.Errorf("status lacks %q:\n%s", want, out)
		}
	}
	if code, _, errs = verb(m, "start"); code != failed || !strings.Contains(errs, "level=ERROR msg=x") || !strings.Contains(errs, "job failed") || !strings.Contains(errs, "no sign of life") || !strings.Contains(errs, "journalctl") {
		t.Errorf("start: exit %d %s", code, errs)
	}
}

func TestLastError(t *testing.T) {
	for _, c := range []struct{ log, want string }{
		{"", ""},
		{"time=1 level=INFO msg=running\ntime=2 level=WARN msg=x\n", ""},
		{"time=1 level=ERROR msg=a\ntime=2 level=ERROR msg=b\ntime=3 level=INFO msg=c\n", "time=2 level=ERROR msg=b"},
		{"perseus-agent run: configuration: no such file\nMain process exited\n", "perseus-agent run: configuration: no such file"},
		{"perseus-agent.service: Failed at step USER spawning /a: x\nperseus-agent.service: Failed with result 'exit-code'.\n", "perseus-agent.service: Failed at step USER spawning /a: x"},
		{"perseus-agent run: 1 mistake:\n/etc/a.yaml:1:1: unknown key\nMain process exited\n", "perseus-agent run: 1 mistake: /etc/a.yaml:1:1: unknown key"},
		{"panic: oh\n\ngoroutine 1 [running]:\n", "panic: oh"},
	} {
		if got := lastError(c.log); got != c.want {
			t.Errorf("%q: %q, want %q", c.log, got, c.want)
		}
	}
}

// Without a watchdog of the service manager the program ends by itself when
// the agent is silent or does not stop.
func TestGuarded(t *testing.T) {
	type serve = func(context.Context, func(string)) error
	for _, c := range []struct {
		name  string
		stop  time.Duration // when the manager wants it to stop; 0: never
		serve serve
		want  error
		after time.Duration
	}{
		{"ends", 0, func(context.Context, func(string)) error { return os.ErrInvalid }, os.ErrInvalid, 0},
		{"stops", time.Hour, func(ctx context.Context, notify func(string)) error {
			notify("READY=1")
			for t := time.NewTicker(10 * time.Second); ; {
				select {
				case <-ctx.Done():
					return nil
				case <-t.C:
					notify("WATCHDOG=1")
				}
			}
		}, nil, time.Hour},
		{"never begins", 0, func(_ context.Context, notify func(string)) error {
			notify("STATUS=busy")
			time.Sleep(time.Hour)
			return nil
		}, errSilent, startPatience},
		{"falls silent", 0, func(_ context.Context, notify func(string)) error {
			notify("READY=1")
			time.Sleep(50 * time.Second)
			notify("WATCHDOG=1")
			time.Sleep(time.Hour)
			return nil
		}, errSilent, 50*time.Second + patience},
		{"does not stop", 10 * time.Second, func(_ context.Context, notify func(string)) error {
			notify("READY=1")
			time.Sleep(time.Hour)
			return nil
		}, errStuck, 10*time.Second + stopPatience},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				if c.stop > 0 {
					time.AfterFunc(c.stop, cancel)
				}
				start, ready := time.Now(), 0
				err := guarded(ctx, c.serve, func() { ready++ })
				if took := time.Since(start); !errors.Is(err, c.want) || c.want == nil && err != nil || took != c.after {
					t.Errorf("%v after %v, want %v after %v", err, took, c.want, c.after)
				}
				<-time.After(2 * time.Hour) // of the bubble: the process would end here, the test lets all end
				if said := c.name != "ends" && c.name != "never begins"; said != (ready == 1) {
					t.Errorf("ready %d times", ready)
				}
			})
		})
	}
}

func TestRotatingLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.log")
	r, err := openRotating(path, 100)
	if err != nil {
		t.Fatal(err)
	}
	line := strings.Repeat("x", 39) + "\n"
	for range 7 {
		if _, err := r.Write([]byte(line)); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{path: 1, path + ".1": 2} {
		if b, err := os.ReadFile(name); err != nil || len(b) != want*len(line) {
			t.Errorf("%s: %d bytes, %v", name, len(b), err)
		}
	}
	// Opened again it goes on, and what is larger than a file is not lost.
	if r, err = openRotating(path, 100); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Write([]byte(strings.Repeat("y", 200))); err != nil {
		t.Fatal(err)
	}
	r.Close()
	if b, err := os.ReadFile(path); err != nil || len(b) != 200 {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}

func TestServiceIsInTheHelp(t *testing.T) {
	var out bytes.Buffer
	overview(&out)
	if !strings.Contains(out.String(), "  service    run in the background") {
		t.Error(out.String())
	}
	if code, text, _ := verb(&fakeManager{}, "-h"); code != done || !strings.Contains(text, "uninstall  stop and remove the service") {
		t.Errorf("exit %d\n%s", code, text)
	}
}
