package fault

import (
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"
)

// Bus is who plays faults.
type Bus struct {
	Names []string // its scopes: id, driver, format or scheme
	Plays []string // the faults that it can play
}

// Share gives each bus its faults. It refuses what a bus that is named cannot
// play, what no bus can, and a scope that names nobody.
func Share(l List, buses []Bus) ([]List, error) {
	out := make([]List, len(buses))
	var scopes []string
	for _, b := range buses {
		scopes = append(scopes, b.Names...)
	}
	slices.Sort(scopes)
	scopes = slices.Compact(scopes)
	for _, f := range l {
		if f.Scope != "" && !slices.Contains(scopes, f.Scope) {
			return nil, fmt.Errorf("fault %s: %q is no bus, driver or format here: %s", f, f.Scope, Suggest(f.Scope, scopes))
		}
		played := false
		for i, b := range buses {
			named := slices.Contains(b.Names, f.Scope)
			if f.Scope != "" && !named {
				continue
			}
			if slices.Contains(b.Plays, f.Name) {
				out[i], played = append(out[i], f), true
			} else if named {
				return nil, fmt.Errorf("fault %s: bus %s cannot play it: it plays %s", f, b.Names[0], strings.Join(b.Plays, ", "))
			}
		}
		if !played {
			return nil, fmt.Errorf("fault %s: no bus of this site can play it", f)
		}
	}
	for i, faults := range out {
		sum := 0.0
		for _, f := range faults {
			sum += f.Share
		}
		if sum > 1+rounding {
			return nil, fmt.Errorf("the faults of bus %s, %s, add up to more than 100%%", buses[i].Names[0], faults.String())
		}
	}
	return out, nil
}

// Dice plays the faults of one bus. The same seed and name throw the same.
// It may be used by several goroutines.
type Dice struct {
	faults List
	start  time.Time
	now    func() time.Time
	seed   uint64

	mu     sync.Mutex
	rng    *rand.Rand
	played map[string]int
	things map[uint64]bool // that were counted
}

// NewDice makes the dice of a bus. start is when the site started, by now.
func NewDice(faults List, seed uint64, name string, start time.Time, now func() time.Time) *Dice {
	h := fnv.New64a()
	h.Write([]byte(name))
	return &Dice{faults: faults, start: start, now: now, seed: seed, rng: rand.New(rand.NewPCG(seed, h.Sum64())), played: map[string]int{}, things: map[uint64]bool{}}
}

// Draw says what goes wrong with the next answer or message; "" for nothing.
// Where names are given it is one of these.
func (d *Dice) Draw(names ...string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	name := d.pick(d.rng.Float64(), names)
	if name != "" {
		d.played[name]++
	}
	return name
}

// Of says what goes wrong with the thing of that name, always the same: for
// half-hours, which are asked for again and again, and counted once.
func (d *Dice) Of(thing string, names ...string) string {
	h := fnv.New64a()
	h.Write([]byte(thing))
	sum := h.Sum64()
	name := d.pick(rand.New(rand.NewPCG(sum, d.seed)).Float64(), names)
	d.mu.Lock()
	defer d.mu.Unlock()
	if name != "" && !d.things[sum] {
		d.things[sum] = true
		d.played[name]++
	}
	return name
}

// pick finds the fault whose part of the shares x lies in.
func (d *Dice) pick(x float64, names []string) string {
	for _, f := range d.faults {
		if f.Share == 0 || len(names) > 0 && !slices.Contains(names, f.Name) {
			continue
		}
		if x -= f.Share; x < 0 {
			return f.Name
		}
	}
	return ""
}

// Int is a random number from 0 to below n.
func (d *Dice) Int(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rng.IntN(n)
}

// Duration is a random one from 0 to below most.
func (d *Dice) Duration(most time.Duration) time.Duration {
	if most <= 0 {
		return 0
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return time.Duration(d.rng.Int64N(int64(most)))
}

// On reports whether a fault with a time is under way, and for how long; it
// counts the fault when it is seen first.
func (d *Dice) On(name string) (since, left time.Duration, on bool) {
	at := d.now().Sub(d.start)
	for _, f := range d.faults {
		if f.Name == name && f.For > 0 && at >= f.At && at < f.At+f.For {
			d.mu.Lock()
			d.played[f.String()] = 1
			d.mu.Unlock()
			return at - f.At, f.At + f.For - at, true
		}
	}
	return 0, 0, false
}

// All lists the faults of that name, with their times.
func (d *Dice) All(name string) (out List) {
	for _, f := range d.faults {
		if f.Name == name {
			out = append(out, f)
		}
	}
	return out
}

// Start is when the site started.
func (d *Dice) Start() time.Time { return d.start }

// Played says how often each fault was played, in words.
func (d *Dice) Played() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []string
	for _, name := range slices.Sorted(maps.Keys(d.played)) {
		out = append(out, fmt.Sprintf("%s %d", name, d.played[name]))
	}
	return strings.Join(out, ", ")
}
