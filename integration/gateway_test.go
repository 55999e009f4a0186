package integration

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/agent"
	"github.com/perseus-edge/perseus-edge/internal/ports"
)

// gateway is one agent: its configuration, and its process while it runs.
type gateway struct {
	t      testing.TB
	dir    string
	config string
	page   string // http://127.0.0.1:port
	*process
}

// newGateway writes a configuration whose web address is filled in. text has
// a %s for it.
func newGateway(t testing.TB, dir, text string) *gateway {
	listen := ports.Address(t)
	return &gateway{t: t, dir: dir, page: "http://" + listen, config: writeFile(t, dir, "agent.yaml", fmt.Sprintf(text, listen))}
}

// run starts the agent.
func (g *gateway) run(more ...string) {
	g.t.Helper()
	g.process = start(g.t, "the agent", "perseus-agent", append([]string{"run", "--config", g.config}, more...)...)
}

var local = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true}}

// get asks the agent's local API. The status code is given, not judged.
func (g *gateway) get(path string, into any) (int, error) {
	res, err := local.Get(g.page + path)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return res.StatusCode, err
	}
	if err := json.Unmarshal(b, into); err != nil {
		return res.StatusCode, fmt.Errorf("%s: %w: %s", path, err, b)
	}
	return res.StatusCode, nil
}

func (g *gateway) status() (s agent.Status, err error) {
	code, err := g.get("/api/v1/status", &s)
	if err == nil && code != http.StatusOK {
		err = fmt.Errorf("status: %d", code)
	}
	return s, err
}

// health gives what /healthz says.
func (g *gateway) health() (code int, reasons []string, err error) {
	var h struct {
		Status  string
		Reasons []string
	}
	code, err = g.get("/healthz", &h)
	return code, h.Reasons, err
}

// halfHour is one line of `perseus-agent readings --format json`.
type halfHour struct {
	Meter, Measure string
	From, To       time.Time
	Quality        string
	Energy         *amount
	Cumulative     *amount
	Evidence       *struct{ Rule string }
}

type amount struct {
	Value    json.Number
	UnitCode string
}

// wh is a whole number of watt hours; -1 when it is not there.
func (a *amount) wh() int64 {
	if a == nil {
		return -1
	}
	v, err := strconv.ParseInt(a.Value.String(), 10, 64)
	if err != nil || a.UnitCode != "WHR" {
		return -2
	}
	return v
}

// readings runs the command, which asks the running agent or opens the store.
func (g *gateway) readings(args ...string) []halfHour {
	g.t.Helper()
	out := must(g.t, "perseus-agent", append([]string{"readings", "--config", g.config, "--format", "json"}, args...)...)
	var doc struct{ Data []halfHour }
	if err := json.Unmarshal([]byte(out), &doc); err != nil {
		g.t.Fatalf("readings: %v\n%s", err, out)
	}
	return doc.Data
}

// checkChain: half-hours of one register follow one another without a hole,
// each register being the one before plus the energy. It gives the sum.
func checkChain(t testing.TB, all []halfHour, period time.Duration) (sum int64) {
	t.Helper()
	for i, h := range all {
		if h.Quality == "missing" || h.Energy.wh() < 0 || h.Cumulative.wh() < 0 {
			t.Errorf("%s %v: %+v", h.Meter, h.From, h)
			continue
		}
		sum += h.Energy.wh()
		if i == 0 {
			continue
		}
		if before := all[i-1]; !h.From.Equal(before.From.Add(period)) || before.Cumulative.wh()+h.Energy.wh() != h.Cumulative.wh() {
			t.Errorf("%s %v: %d Wh to register %d does not follow %v with register %d",
				h.Meter, h.From, h.Energy.wh(), h.Cumulative.wh(), before.From, before.Cumulative.wh())
		}
	}
	return sum
}
