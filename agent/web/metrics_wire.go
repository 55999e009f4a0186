package web

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/perseus-edge/perseus-edge/agent"
	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
)

var (
	descBusUp       = desc("bus_up", "1 while the bus can be used.", "bus")
	descBusSince    = desc("bus_since_timestamp_seconds", "Since when the bus can be used, or cannot.", "bus")
	descBusDown     = desc("bus_down", "1 while the bus cannot be used, with the kind of the reason; absent while it can.", "bus", "kind")
	descBusPolls    = desc("bus_polls_total", "Devices asked on the bus, or messages taken from it.", "bus")
	descBusErrors   = desc("bus_errors_total", "Points or devices that could not be read, by kind.", "bus", "kind")
	descBusBusy     = desc("bus_busy_ratio", "Share of the time that the bus was asked, 0 to 1.", "bus")
	descBusUsing    = desc("bus_using_info", "The address that is used now, of a bus that has several; absent while none is.", "bus", "url")
	descBusConnects = desc("bus_connects_total", "Connections made, or ports opened.", "bus")
	descBusRequests = desc("bus_requests_total", "Questions put on the bus, or messages heard.", "bus")
	descBusIn       = desc("bus_received_bytes_total", "Bytes of frames, payloads and bodies that came, without what carries them.", "bus")
	descBusOut      = desc("bus_sent_bytes_total", "Bytes of frames, payloads and bodies that were sent, without what carries them.", "bus")

	descExceptions = desc("bus_modbus_exceptions_total", "Modbus: questions that a device refused.", "bus")
	descLate       = desc("bus_modbus_late_frames_total", "Modbus: frames and stray bytes thrown away since they answered nothing that was asked.", "bus")
	descSplits     = desc("bus_modbus_splits_total", "Modbus: merged reads that a device refused, so that they are done in parts since.", "bus")
	descQuarantine = desc("bus_modbus_quarantine_seconds_total", "Modbus: time waited for silence after connecting and after a failure.", "bus")

	descUnread     = desc("bus_messages_unread_total", "MQTT: messages that could not be understood.", "bus")
	descDuplicates = desc("bus_messages_duplicates_total", "MQTT: values that came again.", "bus")
	descGaps       = desc("bus_messages_gaps_total", "Sparkplug: runs of messages that were lost on the way.", "bus")
	descRebirths   = desc("bus_messages_rebirths_total", "Sparkplug: births that edge nodes were asked for.", "bus")

	descFetched = desc("bus_feed_fetched_timestamp_seconds", "Feeds: when the web API or drop folder last gave something.", "bus")
	descAnswers = desc("bus_feed_http_answers_total", "Feeds: answers of the web API by status, 2xx 3xx 401 403 404 4xx 429 5xx or none.", "bus", "status")
	descFiles   = desc("bus_feed_files_total", "Feeds: files of the drop folder, by what became of them: done or bad.", "bus", "outcome")
)

var (
	descDeviceUp       = desc("device_up", "1 while the meter is read.", "bus", "meter")
	descDeviceSince    = desc("device_since_timestamp_seconds", "Since when the meter is in its state.", "bus", "meter")
	descDeviceDown     = desc("device_down", "1 while the meter is not read, with the kind of the reason; absent while it is.", "bus", "meter", "kind")
	descDeviceFailures = desc("device_failures", "Polls in a row that gave nothing; absent while the meter is read.", "bus", "meter")
	descDeviceAnswered = desc("device_answer_timestamp_seconds", "When the meter was last read.", "bus", "meter")
	descDeviceLatency  = desc("device_latency_seconds", "From the question to the whole answer, the slowest of a poll; quantiles are of the last 60. Of a device that speaks by itself, the age of a reading when it comes.", "bus", "meter")
	descDeviceRequests = desc("device_requests_total", "Questions put to the meter, or messages heard of it.", "bus", "meter")
	descDeviceIn       = desc("device_received_bytes_total", "Bytes of frames, payloads and bodies that came from the meter.", "bus", "meter")
	descDeviceOut      = desc("device_sent_bytes_total", "Bytes of frames, payloads and bodies that went to the meter.", "bus", "meter")
	descDeviceErrors   = desc("device_errors_total", "Questions and values that came to nothing, by kind.", "bus", "meter", "kind")
	descDeviceAlarm    = desc("device_alarm", "1 while the meter says so itself, with the operator's words; absent while it is not known.", "bus", "meter", "alarm", "severity")
)

var (
	descPointUp     = desc("point_up", "1 while the last poll gave a value of it.", "bus", "meter", "measure")
	descPointValue  = desc("point_value", "The last good value, in the unit of its label.", "bus", "meter", "measure", "unit")
	descPointAt     = desc("point_timestamp_seconds", "When the last good value was taken.", "bus", "meter", "measure")
	descPointNewest = desc("point_period_timestamp_seconds", "Start of the newest half-hour settled since the agent's start.", "bus", "meter", "measure")
	descPointEvents = desc("point_events_total", "What was noticed about the register since the start, by kind; its opening apart.", "bus", "meter", "measure", "kind")
)

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

