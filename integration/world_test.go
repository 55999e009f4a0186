package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/identity/scheme"
	"github.com/perseus-edge/perseus-edge/internal/ports"
	"github.com/perseus-edge/perseus-edge/internal/rehearsal"
	"github.com/perseus-edge/perseus-edge/sim/meter"
)

const registry = "https://registry.core.sandbox.trust.ib1.org"

// world is a directory and a relay in one process, a carbon accountant that is
// a member, and one enrolled gateway: made with the real commands.
type world struct {
	t       testing.TB
	dir     string
	bin     string // folder of the programs
	scheme  scheme.Scheme
	central *process
	gateway *gateway
	cap     *client
	config  string // of central
	url     struct{ issuer, server, directory string }
	clock   rehearsal.Clock
	from    time.Time // what the clock showed when the world was made
}

const centralYAML = `database: sqlite:central.db
roles: [directory, relay]
registry: %s
directory: {url: "%s", listen: "%s"}
relay:
  issuer: %s
  issuer_listen: %s
  server: %s
  server_listen: %s
  member: riverside-metering
  organisation: Riverside Metering
  carbon: {url: "http://127.0.0.1:1"}
`

const worldYAML = `site: {name: "Riverside Unit 4", outcode: SW8}
store: {path: agent.db}
web: {listen: "%%s"}
uplink: {url: "%s", identity: identity}
buses:
  - {id: plant-room, driver: modbus, url: "tcp://%s", timeout: 10s}
meters:
%s`

// rehearsed gives a clock that is that much behind and runs a thousand times as
// fast as life, and so catches up with the present after a thousandth of it. The
// programs are built before it begins: where nothing was built yet that takes
// minutes, of which the clock must not run.
func rehearsed(t testing.TB, behind time.Duration) (clock rehearsal.Clock, from time.Time) {
	t.Helper()
	program(t, "perseus-agent")
	anchor := time.Now()
	from = anchor.Add(-behind)
	clock, err := rehearsal.New(anchor, from, 1000)
	if err != nil {
		t.Fatal(err)
	}
	return clock, from
}

// newWorld makes it; the central process runs, the gateway does not yet. The
// units answer in the test's own process, by the world's clock.
func newWorld(t testing.TB, clock rehearsal.Clock, meters string, units map[uint8]meter.Unit) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), clock: clock, from: clock.Now(), bin: filepath.Dir(program(t, "perseus-agent"))}
	var err error
	if w.scheme, err = scheme.New(registry); err != nil {
		t.Fatal(err)
	}
	p := ports.Free(t, 4)
	listen := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", p[i]) }
	public := func(i int) string { return fmt.Sprintf("https://localhost:%d", p[i]) }
	w.url.issuer, w.url.server, w.url.directory = public(0), public(1), public(2)
	w.config = writeFile(t, w.dir, "central.yaml", fmt.Sprintf(centralYAML, registry, public(2), listen(2), public(0), listen(0), public(1), listen(1)))

	sim, err := meter.NewServer("tcp://"+listen(3), clock.Now, units, meter.Faults{})
	if err == nil {
		err = sim.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sim.Stop() })

	must(t, "perseus-central", "init", "--config", w.config)
	admin := func(args ...string) (made struct{ URL, Code string }) {
		t.Helper()
		out := must(t, "perseus-central", append(args, "--config", w.config)...)
		if err := json.Unmarshal([]byte(out), &made); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
		return made
	}
	admin("member", "add", "--id", "carbon-count", "--name", "Carbon Count Ltd", "--role", "cap")
	app := admin("application", "add", "--member", "carbon-count", "--id", "carbon-count-app", "--name", "Carbon Count", "--role", "cap")
	admin("certificate", "issue", "--application", "carbon-count-app", "--kind", "client", "--out", filepath.Join(w.dir, "cap"))
	code := admin("gateway", "add", "--member", "riverside-metering", "--name", "Riverside Unit 4", "--site", "Unit 4").Code
	serverCA := filepath.Join(w.dir, "authorities", "server", "root.pem")
	w.startCentral()
	if w.cap, err = newClient(app.URL, filepath.Join(w.dir, "cap-bundle.pem"), filepath.Join(w.dir, "cap-key.pem"), serverCA); err != nil {
		t.Fatal(err)
	}
	w.cap.issuer, w.cap.resource, w.cap.license = w.url.issuer, w.url.server, w.scheme.LicenseConsumption()
	w.waitForCentral()

	w.gateway = newGateway(t, w.dir, fmt.Sprintf(worldYAML, w.url.server, listen(3), meters))
	must(t, "perseus-agent", "enroll", "--config", w.gateway.config, "--url", w.url.directory, "--code", code, "--ca", serverCA)
	return w
}

