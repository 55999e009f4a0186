package config

import (
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"

	"github.com/perseus-edge/perseus-edge/drivers/modbus"
)

// Alarm is a bit by which a meter says that something is wrong with it.
type Alarm struct {
	modbus.Alarm
	Means string // in the operator's words, 1 to 100 characters
}

// Severity is "invalid" where the meter's readings are not counted while the
// alarm is on, else "note".
func (a Alarm) Severity() string {
	if a.Invalid {
		return "invalid"
	}
	return "note"
}

// mostAlarms bounds those of one meter.
const mostAlarms = 64

// alarms reads [{table: discrete, address: 4, means: phase loss, severity: invalid}].
func (p *parse) alarms(n ast.Node, name string, m *Meter) {
	items := p.listOrNil(n, name+": alarms")
	if len(items) > mostAlarms {
		p.at(n, "%s: alarms: %d of them: at most %d", name, len(items), mostAlarms)
		return
	}
	seen := map[modbus.Alarm]string{}
	for _, item := range items {
		a, ok := p.alarm(item, name+": alarm")
		if !ok {
			continue
		}
		where := modbus.Alarm{Table: a.Table, Address: a.Address, Bit: a.Bit}
		if other, twice := seen[where]; twice {
			p.at(item, "%s: alarm %q: its bit is that of alarm %q", name, a.Means, other)
			continue
		}
		seen[where] = a.Means
		m.Alarms = append(m.Alarms, a)
	}
}

func (p *parse) alarm(n ast.Node, name string) (a Alarm, ok bool) {
	before := len(p.problems)
	o := p.object(n, name, alarmLevel)
	a.Table, _ = p.choice(o["table"], name+": table", "coil", "discrete", "holding", "input")
	if o["table"] == nil {
		p.at(n, "%s: table is missing: write coil or discrete, or holding or input for a bit of a status register", name)
	}
	if v, ok := p.whole(o["address"], name+": address", 0, 0xFFFF); ok {
		a.Address = uint16(v)
	} else if o["address"] == nil {
		p.at(n, "%s: address is missing: write the protocol address, counted from 0", name)
	}
	register := a.Table == "holding" || a.Table == "input"
	if v, ok := p.whole(o["bit"], name+": bit", 0, 15); ok {
		if a.Bit = int(v); !register && a.Table != "" {
			p.at(o["bit"], "%s: bit: a %s is a single bit: leave it out", name, a.Table)
		}
	} else if o["bit"] == nil && register {
		p.at(n, "%s: bit is missing: write which of the register's bits, 0 (the least significant) to 15", name)
	}
	when, _ := p.choice(o["when"], name+": when", "0", "1")
	a.Clear = when == "0"
	means, given := p.text(o["means"], name+": means")
	switch a.Means = strings.TrimSpace(means); {
	case o["means"] == nil:
		p.at(n, "%s: means is missing: write what is wrong with the meter then, such as phase loss", name)
	case given && (a.Means == "" || utf8.RuneCountInString(a.Means) > 100):
		p.at(o["means"], "%s: means must have 1 to 100 characters", name)
	}
	severity, _ := p.choice(o["severity"], name+": severity", "invalid", "note")
	if a.Invalid = severity == "invalid"; o["severity"] == nil {
		p.at(n, "%s: severity is missing: write invalid where readings must not be counted then, else note", name)
	}
	return a, len(p.problems) == before
}
