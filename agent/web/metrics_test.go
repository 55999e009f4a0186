package web

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/perseus-edge/perseus-edge/agent"
	"github.com/perseus-edge/perseus-edge/agent/clock"
	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/uplink"
)

var update = flag.Bool("update", false, "write the golden files anew")

// everything is a status that has all there can be: a bus of each kind, meters
// that are read, that are not, and that were never.
func everything() agent.Status {
	at := midnight.Add(time.Hour)
	age := 1.5
	counts := drivers.Traffic{Requests: 100, BytesIn: 2000, BytesOut: 1200}
	why := func(k drivers.Kind) *drivers.Reason { return &drivers.Reason{Kind: k, Says: "it is so", Hint: "look"} }
	errors := map[drivers.Kind]uint64{}
	for i, k := range drivers.Kinds() {
		errors[k] = uint64(i + 1)
	}
	bus := func(id string, w *drivers.Wire) agent.BusStatus {
		return agent.BusStatus{ID: id, State: "ok", Since: at, Polls: 7, Errors: errors, Busy: 0.25, Wire: w}
	}
	down := bus("serial", nil)
	down.State, down.Down = "down", why(drivers.Refused)
	power := agent.RegisterStatus{Measure: energy.ReactiveImport, Value: "-1234", UnitCode: "D44", At: at, Age: &age, Base: -1}
	main := agent.RegisterStatus{Measure: energy.Import, Value: "1500", UnitCode: "WHR", At: at, Age: &age, Base: 1500, Settled: 6, Newest: midnight,
		Events: map[string]uint64{energy.Opened.String(): 1, energy.Rollover.String(): 2}}
	return agent.Status{
		Version: "1.2.3", Now: at, Healthy: true,
		Store: agent.StoreStatus{Writing: agent.CommitHealth{Commits: 9, Failures: 1, Waiting: 2}, Usage: &agent.Usage{FileBytes: 4096}},
		Buses: []agent.BusStatus{
			bus("plant", &drivers.Wire{Traffic: counts, Connects: 3, Modbus: &drivers.ModbusCounts{Exceptions: 1, Late: 2, Splits: 3, QuarantineSeconds: 4.5}}),
			bus("bms", &drivers.Wire{Traffic: counts, Connects: 3, Using: "mqtt://127.0.0.1:1883", Messages: &drivers.MessageCounts{Heard: 100, Unread: 1, Duplicates: 2, Gaps: 3, Rebirths: 4}}),
			bus("dcc", &drivers.Wire{Traffic: counts, Feed: &drivers.FeedCounts{Fetched: at, Statuses: map[string]uint64{"2xx": 5, "429": 1}, FilesDone: 2, FilesBad: 1}}),
			down,
		},
		Meters: []agent.MeterStatus{
			{ID: "main", Bus: "plant", State: "ok", Since: at, Answered: at, Traffic: &counts, Errors: errors, Registers: []agent.RegisterStatus{main, power},
				Alarms:  []agent.AlarmStatus{{Means: "cover open", Severity: "note", State: "on"}, {Means: "phase lost", Severity: "invalid", State: "off"}, {Means: "CT", Severity: "note", State: "unknown"}},
				Latency: &agent.Latency{Last: 20, Mean: 21, P95: 30, Slowest: 40, Answers: 60, Median: 20, Counted: 100, Sum: 2 * time.Second}},
			{ID: "dead", Bus: "serial", State: "failing", Since: at, Failures: 3, Down: why(drivers.Timeout), Registers: []agent.RegisterStatus{{Measure: energy.Gas, UnitCode: "MTQ", Error: "no answer", Base: -1}}},
			{ID: "tenant", State: "derived", Derived: "a share of main", Registers: []agent.RegisterStatus{{Measure: energy.Import, UnitCode: "WHR", Base: -1}}},
		},
		Clock: &clock.Status{}, Uplink: &agent.UplinkStatus{Status: &uplink.Status{Certificates: []uplink.CertificateStatus{
			{Kind: "client", NotAfter: at, Failures: 3}, {Kind: "signing", NotAfter: at}}}},
	}
}

func gathered(t *testing.T, s agent.Status) *prometheus.Registry {
	t.Helper()
	r := prometheus.NewPedanticRegistry() // checks that what is collected was described
	r.MustRegister(collector{func() agent.Status { return s }})
	return r
}

