package scan

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// A wire on which something answers that is no Modbus says so, once.
func TestNoiseIsNamed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				var p [64]byte
				for {
					if _, err := conn.Read(p[:]); err != nil {
						return
					}
					conn.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
				}
			}()
		}
	}()
	url := "rtuovertcp://" + l.Addr().String()
	found, err := Wire(t.Context(), url, Options{Units: []uint8{1, 2}, Timeout: 500 * time.Millisecond, Progress: func(string, ...any) {}})
	if err != nil || len(found.Meters) != 0 || len(found.Errors) != 1 || !strings.Contains(found.Errors[0], url+" that cannot be understood") {
		t.Errorf("%+v, %v", found, err)
	}
}

func TestProposedMeter(t *testing.T) {
	fit := func(name string, sure Sure) Candidate {
		return Candidate{Template: name, Sure: sure, Because: "so", score: 3}
	}
	gas := fit("maker-g", Certain)
	gas.lacks, gas.Measures = true, []energy.Measure{energy.Gas}
	both := fit("maker-b", Certain)
	both.lacks, both.Measures = true, []energy.Measure{energy.Import, energy.Export, energy.ReactiveImport}
	for _, c := range []struct {
		name     string
		fits     []Candidate
		want, no string
	}{
		{"certain", []Candidate{fit("maker-a", Certain)}, "  - {id: a-1, bus: b, unit: 3, template: maker-a}\n", "#"},
		{"likely", []Candidate{fit("maker-a", Likely)}, "# likely: so; compare with the meter itself\n", "same registers"},
		{"twins", []Candidate{fit("maker-a", Certain), fit("maker-z", Certain)}, "# the same registers: maker-z; take", "likely"},
		{"gas", []Candidate{gas}, "measures: [gas]", "#"},
		{"both", []Candidate{both}, "measures: [import, export]", "#"},
	} {
		var b strings.Builder
		writeMeter(&b, "b", Meter{Unit: 3, Fits: c.fits}, map[string]int{})
		if got := b.String(); !strings.Contains(got, c.want) || strings.Contains(got, c.no) {
			t.Errorf("%s: %q", c.name, got)
		}
	}
}
