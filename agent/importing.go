package agent

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/hhfile"
	"github.com/perseus-edge/perseus-edge/energy/validate"
	"github.com/perseus-edge/perseus-edge/store"
)

// MaxImport bounds one half-hourly file: 32 MiB, a hundred meters for a year.
const MaxImport = 32 << 20

// ImportRequest is one half-hourly file and what to take from it.
type ImportRequest struct {
	File  string       // its name, for messages
	Data  []byte       //
	Meter string       // the meter of the configuration that it belongs to
	ID    string       // the MPAN or meter id inside the file; empty where the file has one only
	Label hhfile.Label // what its times name, where the file does not tell
}

// ImportReport says what was taken from a file, what was not, and why.
type ImportReport struct {
	File     string         `json:"file"`
	Meter    string         `json:"meter"`
	ID       string         `json:"id"`
	Layout   string         `json:"layout"`
	Label    string         `json:"label"` // start or end
	Series   []ImportSeries `json:"series"`
	Problems []string       `json:"problems,omitempty"`
}

// ImportSeries is what became of one register of a file.
type ImportSeries struct {
	Measure   energy.Measure `json:"measure"`
	From      time.Time      `json:"from"`
	To        time.Time      `json:"to"`
	Found     int            `json:"found"`     // half-hours in the file
	Taken     int            `json:"taken"`     // new here
	Corrected int            `json:"corrected"` // took the place of an earlier import, or of what a feed gave
	Same      int            `json:"same"`      // already here with this value
	Kept      int            `json:"kept"`      // not taken: this gateway has its own reading, or a better one from elsewhere
	TooOld    int            `json:"tooOld"`    // not taken: older than what the store keeps
	Respread  int            `json:"respread"`  // estimated ones beside them that were spread anew, so that the gap still sums to the register's advance
	Energy    string         `json:"energy"`    // sum of what was taken and corrected, in UnitCode
	UnitCode  string         `json:"unitCode"`
	Refused   string         `json:"refused,omitempty"` // why nothing of it was taken

	touched stretch // where half-hours changed
}

// ImportStore is what an import needs of a store.
type ImportStore interface {
	HalfHours
	Commit(store.Round) error
	Corrections(k energy.Key, from, to time.Time) ([]store.Correction, error)
}

// Import takes a half-hourly file into the store of the running agent.
func (a *Agent) Import(r ImportRequest) (ImportReport, error) {
	if !a.opt.Clock.Trusted() {
		return ImportReport{File: r.File, Meter: r.Meter}, errors.New("the gateway's clock is not to be trusted yet, and without the time nobody knows which half-hours are over: import it later")
	}
	a.recorder.commit.Lock() // no round may settle the same half-hours meanwhile
	rep, err := ImportFile(a.opt.Store, a.opt.Config, r, a.Now())
	if err == nil {
		a.recorder.imported(rep)
	}
	a.recorder.commit.Unlock()
	if err != nil {
		return rep, err
	}
	a.recorder.flush() // where it fails the store's health says so, and what was made waits
	taken := 0
	for _, s := range rep.Series {
		taken += s.Taken + s.Corrected
	}
	a.notes.add(a.Now(), r.Meter, fmt.Sprintf("%d half-hours taken over from %s", taken, r.File))
	a.log.Info("imported", "file", r.File, "meter", r.Meter, "half_hours", taken)
	a.uplinkNotify()
	return rep, nil
}

// imported makes the virtual meters anew for what a file has brought; they go
// with the next round. The recorder's lock is held.
func (r *recorder) imported(rep ImportReport) {
	news := touched{}
	for _, s := range rep.Series {
		if s.Taken+s.Corrected > 0 {
			for _, id := range append([]string{rep.Meter}, r.checks[rep.Meter]...) { // what a check meter says is a flag
				news.add(energy.Key{Meter: id, Measure: s.Measure}, s.From, s.To)
			}
		}
		if s.Respread > 0 {
			news.add(energy.Key{Meter: rep.Meter, Measure: s.Measure}, s.touched.from, s.touched.to)
		}
	}
	r.past.lay(r.round.HalfHours)
	r.derive(news)
}

