package site

import (
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/drivers/modbus"
	"github.com/perseus-edge/perseus-edge/energy"
)

// sunBase is where a SunSpec map begins, most of all.
const sunBase = 40000

// The models that are played: three-phase, whole numbers with a scale factor
// (github.com/sunspec/models: models 1, 103 and 203), and where their totals
// stand, counted from the model's number.
const (
	common        = 1
	commonLength  = 66
	inverterModel = 103
	inverterWords = 50
	meterModel    = 203
	meterWords    = 105
)

// sunTotal is where a total of a model stands.
type sunTotal struct{ model, total, scale int }

var sunTotals = map[energy.Measure]sunTotal{
	energy.Generation: {inverterModel, 24, 26},
	energy.Export:     {meterModel, 38, 54},
	energy.Import:     {meterModel, 46, 54},
}

// isSunSpec reports whether a register is found by SunSpec.
func isSunSpec(r config.Register) bool { return r.Type == modbus.TypeSunSpec }

// sunSpec is the map of a device: for each part that is asked for a common
// model and a model with its totals, and the end. It is nil where no register
// of the device is found by SunSpec.
func (u *station) sunSpec(t time.Time, m moment) []byte {
	models := u.sunModels()
	if len(models) == 0 {
		return nil
	}
	out := []uint16{0x5375, 0x6E53}
	seen := map[int]int{} // so many of each model: inverters and meters are counted apart
	for i, model := range models {
		seen[model]++
		out = append(out, u.sunCommon(t, i+1)...)
		length := map[int]int{inverterModel: inverterWords, meterModel: meterWords}[model]
		words := make([]uint16, 2+length)
		words[0], words[1] = uint16(model), uint16(length)
		for _, r := range u.registers {
			at, ok := sunTotals[r.cfg.Measure]
			if !isSunSpec(r.cfg) || !ok || at.model != model || u.parts[r] != seen[model] {
				continue
			}
			v := r.raw(t).Uint64()
			if m == zeros {
				v = 0
			}
			words[at.total], words[at.total+1] = uint16(v>>16), uint16(v)
			if m == nothing {
				words[at.scale] = 0x8000
			}
		}
		out = append(out, words...)
	}
	return wordsToBytes(append(out, 0xFFFF, 0))
}

// sunModels are the models of the parts: the inverters, then the meters. A part
// that nobody asks for is there all the same, where a later one is asked for.
func (u *station) sunModels() (out []int) {
	most := map[int]int{}
	for _, r := range u.registers {
		if isSunSpec(r.cfg) {
			model := sunTotals[r.cfg.Measure].model
			most[model] = max(most[model], u.parts[r])
		}
	}
	for _, model := range []int{inverterModel, meterModel} {
		for range most[model] {
			out = append(out, model)
		}
	}
	return out
}

// sunCommon is the common model: maker, product, options, version, number.
func (u *station) sunCommon(t time.Time, part int) []uint16 {
	words := make([]uint16, 2+commonLength)
	words[0], words[1] = common, commonLength
	put := func(at, n int, s string) {
		for i := range min(len(s), 2*n) {
			words[at+i/2] |= uint16(s[i]) << (8 * (1 - i%2))
		}
	}
	put(2, 16, "Perseus Edge")
	put(18, 16, u.title)
	put(42, 8, "1")
	put(50, 16, u.identity(t)+map[bool]string{true: "-2", false: ""}[part > 1])
	return words
}

func wordsToBytes(words []uint16) []byte {
	out := make([]byte, 0, 2*len(words))
	for _, w := range words {
		out = append(out, byte(w>>8), byte(w))
	}
	return out
}
