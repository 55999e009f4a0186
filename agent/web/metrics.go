package web

import (
	"net/http"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/perseus-edge/perseus-edge/agent"
)

// metrics serves the agent's figures in Prometheus form. They are worked out
// when somebody asks; polling a meter touches none of them. Labels are names
// of the configuration and words of a fixed list, so that their number is
// bounded by the configuration. docs/operator.md says what each means.
func metrics(a *agent.Agent) http.Handler {
	r := prometheus.NewRegistry()
	// Not from package collectors, their new home: it would link database/sql
	// into the gateway.
	//lint:ignore SA1019 see above
	r.MustRegister(collector{a.Status}, prometheus.NewGoCollector(), prometheus.NewProcessCollector(prometheus.ProcessCollectorOpts{}))
	h := promhttp.HandlerFor(r, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r)
		debug.FreeOSMemory() // a scrape of 1,000 meters takes more than all their polls: give it back, in milliseconds
	})
}

type collector struct{ status func() agent.Status }

// described are the metrics that there are; desc adds to them.
var described []*prometheus.Desc

func desc(name, help string, labels ...string) *prometheus.Desc {
	d := prometheus.NewDesc("perseus_agent_"+name, help, labels, nil)
	described = append(described, d)
	return d
}

var (
	descInfo       = desc("info", "The agent's version; always 1.", "version")
	descHealthy    = desc("healthy", "1 while the buses live and readings can be stored.")
	descPeriods    = desc("periods_settled_total", "Half-hours settled since the start, of all registers.")
	descCommits    = desc("store_commits_total", "Rounds stored since the start.")
	descCommitFail = desc("store_commit_failures_total", "Rounds that could not be stored at the first attempt or again.")
	descWaiting    = desc("store_waiting_periods", "Half-hours in memory that are not stored yet.")
	descResting    = desc("store_resting", "1 while registers rest because nothing can be stored.")
	descStoreBytes = desc("store_bytes", "Size of the store's file.")
	descClock      = desc("clock_trusted", "1 while the clock that dates readings can be relied upon; absent where it is taken as it is.")
	descClockOff   = desc("clock_offset_seconds", "The machine's clock less the one that dates readings.")
	descClockSet   = desc("clock_steps_total", "How often the machine's clock was set since the start, and followed.")
	descConnected  = desc("uplink_connected", "1 while the relay answers.")
	descPending    = desc("uplink_pending_periods", "Half-hours that may leave and wait.")
	descEnrolled   = desc("enrolled", "1 while the gateway has an identity, whether or not it is still good; absent where it only records.")
	descUsable     = desc("certificate_usable", "1 while the certificate can be used; 0 once it has ended or was revoked, until the gateway is enrolled with a new code.", "kind")
	descNotAfter   = desc("certificate_not_after_seconds", "When the gateway's certificate ends, in Unix time.", "kind")
	descRenewal    = desc("certificate_renewal_failures", "Attempts to renew the certificate that failed in a row.", "kind")
	descAck        = desc("uplink_acknowledged_sequence", "Last batch that the relay has.")
)

func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range described {
		ch <- d
	}
}

// sink takes metrics.
type sink chan<- prometheus.Metric

func (s sink) gauge(d *prometheus.Desc, v float64, labels ...string) {
	s <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func (s sink) count(d *prometheus.Desc, v uint64, labels ...string) {
	s <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
}

func (c collector) Collect(ch chan<- prometheus.Metric) {
	out, s := sink(ch), c.status()
	out.gauge(descInfo, 1, s.Version)
	out.gauge(descHealthy, one(s.Healthy))
	for _, b := range s.Buses {
		out.bus(b)
	}
	settled := uint64(0)
	for _, m := range s.Meters {
		if m.Derived != "" {
			continue // nobody asks it
		}
		out.device(m)
		for _, r := range m.Registers {
			settled += r.Settled
			out.point(m, r)
		}
	}
	out.count(descPeriods, settled)
	w := s.Store.Writing
	out.count(descCommits, w.Commits)
	out.count(descCommitFail, w.Failures)
	out.gauge(descWaiting, float64(w.Waiting))
	out.gauge(descResting, one(w.Resting))
	if s.Store.Usage != nil {
		out.gauge(descStoreBytes, float64(s.Store.Usage.FileBytes))
	}
	if k := s.Clock; k != nil {
		out.gauge(descClock, one(k.Trusted))
		out.gauge(descClockOff, k.Seconds)
		out.count(descClockSet, uint64(k.Steps))
	}
	if s.Uplink != nil {
		out.gauge(descEnrolled, one(s.Uplink.Status != nil))
	}
	if s.Uplink != nil && s.Uplink.Status != nil {
		out.gauge(descConnected, one(s.Uplink.Connected))
		out.gauge(descPending, float64(s.Uplink.Pending))
		out.gauge(descAck, float64(s.Uplink.Acknowledged))
		for _, c := range s.Uplink.Certificates {
			out.gauge(descUsable, one(c.State != "revoked" && c.State != "expired"), c.Kind)
			out.gauge(descNotAfter, float64(c.NotAfter.Unix()), c.Kind)
			out.gauge(descRenewal, float64(c.Failures), c.Kind)
		}
	}
}

func one(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
