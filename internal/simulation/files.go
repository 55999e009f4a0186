package simulation

import (
	"fmt"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/agent"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/hhfile"
)

// clerk imports half-hourly files of data collectors now and then: for a gap or
// a part of it, while the meter is still silent or weeks later, over readings
// that are sound, as estimates or as actual values, right or wrong, and again.
type clerk struct {
	chance
	n    int64
	due  time.Time
	file *file // that is to be imported, again where the last attempt failed
}

// file is a half-hourly file of one register.
type file struct {
	w       *watched
	lines   []filed
	request agent.ImportRequest
}

// filed is what a file says of a half-hour.
type filed struct {
	at        int
	value     int64
	estimated bool
	sure      bool // the import has ended well
	when      time.Time
}

// is reports whether a half-hour is what a file said.
func (l filed) is(h *energy.HalfHour) bool {
	return h.Energy == l.value && l.estimated == (h.Quality == energy.Estimated)
}

// next is when the clerk works next.
func (k *clerk) next(s *site) time.Time {
	if k.due.IsZero() {
		k.chance = s.of("clerk", 0)
		k.wake(s.begin.Add(48 * time.Hour))
	}
	if s.Quiet {
		return s.end
	}
	return k.due
}

func (k *clerk) wake(from time.Time) {
	k.n++
	k.due = from.Add(k.wait(16*k.n, 20*time.Hour)).Truncate(time.Minute).Add(13 * time.Second)
}

// work imports a file, if there is one to import.
func (k *clerk) work(s *site, a *agent.Agent) {
	now := time.Now()
	if s.trust != nil && !s.trust.Trusted() || s.calm.during(now) {
		k.wake(now)
		return
	}
	if k.file == nil {
		k.file = k.write(s, now)
	}
	if k.file == nil {
		k.wake(now)
		return
	}
	f := k.file
	for _, l := range f.lines {
		l.when = now
		f.w.filed[l.at] = append(f.w.filed[l.at], l)
	}
	s.Trace.file(f)
	if _, err := a.Import(f.request); err != nil {
		k.due = now.Add(time.Hour) // the power went, or the disk is full: the same again
		return
	}
	for _, l := range f.lines {
		of := f.w.filed[l.at]
		of[len(of)-1].sure = true
	}
	s.result.Files++
	k.file = nil
	k.wake(now)
}

// write makes a file; nil where there is nothing to write.
func (k *clerk) write(s *site, now time.Time) *file {
	c := k.of("file", int(k.n))
	var ch *channel
	var w *watched
	from, to, gap := 0, 0, false
	for try := int64(0); try < 6 && !gap; try++ { // who knows the meters takes one that has something to fill
		ch = s.channels[c.n(100+try, int64(len(s.channels)))]
		if m := s.feed.meters[c.n(110, int64(len(s.feed.meters)))]; c.n(111, 5) == 0 { // or one that others read
			ch = &channel{register: register{key: m.key, load: m.load}}
		}
		w = s.oracle.channels[ch.key]
		from, to, gap = k.stretch(s, c, w, now)
	}
	load := ch.load.again()
	flowed := func(h int) int64 { return load.total(boundary(h+1)) - load.total(boundary(h)) }
	if x, f := k.exchanged(s, c, now); f > 0 && c.n(120, 4) == 0 { // or one that was exchanged, of the time around that
		ch, w = x, s.oracle.channels[x.key]
		from = index(x.fits[f-1].removed) - int(c.n(121, 6))
		to = min(index(x.fits[f].fitted)+int(c.n(122, 6)), index(now.Add(-90*time.Minute)))
		flowed = func(h int) int64 {
			was, before := ch.truth(boundary(h))
			is, after := ch.truth(boundary(h + 1))
			return max(ch.metered(is, after)-ch.metered(was, before), 0)
		}
	}
	if from >= to {
		return nil
	}
	if w.filed == nil {
		w.filed = map[int][]filed{}
	}
	f := &file{w: w, request: agent.ImportRequest{File: fmt.Sprintf("file-%d.csv", k.n), Meter: ch.key.Meter}}
	kind := c.n(3, 10)
	for h := from; h < to; h++ {
		l := filed{at: h, value: flowed(h)}
		switch {
		case kind == 9 || kind == 8 && c.n(int64(h), 3) == 0:
			l.value, l.estimated = l.value*(90+c.n(int64(h), 20))/100, true
		case kind == 7:
			l.value = l.value * 103 / 100
		case kind == 6 && c.n(int64(h), 2) == 0:
			continue // every other one, or so
		}
		f.lines = append(f.lines, l)
	}
	if kind < 4 && ch.key.Measure == energy.Import {
		f.days()
	} else {
		f.plain(ch.key)
	}
	if len(f.lines) == 0 {
		return nil
	}
	return f
}

