package agent

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/configs"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/gas"
)

// standIns is the file of the calorific values that come with the program.
const standIns = "factors/gas-calorific-values.yaml"

// Gas turns the volumes of a configuration's gas meters into energy. The
// volume stays what is stored and sent: its energy is worked out when somebody
// looks, by the calorific values that are there then. Files of National Gas
// that changed are read again. It may be used by several goroutines.
type Gas struct {
	cfg    *config.Config
	report func(error) // told of files that cannot be used, once until they change

	mu    sync.Mutex
	table *gas.Table
	files []stamp // as they were when they were read last
	used  []bool  // which of them are in the table
}

// stamp tells whether a file changed; that of one that is not there is zero.
type stamp struct {
	size    int64
	changed int64 // ns since 1970
}

// NewGas makes the conversion of a configuration's gas meters. report may be nil.
func NewGas(c *config.Config, report func(error)) *Gas {
	if report == nil {
		report = func(error) {}
	}
	return &Gas{cfg: c, report: report}
}

// Factor identifies the table of calorific values in statements of baseline.
func (g *Gas) Factor() string {
	raw, err := configs.Factors.ReadFile(standIns)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(raw)
	id := filepath.Base(standIns) + " sha256:" + hex.EncodeToString(sum[:])
	if len(g.cfg.Gas.CalorificValues) > 0 {
		return "National Gas daily values, else " + id
	}
	return id
}

// Check reads the files of calorific values and says what is wrong with them.
func (g *Gas) Check() error {
	_, _, err := g.read()
	return err
}

// Last is the last gas day of which a zone's value was published in the
// files; false where there is none.
func (g *Gas) Last(zone string) (gas.Day, bool) {
	t, err := g.values()
	if err != nil {
		return 0, false
	}
	return t.Last(zone)
}

// values is the table as the files are now. Where one that was used cannot be
// any more, what was read before stays.
func (g *Gas) values() (*gas.Table, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := make([]stamp, len(g.cfg.Gas.CalorificValues))
	for i, path := range g.cfg.Gas.CalorificValues {
		if fi, err := os.Stat(path); err == nil {
			now[i] = stamp{fi.Size(), fi.ModTime().UnixNano()}
		}
	}
	if g.table != nil && slices.Equal(now, g.files) {
		return g.table, nil
	}
	t, used, err := g.read()
	if err != nil {
		g.report(err)
	}
	if t == nil {
		return nil, err
	}
	lost := false
	for i := range g.used {
		lost = lost || g.used[i] && !used[i]
	}
	if g.files = now; !lost {
		g.table, g.used = t, used
	}
	return g.table, nil
}

// read makes the table, and says which files are in it. The error is about the
// others; the table is nil only where the program's own values are no table.
func (g *Gas) read() (t *gas.Table, used []bool, err error) {
	if t, err = gas.LoadTable(configs.Factors, standIns); err != nil {
		return nil, nil, err
	}
	var wrong []error
	for _, path := range g.cfg.Gas.CalorificValues {
		raw, err := readValues(path)
		if err == nil {
			_, err = t.AddNationalGas(raw, "National Gas, "+filepath.Base(path))
		}
		if err != nil {
			wrong = append(wrong, err)
		}
		used = append(used, err == nil)
	}
	return t, used, errors.Join(wrong...)
}

// readValues reads a file of National Gas, if it can be one.
func readValues(path string) ([]byte, error) {
	fi, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, fmt.Errorf("calorific values: %w", err)
	case !fi.Mode().IsRegular():
		return nil, fmt.Errorf("calorific values: %s is not a file", path)
	case fi.Size() > gas.MaxFile:
		return nil, fmt.Errorf("calorific values: %s has %d bytes, more than %d: not a file of calorific values", path, fi.Size(), gas.MaxFile)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("calorific values: %w", err)
	}
	return raw, nil
}

// GasEnergy is what the volume of one half-hour comes to as energy.
type GasEnergy struct {
	Wh    int64     // not known where Err is not nil
	Basis gas.Basis // what it was worked out by
	Err   error     // why it is not known; ErrNoVolume where the volume is not
}

// ErrNoVolume says that there is no volume to convert.
var ErrNoVolume = errors.New("the volume is not known")

// conversion turns the half-hours of one gas register into energy, oldest
// first. It rounds so that the half-hours of a gas day sum to the energy of
// their volume: each is the energy of the day's known volume up to its end less
// that up to its start, both rounded to the nearest Wh. Thus it must have seen
// the day from its beginning.
type conversion struct {
	table *gas.Table
	eras  eras
	wrong error // why nothing can be converted at all

	begun  bool
	era    int
	basis  gas.Basis
	err    error // why the day cannot be converted
	series gas.Series
}

// next converts the next half-hour.
func (c *conversion) next(h energy.HalfHour) GasEnergy {
	if h.Quality == energy.Missing {
		return GasEnergy{Err: ErrNoVolume}
	}
	if c.wrong != nil {
		return GasEnergy{Err: c.wrong}
	}
	day, era := gas.DayOf(h.Start), c.eras.at(h.Start)
	if !c.begun || day != c.basis.Day {
		c.series = gas.Series{}
	}
	if !c.begun || day != c.basis.Day || era != c.era {
		c.begun, c.era = true, era
		if c.err = c.eras[era].err; c.err == nil {
			c.basis, c.err = c.table.Basis(day, c.eras[era].meter)
		}
		c.basis.Day = day
	}
	if c.err != nil {
		return GasEnergy{Err: c.err}
	}
	wh, err := c.series.Wh(h.Energy, c.basis)
	if err != nil {
		return GasEnergy{Err: err}
	}
	return GasEnergy{Wh: wh, Basis: c.basis}
}

// begin makes the conversion of a register's half-hours from an instant on:
// those of the same gas day before it are taken in.
func (g *Gas) begin(s Volumes, k energy.Key, from time.Time) (*conversion, error) {
	c := &conversion{eras: g.erasOf(s, k)}
	if c.table, c.wrong = g.values(); c.wrong != nil {
		return c, nil
	}
	for h, err := range s.HalfHours(k, gas.DayOf(from).Start(), from) {
		if err != nil {
			return nil, err
		}
		c.next(h)
	}
	return c, nil
}
