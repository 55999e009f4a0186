package agent

import (
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/drivers"
)

func TestWireWords(t *testing.T) {
	modbus := drivers.Wire{Traffic: drivers.Traffic{Requests: 1200, BytesIn: 24_000, BytesOut: 14_400}, Connects: 1, Modbus: &drivers.ModbusCounts{Exceptions: 1, Late: 2, Splits: 1, QuarantineSeconds: 4.56}}
	for _, c := range []struct {
		name string
		b    BusStatus
		want string
	}{
		{"nothing counted", BusStatus{}, ""},
		{"nothing happened", BusStatus{Wire: &drivers.Wire{Modbus: &drivers.ModbusCounts{}}}, ""},
		{"modbus", BusStatus{Wire: &modbus}, "1 connection made; 1200 questions; 24.0 kB in; 14.4 kB out; 1 question refused; 2 late or foreign frames thrown away; 1 merged read refused, in parts since; 4.6 s waited for silence (after connecting, after failures)"},
		{"mqtt", BusStatus{Heard: true, Wire: &drivers.Wire{Traffic: drivers.Traffic{Requests: 1, BytesIn: 999}, Using: "mqtt://b:1883", Connects: 2, Messages: &drivers.MessageCounts{Unread: 1, Duplicates: 2, Gaps: 1, Rebirths: 3}}},
			"connected to mqtt://b:1883; 2 connections made; 1 message; 999 B in; 0 B out; 1 message not understood; 2 values that came again; 1 gap in the sequence; 3 births asked for"},
		{"a web API", BusStatus{Heard: true, Wire: &drivers.Wire{Traffic: drivers.Traffic{Requests: 7, BytesIn: 1_500_000}, Feed: &drivers.FeedCounts{Fetched: time.Date(2026, 11, 22, 13, 0, 0, 0, time.UTC), Statuses: map[string]uint64{"2xx": 5, "429": 1, "none": 1}}}},
			"7 requests; 1.5 MB in; 0 B out; 1 answer 429; 1 request without answer; last fetched 2026-11-22 13:00:00 UTC"},
		{"a drop folder", BusStatus{Heard: true, Wire: &drivers.Wire{Traffic: drivers.Traffic{Requests: 2, BytesIn: 3_000_000_000}, Feed: &drivers.FeedCounts{FilesDone: 2, FilesBad: 1}}}, "2 files; 3.0 GB in; 0 B out; 1 file no good (see its .reason)"},
	} {
		if got := strings.Join(WireWords(c.b), "; "); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	if got := ErrorWords(map[drivers.Kind]uint64{drivers.Sentinel: 1, drivers.Timeout: 12}); got != "timeout 12, sentinel 1" {
		t.Errorf("%q", got)
	}
	if got := ErrorWords(nil); got != "" {
		t.Errorf("%q", got)
	}
}
