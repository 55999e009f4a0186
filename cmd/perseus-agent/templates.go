package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/drivers/modbus"
	"github.com/perseus-edge/perseus-edge/energy"
)

var templatesCommand = command{
	name: "templates", args: "[NAME]", short: "list the meters that are known, or show one",
	long: `Lists the meter templates, or shows one with its registers and where they come from. Write the name into the configuration: template: NAME.`,
	run: func(in *invocation) error {
		format := in.formatFlag()
		search := in.String("search", "", "only those with these `WORDS` in their name, maker, model, measures or note, such as \"gavazzi 340\" or \"pulse\"")
		if err := in.parse(0, 1); err != nil {
			return err
		}
		if err := checkFormat(*format); err != nil {
			return err
		}
		if in.NArg() == 1 {
			if *search != "" {
				return wrong("give a name or --search, not both")
			}
			t, err := config.TemplateNamed(in.Arg(0))
			if err != nil {
				return wrong("%v", err)
			}
			return in.showTemplates(*format, []config.Template{t}, true)
		}
		ts, err := config.Templates()
		if err != nil {
			return err
		}
		all := len(ts)
		if ts = searched(ts, *search); len(ts) == 0 {
			return wrong("none of the %d templates has %q: try the maker or the model alone, or give the meter registers", all, *search)
		}
		return in.showTemplates(*format, ts, false)
	},
}

// searched keeps the templates that have every word, in whatever case.
func searched(ts []config.Template, words string) []config.Template {
	return slices.DeleteFunc(slices.Clone(ts), func(t config.Template) bool {
		text := strings.ToLower(strings.Join([]string{t.Name, t.Maker, t.Title, t.Note, measuresOf(templateOf(t))}, " "))
		return slices.ContainsFunc(strings.Fields(strings.ToLower(words)), func(w string) bool { return !strings.Contains(text, w) })
	})
}

// template is how a template is printed as JSON.
type template struct {
	Name         string             `json:"name"`
	Maker        string             `json:"maker"`
	Title        string             `json:"title"`
	Sources      []templateSource   `json:"sources"`
	Checked      string             `json:"checked"`
	Note         string             `json:"note,omitempty"`
	Phases       int                `json:"phases,omitempty"`
	MaxCurrent   int64              `json:"maxCurrent,omitempty"`
	Transformers bool               `json:"transformers,omitempty"`
	Primary      bool               `json:"primary,omitempty"`
	Registers    []templateRegister `json:"registers"`
	Inputs       int                `json:"inputs,omitempty"`  // pulse inputs of a module
	Counter      *templateSerial    `json:"counter,omitempty"` // of the first of them
	Serial       *templateSerial    `json:"serialRegister,omitempty"`
}

type templateSource struct {
	Document string   `json:"document,omitempty"`
	Reader   string   `json:"reader,omitempty"`
	Device   string   `json:"device,omitempty"`
	Revision string   `json:"revision,omitempty"`
	Page     string   `json:"page,omitempty"`
	Measures []string `json:"measures,omitempty"`
}

type templateSerial struct {
	Address uint16 `json:"address"`
	Table   string `json:"table"`
	Type    string `json:"type"`
	Order   string `json:"order,omitempty"`
	Words   int    `json:"words,omitempty"`
}

type templateRegister struct {
	Measure string `json:"measure"`
	Address uint16 `json:"address"`
	Table   string `json:"table"`
	Type    string `json:"type"`
	Order   string `json:"order"`
	Unit    string `json:"unit"`
	Scale   string `json:"scale,omitempty"`
	Sources int    `json:"sources"` // how many of the sources have it so
}

func templateOf(t config.Template) template {
	row := template{Name: t.Name, Maker: t.Maker, Title: t.Title, Checked: t.Checked, Note: t.Note,
		Phases: t.Phases, MaxCurrent: t.MaxCurrent, Transformers: t.Transformers, Primary: t.Primary,
		Registers: []templateRegister{}, Inputs: t.Inputs, Counter: placeOf(t.Counter), Serial: placeOf(t.SerialRegister)}
	for _, s := range t.Sources {
		out := templateSource{Document: s.Document, Reader: s.Reader, Device: s.Device, Revision: s.Revision, Page: s.Page}
		for _, m := range s.Measures {
			out.Measures = append(out.Measures, m.String())
		}
		row.Sources = append(row.Sources, out)
	}
	for _, r := range t.Registers {
		row.Registers = append(row.Registers, templateRegister{r.Measure.String(), r.Address, r.Table, r.Type, r.Order, unitOf(r), r.Scale, t.Agreeing(r.Measure)})
	}
	return row
}

// unitOf is the unit of a register; "as set" where each meter has its own.
func unitOf(r config.Register) string {
	if r.Ask {
		return "as set"
	}
	return r.Unit
}

func placeOf(r *modbus.Serial) *templateSerial {
	if r == nil {
		return nil
	}
	return &templateSerial{r.Address, r.Table, r.Type, r.Order, r.Words}
}

