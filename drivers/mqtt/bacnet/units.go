// Package bacnet is what of BACnet reaches a reader of its bridges: units of
// measurement by number and by name, status flags, object types, accumulators.
// It is pure. Numbers are those of ASHRAE 135 (BACnetEngineeringUnits).
package bacnet

import (
	"strconv"
	"strings"
)

// units: number, the standard's name, the name in energy/unit ("" where a
// register in it cannot be used: it counts something else).
var units = []struct {
	number int
	name   string
	unit   string
}{
	{18, "watt-hours", "Wh"}, {19, "kilowatt-hours", "kWh"}, {146, "megawatt-hours", "MWh"}, {47927, "gigawatt-hours", "GWh"},
	{16, "joules", "J"}, {17, "kilojoules", "kJ"}, {126, "megajoules", "MJ"}, {47925, "gigajoules", "GJ"},
	{20, "btus", ""}, {147, "kilo-btus", "kBtu"}, {148, "mega-btus", ""}, {21, "therms", "therm"},
	{242, "volt-ampere-hours-reactive", "varh"}, {243, "kilovolt-ampere-hours-reactive", "kvarh"}, {244, "megavolt-ampere-hours-reactive", "Mvarh"},
	{203, "watt-reactive-hours", "varh"}, {204, "kilowatt-reactive-hours", "kvarh"}, {205, "megawatt-reactive-hours", "Mvarh"},
	{82, "liters", "L"}, {80, "cubic-meters", "m3"}, {79, "cubic-feet", "ft3"},
	{47, "watts", "W"}, {48, "kilowatts", "kW"}, {49, "megawatts", "MW"},
	{11, "volt-amperes-reactive", "var"}, {12, "kilovolt-amperes-reactive", "kvar"}, {13, "megavolt-amperes-reactive", "Mvar"},
	// Known, but not what a register here can count: named, so that they are
	// refused and not taken for something else.
	{239, "volt-ampere-hours", ""}, {240, "kilovolt-ampere-hours", ""}, {241, "megavolt-ampere-hours", ""},
	{135, "cubic-meters-per-hour", ""}, {165, "cubic-meters-per-minute", ""}, {85, "cubic-meters-per-second", ""}, {249, "cubic-meters-per-day", ""},
	{136, "liters-per-hour", ""}, {191, "cubic-feet-per-hour", ""},
	{47918, "active-energy-pulse-value", ""}, {47919, "reactive-energy-pulse-value", ""}, {47923, "cubic-meter-pulse-value", ""}, {47917, "pulses-per-minute", ""},
	{95, "no-units", ""}, {62, "degrees-celsius", ""}, {98, "percent", ""},
}

// symbols are the other ways to write them, in the spelling of the field
// (Niagara, Home Assistant, UCUM, sums of vendors). Case matters in these.
var symbols = map[string]string{
	"Wh": "Wh", "kWh": "kWh", "MWh": "MWh", "GWh": "GWh", "KWH": "kWh", "KWh": "kWh", "kwh": "kWh", "kWH": "kWh", "MWH": "MWh", "Kwh": "kWh",
	"W-hr": "Wh", "kW-hr": "kWh", "MW-hr": "MWh", "W.h": "Wh", "kW.h": "kWh", "MW.h": "MWh", "W·h": "Wh", "kW·h": "kWh", "MW·h": "MWh", "kW h": "kWh",
	"J": "J", "kJ": "kJ", "MJ": "MJ", "GJ": "GJ", "kBtu": "kBtu", "kBTU": "kBtu", "therm": "therm", "thm": "therm",
	"varh": "varh", "kvarh": "kvarh", "Mvarh": "Mvarh", "VArh": "varh", "kVArh": "kvarh", "MVArh": "Mvarh", "kVARh": "kvarh", "kVARH": "kvarh", "var-hr": "varh", "kvar-hr": "kvarh", "kVAR-hr": "kvarh",
	"L": "L", "l": "L", "litre": "L", "litres": "L", "m3": "m3", "m³": "m3", "m^3": "m3", "M3": "m3", "cu.m": "m3", "ft3": "ft3", "ft³": "ft3", "cf": "ft3", "CCF": "hcf", "hcf": "hcf",
	"W": "W", "kW": "kW", "MW": "MW", "KW": "kW", "var": "var", "kvar": "kvar", "Mvar": "Mvar", "VAr": "var", "kVAr": "kvar", "MVAr": "Mvar", "VAR": "var", "kVAR": "kvar", "MVAR": "Mvar",
}

var (
	byNumber = map[int]string{}
	byName   = map[string]string{}
)

func init() {
	for _, u := range units {
		byNumber[u.number] = u.unit
		byName[plainName(u.name)] = u.unit
		byName[plainName(strings.TrimSuffix(u.name, "s"))] = u.unit
		byName[plainName(strings.ReplaceAll(strings.ReplaceAll(u.name, "liter", "litre"), "meter", "metre"))] = u.unit
	}
	for _, alias := range [][2]string{{"volt-ampere-reactive-hours", "varh"}, {"kilovolt-ampere-reactive-hours", "kvarh"}, {"megavolt-ampere-reactive-hours", "Mvarh"}, {"cubic-metre", "m3"}, {"hundred-cubic-feet", "hcf"}} {
		byName[plainName(alias[0])] = alias[1]
	}
}

// Unit finds the unit that a source names, by BACnet's number ("19") or name
// in any spelling ("kilowatt-hours", "Kilowatt-Hours", "KILOWATT_HOURS",
// "UNITS_KILOWATT_HOURS", "kilowattHours"), or by its symbol ("kWh", "kW-hr",
// "m³"). The result is a name of energy/unit. It is "" where the unit is
// another than a register here can have, and known is false where it is not
// understood at all.
func Unit(s string) (name string, known bool) {
	s = strings.TrimSpace(s)
	if name, ok := symbols[s]; ok {
		return name, true
	}
	if n, err := strconv.Atoi(s); err == nil {
		name, ok := byNumber[n]
		return name, ok
	}
	name, ok := byName[strings.TrimPrefix(plainName(s), "units")]
	return name, ok
}