func (out sink) bus(b agent.BusStatus) {
	out.gauge(descBusUp, one(b.State == "ok"), b.ID)
	out.gauge(descBusSince, seconds(b.Since), b.ID)
	if b.Down != nil {
		out.gauge(descBusDown, 1, b.ID, string(b.Down.Kind))
	}
	out.count(descBusPolls, b.Polls, b.ID)
	out.gauge(descBusBusy, b.Busy, b.ID)
	for _, k := range drivers.Kinds() { // those that have not been too: so that the first is seen as a rise
		out.count(descBusErrors, b.Errors[k], b.ID, string(k))
	}
	w := b.Wire
	if w == nil {
		return
	}
	out.count(descBusConnects, w.Connects, b.ID)
	out.count(descBusRequests, w.Requests, b.ID)
	out.count(descBusIn, w.BytesIn, b.ID)
	out.count(descBusOut, w.BytesOut, b.ID)
	if w.Using != "" {
		out.gauge(descBusUsing, 1, b.ID, w.Using)
	}
	if m := w.Modbus; m != nil {
		out.count(descExceptions, m.Exceptions, b.ID)
		out.count(descLate, m.Late, b.ID)
		out.count(descSplits, m.Splits, b.ID)
		out <- prometheus.MustNewConstMetric(descQuarantine, prometheus.CounterValue, m.QuarantineSeconds, b.ID)
	}
	if m := w.Messages; m != nil {
		out.count(descUnread, m.Unread, b.ID)
		out.count(descDuplicates, m.Duplicates, b.ID)
		out.count(descGaps, m.Gaps, b.ID)
		out.count(descRebirths, m.Rebirths, b.ID)
	}
	if f := w.Feed; f != nil {
		if !f.Fetched.IsZero() {
			out.gauge(descFetched, seconds(f.Fetched), b.ID)
		}
		for status, n := range f.Statuses {
			out.count(descAnswers, n, b.ID, status)
		}
		if f.FilesDone+f.FilesBad > 0 {
			out.count(descFiles, f.FilesDone, b.ID, "done")
			out.count(descFiles, f.FilesBad, b.ID, "bad")
		}
	}
}

func (out sink) device(m agent.MeterStatus) {
	out.gauge(descDeviceUp, one(m.State == "ok" || m.State == "partly"), m.Bus, m.ID)
	out.gauge(descDeviceSince, seconds(m.Since), m.Bus, m.ID)
	if m.Down != nil {
		out.gauge(descDeviceDown, 1, m.Bus, m.ID, string(m.Down.Kind))
	}
	if m.Failures > 0 {
		out.gauge(descDeviceFailures, float64(m.Failures), m.Bus, m.ID)
	}
	if !m.Answered.IsZero() {
		out.gauge(descDeviceAnswered, seconds(m.Answered), m.Bus, m.ID)
	}
	if l := m.Latency; l != nil {
		q := map[float64]float64{0.5: l.Median / 1000, 0.95: l.P95 / 1000, 1: l.Slowest / 1000}
		out <- prometheus.MustNewConstSummary(descDeviceLatency, l.Counted, l.Sum.Seconds(), q, m.Bus, m.ID)
	}
	if t := m.Traffic; t != nil {
		out.count(descDeviceRequests, t.Requests, m.Bus, m.ID)
		out.count(descDeviceIn, t.BytesIn, m.Bus, m.ID)
		out.count(descDeviceOut, t.BytesOut, m.Bus, m.ID)
	}
	for _, k := range drivers.Kinds() {
		out.count(descDeviceErrors, m.Errors[k], m.Bus, m.ID, string(k))
	}
	for _, a := range m.Alarms {
		if a.State != "unknown" {
			out.gauge(descDeviceAlarm, one(a.State == "on"), m.Bus, m.ID, a.Means, a.Severity)
		}
	}
}

func (out sink) point(m agent.MeterStatus, r agent.RegisterStatus) {
	measure := r.Measure.String()
	for k, n := range r.Events {
		if k == energy.Opened.String() {
			continue // every register has one: nothing to watch
		}
		out.count(descPointEvents, n, m.Bus, m.ID, measure, k)
	}
	out.gauge(descPointUp, one(r.Error == "" && !r.At.IsZero()), m.Bus, m.ID, measure)
	if !r.Newest.IsZero() {
		out.gauge(descPointNewest, seconds(r.Newest), m.Bus, m.ID, measure)
	}
	if r.At.IsZero() {
		return
	}
	out.gauge(descPointAt, seconds(r.At), m.Bus, m.ID, measure)
	if r.Base >= 0 {
		out.gauge(descPointValue, float64(r.Base), m.Bus, m.ID, measure, r.Measure.BaseUnit())
	} else if watts, err := strconv.ParseInt(r.Value, 10, 64); err == nil { // a power
		unit := "W"
		if r.Measure.BaseUnit() == "varh" {
			unit = "var"
		}
		out.gauge(descPointValue, float64(watts), m.Bus, m.ID, measure, unit)
	}
}