// exchanged gives a register whose meter was exchanged within the last three
// weeks, and which meter that was; 0 where there is none.
func (k *clerk) exchanged(s *site, c chance, now time.Time) (ch *channel, fit int) {
	first := int(c.n(123, int64(len(s.channels))))
	for i := range s.channels {
		ch = s.channels[(first+i)%len(s.channels)]
		for fit := len(ch.fits) - 1; fit > 0; fit-- {
			if f := ch.fits[fit].fitted; f.Before(now.Add(-2*time.Hour)) && f.After(now.Add(-21*24*time.Hour)) {
				return ch, fit
			}
		}
	}
	return nil, 0
}

// stretch is what a file is about: mostly what is not known well, where there is such a gap.
func (k *clerk) stretch(s *site, c chance, w *watched, now time.Time) (from, to int, gap bool) {
	last := index(now.Add(-90 * time.Minute))
	oldest := max(last-20*48, index(s.begin)+48)
	var gaps []span
	open := false
	newest := oldest
	for h, err := range s.disk.Store.HalfHours(w.key, boundary(oldest), boundary(last)) {
		if err != nil {
			return 0, 0, false
		}
		newest = index(h.Start)
		if poor := h.Quality <= energy.Estimated; poor && !open {
			gaps = append(gaps, span{from: h.Start})
			open = true
		} else if !poor {
			open = false
		}
		if open {
			gaps[len(gaps)-1].to = h.Start.Add(energy.Period)
		}
	}
	if newest+2 < last {
		gaps = append(gaps, span{boundary(newest + 1), boundary(last)}) // it is silent just now
		if c.n(4, 2) == 0 {
			gaps = gaps[len(gaps)-1:]
		}
	}
	if len(gaps) == 0 || c.n(5, 5) == 0 {
		from = oldest + int(c.n(6, int64(max(last-oldest, 1))))
		return from, min(from+1+int(c.n(7, 3*48)), last), len(gaps) > 0
	}
	g := gaps[c.n(8, int64(len(gaps)))]
	from, to = index(g.from), index(g.to)
	switch n := int64(to - from); c.n(9, 4) {
	case 0: // all of it, and more
		return max(from-int(c.n(10, 6)), oldest), min(to+int(c.n(11, 6)), last), true
	case 1: // all of it
		return from, to, true
	default: // a part
		from += int(c.n(12, n))
		return from, from + 1 + int(c.n(13, int64(to-from))), true
	}
}

// plain writes it in our own layout.
func (f *file) plain(k energy.Key) {
	var b strings.Builder
	b.WriteString("id,measure,start,kWh,quality\n")
	for _, l := range f.lines {
		q := energy.Measured
		if l.estimated {
			q = energy.Estimated
		}
		fmt.Fprintf(&b, "one,%s,%s,%s,%s\n", k.Measure, boundary(l.at).UTC().Format(time.RFC3339), thousandths(l.value), q)
	}
	f.request.Data, f.request.Label = []byte(b.String()), hhfile.Auto
}

// days writes it as a row per settlement day, its columns named by the ends of
// their half-hours. It has no estimates, and no day on which clocks change.
func (f *file) days() {
	rows, lines := map[string]*[48]string{}, f.lines[:0]
	var order []string
	for _, l := range f.lines {
		local := boundary(l.at).In(energy.London())
		midnight := time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, energy.London())
		if midnight.AddDate(0, 0, 1).Sub(midnight) != 24*time.Hour || l.estimated {
			continue
		}
		date := local.Format("02/01/2006")
		if rows[date] == nil {
			rows[date] = new([48]string)
			order = append(order, date)
		}
		rows[date][local.Hour()*2+local.Minute()/30] = thousandths(l.value)
		lines = append(lines, l)
	}
	f.lines = lines
	var b strings.Builder
	b.WriteString("MPAN,Date")
	for i := range 48 {
		fmt.Fprintf(&b, ",%02d:%02d", (i+1)/2, (i+1)%2*30)
	}
	b.WriteString("\n")
	for _, date := range order {
		fmt.Fprintf(&b, "1200051234567,%s,%s\n", date, strings.Join(rows[date][:], ","))
	}
	f.request.Data, f.request.Label = []byte(b.String()), hhfile.Auto
}

func thousandths(v int64) string { return fmt.Sprintf("%d.%03d", v/1000, v%1000) }
