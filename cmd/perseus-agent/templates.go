package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"text/tabwriter"

	"github.com/perseus-edge/perseus-edge/agent/config"
)

var templatesCommand = command{
	name: "templates", args: "[NAME]", short: "list the meters that are known, or show one",
	long: `Lists the meter templates, or shows one with its registers. Write the name into the configuration: template: NAME.`,
	run: func(in *invocation) error {
		format := in.formatFlag()
		if err := in.parse(0, 1); err != nil {
			return err
		}
		if err := checkFormat(*format); err != nil {
			return err
		}
		if in.NArg() == 1 {
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
		return in.showTemplates(*format, ts, false)
	},
}

// template is how a template is printed as JSON.
type template struct {
	Name      string             `json:"name"`
	Title     string             `json:"title"`
	Manual    string             `json:"manual"`
	Checked   string             `json:"checked"`
	Note      string             `json:"note,omitempty"`
	Registers []templateRegister `json:"registers"`
	Serial    *templateSerial    `json:"serialRegister,omitempty"`
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
}

func (in *invocation) showTemplates(format string, ts []config.Template, full bool) error {
	var rows []template
	for _, t := range ts {
		row := template{Name: t.Name, Title: t.Title, Manual: t.Manual, Checked: t.Checked, Note: t.Note}
		if r := t.SerialRegister; r != nil {
			row.Serial = &templateSerial{r.Address, r.Table, r.Type, r.Order, r.Words}
		}
		for _, r := range t.Registers {
			row.Registers = append(row.Registers, templateRegister{r.Measure.String(), r.Address, r.Table, r.Type, r.Order, r.Unit, r.Scale})
		}
		rows = append(rows, row)
	}
	switch {
	case format == "json":
		e := json.NewEncoder(in.stdout)
		e.SetIndent("", "  ")
		return e.Encode(map[string]any{"data": rows})
	case format == "csv":
		c := csv.NewWriter(in.stdout)
		c.Write([]string{"name", "title", "measures", "manual", "checked"})
		for _, t := range rows {
			c.Write([]string{t.Name, t.Title, measuresOf(t), t.Manual, t.Checked})
		}
		c.Flush()
		return c.Error()
	case full:
		t := rows[0]
		fmt.Fprintf(in.stdout, "%s: %s\nManual: %s\nChecked: %s\n", t.Name, t.Title, t.Manual, t.Checked)
		if t.Note != "" {
			fmt.Fprintf(in.stdout, "Note: %s\n", t.Note)
		}
		fmt.Fprintln(in.stdout)
		w := tabwriter.NewWriter(in.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "MEASURE\tADDRESS\tTABLE\tTYPE\tORDER\tUNIT\tSCALE")
		for _, r := range t.Registers {
			fmt.Fprintf(w, "%s\t%#04x\t%s\t%s\t%s\t%s\t%s\n", r.Measure, r.Address, r.Table, r.Type, dash(r.Order), r.Unit, dash(r.Scale))
		}
		if r := t.Serial; r != nil {
			fmt.Fprintf(w, "serial number\t%#04x\t%s\t%s\t%s\t-\t-\n", r.Address, r.Table, r.Type, dash(r.Order))
		}
		return w.Flush()
	}
	w := tabwriter.NewWriter(in.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TEMPLATE\tMETER\tMEASURES")
	for _, t := range rows {
		fmt.Fprintf(w, "%s\t%s\t%s\n", t.Name, t.Title, measuresOf(t))
	}
	return w.Flush()
}

func measuresOf(t template) string {
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
