package main

import (
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/drivers/modbus"
	"github.com/perseus-edge/perseus-edge/energy"
)

func TestSuspicious(t *testing.T) {
	r := config.Register{Point: modbus.Point{Measure: energy.Import, Type: "float32", Unit: "kWh"}, MaxPower: 70_000}
	for _, c := range []struct {
		raw  uint64
		v    int64
		want string
	}{
		{0x468F4C41, 18_342_127, ""},
		{0, 0, "zero: is the meter new?"},
		{0x00004148, 0, "is order ABCD right?"},
		{1, 70_000*24*365*30 + 1, "more than such a meter counts"},
	} {
		if got := suspicious(r, c.raw, c.v); (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%#x, %d: %q, want %q", c.raw, c.v, got, c.want)
		}
	}
}
