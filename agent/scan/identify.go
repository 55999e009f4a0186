package scan

import (
	"context"
	"slices"
	"strings"
	"unicode"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/drivers/modbus"
	"github.com/perseus-edge/perseus-edge/drivers/modbus/doctor"
)

// place is where a register is and how its bits make a number.
type place struct {
	address            uint16
	table, typ, orders string
}

func placeOf(p modbus.Point) place { return place{p.Address, p.Table, p.Type, p.Order} }

// interview is what a device is asked, all of which is read over one
// connection: which model it says that it is, then the first register of each
// template (most are refused here, at one request each), then all that the
// templates which are left would read.
type interview struct {
	models    []modbus.Point
	gates     []modbus.Point
	questions []question
}

func (o Options) interview() (v interview) {
	once := map[place]bool{}
	add := func(to *[]modbus.Point, p modbus.Point) {
		if !once[placeOf(p)] {
			once[placeOf(p)] = true
			*to = append(*to, p)
		}
	}
	for _, t := range o.Templates {
		if len(t.Registers) == 0 || t.SunSpec != "" || t.Registers[0].Ask {
			continue // a module of pulse inputs: what its counters count only people know; SunSpec is asked for by itself; and what a heat meter was set to count nobody can tell from outside
		}
		if s := o.Signs[t.Name]; s.Model != nil {
			add(&v.models, s.Model.Point)
		}
		v.questions = append(v.questions, ask(t, o.Signs[t.Name]))
	}
	clear(once)
	for _, q := range v.questions {
		add(&v.gates, q.points[0])
	}
	return v
}

func (v interview) templates() (out []config.Template) {
	for _, q := range v.questions {
		out = append(out, q.template)
	}
	return out
}

// byName gives the templates whose maker and model are in what a device calls
// itself: of several, those with the longest model, so that an iEM3155 is no
// iEM31.
func byName(says string, templates []config.Template) (out []string) {
	says = plainText(says)
	longest := 1 // a model of one character is in anything
	for _, t := range templates {
		maker, model, _ := strings.Cut(t.Name, "-")
		model = plainText(model)
		if !strings.Contains(says, plainText(maker)) || !strings.Contains(says, model) || len(model) < longest {
			continue
		}
		if len(model) > longest {
			out, longest = nil, len(model)
		}
		if longest > 1 {
			out = append(out, t.Name)
		}
	}
	return out
}

// plainText keeps letters and digits, in lower case.
func plainText(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, s)
}

func (v interview) devices(unit uint8) (out []modbus.Device) {
	for _, p := range slices.Concat(v.models, v.gates) {
		out = append(out, modbus.Device{Meter: "scan", Unit: unit, Points: []modbus.Point{p}})
	}
	for _, q := range v.questions {
		out = append(out, modbus.Device{Meter: "scan", Unit: unit, Points: q.points, Serial: q.template.SerialRegister})
	}
	return out
}

// identify asks each device what the templates would ask it.
func (o Options) identify(ctx context.Context, url string, units []uint8) (out []Meter, err error) {
	v := o.interview()
	c := modbus.Config{URL: url, Timeout: o.Timeout, Pause: o.Pause}
	for _, u := range units {
		c.Devices = append(c.Devices, v.devices(u)...)
	}
	bus, err := modbus.New(c)
	if err != nil {
		return nil, err
	}
	defer bus.Close()
	each := len(c.Devices) / len(units)
	for i, u := range units {
		if parts := o.sunSpec(ctx, bus, i*each, url, u); len(parts) > 0 {
			out = append(out, parts...)
			continue
		}
		o.Progress("%s: unit %d: comparing it with %d meters", url, u, len(v.questions))
		fits, name, alive, err := v.compare(ctx, bus, i*each)
		if err != nil {
			return out, err
		}
		if !alive {
			o.Progress("%s: unit %d says to every question that it failed: taken for not there", url, u)
			continue
		}
		out = append(out, Meter{URL: url, Unit: u, Says: name, Fits: fits})
	}
	return out, nil
}

