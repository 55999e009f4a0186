package config

import (
	"fmt"
	"io/fs"
	"path"
	"strings"
	"sync"

	"github.com/goccy/go-yaml/ast"

	"github.com/perseus-edge/perseus-edge/configs"
	"github.com/perseus-edge/perseus-edge/drivers/modbus"
)

// Template is a kind of meter: data, not code.
type Template struct {
	Name       string // file name without .yaml
	Title      string // maker and model
	Manual     string // title of the document that the registers come from
	Checked    string // how they were checked
	Note       string // what an installer should know, or empty
	Phases     int    // 1 or 3
	MaxCurrent int64  // A per phase through the meter itself; 0: it works on transformers
	Primary    bool   // it knows its transformers' ratio and shows primary values
	Registers  []Register

	SerialRegister *modbus.Serial // where it keeps its serial number; nil: not known
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
	names, err := fs.Glob(files, "templates/*.yaml") // sorted
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
	return out, nil
}

func parseTemplate(file string, data []byte) (Template, error) {
	r := &reader{}
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
	}{{"title", &t.Title}, {"manual", &t.Manual}, {"checked", &t.Checked}} {
		if *f.to, _ = r.text(o[f.key], f.key); *f.to == "" {
			r.at(body, "a template needs %s", f.key)
		}
	}
	t.Note, _ = r.text(o["note"], "note")
	phases, _ := r.whole(o["phases"], "phases", 1, 3)
	t.Phases = int(phases)
	t.MaxCurrent, _ = r.whole(o["max_current"], "max_current", 1, 10_000)
	t.Primary = r.yes(o["primary"], "primary")
	if o["registers"] == nil {
		r.at(body, "a template needs registers")
		return
	}
	t.Registers = r.registers(o["registers"], t.Name)
	if o["serial_register"] != nil {
		t.SerialRegister = r.serialRegister(o["serial_register"], "serial_register")
	}
}
