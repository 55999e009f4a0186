package main

import (
	"encoding/csv"
	"encoding/json"
	"strings"
	"testing"
)

func TestTemplatesFitATerminal(t *testing.T) {
	code, out, errs := cli(t, "templates")
	if code != done || errs != "" {
		t.Fatalf("exit %d: %s", code, errs)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) < 61 {
		t.Errorf("%d lines", len(lines))
	}
	for _, l := range lines {
		if len(l) > 130 {
			t.Errorf("%d characters: %s", len(l), l)
		}
	}
	for _, want := range []string{
		"abb-b23                ABB B23                                    3       65 A     import export reactive         document",
		"schneider-iem3255      Schneider Electric iEM3255                 3       ct       import export reactive         device-image",
		"moxa-iologik-e1214     Moxa ioLogik E1214                         -       -        6 pulse inputs                 document",
	} {
		if !strings.Contains(out, want+"\n") {
			t.Errorf("no line %q in\n%s", want, out)
		}
	}
}

func TestTemplatesSearch(t *testing.T) {
	for words, want := range map[string]string{
		"gavazzi 340":  "carlo-gavazzi-em340 carlo-gavazzi-et340",
		"IEM 3155":     "schneider-iem3155",
		"pulse inputs": "moxa-iologik-e1210 moxa-iologik-e1213 moxa-iologik-e1214 saia-pcd7-h104d wiren-board-wb-mcm16 wiren-board-wb-mcm8",
	} {
		code, out, errs := cli(t, "templates", "--search", words, "--format", "csv")
		rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
		if err != nil || code != done {
			t.Fatalf("exit %d, %v: %s", code, err, errs)
		}
		var got []string
		for _, r := range rows[1:] {
			got = append(got, r[0])
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%s: %s", words, s)
		}
	}
	for want, args := range map[string][]string{
		`templates has "flow computer": try the maker`: {"templates", "--search", "flow computer"},
		"give a name or --search, not both":            {"templates", "--search", "x", "abb-b23"},
	} {
		if code, _, errs := cli(t, args...); code != usage || !strings.Contains(errs, want) {
			t.Errorf("%v: exit %d: %s", args, code, errs)
		}
	}
}

func TestATemplateSaysWhereItComesFrom(t *testing.T) {
	for name, wants := range map[string][]string{
		"abb-a43": {
			"Connection: three phases; what it carries is on its label: give rating, or ct\n",
			"Checked: against the manufacturer's register table, not yet against a device\n",
			"  document: ABB A43/A44 user manual 2CMC484001M0201, revision C, 2018-09-26, page 108,",
			"import           0x5000   holding  uint64  ABCDEFGH  kWh    0.01   2\n",
			"reactive-import  0x500c   holding  uint64  ABCDEFGH  kvarh  0.01   1\n",
		},
		"schneider-iem3255":  {"Connection: three phases, current transformers, whose ratio is set in the meter\n", "Checked: against registers that somebody read from a device and published\n"},
		"eastron-sdm630-mct": {"Connection: three phases, current transformers\n"},
		"eastron-sdm120":     {"Connection: one phase, direct, up to 45 A\n"},
		"chint-ddsu666":      {"Checked: against the tables of other readers of this meter, not yet against a device\n"},
		"saia-pcd7-h104d":    {"Connection: 4 pulse inputs, each for a meter: give input and pulse", "input 1        0x001b   holding  uint32  ABCD   pulse  -      1\ninput 4        0x0021   holding"},
	} {
		code, out, _ := cli(t, "templates", name)
		for _, want := range wants {
			if code != done || !strings.Contains(out, want) {
				t.Errorf("%s: exit %d: no %q in\n%s", name, code, want, out)
			}
		}
	}
	var got struct {
		Data []struct {
			Maker   string
			Inputs  int
			Counter struct{ Address int }
			Sources []struct{ Document, Reader, Page string }
		}
	}
	_, out, _ := cli(t, "templates", "--format", "json", "moxa-iologik-e1214")
	if err := json.Unmarshal([]byte(out), &got); err != nil || got.Data[0].Maker != "Moxa" || got.Data[0].Inputs != 6 || got.Data[0].Counter.Address != 16 || got.Data[0].Sources[0].Page != "95" {
		t.Errorf("%v: %s", err, out)
	}
}
