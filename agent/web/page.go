package web

import (
	_ "embed"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/agent"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/uplink/grant"
)

//go:embed page.html
var pageText string

//go:embed page.css
var style string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"clock": clock, "day": day,
}).Parse(pageText))

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
	Failing int
	Uplink  uplinkView
}

type meterView struct {
	agent.MeterStatus
	Words     string // its state in plain words
	Class     string
	Registers []registerView
}

type registerView struct {
	Name, Value, Age, Error string
	Today                   string // energy so far today
	Chart                   template.HTML
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
	v := view{Style: template.CSS(style), Status: st, Uplink: uplinkWords(st)}
	today, _ := energy.SettlementPeriod(now)
	from, to := today.Start(1), today.Start(today.Periods()+1)
	v.Today = from.In(energy.London()).Format("Monday 2 January 2006")
	only := r.URL.Query().Get("meter")
	v.More = only == "" && len(st.Meters) > maxCharts
	for _, m := range st.Meters {
		if m.State == "failing" {
			v.Failing++
		}
		if only != "" && m.ID != only {
			continue
		}
		mv := meterView{MeterStatus: m}
		mv.Words, mv.Class = meterWords(m, now)
		for _, reg := range m.Registers {
			mv.Registers = append(mv.Registers, s.register(m, reg, now, from, to, !v.More))
		}
		v.Meters = append(v.Meters, mv)
	}
	if v.One = only != ""; v.One && len(v.Meters) == 0 {
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
	if r.Base >= 0 {
		v.Value, v.Age = amount(r.Measure, r.Base), age(now.Sub(r.At))
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
		v.Chart = chart(r.Measure, from, to, s.agent.Period(), have)
	}
	v.Today = "no half-hour is complete yet"
	if known > 0 {
		v.Today = amount(r.Measure, sum) + " in 1 half-hour"
		if known > 1 {
			v.Today = fmt.Sprintf("%s in %d half-hours", amount(r.Measure, sum), known)
		}
	}
	return v
}

func meterWords(m agent.MeterStatus, now time.Time) (words, class string) {
	switch m.State {
	case "ok":
		return "is read", "good"
	case "partly":
		return "answers, but not for every register", "warn"
	case "waiting":
		return "has not been asked yet", "warn"
	}
	if m.Answered.IsZero() {
		return "does not answer", "bad"
	}
	return "does not answer since " + clock(m.Since), "bad"
}

func uplinkWords(st agent.Status) uplinkView {
	u := st.Uplink
	if u == nil {
		return uplinkView{Class: "plain", Words: []string{"This gateway only records. Nothing leaves it."}}
	}
	v := uplinkView{Class: "warn"}
	switch u.State {
	case "not enrolled":
		v.Words = []string{"This gateway has no identity yet, so nothing leaves it. Ask for a code at the directory and run: perseus-agent enroll"}
		return v
	case "starting":
		v.Words = []string{"Starting."}
		return v
	case "cannot begin":
		v.Class, v.Words = "bad", []string{"Nothing can be sent: " + u.Reason}
		return v
	}
	d := u.Status
	host := d.Relay
	if p, err := url.Parse(d.Relay); err == nil {
		host = p.Host
	}
	switch u.State {
	case "sending":
		v.Class, v.Words = "good", []string{"Connected to " + host + "."}
	case "offline":
		v.Class, v.Words = "bad", []string{host + " cannot be reached since " + clock(d.Since) + ". Readings are kept here and sent later."}
	default:
		v.Words = []string{"Connected to " + host + ". No permission is live, so nothing leaves this gateway."}
	}
	switch {
	case d.Pending == 1:
		v.Words = append(v.Words, "1 half-hour waits to be sent.")
	case d.Pending > 1:
		v.Words = append(v.Words, grouped(int64(d.Pending))+" half-hours wait to be sent.")
	case u.State == "sending":
		v.Words = append(v.Words, "Everything that may leave has been sent.")
	}
	if d.Acknowledged > 0 {
		v.Words = append(v.Words, fmt.Sprintf("Batch %d is safely stored there (%s).", d.Acknowledged, clock(d.AcknowledgedAt)))
	}
	if d.Error != "" {
		v.Words = append(v.Words, "Last problem: "+d.Error)
	}
	if d.ClockOff != 0 {
		v.Words = append(v.Words, fmt.Sprintf("This gateway's clock is wrong by %s: set it, or let it follow a time server.", d.ClockOff.Abs()))
	}
	for _, g := range d.Grants {
		v.Permits = append(v.Permits, permit(g, st.Wall))
	}
	return v
}

// permit says a grant the way one would tell the owner of the meter.
func permit(g grant.Grant, now time.Time) permitView {
	var covers []string
	for _, c := range g.Covers {
		covers = append(covers, fmt.Sprintf("%s of meter %s", c.Measure, c.Meter))
	}
	name := g.Name
	if name == "" {
		name = client(g.Client)
	}
	v := permitView{Words: fmt.Sprintf("%s may have %s (%s), from %s until %s. Given on %s.",
		name, receives(g), strings.Join(covers, ", "), day(g.From), day(g.Expires), day(g.Granted))}
	switch {
	case !g.Revoked.IsZero():
		v.Ended = "Withdrawn on " + day(g.Revoked) + ": nothing leaves under it."
	case !now.Before(g.Expires):
		v.Ended = "Ended on " + day(g.Expires) + ": nothing leaves under it."
	case now.Before(g.Granted):
		v.Ended = "Not begun yet."
	}
	return v
}

// receives is what the client of a grant gets to see. A bank never sees more
// than months of emissions, though half-hours leave for them to be worked out.
func receives(g grant.Grant) string {
	switch {
	case g.Parts == "fsp":
		return "monthly emissions and nothing finer, worked out from half-hourly energy"
	case strings.Contains(g.License, "/energy-consumption-emissions-edp-cap-fsp/"):
		return "half-hourly energy, and pass on monthly emissions to a bank"
	case strings.Contains(g.License, "/energy-consumption-edp-cap/"):
		return "half-hourly energy, to work out emissions"
	}
	return "half-hourly energy under the licence " + g.License
}

// client is an application's URL without its scheme, which a person reads past.
func client(u string) string { return strings.TrimPrefix(strings.TrimPrefix(u, "https://"), "http://") }

func clock(t time.Time) string { return t.In(energy.London()).Format("15:04 on 2 January") }
func day(t time.Time) string   { return t.In(energy.London()).Format("2 January 2006") }

// age is how long ago something was, in words.
func age(d time.Duration) string {
	switch {
	case d < 2*time.Second:
		return "just now"
	case d < 2*time.Minute:
		return fmt.Sprintf("%d seconds ago", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d minutes ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d hours ago", int(d.Hours()))
	}
	return fmt.Sprintf("%d days ago", int(d.Hours()/24))
}
