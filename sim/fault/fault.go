// Package fault says what goes wrong at a simulated site, in one small grammar
// for every kind of bus:
//
//	[SCOPE:]NAME=5%        of the answers or messages, drawn by the seed
//	[SCOPE:]NAME@10m+30s   once, 10 minutes after the start, for 30 seconds
//	[SCOPE:]NAME=1h        as old as that (retained)
//
// Several are separated by commas. The scope is the id of a bus, a driver or a
// format (modbus, rtu, mqtt, udmi, n3rgy ...); it holds to the next scope. What
// has none is played by every bus that can.
package fault

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Fault is one thing that goes wrong.
type Fault struct {
	Scope   string        // "" for all that can
	Name    string        // one of Names
	Share   float64       // of answers or messages, 0 to 1; 0 for a fault with a time
	At, For time.Duration // since the start, and how long
	Age     time.Duration // of what is retained
}

// form is how a fault is written.
type form uint8

const (
	share form = 1 << iota // NAME=5%
	timed                  // NAME@10m
	spell                  // NAME@10m+30s
	aged                   // NAME=1h
)

type kind struct {
	name string
	form form
	what string
}

// kinds are the faults of the field, in the order of the help.
var kinds = []kind{
	{"late", share, "the answer comes after its time is over; a message, some messages later; a half-hour, six hours later"},
	{"lost", share, "no answer, no message, no half-hour"},
	{"zero", share, "a register shows 0 for a moment"},
	{"nan", share, "what the source writes where it has no value: NaN, all ones, null, 4294967.295"},
	{"stale", share, "an old value, marked so or with its old time where the format can say it; else unmarked"},
	{"repeat", share, "the same twice"},
	{"swap", share, "in the wrong order: the answer before comes once more and first; two messages change places"},
	{"foreign", share, "what is for somebody else comes: another unit or display, another format, a log-in page"},
	{"split", share, "in pieces with pauses between them"},
	{"short", share, "cut off before its end"},
	{"checksum", share, "a bit is turned on the wire"},
	{"busy", share, "refused: exception 6, HTTP 429"},
	{"1970", share, "the source has no clock and says 1970"},
	{"retained", aged, "the broker holds a message of that age when the agent comes"},
	{"disconnect", spell, "the wire is gone: connections closed and refused, the adapter pulled, the broker down"},
	{"restart", spell, "the device is off, and shows zeros for as long when it is back"},
	{"freeze", spell, "the registers stand still and then jump"},
	{"alarm", spell, "the meter sets the bits by which it says that something is wrong with it"},
	{"reversed", spell, "the current transformer of phase 2 is turned round: that phase runs out, and the totals count so much less"},
	{"exchange", timed, "another meter: it begins near 0, with another serial number"},
	{"rollover", timed, "the register reaches its last count and begins anew"},
}

// Names lists the faults.
func Names() []string {
	out := make([]string, len(kinds))
	for i, k := range kinds {
		out[i] = k.name
	}
	return out
}

// Help is a line for each fault.
func Help() string {
	var b strings.Builder
	for _, k := range kinds {
		form := k.name + "=5%"
		switch k.form {
		case timed:
			form = k.name + "@10m"
		case spell:
			form = k.name + "@10m+30s"
		case aged:
			form = k.name + "=1h"
		}
		fmt.Fprintf(&b, "  %-20s %s\n", form, k.what)
	}
	return b.String()
}

// List is a flag.Value: each --fault adds to it.
type List []Fault

// Set reads one list. It makes List a flag.Value.
func (l *List) Set(s string) error {
	out := slices.Clone(*l)
	scope := ""
	for part := range strings.SplitSeq(s, ",") {
		if before, after, ok := strings.Cut(part, ":"); ok {
			if scope, part = strings.TrimSpace(before), after; scope == "" {
				return fmt.Errorf("fault %q: nothing stands before the colon: write a bus or a format, or leave the colon out", s)
			}
		}
		f, err := parse(strings.TrimSpace(part))
		if err != nil {
			return err
		}
		f.Scope = scope
		out = append(out, f)
	}
	sums := map[string]float64{}
	for _, f := range out {
		sums[f.Scope] += f.Share
	}
	for scope, sum := range sums {
		if scope != "" {
			sum += sums[""]
		}
		if sum > 1+rounding {
			return fmt.Errorf("faults %q add up to more than 100%%", out.String())
		}
	}
	*l = out
	return nil
}

// rounding is of shares that add up: 0.6 and 0.4 need not be 1.
const rounding = 1e-9

// String writes the faults as Set reads them.
func (l *List) String() string {
	if l == nil {
		return ""
	}
	parts := make([]string, len(*l))
	for i, f := range *l {
		parts[i] = f.String()
	}
	return strings.Join(parts, ",")
}

// String writes one fault as Set reads it.
func (f Fault) String() string {
	s := f.Name
	if f.Scope != "" {
		s = f.Scope + ":" + s
	}
	switch k, _ := find(f.Name); {
	case k.form == share:
		return s + "=" + strconv.FormatFloat(f.Share*100, 'g', 4, 64) + "%"
	case k.form == aged:
		return s + "=" + f.Age.String()
	case k.form == timed:
		return s + "@" + f.At.String()
	}
	return s + "@" + f.At.String() + "+" + f.For.String()
}

func find(name string) (kind, bool) {
	i := slices.IndexFunc(kinds, func(k kind) bool { return k.name == name })
	if i < 0 {
		return kind{}, false
	}
	return kinds[i], true
}

func parse(s string) (Fault, error) {
	at := strings.IndexAny(s, "=@")
	name, value, sign := s, "", byte(0)
	if at >= 0 {
		name, sign, value = s[:at], s[at], s[at+1:]
	}
	k, ok := find(name)
	if !ok {
		return Fault{}, fmt.Errorf("fault %q: %s", name, Suggest(name, Names()))
	}
	f := Fault{Name: name}
	switch k.form {
	case share:
		number, percent := strings.CutSuffix(value, "%")
		v, err := strconv.ParseFloat(number, 64)
		if sign != '=' || !percent || err != nil || !(v > 0 && v <= 100) {
			return f, fmt.Errorf("fault %q: give a share such as %s=5%%", s, name)
		}
		f.Share = v / 100
	case aged:
		v, err := time.ParseDuration(value)
		if sign != '=' || err != nil || v <= 0 {
			return f, fmt.Errorf("fault %q: give an age such as %s=1h", s, name)
		}
		f.Age = v
	default:
		when, length, long := strings.Cut(value, "+")
		at, err := time.ParseDuration(when)
		if sign != '@' || err != nil || at < 0 || long != (k.form == spell) {
			return f, fmt.Errorf("fault %q: %s", s, formOf(k))
		}
		if f.At = at; long {
			if f.For, err = time.ParseDuration(length); err != nil || f.For <= 0 {
				return f, fmt.Errorf("fault %q: %s", s, formOf(k))
			}
		}
	}
	return f, nil
}

func formOf(k kind) string {
	if k.form == timed {
		return "say when it happens after the start, such as " + k.name + "@10m"
	}
	return "say when it begins after the start and how long it lasts, such as " + k.name + "@10m+30s"
}

// Suggest names the nearest of what there is, or all of it.
func Suggest(word string, all []string) string {
	best, least := "", 1+len(word)/3
	for _, w := range all {
		if d := distance(word, w); d < least || d == least && best == "" {
			best, least = w, d
		}
	}
	if best != "" {
		return fmt.Sprintf("did you mean %q?", best)
	}
	return "use " + strings.Join(all, ", ")
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := corner
			if a[i] != b[j] {
				change++
			}
			corner = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