func (w *world) startCentral() {
	w.t.Helper()
	w.central = start(w.t, "central", "perseus-central", "serve", "--config", w.config)
}

// waitForCentral waits until both of the relay's addresses answer.
func (w *world) waitForCentral() {
	w.t.Helper()
	until(w.t, 60*time.Second, "central answers", []*process{w.central}, func() error {
		for link, c := range map[string]*http.Client{w.url.issuer: w.cap.people, w.url.server: w.cap.programs, w.url.directory: w.cap.people} {
			a, err := ask(w.t.Context(), c, http.MethodGet, link+"/healthz", "", nil)
			if err != nil {
				return err
			}
			if err := a.into(http.StatusOK, nil); err != nil {
				return err
			}
		}
		return nil
	})
}

func (w *world) both() []*process { return []*process{w.gateway.process, w.central} }

// startGateway starts the agent by the world's clock.
func (w *world) startGateway() { w.t.Helper(); w.gateway.run("--rehearse", w.clock.String()) }

// waitForStored waits until the gateway's store has, of each register, a
// half-hour that starts at or after a time; zero: any that was measured.
func (w *world) waitForStored(at time.Time, keys ...energy.Key) {
	w.t.Helper()
	if at.IsZero() {
		at = w.from
	}
	until(w.t, 90*time.Second, fmt.Sprintf("the gateway has stored a half-hour of %v", at), []*process{w.gateway.process}, func() error {
		var doc struct{ Data []halfHour }
		code, err := w.gateway.get("/api/v1/readings?from="+at.UTC().Format(time.RFC3339), &doc)
		if err != nil || code != http.StatusOK { // 400: its clock is not there yet
			return fmt.Errorf("readings: %d, %w", code, err)
		}
		for _, k := range keys {
			if !slices.ContainsFunc(doc.Data, func(h halfHour) bool { return h.Meter == k.Meter && h.Measure == k.Measure.String() }) {
				return fmt.Errorf("none of %s yet", k)
			}
		}
		return nil
	})
}

// permit has the business agree to what the carbon accountant asks for.
func (w *world) permit() {
	w.t.Helper()
	var code string
	until(w.t, 60*time.Second, "the gateway registers with the relay", w.both(), func() error {
		s, err := w.gateway.status()
		switch {
		case err != nil:
			return err
		case s.Uplink == nil || s.Uplink.Status == nil || !s.Uplink.Connected:
			return fmt.Errorf("uplink: %+v", s.Uplink)
		}
		code = s.Code
		return nil
	})
	until(w.t, 30*time.Second, "the business gives its permission", w.both(), func() error {
		return w.cap.permit(w.t.Context(), code)
	})
}

// delivered is what the consumption API gives, by source and measure.
func (w *world) delivered(from, to time.Time) (map[string][]halfHour, error) {
	get := func(path string, into any) (int, error) {
		a, err := w.cap.fetch(w.t.Context(), path)
		if err == nil && a.status == http.StatusUnauthorized {
			if err = w.cap.renew(w.t.Context()); err == nil {
				a, err = w.cap.fetch(w.t.Context(), path)
			}
		}
		if err != nil || a.status == http.StatusAccepted {
			return a.status, err
		}
		return a.status, a.into(http.StatusOK, into)
	}
	var sources struct {
		Data []struct {
			ID       string
			Measures []string `json:"availableMeasures"`
		}
	}
	if _, err := get("/datasources", &sources); err != nil {
		return nil, err
	}
	out := map[string][]halfHour{}
	for _, s := range sources.Data {
		for _, m := range s.Measures {
			var doc struct{ Data []halfHour }
			if _, err := get(fmt.Sprintf("/datasources/%s/%s?from=%s&to=%s", s.ID, m, from.UTC().Format(time.RFC3339), to.UTC().Format(time.RFC3339)), &doc); err != nil {
				return nil, err
			}
			out[s.ID+"/"+m] = doc.Data
		}
	}
	return out, nil
}

// noneSetAside: the agent never took its store for damaged.
func (w *world) noneSetAside() {
	w.t.Helper()
	found, err := filepath.Glob(filepath.Join(w.dir, "agent.db.corrupt-*"))
	if err = errors.Join(err); err != nil || len(found) > 0 {
		w.t.Errorf("the store was set aside: %v, %v", found, err)
	}
	if _, err := os.Stat(filepath.Join(w.dir, "agent.db")); err != nil {
		w.t.Error(err)
	}
}
