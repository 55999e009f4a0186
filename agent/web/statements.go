package web

import (
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// StatementWords says a statement of baseline in a sentence or two.
func StatementWords(s energy.Statement) string {
	before, after := reads(s.Measure, s.Closing), reads(s.Measure, s.Opening)
	var out string
	if s.Made() {
		return madeWords(s)
	}
	switch s.Kind {
	case energy.OpeningStatement:
		out = "Counted from here: the first reading is " + after + "."
		if s.Method == energy.IntervalTotals {
			out = "Counted from here, by the totals that a feed gives."
		}
	case energy.ClosingStatement:
		out = "Counted up to here: the last reading is " + before + "."
	case energy.ExchangeStatement:
		out = "Another meter" + serials(s) + ". The new one begins at " + after + "."
		if s.Closing != nil {
			out = "Another meter" + serials(s) + ". The old one ended at " + before + ", the new one begins at " + after + "."
		}
	case energy.ResetStatement:
		out = "The register went from " + before + " to " + after + " and stayed there: counted on from the new value."
	case energy.RolloverStatement:
		out = "The register went round, from " + before + " to " + after + ": counted through."
	case energy.ConfigChangeStatement:
		out = "Read in another way from here: the first reading is " + after + "."
		another := "From here the volume becomes energy in another way; "
		if !s.ConvertedFrom.IsZero() {
			another = "The volume becomes energy in another way; "
		}
		switch {
		case s.Method == energy.IntervalTotals:
			out = another + "it is taken as before."
		case s.Gap == energy.GapCounted:
			out = another + "the register is read as before, and shows " + after + "."
		case s.Closing != nil:
			out = "Read in another way from here: " + before + " before, " + after + " after."
		}
	case energy.ClockStatement:
		out = "The clock was put right" + shiftWords(time.Duration(s.Shift)*time.Millisecond) + ". The first reading dated by it is " + after + "."
	}
	switch s.Gap {
	case energy.GapCounted:
		out += " The energy in between is counted."
	case energy.GapEstimated:
		out += " The energy in between is estimated."
	case energy.GapUnknown:
		out += " The energy in between is not known."
	}
	if s.Method != "" && s.Method != energy.IntervalTotals {
		out += " Derived by " + s.Method + "."
	}
	switch {
	case s.Corrected:
		out += " The meter corrects its volume."
	case s.VCF != "":
		out += " Its energy is worked out with a volume correction factor of " + s.VCF + "."
	}
	if !s.ConvertedFrom.IsZero() {
		out += " This holds from " + minute(s.ConvertedFrom) + " on, as the operator states."
	}
	if s.Factor != "" {
		table, _, _ := strings.Cut(s.Factor, " sha256:")
		out += " Calorific values: " + table + "."
	}
	if s.Zone != "" {
		out += " Zone " + s.Zone + "."
	}
	if s.Note != "" {
		out += " Note: " + strings.TrimSuffix(s.Note, ".") + "."
	}
	return out
}

// madeWords says a statement of a virtual meter.
func madeWords(s energy.Statement) string {
	how := " by " + s.Method + ", " + s.Register + "."
	switch s.Kind {
	case energy.ConfigChangeStatement:
		return "Stated anew: a virtual meter," + how + " Its half-hours are made again where all that it is made of is known."
	case energy.ClosingStatement:
		return "Made up to here: a virtual meter," + how
	}
	return "A virtual meter," + how
}

func reads(m energy.Measure, r *energy.Reading) string {
	if r == nil {
		return "an unknown value"
	}
	if r.Source == energy.OperatorSource {
		return amount(m, r.Value) + " (read by a person)"
	}
	return amount(m, r.Value)
}

func serials(s energy.Statement) string {
	switch {
	case s.OldSerial != "" && s.Serial != "":
		return ": " + s.Serial + " for " + s.OldSerial
	case s.Serial != "":
		return ": " + s.Serial
	}
	return ""
}

func shiftWords(d time.Duration) string {
	switch {
	case d > 0:
		return ", forward by " + span(d.Round(time.Second))
	case d < 0:
		return ", back by " + span(-d.Round(time.Second))
	}
	return ""
}