// judge has the validation look at a half-hour, and flag it.
type judge func(*energy.HalfHour) []energy.KeyedFinding

// judgeOf is the validation of one measure of a meter, for values from files.
func judgeOf(s HalfHours, c *config.Config, m config.Meter, measure energy.Measure) judge {
	k, p := energy.Key{Meter: m.ID, Measure: measure}, newPast(s)
	check := validate.New(k, options(c, p, &m, measure))
	return func(h *energy.HalfHour) (found []energy.KeyedFinding) {
		found = keyedFindings(check.HalfHour(h, p.of(m.ID), nil))
		p.settle(keyedHalfHour(k, *h))
		return found
	}
}

// ImportFile takes a half-hourly file into a store. What this gateway measured
// itself is never replaced, an estimate never takes the place of an actual
// value, and a later file corrects an earlier one. Where the gateway could only
// spread an advance over a gap, actual values of the file take its place, and what
// is left of the advance is spread over the rest of the gap; the earlier versions
// are kept.
func ImportFile(s ImportStore, c *config.Config, r ImportRequest, now time.Time) (ImportReport, error) {
	rep := ImportReport{File: r.File, Meter: r.Meter}
	m, ok := c.Meter(r.Meter)
	switch {
	case !ok:
		ids := make([]string, len(c.Meters))
		for i, m := range c.Meters {
			ids[i] = m.ID
		}
		return rep, fmt.Errorf("no meter %q in the configuration: it has %s", r.Meter, strings.Join(ids, ", "))
	case m.Virtual != nil:
		return rep, fmt.Errorf("meter %s is %s: give the file to what it is made of", m.ID, m.Virtual.Words())
	case c.Period != energy.Period:
		return rep, fmt.Errorf("half-hourly files need period: 30m, the configuration has %s", c.Period)
	}
	f, err := hhfile.Parse(r.Data, hhfile.Options{Label: r.Label, Now: now})
	if err != nil {
		return rep, fmt.Errorf("%s: %w", r.File, err)
	}
	rep.Layout, rep.Label = f.Layout, "start"
	if f.Label == hhfile.End {
		rep.Label = "end"
	}
	for _, p := range f.Problems {
		if p.Line > 0 {
			rep.Problems = append(rep.Problems, fmt.Sprintf("line %d: %s", p.Line, p.What))
		} else {
			rep.Problems = append(rep.Problems, p.What)
		}
	}
	series, err := pick(f.Series, r.ID)
	if err != nil && len(f.Series) == 0 && len(f.Problems) > 0 {
		// A line to look at helps most; what holds for the whole file comes
		// last, as the last of it says what is wrong and the first what was assumed.
		say := f.Problems[len(f.Problems)-1]
		if i := slices.IndexFunc(f.Problems, func(p hhfile.Problem) bool { return p.Line > 0 }); i >= 0 {
			say = f.Problems[i]
		}
		return rep, fmt.Errorf("%s: %w: %s%s", r.File, err, say, andMore(len(f.Problems)-1))
	}
	if err != nil {
		return rep, fmt.Errorf("%s: %w", r.File, err)
	}
	if err := sameSupply(m, series, r.ID); err != nil {
		return rep, fmt.Errorf("%s: %w", r.File, err)
	}
	oldest := now.Add(-c.Store.KeepHalfHours)
	for _, x := range series {
		rep.ID = x.ID
		out := ImportSeries{Measure: x.Measure, Found: len(x.HalfHours), UnitCode: x.Measure.UnitCode(), Energy: x.Measure.Present(0)}
		if n := len(x.HalfHours); n > 0 {
			out.From, out.To = x.HalfHours[0].Start, x.HalfHours[n-1].Start.Add(energy.Period)
		}
		if !slices.Contains(m.Measures(), x.Measure) {
			out.Refused = fmt.Sprintf("the configuration does not measure %s on %s: add it to the meter", x.Measure, m.ID)
		} else if err := importOne(s, c, m, x, oldest, &out); err != nil {
			return rep, fmt.Errorf("%s: %w", r.File, err)
		}
		rep.Series = append(rep.Series, out)
	}
	return rep, nil
}

