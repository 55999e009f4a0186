package config

import (
	"strings"
	"testing"
)

// site is three real meters and what follows them: lines 1 to 6.
const siteOf3 = head + `meters:
  - {id: main, bus: b, unit: 1, template: eastron-sdm630}
  - {id: shop, bus: b, unit: 2, template: eastron-sdm630, measures: [import]}
  - {id: gas, bus: b, unit: 3, registers: {gas: {address: 1, type: uint32, unit: m3}}}
`

var virtualMistakes = []struct {
	name, file string
	want       []string
}{
	{"keys of real meters", siteOf3 + `  - id: v
    bus: b
    unit: 4
    template: eastron-sdm630
    registers: {}
    poll: 10s
    ct: "200/5"
    vt: "11000/110"
    primary: true
    rating: {amps: 1}
    serial: "1"
    serial_register: {}
    corrected: true
    check_meter: main
    exchanges: []
    max_gap: 5m
    substitute: [linear]
    substitute_after: 1d
    virtual: {sum: [main, shop]}
`, []string{
		`f.yaml:8:10: meter v: a virtual meter is on no bus and has no bus: leave it out`,
		`f.yaml:9:11: meter v: a virtual meter is on no bus and has no unit: leave it out`,
		`f.yaml:10:15: meter v: a virtual meter is on no bus and has no template: leave it out`,
		`f.yaml:11:16: meter v: a virtual meter is on no bus and has no registers: leave it out`,
		`f.yaml:12:11: meter v: a virtual meter is on no bus and has no poll: leave it out`,
		`f.yaml:13:9: meter v: a virtual meter is on no bus and has no ct: leave it out`,
		`f.yaml:14:9: meter v: a virtual meter is on no bus and has no vt: leave it out`,
		`f.yaml:15:14: meter v: a virtual meter is on no bus and has no primary: leave it out`,
		`f.yaml:16:13: meter v: a virtual meter is on no bus and has no rating: leave it out`,
		`f.yaml:17:13: meter v: a virtual meter is on no bus and has no serial: leave it out`,
		`f.yaml:18:22: meter v: a virtual meter is on no bus and has no serial_register: leave it out`,
		`f.yaml:19:16: meter v: a virtual meter is on no bus and has no corrected: leave it out`,
		`f.yaml:20:18: meter v: a virtual meter is on no bus and has no check_meter: leave it out`,
		`f.yaml:21:16: meter v: a virtual meter is on no bus and has no exchanges: leave it out`,
		`f.yaml:22:14: meter v: a virtual meter is on no bus and has no max_gap: leave it out`,
		`f.yaml:23:17: meter v: substitute: what is missing of a virtual meter is filled by its inputs: put it there`,
		`f.yaml:24:23: meter v: substitute_after: what is missing of a virtual meter is filled by its inputs: put it there`}},
	{"neither, and both", siteOf3 + `  - {id: a, virtual: {}}
  - {id: b, virtual: {of: main}}
  - {id: c, virtual: {sum: [main], minus: [shop]}}
  - {id: d, virtual: {sum: [main], of: shop}}
  - {id: e, virtual: {minus: [shop]}}
  - {id: f, virtual: main}
  - {id: g, virtual: {sum: [main], shar: 0.5}}
`, []string{
		`f.yaml:7:22: meter a: a virtual meter is one of {sum: [a, b]}, {of: main, minus: [a, b]} and {of: main, share: 0.35, method: AreaOccupied}`,
		`f.yaml:8:22: meter b: a virtual meter is one of {sum: [a, b]}, {of: main, minus: [a, b]} and {of: main, share: 0.35, method: AreaOccupied}`,
		`f.yaml:9:22: meter c: a virtual meter is one of {sum: [a, b]}, {of: main, minus: [a, b]} and {of: main, share: 0.35, method: AreaOccupied}`,
		`f.yaml:10:40: meter d: of belongs to a difference or a share: a sum has only sum`,
		`f.yaml:11:22: meter e: of is missing: name the meter that it is a part of`,
		`f.yaml:12:22: meter f: virtual must be keys and values (key: value), not "main"`,
		`f.yaml:13:22: meter g: method is missing: say on what ground the meter is shared: AreaOccupied, NumberOfOccupants, AdditionalMetering or Other`,
		`f.yaml:13:36: unknown key "shar" in meter g: virtual: did you mean "share"?`}},
	{"lists", siteOf3 + `  - {id: a, virtual: {sum: []}}
  - {id: b, virtual: {sum: main}}
  - {id: c, virtual: {of: main, minus: [shop, shop]}}
`, []string{
		`f.yaml:7:28: meter a: sum is empty: name at least one meter`,
		`f.yaml:8:28: meter b: sum must be a list (lines that begin with -, or [a, b]), not "main"`,
		`f.yaml:8:28: meter b: sum is empty: name at least one meter`,
		`f.yaml:9:47: meter c: minus: shop is there twice, and would be counted twice`}},
	{"shares", siteOf3 + `  - {id: a, virtual: {of: main, share: 0.35}}
  - {id: b, virtual: {of: main, share: 1.01, method: Area}}
  - {id: c, virtual: {of: main, share: 0.1, shares: [], method: Other}}
  - {id: d, virtual: {of: main, shares: [], method: Other}}
  - {id: e, virtual: {of: main, method: Other, shares: [{from: 2026-01-32, share: 0.1}, {from: 2026-02-01, share: x}, {from: 2026-02-01, share: 0.1}, {share: 0.1}, {from: 2026-02-01}]}}
  - {id: f, virtual: {of: main, minus: [shop], method: Other}}
`, []string{
		`f.yaml:7:22: meter a: method is missing: say on what ground the meter is shared: AreaOccupied, NumberOfOccupants, AdditionalMetering or Other`,
		`f.yaml:8:40: meter b: share "1.01": it is more than the whole`,
		`f.yaml:8:54: meter b: method: unknown "Area": use AreaOccupied, NumberOfOccupants, AdditionalMetering or Other`,
		`f.yaml:9:53: meter c: give share or shares, not both`,
		`f.yaml:10:41: meter d: shares is empty: write [{from: 2026-01-01, share: 0.35}]`,
		`f.yaml:11:64: meter e: from "2026-01-32" is not a day: write it as 2026-01-31`,
		`f.yaml:11:115: meter e: share "x": write it as 0.35, 35% or 7/20`,
		`f.yaml:11:126: meter e: shares must stand in the order of their days, each with a from of its own`,
		`f.yaml:11:159: meter e: shares must stand in the order of their days, each with a from of its own`,
		`f.yaml:11:165: meter e: share is missing: write {from: 2026-01-01, share: 0.35}`,
		`f.yaml:12:56: meter f: method is the ground of a share: leave it out`}},
	{"tolerance", siteOf3 + `  - {id: a, virtual: {of: main, minus: [shop], tolerance: x}}
  - {id: b, virtual: {of: main, minus: [shop], tolerance: 100.1%}}
  - {id: c, virtual: {of: main, minus: [shop], tolerance: 0.05}}
  - {id: d, virtual: {sum: [main, shop], tolerance: 3}}
`, []string{
		`f.yaml:7:59: meter a: tolerance "x": write it in per cent, such as 3%`,
		`f.yaml:8:59: meter b: tolerance "100.1%" is out of range: 0.1% to 100%, in steps of 0.1`,
		`f.yaml:9:59: meter c: tolerance "0.05" is out of range: 0.1% to 100%, in steps of 0.1`,
		`f.yaml:10:53: meter d: tolerance belongs to a difference: leave it out`}},
	{"unknown meters", siteOf3 + `  - {id: a, virtual: {sum: [mian, shop]}}
  - {id: b, virtual: {of: b, minus: [shop]}}
`, []string{
		`f.yaml:7:22: meter a: unknown meter "mian": did you mean "main"?`,
		`f.yaml:8:22: meter b: it cannot be made of itself`}},
	{"in a circle", siteOf3 + `  - {id: a, virtual: {sum: [b, main]}}
  - {id: b, virtual: {sum: [c, main]}}
  - {id: c, virtual: {sum: [a, main]}}
  - {id: d, virtual: {sum: [shop, main]}}
`, []string{
		`f.yaml:9:22: meter a is made of itself: a -> b -> c -> a`}},
	{"more than the whole", siteOf3 + `  - {id: a, virtual: {of: main, share: 0.6, method: Other}}
  - {id: b, virtual: {of: main, share: 0.4, method: Other}}
  - {id: c, virtual: {of: main, share: 0.1, method: Other}}
`, []string{
		`f.yaml:9:22: the shares of main add up to more than 1 from the beginning on: a 3/5, b 2/5, c 1/10`}},
	{"nothing in common", siteOf3 + `  - {id: a, virtual: {sum: [main, gas]}}
  - {id: b, measures: [export], virtual: {sum: [main, shop]}}
`, []string{
		`f.yaml:7:22: meter a: main and gas measure nothing that they have in common`,
		`f.yaml:8:24: meter b: measures: unknown "export": did you mean "import"?`}},
	{"check meters", siteOf3 + `  - {id: v, virtual: {sum: [main]}}
  - {id: w, virtual: {sum: [v]}}
  - {id: a, bus: b, unit: 5, template: eastron-sdm630, check_meter: a}
  - {id: b, bus: b, unit: 6, template: eastron-sdm630, check_meter: gas}
  - {id: c, bus: b, unit: 7, template: eastron-sdm630, check_meter: mian}
  - {id: x, virtual: {sum: [c, d]}}
  - {id: y, virtual: {sum: [x]}}
  - {id: d, bus: b, unit: 8, template: eastron-sdm630, check_meter: y}
`, []string{
		`f.yaml:9:69: meter a: check_meter: a meter cannot check itself`,
		`f.yaml:10:69: meter b: check_meter: gas measures nothing that this meter measures`,
		`f.yaml:11:69: meter c: check_meter: unknown meter "mian": did you mean "main"?`,
		`f.yaml:14:69: meter d: check_meter: y is made of this meter, and would agree with whatever it says`}},
}

func TestVirtualMistakes(t *testing.T) {
	for _, c := range virtualMistakes {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse("f.yaml", []byte(c.file))
			if err == nil {
				t.Fatal("taken as correct")
			}
			if got, want := err.Error(), strings.Join(c.want, "\n"); got != want {
				t.Errorf("said:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}