func (in *invocation) showTemplates(format string, ts []config.Template, full bool) error {
	rows := make([]template, len(ts))
	for i, t := range ts {
		rows[i] = templateOf(t)
	}
	switch {
	case format == "json":
		e := json.NewEncoder(in.stdout)
		e.SetIndent("", "  ")
		return e.Encode(map[string]any{"data": rows})
	case format == "csv":
		c := csv.NewWriter(in.stdout)
		c.Write([]string{"name", "maker", "title", "measures", "sources", "checked"})
		for i, t := range rows {
			c.Write([]string{t.Name, t.Maker, t.Title, measuresOf(t), sourcesOf(ts[i], "; "), t.Checked})
		}
		c.Flush()
		return c.Error()
	case full:
		return in.showTemplate(ts[0], rows[0])
	}
	w := tabwriter.NewWriter(in.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TEMPLATE\tMETER\tPHASES\tCURRENT\tMEASURES\tCHECKED")
	for _, t := range rows {
		model, _, _ := strings.Cut(t.Title, " (") // what is in brackets has columns of its own
		short := strings.Replace(measuresOf(t), "reactive-import reactive-export", "reactive", 1)
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", t.Name, model, dash(strings.TrimPrefix(strconv.Itoa(t.Phases), "0")), currentOf(t), short, t.Checked)
	}
	return w.Flush()
}

func (in *invocation) showTemplate(t config.Template, row template) error {
	fmt.Fprintf(in.stdout, "%s: %s\nConnection: %s\nChecked: %s\nSources:\n  %s\n", t.Name, t.Title, connectionOf(t), t.CheckedHow(), sourcesOf(t, "\n  "))
	if t.Note != "" {
		fmt.Fprintf(in.stdout, "Note: %s\n", t.Note)
	}
	fmt.Fprintln(in.stdout)
	w := tabwriter.NewWriter(in.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "MEASURE\tADDRESS\tTABLE\tTYPE\tORDER\tUNIT\tSCALE\tSOURCES")
	for _, r := range row.Registers {
		if t.SunSpec != "" {
			fmt.Fprintf(w, "%s\t-\t-\t%s\t-\t%s\t-\t%d\n", r.Measure, r.Type, r.Unit, r.Sources)
			continue
		}
		fmt.Fprintf(w, "%s\t%#04x\t%s\t%s\t%s\t%s\t%s\t%d\n", r.Measure, r.Address, r.Table, r.Type, dash(r.Order), r.Unit, dash(r.Scale), r.Sources)
	}
	for _, i := range slices.Compact([]int{min(1, t.Inputs), t.Inputs}) {
		if i > 0 {
			p := t.Input(i, energy.Import, "1 Wh")
			fmt.Fprintf(w, "input %d\t%#04x\t%s\t%s\t%s\tpulse\t-\t%d\n", i, p.Address, p.Table, p.Type, dash(p.Order), len(t.Sources))
		}
	}
	if r := row.Serial; r != nil {
		fmt.Fprintf(w, "serial number\t%#04x\t%s\t%s\t%s\t-\t-\t-\n", r.Address, r.Table, r.Type, dash(r.Order))
	}
	return w.Flush()
}

// currentOf is how the current comes to a meter, in a word: "-" is not known.
func currentOf(t template) string {
	switch {
	case t.Transformers:
		return "ct"
	case t.MaxCurrent > 0:
		return fmt.Sprintf("%d A", t.MaxCurrent)
	}
	return "-"
}

// connectionOf says what the current of the meter goes through.
func connectionOf(t config.Template) string {
	phases := "one phase"
	if t.Phases > 1 {
		phases = "three phases"
	}
	switch {
	case t.SunSpec != "":
		return "the device says itself where its registers are, and who it is"
	case t.Inputs > 0:
		return fmt.Sprintf("%d pulse inputs, each for a meter: give input and pulse, such as pulse: 0.1 m3", t.Inputs)
	case t.Transformers && t.Primary:
		return phases + ", current transformers, whose ratio is set in the meter"
	case t.Transformers:
		return phases + ", current transformers"
	case t.MaxCurrent > 0:
		return fmt.Sprintf("%s, direct, up to %d A", phases, t.MaxCurrent)
	}
	return phases + "; what it carries is on its label: give rating, or ct"
}

func sourcesOf(t config.Template, between string) string {
	lines := make([]string, len(t.Sources))
	for i, s := range t.Sources {
		lines[i] = s.String()
	}
	return strings.Join(lines, between)
}

func measuresOf(t template) string {
	if t.Inputs > 0 {
		return fmt.Sprintf("%d pulse inputs", t.Inputs)
	}
	names := make([]string, len(t.Registers))
	for i, r := range t.Registers {
		names[i] = r.Measure
	}
	return strings.Join(names, " ")
}

var versionCommand = command{
	name: "version", short: "print the version",
	long: "Prints the version, the Go release it was built with, and the system it was built for.",
	run: func(in *invocation) error {
		if err := in.parse(0, 0); err != nil {
			return err
		}
		_, err := fmt.Fprintf(in.stdout, "perseus-agent %s (%s, %s/%s)\n", programVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
		return err
	},
}
