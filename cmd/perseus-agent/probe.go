package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/agent/scan"
	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
)

var probeCommand = command{
	name: "probe", short: "read every register, show what comes and what is wrong with it",
	long: `Reads every register of the configuration twice, some seconds apart, and shows the raw bits, the value, what it moved by, how long the answer took, and what looks wrong about it: a box that speaks RTU where TCP is configured (and the reverse), the wrong byte order or table, addresses that are off by one, import and export swapped, current transformers turned round, a total that its phases or its power contradict. It only reads (Modbus functions 3 and 4, and 2B/0E: who the meter says that it is).
Compare the value with the meter's display: the table shows kWh (kvarh, m3), json and csv the exact value in Wh (WHR; K3 is kvarh, MTQ is m3). Stop the running agent first: a bus has one owner.`,
	run: func(in *invocation) error {
		file, format := in.configFlag(), in.formatFlag()
		meter := in.String("meter", "", "only this `METER`")
		apart := in.Duration("apart", 5*time.Second, "`TIME` between the two readings; 0 reads once; a minute tells more of small loads")
		closer := in.Bool("closer", false, "show each register in all byte orders, in the other table and one address to either side")
		anyway := in.Bool("while-running", false, "probe although the agent runs and may be using the same bus")
		if err := in.parse(0, 0); err != nil {
			return err
		}
		if err := checkFormat(*format); err != nil {
			return err
		}
		cfg, err := config.Load(*file)
		if err != nil {
			return configProblem(err)
		}
		if m, ok := cfg.Meter(*meter); *meter != "" && !ok {
			return wrong("no meter %q in %s", *meter, *file)
		} else if m.Virtual != nil {
			return wrong("%s is on no bus: it is %s; probe those", m.ID, m.Virtual.Words())
		} else if b := busOf(cfg, m.Bus); b.Listening != nil {
			return wrong("%s is on bus %s, which cannot be asked: it speaks by itself; see perseus-agent status", m.ID, b.ID)
		}
		if *apart < 0 || *apart > time.Hour {
			return wrong("--apart %s: use 0 to 1h", *apart)
		}
		if !*anyway && findDaemon(cfg) != nil {
			return errors.New("the agent is running and uses the buses: stop it first, or add --while-running where the meters allow two connections")
		}
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		defer stop()
		p := &prober{only: *meter, apart: *apart, closer: *closer, now: time.Now, wait: wait}
		if p.signs, err = scan.AllSigns(); err != nil {
			return err
		}
		rows, found := p.all(ctx, cfg)
		if err := printProbe(in.stdout, *format, rows, found); err != nil {
			return err
		}
		bad := 0
		for _, r := range rows {
			if r.Error != "" {
				bad++
			}
		}
		if bad > 0 {
			return fmt.Errorf("%d of %s could not be read", bad, count(len(rows), "register"))
		}
		return nil
	},
}

// probed is the outcome for one register.
type probed struct {
	Bus      string          `json:"bus"`
	Meter    string          `json:"meter"`
	Measure  energy.Measure  `json:"measure"`
	Raw      string          `json:"raw,omitempty"`
	Value    string          `json:"value,omitempty"`  // exact decimal in UnitCode
	UnitCode string          `json:"unitCode"`         // of the measure; WTT (watt) or D44 (var) for a power
	Serial   string          `json:"serial,omitempty"` // as the meter itself says
	Took     string          `json:"took,omitempty"`
	Error    string          `json:"error,omitempty"`
	Why      *drivers.Reason `json:"why,omitempty"`    // the error in parts, as in the status
	Maker    *maker          `json:"device,omitempty"` // what the meter says of itself, where it does
	Looks    string          `json:"looks_wrong,omitempty"`
	Moved    string          `json:"moved,omitempty"` // between the two readings, in units as people know them
	Apart    string          `json:"apart,omitempty"`

	base int64
}

// all examines every meter, bus after bus. Buses that speak by themselves
// cannot be asked, and are named.
func (p *prober) all(ctx context.Context, cfg *config.Config) (rows []probed, found []advice) {
	for _, b := range cfg.Buses {
		meters := cfg.On(b.ID)
		if len(meters) == 0 {
			continue
		}
		if b.Listening != nil {
			if p.only == "" {
				found = append(found, advice{Bus: b.ID, Says: "it speaks by itself and cannot be asked: see perseus-agent status"})
			}
			continue
		}
		r, f := p.examine(ctx, b, meters)
		rows, found = append(rows, r...), append(found, f...)
	}
	return rows, found
}