// compare holds an interview with the device whose questions begin at first.
// It is alive when it answered anything but that it failed. Name is what it
// calls itself (function 2B/0E), where it was asked and knows.
func (v interview) compare(ctx context.Context, bus *modbus.Bus, first int) (fits []Candidate, name string, alive bool, err error) {
	says, alive := v.listen(ctx, bus, first, v.models)
	known := map[string]model{}
	for _, q := range v.questions {
		known[q.template.Name] = q.modelOf(says)
	}
	if fits = v.fitting(ctx, bus, first, known, says, modelYes); len(fits) > 0 {
		return rank(fits), "", alive, ctx.Err()
	}
	if id, err := bus.Identification(ctx, first); err == nil {
		name = id.String() // not yet a sign of life: gateways give their own
	}
	named := map[string]model{}
	for _, t := range byName(name, v.templates()) {
		named[t] = modelYes
	}
	// A gateway may give its own name for the device behind it: then nothing fits.
	if fits = v.fitting(ctx, bus, first, named, nil, modelYes); len(fits) == 0 {
		there, more := v.listen(ctx, bus, first+len(v.models), v.gates)
		fits, alive = v.fitting(ctx, bus, first, known, there, modelUnknown), alive || more
	}
	return rank(fits), name, alive, ctx.Err()
}

// fitting asks what the templates of which so much is known would ask, where
// their first register is there (or the device said that it is of them).
func (v interview) fitting(ctx context.Context, bus *modbus.Bus, first int, known map[string]model, there map[place]uint64, m model) (fits []Candidate) {
	first += len(v.models) + len(v.gates)
	for k, q := range v.questions {
		if _, ok := there[placeOf(q.points[0])]; known[q.template.Name] != m || m != modelYes && !ok {
			continue
		}
		if got, err := again(ctx, bus, first+k); err == nil {
			if c, ok := q.weigh(byPoint(got), m, bus.Identity(first+k)); ok {
				fits = append(fits, c)
			}
		}
	}
	return fits
}

// again polls, and once more where the device was silent or could not be
// understood: it has answered before, and wires are noisy.
func again(ctx context.Context, bus *modbus.Bus, device int) ([]drivers.Reading, error) {
	got, err := bus.Poll(ctx, device, nil)
	if err != nil && ctx.Err() == nil {
		got, err = bus.Poll(ctx, device, nil)
	}
	return got, err
}

// habit is after how many silences a device is taken to be silent at all that
// it lacks, so that it is not asked twice any more.
const habit = 3

// listen asks for one register after another, and gives the bits of those that
// there are.
func (v interview) listen(ctx context.Context, bus *modbus.Bus, first int, points []modbus.Point) (says map[place]uint64, alive bool) {
	says = map[place]uint64{}
	silences := 0
	for k, p := range points {
		got, err := bus.Poll(ctx, first+k, nil)
		if err != nil && silences < habit {
			silences++
			got, err = bus.Poll(ctx, first+k, nil)
		}
		if err != nil || len(got) != 1 {
			continue
		}
		alive = alive || doctor.Answered(got[0].Err) && !doctor.Failing(got[0].Err)
		if doctor.Held(got[0].Err) {
			says[placeOf(p)] = got[0].Raw
		}
	}
	return says, alive
}

// modelOf says whether a device says that it is of the template's model. A
// register that holds no text where text belongs is another meter's, and says
// as much.
func (q question) modelOf(says map[place]uint64) model {
	if q.signs.Model == nil {
		return modelUnknown
	}
	raw, ok := says[placeOf(q.signs.Model.Point)]
	switch {
	case !ok:
		return modelUnknown
	case q.signs.Model.Matches(raw):
		return modelYes
	}
	return modelNo
}

// byPoint drops what a driver may give twice.
func byPoint(got []drivers.Reading) []drivers.Reading {
	slices.SortStableFunc(got, func(a, b drivers.Reading) int { return a.Point - b.Point })
	return slices.CompactFunc(got, func(a, b drivers.Reading) bool { return a.Point == b.Point })
}
