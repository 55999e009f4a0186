package modbus

import (
	"errors"
	"strings"
	"testing"
	"time"

	wire "github.com/simonvetter/modbus"

	"github.com/perseus-edge/perseus-edge/drivers"
)

func TestParseIdentification(t *testing.T) {
	// The example of the specification: application protocol 1.1b3, section 6.21.
	const example = "0E 01 01 00 00 03" +
		"00 16 436F6D70616E79206964656E74696669636174696F6E" +
		"01 0F 50726F6475637420636F6465205858" + "02 05 56322E3131"
	for _, c := range []struct {
		name, data string
		want       Identification
		page       page
		err        error
	}{
		{"three objects, the last page", "0E 01 81 00 00 03 00 04 41636D65 01 02 5831 02 03 312E30", Identification{Vendor: "Acme", Product: "X1", Revision: "1.0"}, page{1, 0, true}, nil},
		{"more follows", "0E 01 02 FF 02 01 00 01 41", Identification{Vendor: "A"}, page{2, 2, false}, nil},
		{"an object of the maker's own", "0E 01 03 00 00 01 80 01 41", Identification{}, page{3, 0, true}, nil},
		{"padding and what nobody can read", "0E 01 01 00 00 01 00 06 00 20 41 FF 42 20", Identification{Vendor: "AB"}, page{1, 0, true}, nil},
		{"nothing", "0E 01 01 00 00 00", Identification{}, page{1, 0, true}, nil},
		{"cut in its head", "0E 01 01 00 00", Identification{}, page{}, errIdentification},
		{"cut in an object", "0E 01 01 00 00 01 00 02 41", Identification{}, page{}, errIdentification},
		{"cut before an object", "0E 01 01 00 00 01 00", Identification{}, page{}, errIdentification},
		{"more than it says", "0E 01 01 00 00 01 00 01 41 42", Identification{Vendor: "A"}, page{}, errIdentification},
		{"another category", "0E 02 01 00 00 00", Identification{}, page{}, errIdentification},
		{"another kind", "0D 01 01 00 00 00", Identification{}, page{}, errIdentification},
		{"the specification's example", example, Identification{Vendor: "Company identification", Product: "Product code XX", Revision: "V2.11"}, page{1, 0, true}, nil},
	} {
		var id Identification
		p, err := parseIdentification(unhex(t, c.data), basic, &id)
		if !errors.Is(err, c.err) || p != c.page || err == nil && id != c.want {
			t.Errorf("%s: %+v, %+v, %v", c.name, id, p, err)
		}
	}
}

func TestIdentificationOnAWire(t *testing.T) {
	pages := map[byte][]byte{ // by the object asked from
		0: {0x0E, 1, 0x82, 0xFF, 1, 1, 0, 4, 'A', 'c', 'm', 'e'},
		1: {0x0E, 1, 0x82, 0, 0, 2, 1, 2, 'X', '1', 2, 3, '1', '.', '0'},
		3: {0x0E, 2, 0x82, 0, 0, 1, 4, 5, 'M', 'e', 't', 'e', 'r'},
	}
	r := &reply{t: t, make: func(q []byte) []string {
		data := pages[q[10]]
		return []string{"ID 0000 " + hexOf([]byte{0, byte(2 + len(data)), q[6], q[7]}) + hexOf(data)}
	}}
	b, err := New(Config{URL: "tcp://h", Devices: []Device{{Meter: "m", Unit: 7, Points: []Point{pt(4)}}}})
	if err != nil {
		t.Fatal(err)
	}
	b.client.(*mbapClient).dial = func() (link, error) { return r, nil }
	id, err := b.Identification(t.Context(), 0)
	if err != nil || id.String() != "Acme Meter 1.0" || id.Product != "X1" {
		t.Errorf("%+v, %v", id, err)
	}
	pages[1] = pages[0] // it sends the same page for ever
	if _, err := b.Identification(t.Context(), 0); err != nil {
		t.Errorf("a device that goes round: %v", err)
	}
	r.make = func(q []byte) []string { return []string{"ID 0000 0003 07 AB 01"} }
	var de *drivers.Error
	if _, err := b.Identification(t.Context(), 0); !errors.Is(err, wire.ErrIllegalFunction) || !errors.As(err, &de) || de.Kind != drivers.Exception || !b.open {
		t.Errorf("a device that does not know the question: %v", err)
	}
	r.make = func(q []byte) []string { return nil }
	if _, err := b.Identification(t.Context(), 0); !errors.As(err, &de) || de.Kind != drivers.Timeout || b.open {
		t.Errorf("a device that says nothing: %v", err)
	}
}

// A meter that falls silent at 2B/0E is one that has not answered.
func TestSilenceAtIdentification(t *testing.T) {
	script(t, wired(slow, pt(0x10)), func(s *scripted) {
		s.ok(0, x10)
		s.on(func(_ int, q []byte) []emission {
			if q[1] == encapsulated {
				return nil
			}
			return after(20*time.Millisecond, plain(q))
		})
		if _, err := s.Identification(s.Context(), 0); err == nil || !strings.Contains(err.Error(), "timed out") {
			s.Error(err)
		}
		if !s.rtu.trust().suspect || !s.open {
			s.Error("its answer may be on its way; the port is there")
		}
	})
}

func FuzzIdentification(f *testing.F) {
	f.Add([]byte{0x0E, 1, 0x81, 0, 0, 1, 0, 2, 'A', 'B'})
	f.Fuzz(func(t *testing.T, data []byte) {
		var id Identification
		if _, err := parseIdentification(data, basic, &id); err != nil {
			return
		}
		for _, s := range []string{id.Vendor, id.Product, id.Revision, id.URL, id.Name, id.Model, id.Application, id.String()} {
			if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Fatalf("%q of %x", s, data)
			}
		}
	})
}