// busOf finds a bus that a checked configuration names.
func busOf(cfg *config.Config, id string) (b config.Bus) {
	for _, b = range cfg.Buses {
		if b.ID == id {
			return b
		}
	}
	return config.Bus{}
}

// wait is time.Sleep that an interrupt ends.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// identified notes the serial number that the meter gave, and whether the
// configuration knows it by another.
func identified(m config.Meter, serial string, rows []probed) {
	for i := range rows {
		rows[i].Serial = serial
	}
	if serial != "" && m.Serial != "" && serial != m.Serial && len(rows) > 0 && rows[0].Looks == "" {
		rows[0].Looks = fmt.Sprintf("the meter says that its serial number is %s, the configuration %s", serial, m.Serial)
	}
}

func probedMeter(b config.Bus, m config.Meter, got []drivers.Reading, err error) []probed {
	rows := make([]probed, len(m.Registers))
	for i, r := range m.Registers {
		rows[i] = probed{Bus: b.ID, Meter: m.ID, Measure: r.Measure, UnitCode: r.Measure.UnitCode(), Error: "not read", base: -1}
		if r.Power {
			rows[i].UnitCode = powerCode(r.Measure)
		}
		if err != nil {
			rows[i].Error = err.Error()
		}
	}
	for _, g := range got {
		row := &rows[g.Point]
		row.Took = g.Took.Round(100 * time.Microsecond).String()
		if row.Error = ""; g.Err != nil {
			row.Error = g.Err.Error()
			continue
		}
		row.Raw = fmt.Sprintf("0x%X", g.Raw)
		r := m.Registers[g.Point]
		if r.Power {
			row.Value, row.Looks = strconv.FormatInt(g.Sample.Value, 10), oddPower(r, g.Sample.Value)
			continue
		}
		if r.Learnt {
			r.Step = g.Step
		}
		row.base, row.Value = g.Sample.Value, row.Measure.Present(g.Sample.Value)
		row.Looks = first(suspicious(r, g.Raw, g.Sample.Value), coarse(r, g.Sample.Value))
	}
	for i := range rows {
		for j := range rows[:i] {
			if rows[i].base > 0 && rows[i].base == rows[j].base {
				rows[i].Looks = fmt.Sprintf("the same as %s: is one of the two addresses wrong?", rows[j].Measure)
			}
		}
	}
	return rows
}

// suspicious says what is odd about a total, going by what meters live to count.
func suspicious(r config.Register, raw uint64, v int64) string {
	lifetime := int64(100_000_000_000) // 100 GWh: a large works for years
	if r.MaxPower > 0 {
		lifetime = min(lifetime, r.MaxPower*24*365*30) // more than it can have counted in 30 years
	}
	order := r.Order
	if order == "" {
		order = "ABCD"
	}
	switch {
	case v == 0 && raw != 0:
		return fmt.Sprintf("the bits are not zero, the value is: is order %s right? Meters also use CDAB, BADC and DCBA", order)
	case v == 0 && r.Measure == energy.Import:
		return "zero: is the meter new? else the address or table may be wrong"
	case v > lifetime && r.Learnt:
		return "more than such a meter counts in its life: does the device scale it rightly?"
	case v > lifetime:
		return fmt.Sprintf("more than such a meter counts in its life: are order %s, type %s and unit %s right?", order, r.Type, r.Unit)
	}
	return ""
}

// powerCode is the UN/CEFACT code in which the power of a measure is shown.
func powerCode(m energy.Measure) string {
	if m.BaseUnit() == "varh" {
		return "D44" // var
	}
	return "WTT" // watt
}

// oddPower says what is odd about a power.
func oddPower(r config.Register, v int64) string {
	if max(v, -v) > r.MaxPower {
		return fmt.Sprintf("more than this connection carries: are type %s, order and unit %s right?", r.Type, r.Unit)
	}
	return ""
}

// coarse says when a register's steps are large against what the meter can
// count in a half-hour: a hundredth of a tenth of that, as rule V18 has it.
func coarse(r config.Register, v int64) string {
	step := r.StepAt(v)
	if r.Learnt {
		step = r.Step
	}
	if r.MaxPower <= 0 || step <= max(1, r.MaxPower/2000) {
		return ""
	}
	why := "it counts"
	if r.Mantissa > 0 {
		why = "as a " + r.Type + " it counts"
	}
	return fmt.Sprintf("%s in steps of %s here, and half-hours will be as coarse: is there a finer register?", why, shownStep(step, r.Measure))
}

func shownStep(base int64, m energy.Measure) string {
	if base < 1000 {
		return fmt.Sprintf("%d %s", base, m.BaseUnit())
	}
	return shownAmount(base, m)
}
