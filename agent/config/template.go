package config

import (
	"cmp"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/goccy/go-yaml/ast"

	"github.com/perseus-edge/perseus-edge/configs"
	"github.com/perseus-edge/perseus-edge/drivers/modbus"
	"github.com/perseus-edge/perseus-edge/drivers/modbus/sunspec"
	"github.com/perseus-edge/perseus-edge/energy"
)

// Template is a kind of meter: data, not code.
type Template struct {
	Name         string   // file name without .yaml
	Maker        string   //
	Title        string   // maker and model
	Sources      []Source // where the registers come from
	Checked      string   // how sure they are: one of the words of checks
	Note         string   // what an installer should know, or empty
	Phases       int      // 1 or 3
	MaxCurrent   int64    // A per phase through the meter itself; 0: on transformers, or not known
	Transformers bool     // it works on current transformers only
	Primary      bool     // it knows its transformers' ratio and shows primary values
	Registers    []Register

	Inputs  int            // counters of a module with pulse inputs, one after another; 0: it is a meter
	Counter *modbus.Serial // where the first of them is

	SunSpec sunspec.Kind // what part of a SunSpec device it is, which says itself where its registers are; "": they say

	SerialRegister *modbus.Serial // where it keeps its serial number; nil: not known
}

// Source is where registers of a template come from. It has one of Document,
// Reader and Device.
type Source struct {
	Document string           // a document of the manufacturer, that was read for this
	Reader   string           // other open source software that reads this meter
	Device   string           // registers that somebody read from a device and published
	Revision string           // of the document or the software, where known
	Page     string           // of the document, where known
	Measures []energy.Measure // those that it has; nil: all
}

// checks are the words for how sure a template is, and what they stand for.
var checks = map[string]string{
	"document":     "against the manufacturer's register table, not yet against a device",
	"reader":       "against the tables of other readers of this meter, not yet against a device",
	"device-image": "against registers that somebody read from a device and published",
}

// CheckedHow says in words how sure the registers are.
func (t Template) CheckedHow() string { return checks[t.Checked] }

// Agreeing is how many of the sources have a measure where this template has it.
func (t Template) Agreeing(m energy.Measure) (n int) {
	for _, s := range t.Sources {
		if s.Measures == nil || slices.Contains(s.Measures, m) {
			n++
		}
	}
	return n
}

func (s Source) String() string {
	var parts []string
	switch {
	case s.Document != "":
		parts = append(parts, "document: "+s.Document)
	case s.Reader != "":
		parts = append(parts, "reader: "+s.Reader)
	default:
		parts = append(parts, "device: "+s.Device)
	}
	if s.Revision != "" {
		parts = append(parts, "revision "+s.Revision)
	}
	if s.Page != "" {
		parts = append(parts, "page "+s.Page)
	}
	if s.Measures != nil {
		names := make([]string, len(s.Measures))
		for i, m := range s.Measures {
			names[i] = m.String()
		}
		parts = append(parts, "for "+strings.Join(names, " "))
	}
	return strings.Join(parts, ", ")
}

// Templates lists the built-in templates by name.
var Templates = sync.OnceValues(func() ([]Template, error) { return readTemplates(configs.Templates) })

// TemplateNamed finds a built-in template; the error has the nearest name.
func TemplateNamed(name string) (Template, error) {
	ts, err := Templates()
	if err != nil {
		return Template{}, err
	}
	names := make([]string, len(ts))
	for i, t := range ts {
		if t.Name == name {
			return t, nil
		}
		names[i] = t.Name
	}
	return Template{}, fmt.Errorf("unknown template %q: %s", name, suggest(name, names))
}

func readTemplates(files fs.FS) ([]Template, error) {
	names, err := fs.Glob(files, "templates/*.yaml")
	if err != nil {
		return nil, err
	}
	var out []Template
	for _, n := range names {
		data, err := fs.ReadFile(files, n)
		if err != nil {
			return nil, err
		}
		t, err := parseTemplate(n, data)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b Template) int { return cmp.Compare(a.Name, b.Name) })
	return out, nil
}

func parseTemplate(file string, data []byte) (Template, error) {
	r := &reader{ofTemplate: true}
	t := Template{Name: strings.TrimSuffix(path.Base(file), ".yaml")}
	if body := r.tree(data); body != nil {
		r.template(body, &t)
	}
	if len(r.problems) > 0 {
		e := &Errors{File: file, Problems: r.problems}
		e.sort()
		return t, e
	}
	return t, nil
}

func (r *reader) template(body ast.Node, t *Template) {
	o := r.object(body, "a template", templateLevel)
	for _, f := range []struct {
		key string
		to  *string
	}{{"title", &t.Title}, {"maker", &t.Maker}} {
		if *f.to, _ = r.text(o[f.key], f.key); *f.to == "" {
			r.at(body, "a template needs %s", f.key)
		}
	}
	t.Note, _ = r.text(o["note"], "note")
	phases, _ := r.whole(o["phases"], "phases", 1, 3)
	t.Phases = int(phases)
	t.MaxCurrent, _ = r.whole(o["max_current"], "max_current", 1, 10_000)
	t.Transformers = r.yes(o["transformers"], "transformers")
	if t.Transformers && t.MaxCurrent > 0 {
		r.at(o["max_current"], "max_current is of a meter that the current flows through: leave it out, or transformers")
	}
	t.Primary = r.yes(o["primary"], "primary")
	switch {
	case o["sunspec"] != nil:
		r.sunSpec(o, t)
	case o["inputs"] != nil:
		r.inputs(o, t)
	case o["registers"] == nil:
		r.at(body, "a template needs registers")
		return
	default:
		t.Registers = r.registers(o["registers"], t.Name)
	}
	if o["serial_register"] != nil {
		t.SerialRegister = r.serialRegister(o["serial_register"], "serial_register")
	}
	r.sources(body, o, t)
}

// sources reads where the registers come from, and how sure they are.
func (r *reader) sources(body ast.Node, o map[string]ast.Node, t *Template) {
	has := make([]string, len(t.Registers))
	for i, reg := range t.Registers {
		has[i] = reg.Measure.String()
	}
	kinds := map[string]bool{}
	for _, n := range r.listOrNil(o["source"], "source") {
		so, s := r.object(n, "a source", sourceLevel), Source{}
		given := 0
		for _, f := range []struct {
			key, kind string
			to        *string
		}{{"document", "document", &s.Document}, {"reader", "reader", &s.Reader}, {"device", "device-image", &s.Device}, {"revision", "", &s.Revision}, {"page", "", &s.Page}} {
			if *f.to, _ = r.text(so[f.key], f.key); *f.to != "" && f.kind != "" {
				kinds[f.kind] = true
				given++
			}
		}
		if given != 1 {
			r.at(n, "a source is one of document, reader and device")
		}
		for _, item := range r.listOrNil(so["measures"], "measures") {
			if word, ok := r.choice(item, "measures", has...); ok {
				m, _ := energy.ParseMeasure(word)
				s.Measures = append(s.Measures, m)
			}
		}
		t.Sources = append(t.Sources, s)
	}
	var ok bool
	switch t.Checked, ok = r.choice(o["checked"], "checked", slices.Sorted(maps.Keys(checks))...); {
	case len(t.Sources) == 0:
		r.at(body, "a template needs source: where its registers come from")
	case o["checked"] == nil:
		r.at(body, "a template needs checked: document, reader or device-image")
	case ok && !kinds[t.Checked]:
		r.at(o["checked"], "checked: %s: but no source is one", t.Checked)
	}
}
