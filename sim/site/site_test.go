package site

import (
	"testing"

	"github.com/perseus-edge/perseus-edge/agent/config"
)

func TestPartsMakeASoundConfiguration(t *testing.T) {
	var p Parts
	for _, s := range []string{"eastron-sdm630@1", "schneider-iem3155", "rtu:abb-b23@7", "udp:carlo-gavazzi-em24-e1", "rtuovertcp:moxa-iologik-e1210"} {
		if err := p.Meter(s); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.MQTT("all"); err != nil {
		t.Fatal(err)
	}
	if err := p.DCC("all"); err != nil {
		t.Fatal(err)
	}
	if _, err := config.Parse("x", p.YAML()); err != nil {
		t.Fatalf("%v\n%s", err, p.YAML())
	}
	s, err := New(Options{Text: p.YAML(), Dir: t.TempDir(), PortBase: 18500})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Write(); err != nil {
		t.Fatal(err)
	}
}
