package emissions

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/uplink/batch"
	"github.com/perseus-edge/perseus-edge/uplink/grant"
)

// Reading is a stored half-hour. Its fields are those of ingest.Reading, in
// the same order, so that one converts to the other.
type Reading struct {
	Start      time.Time
	Energy     int64
	Cumulative int64
	Quality    energy.Quality
	Rule       energy.Rule
	Flags      energy.Flags
	TakenAt    time.Time
	Batch      uint64
}

// Account is what a permission lets be computed: the meters of one business.
type Account struct {
	Permission string // identifier of the permission relied upon
	Gateway    string
	Covers     []grant.Cover
	Granted    time.Time // when the permission was last given; zero: long ago
	From       time.Time // no half-hour before it counts
	Expires    time.Time // nor one at or after it
}

// Meters lists the meters of a kind that the permission covers, sorted, each
// once. Registers of other measures (export, reactive) do not count.
func (a Account) Meters(k Kind) []string {
	var out []string
	for _, c := range a.Covers {
		if c.Measure == k.Measure() {
			out = append(out, c.Meter)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// subject names whose months they are: the gateway and its meters of a kind.
// The permission is no part of it: two banks must see one figure, or what they
// were shown before and after a correction would tell them of its half-hours.
func (a Account) subject(k Kind) string {
	h := sha256.New()
	for _, s := range append([]string{a.Gateway, string(k)}, a.Meters(k)...) {
		fmt.Fprintf(h, "%d:%s\n", len(s), s)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Config is what the service needs of the rest of the relay.
type Config struct {
	DB       *database.DB // migrated with relay/migrations
	Grid     *Grid
	Factors  Factors
	Outcode  func(ctx context.Context, gateway string) (string, error)
	Readings func(ctx context.Context, gateway string, k energy.Key, from, to time.Time) iter.Seq2[Reading, error]
	Hashes   func(ctx context.Context, gateway string, sequences []uint64) (map[uint64]batch.Hash, error)
	Accounts func(ctx context.Context) ([]Account, error) // the live ones that may have emissions; for Run
	// Changed says when half-hours of registers last changed in months that were
	// over, by the month's first instant; nil: no month is ever restated.
	Changed func(ctx context.Context, gateway string, keys []energy.Key, from, to time.Time) (map[time.Time]time.Time, error)
	Every   time.Duration    // how often Run looks by itself; 0: 15 minutes
	Now     func() time.Time // nil: time.Now
	Logger  *slog.Logger     // nil: slog.Default
}

// Service computes months and keeps them. It is safe for concurrent use.
type Service struct {
	c    Config
	wake chan struct{}
}

// New makes a Service.
func New(c Config) (*Service, error) {
	if c.DB == nil || c.Grid == nil || c.Outcode == nil || c.Readings == nil || c.Hashes == nil {
		return nil, errors.New("emissions: DB, Grid, Outcode, Readings and Hashes are required")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Every == 0 {
		c.Every = 15 * time.Minute
	}
	return &Service{c, make(chan struct{}, 1)}, nil
}

// Monthly is one month of one kind: its result, or what it lacks.
type Monthly struct {
	Kind    Kind
	Month   Month
	Result  *Result // nil: not complete
	Missing Missing // what a month without a result lacks
	Pending bool    // what it lacks is on its way: ask again later
}

// Result is a finished month, as it is kept.
type Result struct {
	Mass     Mass
	Computed time.Time
	Inputs   Inputs
	Version  int // 1, and one more each time that a correction changed the figure

	looked time.Time // when it was last found that a change does not change it
}

// Inputs says what a figure was made of, for its provenance and for audits.
type Inputs struct {
	Meters    []string       `json:"meters"`
	HalfHours int            `json:"halfHours"`
	Qualities map[string]int `json:"qualities"`         // how many half-hours of each quality
	Derived   []string       `json:"derived,omitempty"` // the scheme's terms for how some of them were derived, in order
	Batches   *Batches       `json:"batches,omitempty"`
	Outcode   string         `json:"outcode,omitempty"` // electricity
	Grid      *GridInput     `json:"grid,omitempty"`    // electricity
	Factor    *FactorInput   `json:"factor,omitempty"`  // gas
}

// Batches names the gateway's signed batches that the half-hours came in.
type Batches struct {
	First  uint64 `json:"first"`
	Last   uint64 `json:"last"`
	Count  int    `json:"count"`
	SHA256 string `json:"sha256"` // of "sequence hash\n" for each, in order, the hash in hexadecimal
}

// GridInput says which intensities went in.
type GridInput struct {
	SHA256       string    `json:"sha256"` // see GridMonth
	FirstFetched time.Time `json:"firstFetched"`
	LastFetched  time.Time `json:"lastFetched"`
}

// FactorInput says which factor went in.
type FactorInput struct {
	Value   string `json:"value"` // kgCO2e per cubic metre
	Year    int    `json:"year"`
	Version string `json:"version"`
	URL     string `json:"url"`
}

// Monthly gives, for every kind that the account has meters of and every whole
// month in [from, to) that has ended and that the account's permission covers,
// its figure or what it lacks. It computes from what is stored, keeps what is
// complete, and asks nobody outside.
func (s *Service) Monthly(ctx context.Context, a Account, from, to time.Time) ([]Monthly, error) {
	return s.monthly(ctx, a, from, to, false)
}

// Refresh is Monthly that first fetches the grid's intensity for the months
// that lack nothing else.
func (s *Service) Refresh(ctx context.Context, a Account, from, to time.Time) ([]Monthly, error) {
	return s.monthly(ctx, a, from, to, true)
}

func (s *Service) monthly(ctx context.Context, a Account, from, to time.Time, fetch bool) ([]Monthly, error) {
	now := s.c.Now().UTC()
	from = later(from, a.From)
	to = earlier(earlier(to, a.Expires), now)
	var out []Monthly
	for _, k := range Kinds() {
		if len(a.Meters(k)) == 0 {
			continue
		}
		stored, err := s.stored(ctx, a.subject(k), k, from, to)
		if err != nil {
			return nil, err
		}
		if fetch {
			if err := s.restate(ctx, a, k, stored, from, to, now); err != nil {
				return nil, fmt.Errorf("emissions: restating %s: %w", k, err)
			}
		}
		for _, m := range WholeMonths(from, to) {
			if r, ok := stored[m]; ok {
				out = append(out, Monthly{Kind: k, Month: m, Result: r})
				continue
			}
			one, err := s.compute(ctx, a, k, m, now, fetch)
			if err != nil {
				return nil, fmt.Errorf("emissions: %s of %s: %w", k, m, err)
			}
			out = append(out, one)
		}
	}
	return out, nil
}

// compute makes a month that is not stored yet, and keeps it when it is
// complete.
func (s *Service) compute(ctx context.Context, a Account, k Kind, m Month, now time.Time, fetch bool) (Monthly, error) {
	out, err := s.figure(ctx, a, k, m, now, fetch)
	if err == nil && out.Result != nil {
		out.Result, err = s.keep(ctx, a, k, m, out.Result)
	}
	return out, err
}

// figure works a month out of what is stored now.
func (s *Service) figure(ctx context.Context, a Account, k Kind, m Month, now time.Time, fetch bool) (Monthly, error) {
	out := Monthly{Kind: k, Month: m}
	meters, batches, err := s.collect(ctx, a, k, m)
	if err != nil {
		return out, err
	}
	inputs := Inputs{Meters: a.Meters(k)}
	var f Figure
	comes := true // what is not half-hours is there or on its way
	if k == Gas {
		factor, ok := s.c.Factors.Year(m.Year)
		if f, err = CalculateGas(m, meters, factor.MicrogramsPerLitre(), ok); err != nil {
			return out, err
		}
		comes = ok
		inputs.Factor = &FactorInput{factor.Value, factor.Year, factor.Version, factor.URL}
	} else {
		if inputs.Outcode, err = s.c.Outcode(ctx, a.Gateway); err != nil {
			return out, err
		}
		inputs.Outcode = strings.ToUpper(inputs.Outcode)
		if fetch && complete(meters) {
			if err := s.c.Grid.Fill(ctx, inputs.Outcode, m.Start(), m.End()); err != nil {
				return out, err
			}
		}
		grid, err := s.c.Grid.Month(ctx, inputs.Outcode, m)
		if err != nil {
			return out, err
		}
		if f, err = CalculateElectricity(m, meters, grid.Values); err != nil {
			return out, err
		}
		comes = f.Missing.Intensity == 0 || grid.Unasked > 0 || now.Before(m.End().Add(GivenUp))
		inputs.Grid = &GridInput{grid.Hash, grid.First, grid.Last}
	}
	if out.Missing = f.Missing; !f.Missing.Nothing() {
		if comes && f.Missing.HalfHours > 0 {
			comes, err = s.arrives(ctx, a, k, m, meters, now)
		}
		out.Pending = comes && err == nil
		return out, err
	}
	inputs.HalfHours, inputs.Qualities = f.HalfHours, map[string]int{}
	for q, n := range f.Qualities {
		inputs.Qualities[q.String()] = n
	}
	inputs.Derived = slices.Sorted(maps.Keys(f.Derived))
	if inputs.Batches, err = s.digest(ctx, a.Gateway, batches); err != nil {
		return out, err
	}
	out.Result = &Result{Mass: f.Mass, Computed: now.Truncate(time.Second), Inputs: inputs, Version: 1}
	return out, nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
