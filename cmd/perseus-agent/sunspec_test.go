package main

import (
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/scan"
)

// sunSpecImage is an inverter and two meters in one SunSpec map.
func sunSpecImage() meterImage {
	text := func(s string, n int) []uint16 {
		out := make([]uint16, n)
		for i := range s {
			out[i/2] |= uint16(s[i]) << (8 * (1 - i%2))
		}
		return out
	}
	all := []uint16{0x5375, 0x6E53}
	model := func(id, length int, at map[int][]uint16) {
		m := make([]uint16, length+2)
		m[0], m[1] = uint16(id), uint16(length)
		for offset, words := range at {
			copy(m[offset:], words)
		}
		all = append(all, m...)
	}
	common := func(maker, name, serial string) {
		model(1, 66, map[int][]uint16{2: text(maker, 16), 18: text(name, 16), 42: text("1.2", 8), 50: text(serial, 16)})
	}
	common("Fronius", "Symo 8.2-3-M", "29160123")
	model(103, 50, map[int][]uint16{24: {0x0012, 0xD687}, 26: {0}})
	common("Fronius", "Smart Meter 63A", "15480456")
	model(203, 105, map[int][]uint16{38: {0, 5_000}, 46: {0x0001, 0x86A0}, 54: {1}})
	common("Fronius", "Smart Meter 50kA", "15480457")
	model(203, 105, map[int][]uint16{38: {0, 0}, 46: {0, 7_000}, 54: {2}})
	return meterImage{Holding: map[uint16][]uint16{40000: append(all, 0xFFFF, 0)}, Input: map[uint16][]uint16{}}
}

// A SunSpec device is found by what it says, the configuration that scan
// proposes reads all of it, and probe says what it found.
func TestSunSpecByScanAndProbe(t *testing.T) {
	for framer, scheme := range map[string]string{"socket": "tcp", "rtu": "rtuovertcp"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			units := map[uint8]meterImage{1: imageOf(t, "eastron-sdm630", 18_342_000, 6000), 2: sunSpecImage()}
			address := pymodbusBox(t, framer, units, nil)
			r, errs := scanned1(t, "--units", "1-2", "--timeout", "500ms", "tcp://"+address)
			if len(r.Data) != 4 || r.Data[0].Template != "eastron-sdm630" {
				t.Fatalf("%+v\n%s", r.Data, errs)
			}
			for i, want := range []scanned{
				{Template: "sunspec-meter", Serial: "15480456", Says: "Fronius Smart Meter 63A 1.2"}, {Template: "sunspec-meter", Serial: "15480457", Says: "Fronius Smart Meter 50kA 1.2"},
				{Template: "sunspec-inverter", Serial: "29160123", Says: "Fronius Symo 8.2-3-M 1.2"},
			} {
				got := r.Data[1+i]
				if got.Template != want.Template || got.Serial != want.Serial || got.Says != want.Says || got.Sure != scan.Certain || got.Unit != 2 {
					t.Errorf("%+v, want %+v", got, want)
				}
			}
			cfg := proposed(t, r)
			if len(cfg.Meters) != 4 || cfg.Meters[2].SunSpec == nil || cfg.Meters[2].SunSpec.Part != 2 || cfg.Meters[1].Serial != "15480456" || !strings.Contains(r.Configuration, "part: 2, serial: \"15480457\"") {
				t.Fatalf("%s", r.Configuration)
			}
			x := &clinic{t: t, now: time.Date(2026, 3, 3, 10, 0, 0, 0, time.UTC), run: func(time.Time) {}}
			rows, found := x.prober(0).all(t.Context(), cfg)
			got := map[string]string{}
			for _, row := range rows {
				got[row.Meter+" "+row.Measure.String()] = row.Value + row.Error
				if row.Meter != cfg.Meters[0].ID && row.Looks != "" && row.Value != "0" {
					t.Errorf("%+v", row)
				}
			}
			for key, want := range map[string]string{"import": "1000000", "export": "50000"} {
				if got[cfg.Meters[1].ID+" "+key] != want {
					t.Errorf("%v", got)
				}
			}
			if got[cfg.Meters[2].ID+" import"] != "700000" || got[cfg.Meters[2].ID+" export"] != "0" || got[cfg.Meters[3].ID+" generation"] != "1234567" {
				t.Errorf("%v", got)
			}
			says := ""
			for _, a := range found {
				says += a.Says + "\n"
				if a.Wrong {
					t.Errorf("%+v", a)
				}
			}
			if !strings.Contains(says, "SunSpec at 40000: Fronius Smart Meter 50kA 1.2 (serial number 15480457), models 1, 103, 1, 203, 1, 203; its energy is in model 203") {
				t.Errorf("%s", says)
			}
		})
	}
}