func andMore(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" (and %d more)", n)
}

// pick chooses the series of one meter out of a file.
func pick(all []hhfile.Series, id string) ([]hhfile.Series, error) {
	var ids []string
	for _, s := range all {
		if !slices.Contains(ids, s.ID) {
			ids = append(ids, s.ID)
		}
	}
	switch {
	case len(ids) == 0:
		return nil, errors.New("no half-hours in it")
	case id == "" && len(ids) > 1:
		return nil, fmt.Errorf("it holds several meters: say which one with --id: %s", strings.Join(first(ids, 20), ", "))
	case id == "":
		id = ids[0]
	case !slices.Contains(ids, id):
		return nil, fmt.Errorf("it does not hold %s: it holds %s", id, strings.Join(first(ids, 20), ", "))
	}
	return slices.DeleteFunc(slices.Clone(all), func(s hhfile.Series) bool { return s.ID != id }), nil
}

// sameSupply refuses the file of another supply: one whose identifier is a
// sound MPAN (gas: MPRN) and not the meter's, unless the caller named it.
func sameSupply(m config.Meter, series []hhfile.Series, named string) error {
	for _, x := range series {
		what, own, check := "MPAN", m.MPAN, energy.CheckMPAN
		if x.Measure == energy.Gas {
			what, own, check = "MPRN", m.MPRN, energy.CheckMPRN
		}
		if own != "" && x.ID != own && x.ID != named && check(x.ID) == nil {
			return fmt.Errorf("it is of %s %s, and meter %s has %s: another meter's file? If it is right, name it with --id %s", what, x.ID, m.ID, own, x.ID)
		}
	}
	return nil
}

func first(ids []string, n int) []string {
	if len(ids) > n {
		return append(slices.Clone(ids[:n]), fmt.Sprintf("and %d more", len(ids)-n))
	}
	return ids
}

// importSeries takes the half-hours of one register, a month's worth of
// readings or so per transaction.
func importSeries(s ImportStore, k energy.Key, x hhfile.Series, oldest time.Time, judge judge, out *ImportSeries) error {
	if len(x.HalfHours) == 0 {
		return nil
	}
	have := map[int64]energy.HalfHour{}
	for h, err := range s.HalfHours(k, out.From, out.To) {
		if err != nil {
			return err
		}
		have[h.Start.Unix()] = h
	}
	var round store.Round
	var sum int64
	for _, h := range x.HalfHours {
		old, there := have[h.Start.Unix()]
		switch given := there && fromElsewhere(old); {
		case h.Start.Before(oldest):
			out.TooOld++
			continue
		case given && old.Energy == h.Energy && old.Quality == h.Quality:
			out.Same++
			continue
		case there && keyedHalfHour(k, h).Stands(&old) == old:
			out.Kept++
			continue
		case given:
			out.Corrected++
		default:
			out.Taken++
		}
		sum += h.Energy
		round.Findings = append(round.Findings, judge(&h)...)
		round.HalfHours = append(round.HalfHours, keyedHalfHour(k, h))
		if len(round.HalfHours) == maxWaiting/4 {
			if err := s.Commit(round); err != nil {
				return err
			}
			round.HalfHours, round.Findings = round.HalfHours[:0], round.Findings[:0]
		}
	}
	out.Energy = k.Measure.Present(sum)
	if len(round.HalfHours) == 0 {
		return nil
	}
	return s.Commit(round)
}