// The names, types and labels of all metrics, as monitoring outside relies on
// them: who changes one changes testdata/metrics.txt (go test -update) and
// docs/operator.md with it.
func TestMetricsNames(t *testing.T) {
	families, err := gathered(t, everything()).Gather()
	if err != nil {
		t.Fatal(err)
	}
	operator, err := os.ReadFile("../../docs/operator.md")
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, f := range families {
		labels := map[string]bool{}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = true
			}
		}
		fmt.Fprintf(&got, "%s %s %s\n", f.GetName(), strings.ToLower(f.GetType().String()), strings.Join(slices.Sorted(maps.Keys(labels)), " "))
		if name := strings.TrimPrefix(f.GetName(), "perseus_agent_"); !strings.Contains(string(operator), "`"+name+"`") {
			t.Errorf("docs/operator.md does not say what %s is", name)
		}
	}
	const golden = "testdata/metrics.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("%s differs: run go test ./agent/web -run TestMetricsNames -update and look at the difference\n%s", golden, got.String())
	}
	if len(families) != len(described) {
		t.Errorf("%d metrics are shown, %d described: everything() lacks some", len(families), len(described))
	}
}

func TestMetricsLint(t *testing.T) {
	families, err := gathered(t, everything()).Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// The figures are those of the status, in Prometheus's base units.
func TestMetricsValues(t *testing.T) {
	families, err := gathered(t, everything()).Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			name := strings.TrimPrefix(f.GetName(), "perseus_agent_") + " " + strings.Join(labels, " ")
			got[name] = cmp.Or(m.GetGauge().GetValue(), m.GetCounter().GetValue())
			if s := m.GetSummary(); s != nil {
				got[name+" n"], got[name+" sum"] = float64(s.GetSampleCount()), s.GetSampleSum()
				for _, q := range s.GetQuantile() {
					got[fmt.Sprintf("%s %v", name, q.GetQuantile())] = q.GetValue()
				}
			}
		}
	}
	for name, want := range map[string]float64{
		"device_up plant main": 1, "device_up serial dead": 0, "device_down serial timeout dead": 1, "device_failures serial dead": 3, "bus_down serial refused": 1, "bus_up serial": 0, "bus_up plant": 1,
		"device_latency_seconds plant main n": 100, "device_latency_seconds plant main sum": 2, "device_latency_seconds plant main 0.5": 0.02, "device_latency_seconds plant main 0.95": 0.03, "device_latency_seconds plant main 1": 0.04,
		"device_requests_total plant main": 100, "device_received_bytes_total plant main": 2000, "device_sent_bytes_total plant main": 1200, "device_errors_total plant exception main": 3,
		"point_value plant import main Wh": 1500, "point_value plant reactive-import main var": -1234, "point_timestamp_seconds plant import main": 946688400, "point_up serial gas dead": 0, "point_up plant import main": 1,
		"point_period_timestamp_seconds plant import main": 946684800, "point_events_total plant rollover import main": 2,
		"bus_modbus_quarantine_seconds_total plant": 4.5, "bus_messages_gaps_total bms": 3, "bus_using_info bms mqtt://127.0.0.1:1883": 1, "bus_feed_http_answers_total dcc 429": 1, "bus_feed_files_total dcc bad": 1,
		"device_alarm cover open plant main note": 1, "device_alarm phase lost plant main invalid": 0, "device_errors_total serial timeout dead": 0, "device_errors_total serial other dead": 0,
		"periods_settled_total ":               6,
		"certificate_not_after_seconds client": float64(everything().Now.Unix()), "certificate_renewal_failures client": 3, "certificate_renewal_failures signing": 0,
	} {
		v, ok := got[name]
		if !ok || v != want {
			t.Errorf("%s: %v (there: %v), want %v", name, v, ok, want)
		}
	}
	for name := range got {
		if strings.HasPrefix(name, "device_alarm CT") {
			t.Errorf("%s: an alarm that is not known is neither on nor off", name)
		}
		if strings.Contains(name, "tenant") {
			t.Errorf("%s: nobody asks a virtual meter", name)
		}
	}
}

// However many kinds of trouble a meter has had, it has so many series and no
// more: labels come from the configuration and from fixed lists alone.
func TestMetricsAreBounded(t *testing.T) {
	s := everything()
	base := len(series(t, s))
	s.Meters = append(s.Meters, s.Meters[0])
	s.Meters[3].ID = "other"
	if n := len(series(t, s)) - base; n > 30 {
		t.Errorf("a meter of two registers has %d series", n)
	}
}

func series(t *testing.T, s agent.Status) (out []string) {
	t.Helper()
	families, err := gathered(t, s).Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			out = append(out, m.String())
		}
	}
	return out
}
