package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/gas"
)

// Gas says what the volumes of gas meters are turned into energy by.
type Gas struct {
	CalorificValues []string // paths of National Gas's files of daily values; none: only values that stand in for them
}

func (p *parse) gas(n ast.Node) {
	if n == nil {
		return
	}
	const what = "gas: calorific_values"
	o := p.object(n, "gas", gasLevel)
	files := []ast.Node{o["calorific_values"]}
	switch v := files[0].(type) {
	case nil:
		p.at(n, "%s is missing: name the CSV file of National Gas, or leave gas out", what)
		return
	case *ast.SequenceNode:
		if files = v.Values; len(files) == 0 {
			p.at(v, "%s is empty: name the CSV file of National Gas, or leave gas out", what)
		}
	}
	for _, f := range files {
		path, ok := p.text(f, what)
		switch {
		case !ok:
		case strings.TrimSpace(path) == "":
			p.at(f, "%s: a path is empty: name the CSV file of National Gas, or leave gas out", what)
		case slices.Contains(p.cfg.Gas.CalorificValues, path):
			p.at(f, "%s: %s is there twice", what, path)
		default:
			p.cfg.Gas.CalorificValues = append(p.cfg.Gas.CalorificValues, path)
		}
	}
}

// conversion reads what a gas meter's volume is turned into energy by.
func (p *parse) conversion(o map[string]ast.Node, name string, m *Meter) {
	m.Corrected = p.yes(o["corrected"], name+": corrected")
	if s, ok := p.text(o["zone"], name+": zone"); ok {
		var err error
		if m.Zone, err = gas.ParseZone(s); err != nil {
			p.at(o["zone"], "%s: %v", name, err)
		}
	}
	if s, ok := p.text(o["converted_from"], name+": converted_from"); ok {
		day, err := gas.ParseDay(s)
		if err != nil {
			p.at(o["converted_from"], "%s: converted_from: %v: write the gas day from which corrected, vcf and zone hold", name, err)
		}
		m.ConvertedFrom = day.Start()
	}
	s, ok := p.text(o["vcf"], name+": vcf")
	if !ok {
		return
	}
	var err error
	if m.VCF, err = gas.ParseVCF(s); err != nil {
		p.at(o["vcf"], "%s: %v", name, err)
	} else if m.Corrected {
		p.at(o["vcf"], "%s: vcf: the meter corrects its volume, and it would be corrected twice: leave vcf or corrected out", name)
	}
}

// Conversion is what a meter's volume is turned into energy by. Of a virtual
// meter it is what all the meters that it is made of have in common; the error
// says which of them differ.
func (c *Config) Conversion(m Meter) (gas.Meter, error) {
	if m.Virtual == nil {
		return gas.Meter{Zone: m.Zone, Corrected: m.Corrected, VCF: m.VCF}, nil
	}
	var first gas.Meter
	inputs := m.Virtual.Inputs()
	for i, id := range inputs {
		in, ok := c.Meter(id)
		if !ok || !slices.Contains(in.Measures(), energy.Gas) {
			return gas.Meter{}, fmt.Errorf("meter %s, of which it is made, measures no gas", id)
		}
		g, err := c.Conversion(in)
		if err != nil {
			return gas.Meter{}, err
		}
		if i == 0 {
			first = g
		} else if g != first {
			return gas.Meter{}, fmt.Errorf("meters %s and %s, of which it is made, are converted differently: see each of them", inputs[0], id)
		}
	}
	return first, nil
}
