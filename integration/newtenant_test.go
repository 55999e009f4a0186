package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/internal/rehearsal"
	"github.com/perseus-edge/perseus-edge/sim/meter"
)

// Another business moves in. The operator retires the code that the gateway
// shows; the gateway's page and its status say so, and how to make a new one.
// One is made by the command, the next by the button on the page; each stands at
// the relay at once, and the one before is over.
func TestNewTenantMakesANewCode(t *testing.T) {
	t.Parallel()
	now := time.Now()
	clock, err := rehearsal.New(now, now.Add(-time.Minute), 2) // the meter's alone: programs go by their own
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, clock, "  - {id: main, bus: plant-room, unit: 1, template: eastron-sdm630}\n", map[uint8]meter.Unit{})
	w.gateway.run()
	w.permit()
	s, err := w.gateway.status()
	if err != nil {
		t.Fatal(err)
	}
	first := s.Code
	// stands asks the permission pages whether a code stands for the site.
	stands := func(code string) error {
		a, err := ask(t.Context(), w.cap.people, http.MethodPost, w.url.issuer+"/permissions", "", url.Values{"code": {code}})
		switch {
		case err != nil:
			return err
		case a.status == http.StatusOK && strings.Contains(string(a.body), "Riverside Unit 4"):
			return nil
		case a.status == http.StatusUnprocessableEntity && strings.Contains(string(a.body), "No meter has this code"):
			return errUnknownCode
		}
		return fmt.Errorf("%d %s", a.status, a.body)
	}
	judge := func(code string, want error) {
		t.Helper()
		if err := stands(code); !errors.Is(err, want) {
			t.Errorf("code %s: %v, want %v", code, err, want)
		}
	}
	page := func(path string) string {
		t.Helper()
		res, err := local.Get(w.gateway.page + path)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	judge(first, nil)

	out := must(t, "perseus-central", "permissions", "new-tenant", "--gateway", s.Uplink.Gateway, "--config", w.config)
	var ended struct{ Ended struct{ Permissions int } }
	if err := json.Unmarshal([]byte(out), &ended); err != nil || ended.Ended.Permissions != 1 {
		t.Fatalf("%v: %s", err, out)
	}
	judge(first, errUnknownCode)
	until(t, time.Minute, "the gateway's page says that the code is over", w.both(), func() error {
		if p := page("/"); !strings.Contains(p, "This code is no longer valid: the site has a new tenant.") || strings.Contains(p, first) {
			return errors.New(p)
		}
		return nil
	})
	if out := must(t, "perseus-agent", "status", "--config", w.gateway.config); !strings.Contains(out, "Wrong: the meter code is no longer valid: the site has a new tenant. Make a new code with perseus-agent code new") || strings.Contains(out, first) {
		t.Errorf("status: %s", out)
	}
	if out, errs, code := run(t, "perseus-agent", "code", "--config", w.gateway.config); code != 1 || !strings.Contains(errs, "new tenant") {
		t.Errorf("code: exit %d, %s%s", code, out, errs)
	}

	// By the command: not without an answer.
	if out, errs, code := run(t, "perseus-agent", "code", "new", "--config", w.gateway.config); code != 1 || !strings.Contains(errs, "nothing was changed") {
		t.Errorf("code new: exit %d, %s%s", code, out, errs)
	}
	out = must(t, "perseus-agent", "code", "new", "--yes", "--config", w.gateway.config)
	made := regexp.MustCompile(`Your new meter code: (\S+)\nThe one before is no longer valid.`).FindStringSubmatch(out)
	if made == nil {
		t.Fatalf("code new: %s", out)
	}
	second := made[1]
	judge(second, nil)
	judge(first, errUnknownCode)
	if p := page("/"); !strings.Contains(p, second) || strings.Contains(p, "no longer valid") {
		t.Errorf("the page after the command: %s", p)
	}
	if err := w.cap.permit(t.Context(), second); err != nil {
		t.Errorf("the new tenant agrees: %v", err)
	}

	// By the page: the question, then its button.
	form := url.Values{}
	for _, m := range regexp.MustCompile(`type="hidden" name="([a-z]+)" value="([^"]+)"`).FindAllStringSubmatch(page("/code"), -1) {
		form.Set(m[1], m[2])
	}
	press := func(form url.Values) int {
		t.Helper()
		res, err := (&http.Client{Timeout: time.Minute, Transport: local.Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).PostForm(w.gateway.page+"/code", form)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	if code := press(url.Values{"replaces": form["replaces"]}); code != http.StatusForbidden {
		t.Errorf("without the page's token: %d", code)
	}
	judge(second, nil)
	if code := press(form); code != http.StatusSeeOther {
		t.Fatalf("the button: %d, %v", code, form)
	}
	judge(second, errUnknownCode)
	if s, err = w.gateway.status(); err != nil || s.Code == "" || s.Code == second {
		t.Fatalf("after the button: %q, %v", s.Code, err)
	}
	third := s.Code
	judge(third, nil)

	// It outlives the program, and nothing that waited brings another back.
	if err := w.gateway.stop(); err != nil {
		t.Errorf("the agent: %v", err)
	}
	w.gateway.run()
	until(t, time.Minute, "the agent is back", w.both(), func() error {
		s, err := w.gateway.status()
		if err == nil && (s.Uplink == nil || s.Uplink.Status == nil || !s.Uplink.Connected) {
			err = errors.New("not connected yet")
		}
		if err == nil && s.Code != third {
			t.Fatalf("the code after a restart: %q, not %q", s.Code, third)
		}
		return err
	})
	judge(third, nil)
	judge(second, errUnknownCode)
}

var errUnknownCode = errors.New("no meter has this code")
