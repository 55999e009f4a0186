package web

import (
	"net/http"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/perseus-edge/perseus-edge/agent"
	"github.com/perseus-edge/perseus-edge/energy"
)

// metrics serves the agent's figures in Prometheus form. They are worked out
// when somebody asks; polling a meter touches none of them.
func metrics(a *agent.Agent) http.Handler {
	r := prometheus.NewRegistry()
	// Not from package collectors, their new home: it would link database/sql
	// into the gateway.
	//lint:ignore SA1019 see above
	r.MustRegister(collector{a}, prometheus.NewGoCollector(), prometheus.NewProcessCollector(prometheus.ProcessCollectorOpts{}))
	h := promhttp.HandlerFor(r, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r)
		debug.FreeOSMemory() // a scrape of 1,000 meters takes more than all their polls: give it back, in milliseconds
	})
}

type collector struct{ agent *agent.Agent }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("perseus_"+name, help, labels, nil)
}

var (
	descInfo       = desc("agent_info", "The agent's version; always 1.", "version")
	descHealthy    = desc("agent_healthy", "1 while the buses live and readings can be stored.")
	descBusUp      = desc("bus_up", "1 while the bus can be used.", "bus")
	descBusPolls   = desc("polls_total", "Devices asked on the bus.", "bus")
	descBusErrors  = desc("poll_errors_total", "Registers or devices that could not be read, by kind.", "bus", "kind")
	descBusBusy    = desc("bus_busy_ratio", "Share of the time that the bus was asked, 0 to 1.", "bus")
	descMeterUp    = desc("meter_up", "1 while the meter answers.", "meter")
	descFailures   = desc("meter_failures", "Polls in a row that the meter did not answer; absent while it does.", "meter")
	descValue      = desc("register_base_units", "What the register shows, in Wh, varh or litres.", "meter", "measure", "unit")
	descAnsweredAt = desc("meter_answer_timestamp_seconds", "When the meter last answered.", "meter")
	descHalfHours  = desc("half_hours_total", "Half-hours settled since the start, of all registers.")
	descEvents     = desc("register_events_total", "What was noticed about the register since the start, by kind; its opening apart.", "meter", "measure", "kind")
	descCommits    = desc("store_commits_total", "Rounds stored since the start.")
	descCommitFail = desc("store_commit_failures_total", "Rounds that could not be stored at the first attempt or again.")
	descWaiting    = desc("store_waiting_half_hours", "Half-hours in memory that are not stored yet.")
	descResting    = desc("store_resting", "1 while registers rest because nothing can be stored.")
	descStoreBytes = desc("store_bytes", "Size of the store's file.")
	descClock      = desc("clock_trusted", "1 while the clock that dates readings can be relied upon; absent where it is taken as it is.")
	descClockOff   = desc("clock_offset_seconds", "The machine's clock less the one that dates readings.")
	descClockSet   = desc("clock_steps_total", "How often the machine's clock was set since the start, and followed.")
	descConnected  = desc("uplink_connected", "1 while the relay answers.")
	descPending    = desc("uplink_pending_half_hours", "Half-hours that may leave and wait.")
	descAck        = desc("uplink_acknowledged_sequence", "Last batch that the relay has.")
)

func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		descInfo, descHealthy, descBusUp, descBusPolls, descBusErrors, descBusBusy, descMeterUp, descFailures, descValue, descAnsweredAt,
		descHalfHours, descEvents, descCommits, descCommitFail, descWaiting, descResting, descStoreBytes, descClock, descClockOff, descClockSet, descConnected, descPending, descAck,
	} {
		ch <- d
	}
}

func (c collector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	count := func(d *prometheus.Desc, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	s := c.agent.Status()
	gauge(descInfo, 1, s.Version)
	gauge(descHealthy, one(s.Healthy))
	for _, b := range s.Buses {
		gauge(descBusUp, one(b.State == "ok"), b.ID)
		count(descBusPolls, b.Polls, b.ID)
		gauge(descBusBusy, b.Busy, b.ID)
		for k, n := range b.Errors {
			count(descBusErrors, n, b.ID, string(k))
		}
	}
	settled := uint64(0)
	for _, m := range s.Meters {
		if m.Derived != "" {
			continue // nobody asks it
		}
		gauge(descMeterUp, one(m.State == "ok" || m.State == "partly"), m.ID)
		if m.Failures > 0 {
			gauge(descFailures, float64(m.Failures), m.ID)
		}
		if !m.Answered.IsZero() {
			gauge(descAnsweredAt, float64(m.Answered.UnixMilli())/1000, m.ID)
		}
		for _, r := range m.Registers {
			measure := r.Measure.String()
			settled += r.Settled
			for k, n := range r.Events {
				if k == energy.Opened.String() {
					continue // every register has one: nothing to watch
				}
				count(descEvents, n, m.ID, measure, k)
			}
			if r.Base >= 0 {
				gauge(descValue, float64(r.Base), m.ID, measure, r.Measure.BaseUnit())
			}
		}
	}
	count(descHalfHours, settled)
	w := s.Store.Writing
	count(descCommits, w.Commits)
	count(descCommitFail, w.Failures)
	gauge(descWaiting, float64(w.Waiting))
	gauge(descResting, one(w.Resting))
	if s.Store.Usage != nil {
		gauge(descStoreBytes, float64(s.Store.Usage.FileBytes))
	}
	if k := s.Clock; k != nil {
		gauge(descClock, one(k.Trusted))
		gauge(descClockOff, k.Seconds)
		count(descClockSet, uint64(k.Steps))
	}
	if s.Uplink != nil && s.Uplink.Status != nil {
		gauge(descConnected, one(s.Uplink.Connected))
		gauge(descPending, float64(s.Uplink.Pending))
		gauge(descAck, float64(s.Uplink.Acknowledged))
	}
}

func one(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
