package web

import (
	_ "embed"
	"fmt"
	"html/template"
	"net/http"
	"time"

	"github.com/perseus-edge/perseus-edge/agent"
	"github.com/perseus-edge/perseus-edge/energy"
)

//go:embed page.html
var pageText string

//go:embed page.css
var style string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"at": at, "minute": minute, "join": join,
}).Parse(pageText + healthText + enrolText + codeText))

// maxCharts bounds the meters that are shown in full on one page; the others
// have a page each (?meter=id).
const maxCharts = 24

// view is what the page shows.
type view struct {
	Style   template.CSS
	Status  agent.Status
	Today   string
	Meters  []meterView
	One     bool // a single meter was asked for
	More    bool // there are too many meters to show in full
	Health  healthView
	Uplink  uplinkView
	Enrol   *enrolView // nil: it only records
	Code    *codeView  // likewise
	Clock   *clockView
	Trouble string // what could not be read
	Days    int    // that qualities and findings are of
}

type meterView struct {
	agent.MeterStatus
	Words     string // its state in plain words
	Class     string
	Answers   string // its latency, in the table
	Stated    []wrongView
	Registers []registerView

	Findings     []findingView
	MoreFindings int // that are not shown

	Wrong []wrongView  // of a meter that is shown alone
	Notes []agent.Note // likewise, newest first
	Read  *readView    // likewise
}

type registerView struct {
	Name, Value, Age, Error string
	Today                   string // energy so far today
	Chart                   template.HTML

	Shares, Flagged, Corrected string // qualities of the last days, in words
	Bar                        template.HTML
	Rows                       []shareRow
	Replaced                   []replacedView  // of a meter that is shown alone
	Gas                        *gasView        // of a gas meter that is shown alone
	Statements                 []statementView // newest first
}

// Baseline is the newest statement: what the register is counted from.
func (r registerView) Baseline() *statementView {
	if len(r.Statements) == 0 {
		return nil
	}
	return &r.Statements[0]
}

type uplinkView struct {
	Words   []string
	Class   string
	Permits []permitView
}

type permitView struct {
	Words string
	Ended string // when and how it ended; empty while it is live
}

func (s *server) page(w http.ResponseWriter, r *http.Request) {
	st := s.agent.Status()
	now := st.Now
	v := view{Style: template.CSS(style), Status: st, Uplink: uplinkWords(st), Enrol: s.enrolOf(st, r), Code: s.codeOf(st, r), Clock: clockWords(st.Clock), Health: healthOf(st, now), Days: lookBack}
	today, _ := energy.SettlementPeriod(now)
	from, to := today.Start(1), today.Start(today.Periods()+1)
	v.Today = from.In(energy.London()).Format("Monday 2 January 2006")
	only := r.URL.Query().Get("meter")
	v.More = only == "" && len(st.Meters) > maxCharts
	var b book
	if v.One = only != ""; v.One {
		v.Days = lookBackOne
	}
	if !v.More {
		b = readBook(s.book, now, v.Days)
		v.Trouble = b.trouble
	}
	for _, m := range st.Meters {
		if only != "" && m.ID != only {
			continue
		}
		mv := meterView{MeterStatus: m}
		mv.Words, mv.Class = meterWords(m, now)
		mv.Answers, mv.Stated = answers(m), statedOf(m)
		for _, reg := range m.Registers {
			mv.Registers = append(mv.Registers, s.register(m, reg, now, from, to, !v.More))
		}
		if !v.More {
			s.detail(b, &mv, now, v.One)
		}
		if v.One {
			mv.Read = readOf(m)
			mv.Wrong, mv.Notes = wrongOf(m, b.findings[m.ID], now), notesOf(st.Notes, m.ID)
		}
		v.Meters = append(v.Meters, mv)
	}
	if v.One && len(v.Meters) == 0 {
		http.Error(w, "There is no meter of this name here.", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if err := pageTemplate.Execute(w, v); err != nil {
		s.log.Debug("page not delivered", "error", err)
	}
}

func (s *server) register(m agent.MeterStatus, r agent.RegisterStatus, now, from, to time.Time, draw bool) registerView {
	v := registerView{Name: r.Measure.String(), Error: r.Error, Value: "no reading yet"}
	if s := shows(r); s != "" {
		v.Value, v.Age = s, age(now.Sub(r.At))
	}
	if m.Derived != "" {
		v.Value = "" // it has no register
	}
	if v.Error == m.Error {
		v.Error = "" // the meter's card says it already
	}
	if r.Held {
		v.Error = "it shows a value that does not fit what came before: held until it is clear"
	}
	if !draw {
		return v
	}
	var gas gasDay
	if r.Measure == energy.Gas {
		gas = s.gasDay(m.ID, from, to)
	}
	have, sum, known := map[int64]energy.HalfHour{}, int64(0), 0
	for h, err := range s.agent.HalfHours(energy.Key{Meter: m.ID, Measure: r.Measure}, from, to) {
		if err != nil {
			v.Error = "today's half-hours cannot be read from the store"
			break
		}
		have[h.Start.Unix()] = h
		if h.Quality != energy.Missing {
			sum, known = sum+h.Energy, known+1
		}
	}
	if len(have) > 0 {
		v.Chart = chart(r.Measure, from, to, s.agent.Period(), have, gas.tips)
	}
	v.Today = "no half-hour is complete yet"
	if known > 0 {
		v.Today = amount(r.Measure, sum) + " in 1 half-hour"
		if known > 1 {
			v.Today = fmt.Sprintf("%s in %d half-hours", amount(r.Measure, sum), known)
		}
		v.Today += gas.words
	}
	return v
}

// shows is what was read last: what the register stands at, or a power where
// there is no register; "" before the first reading.
func shows(r agent.RegisterStatus) string {
	switch {
	case r.Base >= 0:
		return amount(r.Measure, r.Base)
	case r.Value != "":
		value, unit := agent.Shown(r.Value, r.UnitCode)
		return value + " " + unit
	}
	return ""
}

func meterWords(m agent.MeterStatus, now time.Time) (words, class string) {
	switch m.State {
	case "ok":
		if len(m.Refused)+len(m.Unfilled) > 0 {
			return "is read; an exchange that was stated did not work", "warn"
		}
		return "is read", "good"
	case "partly":
		return "answers, but not for every register", "warn"
	case "waiting":
		return "has given nothing yet", "warn"
	case "derived":
		return "is worked out: " + m.Derived, "plain"
	}
	if m.Answered.IsZero() {
		return m.Down.Verb(), "bad"
	}
	return m.Down.Verb() + " since " + at(m.Since), "bad"
}
