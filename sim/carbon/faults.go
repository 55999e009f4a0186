package carbon

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// rates are the faults that a share can be given for, by name.
func (f *Faults) rates() map[string]*float64 {
	return map[string]*float64{"array": &f.Array, "empty": &f.Empty, "error": &f.Error, "slow": &f.Slow,
		"duplicate": &f.Duplicate, "unavailable": &f.Unavailable, "broken": &f.Broken}
}

// Set reads shares of requests, such as "error=5%,array=20%". It makes Faults
// a flag.Value. Slow answers come after 2 s.
func (f *Faults) Set(s string) error {
	out := *f
	out.Delay = 2 * time.Second
	rates := out.rates()
	for part := range strings.SplitSeq(s, ",") {
		name, value, _ := strings.Cut(part, "=")
		rate, ok := rates[name]
		if !ok {
			return fmt.Errorf("fault %q: use %s", name, strings.Join(slices.Sorted(maps.Keys(rates)), ", "))
		}
		p, err := strconv.ParseFloat(strings.TrimSuffix(value, "%"), 64)
		if err != nil || p < 0 || p > 100 {
			return fmt.Errorf("fault %q: give a share such as %s=5%%", part, name)
		}
		*rate = p / 100
	}
	*f = out
	return nil
}

// String writes the shares that are not zero, as Set reads them.
func (f *Faults) String() string {
	if f == nil {
		return ""
	}
	var parts []string
	rates := f.rates()
	for _, name := range slices.Sorted(maps.Keys(rates)) {
		if *rates[name] > 0 {
			parts = append(parts, name+"="+strconv.FormatFloat(*rates[name]*100, 'g', 4, 64)+"%")
		}
	}
	return strings.Join(parts, ",")
}
