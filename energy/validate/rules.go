// Package validate holds the validation rules V01 to V20 (feeds.md 3.4): what
// may be said against a reading or a half-hour, in a form that an installer
// can act on and an auditor can follow.
//
// It is pure. A Checker reads no clock and no store: times are arguments, and
// history is asked for through Past. The same calls give the same findings.
// A rule never changes a value; it sets a flag and says why.
package validate

import (
	"fmt"
	"strings"
)

// Severity says how much a finding matters.
type Severity uint8

// The severities, from least to most.
const (
	Info    Severity = 1 // worth knowing; nothing need be done
	Warning Severity = 2 // the value is kept, but somebody should look
	Error   Severity = 3 // the value is wrong, was not counted, or must not be relied upon as it is
)

var severityNames = [...]string{Info: "info", Warning: "warning", Error: "error"}

// String gives the name used in APIs: "info", "warning" or "error".
func (s Severity) String() string {
	if s >= Info && s <= Error {
		return severityNames[s]
	}
	return fmt.Sprintf("severity(%d)", uint8(s))
}

// MarshalText writes the severity's name.
func (s Severity) MarshalText() ([]byte, error) {
	if s < Info || s > Error {
		return nil, fmt.Errorf("%v is no severity: use info, warning or error", s)
	}
	return []byte(s.String()), nil
}

// UnmarshalText reads the severity's name.
func (s *Severity) UnmarshalText(b []byte) error {
	for v := Info; v <= Error; v++ {
		if severityNames[v] == string(b) {
			*s = v
			return nil
		}
	}
	return fmt.Errorf("unknown severity %q: use info, warning or error", b)
}

// Rule is one rule of feeds.md 3.4.
type Rule struct {
	Number   int      // n of Vn, from 1
	ID       string   // "V01"
	Title    string   // what it looks for
	Severity Severity // the usual one; a finding may be milder or graver
	Advice   string   // what to do when it speaks
}

// Count is how many rules there are.
const Count = 20

var rules = [Count]Rule{
	{1, "V01", "no value: sentinel, NaN or infinite", Warning, "The reading is not counted. If it goes on, look at the meter: this is its way of saying that it has no value; or the register's address or type is not the right one."},
	{2, "V02", "unit is not the expected one", Error, "The reading is not counted. Correct the unit in the configuration, or at the source."},
	{3, "V03", "register went down", Error, "If the meter was exchanged, state its closing and the new one's opening reading. If it was reset, the energy across the break is not known. If it happens again and again, look at the wiring and the register's address."},
	{4, "V04", "rollover", Info, "Nothing, if the register had come near its modulus. If it had not, state the register's modulus or the exchange."},
	{5, "V05", "more energy than the connection can carry", Error, "Check the rating, the CT and VT ratios and the unit in the configuration. A factor of 1,000 is Wh taken for kWh."},
	{6, "V06", "zero for long while the meter answers", Warning, "Check whether the circuit is in use, and whether the CTs are connected. Switch the rule off for a circuit that is meant to stand still."},
	{7, "V07", "register stands still while power flows", Error, "Check the register's address and the meter: energy flows that it does not count."},
	{8, "V08", "half-hours do not sum to the register's advance", Error, "Do not rely on the day. Keep the evidence and report it as a bug: this must not happen."},
	{9, "V09", "a main meter and its check meter or sub-meters disagree", Warning, "Compare both meters on site: CT ratios, phase order, a blown voltage fuse, a meter in need of calibration."},
	{10, "V10", "the same time with different values", Warning, "The later one stands and the earlier one is kept as a version. If it goes on, two sources speak for one register."},
	{11, "V11", "clock is off", Warning, "Set the device's clock, or connect it to a time server. Beyond 15 minutes its times are not used."},
	{12, "V12", "time in the future or too old", Error, "The reading is not counted. Check the clock of the source."},
	{13, "V13", "stale or retained value", Warning, "The reading is shown but not counted. Check whether the source still reaches its meter."},
	{14, "V14", "bad quality", Warning, "A reading that its source calls bad is shown but not counted; an estimate stays an estimate. Check the point at the source, or the meter and its line."},
	{15, "V15", "import and export at once, or negative", Warning, "Check that import and export are read from two different registers, and the direction of the CTs."},
	{16, "V16", "spike against the same time of other weeks", Warning, "Compare with what the site did. The value is kept."},
	{17, "V17", "meter or configuration changed, and was not counted through", Error, "State the exchange with both readings, and correct the serial number in the configuration. Where it is stated and half-hours stay missing, import a half-hourly file of that time from the supplier or data collector: perseus-agent import."},
	{18, "V18", "register too coarse for half-hours", Info, "Read a finer register where the meter has one. The total is right; single half-hours are as coarse as the register."},
	{19, "V19", "day with the wrong number of half-hours", Error, "A day has 48 half-hours, 46 when clocks go forward and 50 when they go back. Ask the source for the local day, or for UTC."},
	{20, "V20", "reactive energy does not fit the active energy", Warning, "Check the addresses of the reactive registers, the phase order and the power factor correction."},
}

// Rules lists the rules in the order of their numbers.
func Rules() []Rule { return append([]Rule(nil), rules[:]...) }

// RuleOf gives rule Vn; ok is false where there is none.
func RuleOf(n int) (r Rule, ok bool) {
	if n < 1 || n > Count {
		return Rule{}, false
	}
	return rules[n-1], true
}

// ParseRule reads a rule's identifier, such as "V05" (or "v5").
func ParseRule(s string) (int, error) {
	for _, r := range rules {
		if strings.EqualFold(s, r.ID) || strings.EqualFold(s, fmt.Sprintf("V%d", r.Number)) {
			return r.Number, nil
		}
	}
	return 0, fmt.Errorf("unknown validation rule %q: use V01 to V%d", s, Count)
}
