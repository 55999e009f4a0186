// Package sunspec knows how a SunSpec device lays out its registers: how its
// models are found, which of them count energy, and what their registers mean
// (SunSpec Device Information Model Specification 1.1; the models themselves
// as published in github.com/sunspec/models). It is pure: whoever owns the
// wire asks what Walk wants to be asked, and hands over the answers.
package sunspec

import (
	"fmt"
	"slices"
	"strings"
)

// Bases are the protocol addresses at which a device may keep its map, the
// usual one first. It lies in the holding registers.
func Bases() []uint16 { return []uint16{40000, 50000, 0} }

// The marker "SunS" that a map begins with, and the model that ends it.
const (
	marker0, marker1 = 0x5375, 0x6E53
	endModel         = 0xFFFF
	commonModel      = 1
)

// maxModels bounds the walk: large inverters have some forty models.
const maxModels = 128

// Model is where one model lies. Address is that of its ID; Length counts the
// registers behind ID and length.
type Model struct{ ID, Address, Length uint16 }

// Map is what a device says that it has.
type Map struct {
	Base   uint16
	Models []Model
	Broken string // how the list of models breaks off, where it has no proper end; what came before it holds
}

// Walk finds out the map of a device, question by question. The zero value is
// ready.
type Walk struct {
	base    int // index of the base that is asked
	found   bool
	over    bool
	idAlone bool // the header's two registers were refused: the ID is asked for by itself
	at      int
	m       Map
}

// Ask gives the next holding registers to read; ok is false when the walk is
// over.
func (w *Walk) Ask() (address, words uint16, ok bool) {
	switch {
	case w.over || !w.found && w.base >= len(Bases()):
		return 0, 0, false
	case !w.found:
		return Bases()[w.base], 2, true
	case w.idAlone:
		return uint16(w.at), 1, true
	}
	return uint16(w.at), 2, true
}

// Found reports whether the map's beginning was found.
func (w *Walk) Found() bool { return w.found }

// Hear takes what the registers of the last Ask hold.
func (w *Walk) Hear(words []uint16) {
	_, n, ok := w.Ask()
	switch {
	case !ok || len(words) != int(n):
		w.Refused()
	case !w.found && words[0] == marker0 && words[1] == marker1:
		w.found, w.m.Base = true, Bases()[w.base]
		w.at = int(w.m.Base) + 2
	case !w.found:
		w.base++
	case words[0] == endModel:
		w.over = true
	case w.idAlone || words[0] == 0:
		w.stop("behind model %d comes no other, and no end")
	case w.at+2+int(words[1]) > 0xFFFF:
		w.stop("the model behind model %d would reach beyond the last register")
	default:
		w.m.Models = append(w.m.Models, Model{words[0], uint16(w.at), words[1]})
		if w.at += 2 + int(words[1]); len(w.m.Models) >= maxModels || w.at > 0xFFFE {
			w.stop("the list does not end at model %d")
		}
	}
}

// Refused is for a last Ask that the device did not answer, or with a no. Some
// devices have an ID that ends the map, and no length behind it.
func (w *Walk) Refused() {
	switch {
	case w.over:
	case !w.found:
		w.base++
	case w.idAlone:
		w.stop("the device has no registers behind model %d")
	default:
		w.idAlone = true
	}
}

func (w *Walk) stop(how string) {
	last := uint16(0)
	if n := len(w.m.Models); n > 0 {
		last = w.m.Models[n-1].ID
	}
	w.over, w.m.Broken = true, fmt.Sprintf(how, last)
}

// Map gives what was found; ok is false where this is no SunSpec device.
func (w *Walk) Map() (m Map, ok bool) { return w.m, w.found }

// IDs lists the models as people speak of them: "1, 103, 160".
func (m Map) IDs() string {
	names := make([]string, len(m.Models))
	for i, x := range m.Models {
		names[i] = fmt.Sprint(x.ID)
	}
	return strings.Join(names, ", ")
}

// Kind is what part of a device is read.
type Kind string

// The kinds.
const (
	Meter    Kind = "meter"
	Inverter Kind = "inverter"
)

// Part is one device within the device: an inverter and its meters often share
// one map, and each begins with a common model of its own.
type Part struct {
	Common Model   // zero where there is none
	Models []Model // those that count energy of the kind, best first
}

// Parts lists the parts that have a model of a kind, in the order of the map.
// Models whose length is not that of their ID are passed over: nobody can say
// where their registers are.
func (m Map) Parts(k Kind) []Part {
	var out []Part
	var part Part
	done := func() {
		if len(part.Models) > 0 {
			// Integers before floats, that lose Wh as they grow.
			slices.SortStableFunc(part.Models, func(a, b Model) int { return layouts[a.ID].rank - layouts[b.ID].rank })
			out = append(out, part)
		}
	}
	for _, x := range m.Models {
		if x.ID == commonModel {
			done()
			part = Part{Common: x}
		}
		if l, ok := layouts[x.ID]; ok && l.kind == k && x.Length >= l.words()-2 {
			part.Models = append(part.Models, x)
		}
	}
	done()
	return out
}

// Common is how a device, or a part of one, calls itself.
type Common struct{ Maker, Model, Options, Version, Serial string }

// CommonWords is how many registers of a common model say who it is, from its
// ID on; SerialAt and SerialWords where among them its serial number is.
const (
	CommonWords = 66
	SerialAt    = 50
	SerialWords = 16
)

// ParseCommon reads the registers of a common model, from its ID on.
func ParseCommon(words []uint16) (c Common, ok bool) {
	if len(words) < CommonWords || words[0] != commonModel {
		return c, false
	}
	c.Maker, c.Model = text(words[2:18]), text(words[18:34])
	c.Options, c.Version, c.Serial = text(words[34:42]), text(words[42:50]), text(words[SerialAt:CommonWords])
	return c, true
}

// String gives maker, model and version in one line.
func (c Common) String() string {
	return strings.Join(strings.Fields(c.Maker+" "+c.Model+" "+c.Version), " ")
}

// text gives what a person can read up to the padding.
func text(words []uint16) string {
	var b strings.Builder
	for _, w := range words {
		for _, ch := range [2]byte{byte(w >> 8), byte(w)} {
			if ch == 0 {
				return strings.TrimSpace(b.String())
			}
			if ch >= ' ' && ch <= '~' {
				b.WriteByte(ch)
			}
		}
	}
	return strings.TrimSpace(b.String())
}
