package scan

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/goccy/go-yaml"

	"github.com/perseus-edge/perseus-edge/drivers/modbus"
	"github.com/perseus-edge/perseus-edge/energy"
)

//go:embed signs.yaml
var signsFile []byte

// Signs are what a kind of meter shows besides its totals. Any of them may be
// absent.
type Signs struct {
	Model  *Model
	Volts  *modbus.Point  // phase 1 to neutral; read as if it were W, since no total is like it
	Hertz  *modbus.Point  // likewise
	Power  *modbus.Point  // of all phases; positive is import
	Phases []modbus.Point // power of each
}

// Model is a register that says which model it is: by how its text begins (8
// characters at most are read), or by a number.
type Model struct {
	Point modbus.Point
	Texts []string
	Is    []uint64
}

// Matches reports whether the raw value is this model's.
func (m Model) Matches(raw uint64) bool {
	said := text(raw, m.Point.Type)
	return slices.Contains(m.Is, raw) || slices.ContainsFunc(m.Texts, func(t string) bool { return strings.HasPrefix(said, t) })
}

// text is a raw value as characters.
func text(raw uint64, typ string) string {
	n := map[string]int{"uint16": 2, "uint32": 4, "uint64": 8}[typ]
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(raw >> (8 * (n - 1 - i)))
	}
	return string(b)
}

type signRegister struct {
	Address uint16 `yaml:"address"`
	Table   string `yaml:"table"`
	Type    string `yaml:"type"`
	Order   string `yaml:"order"`
	Unit    string `yaml:"unit"`
	Scale   string `yaml:"scale"`
}

// signFamily is an entry of signs.yaml.
type signFamily struct {
	For    []string            `yaml:"for"`
	Source string              `yaml:"source"`
	Model  *signRegister       `yaml:"model"`
	Is     map[string][]string `yaml:"is"` // template -> texts, or numbers, of the model register
	Volts  *signRegister       `yaml:"volts"`
	Hertz  *signRegister       `yaml:"hertz"`
	Power  *signRegister       `yaml:"power"`
	Phases []signRegister      `yaml:"phases"`
}

// AllSigns are the built-in signs, by the name of their template.
var AllSigns = sync.OnceValues(func() (map[string]Signs, error) { return parseSigns(signsFile) })

func parseSigns(data []byte) (map[string]Signs, error) {
	var families []signFamily
	if err := yaml.NewDecoder(bytes.NewReader(data), yaml.Strict()).Decode(&families); err != nil {
		return nil, fmt.Errorf("signs of meters: %w", err)
	}
	out := map[string]Signs{}
	for _, f := range families {
		for _, name := range f.For {
			s, err := f.signs(name)
			if err != nil {
				return nil, fmt.Errorf("signs of %s: %w", name, err)
			}
			if _, twice := out[name]; twice {
				return nil, fmt.Errorf("signs of %s are there twice", name)
			}
			out[name] = s
		}
		if f.Source == "" || len(f.For) == 0 {
			return nil, fmt.Errorf("signs of %v: for and source are needed", f.For)
		}
	}
	return out, nil
}

func (f signFamily) signs(name string) (s Signs, err error) {
	if f.Model != nil {
		s.Model = &Model{Point: f.Model.plain()}
		for _, is := range f.Is[name] {
			if n, err := strconv.ParseUint(is, 0, 64); err == nil {
				s.Model.Is = append(s.Model.Is, n)
			} else if len(is) > 8 {
				return s, fmt.Errorf("model %q: at most 8 characters", is)
			} else {
				s.Model.Texts = append(s.Model.Texts, is)
			}
		}
		if len(f.Is[name]) == 0 {
			return s, errors.New("there is a model register, and nothing under is")
		}
	}
	for _, x := range []struct {
		r  *signRegister
		to **modbus.Point
	}{{f.Volts, &s.Volts}, {f.Hertz, &s.Hertz}, {f.Power, &s.Power}} {
		if x.r != nil {
			p := x.r.power()
			*x.to = &p
		}
	}
	for _, r := range f.Phases {
		s.Phases = append(s.Phases, r.power())
	}
	for _, p := range s.points() {
		if err := p.Check(); err != nil {
			return s, fmt.Errorf("register at %#04x: %w", p.Address, err)
		}
	}
	return s, nil
}

func (s Signs) points() (out []modbus.Point) {
	if s.Model != nil {
		out = append(out, s.Model.Point)
	}
	for _, p := range []*modbus.Point{s.Volts, s.Hertz, s.Power} {
		if p != nil {
			out = append(out, *p)
		}
	}
	return append(out, s.Phases...)
}

// power is a register that is no total: signed, and free to fall.
func (r signRegister) power() modbus.Point {
	p := r.plain()
	p.Scale = r.Scale
	if p.Unit = r.Unit; p.Unit == "" {
		p.Unit = "W"
	}
	return p
}

// plain is a register of which only the bits are of interest.
func (r signRegister) plain() modbus.Point {
	return modbus.Point{Measure: energy.Import, Address: r.Address, Table: r.Table, Type: r.Type, Order: r.Order, Unit: "Wh"}
}
