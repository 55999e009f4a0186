package batch

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/perseus-edge/perseus-edge/energy"
)

// periodSeconds is the length of a half-hour in the unit of Unix time.
const periodSeconds = int64(energy.Period / time.Second)

// maxUnix is the end of the times that a batch can carry: the year 2262, where
// nanoseconds since 1970 leave an int64.
const maxUnix = int64(1<<63-1) / int64(time.Second)

// ordered gives the batch with its series in the canonical order and its times
// in UTC.
func ordered(b Batch) Batch {
	b.Made = b.Made.UTC().Truncate(time.Second)
	b.Series = slices.Clone(b.Series)
	slices.SortStableFunc(b.Series, compareSeries)
	return b
}

func compareSeries(a, b Series) int {
	return cmp.Or(cmp.Compare(a.Meter, b.Meter), cmp.Compare(a.Measure, b.Measure), a.First.Compare(b.First))
}

// Validate checks everything that the format demands of a batch: the limits,
// that a missing value is zero, and that the series are in the order of meter,
// measure and time and do not overlap.
func (b Batch) Validate() error {
	switch {
	case !text(b.Gateway, MaxGateway):
		return bad("gateway must be a URL of 1 to %d bytes", MaxGateway)
	case len(b.Serial) == 0 || len(b.Serial) > MaxSerial || b.Serial[0] == 0:
		return bad("serial number must have 1 to %d bytes without leading zeros", MaxSerial)
	case b.Sequence == 0:
		return bad("sequence numbers start at 1")
	case b.Sequence == 1 && b.Previous != Hash{}:
		return bad("the first batch has no previous one")
	case !unixTime(b.Made):
		return bad("made %v is out of range", b.Made)
	case len(b.Grants) > MaxGrants || len(b.Series) > MaxSeries || len(b.Baseline) > MaxStatements:
		return bad("%d grants, %d series, %d statements: at most %d, %d, %d are allowed", len(b.Grants),
			len(b.Series), len(b.Baseline), MaxGrants, MaxSeries, MaxStatements)
	case len(b.Series)+len(b.Baseline) == 0:
		return bad("nothing in it")
	}
	for _, g := range b.Grants {
		if !text(g, MaxName) {
			return bad("grant %q must be text of 1 to %d bytes", clip(g), MaxName)
		}
	}
	total := 0
	for i, s := range b.Series {
		if err := s.validate(); err != nil {
			return fmt.Errorf("batch: series %d (%s/%s): %w", i, clip(s.Meter), s.Measure, err)
		}
		if total += len(s.Values); total > MaxValues {
			return bad("more than %d half-hours", MaxValues)
		}
		if i == 0 {
			continue
		}
		if p := b.Series[i-1]; compareSeries(p, s) >= 0 {
			return bad("series %d is not after the one before it in meter, measure and time", i)
		} else if p.Meter == s.Meter && p.Measure == s.Measure && s.First.Before(p.End()) {
			return bad("series %d of %s/%s overlaps the one before it", i, s.Meter, s.Measure)
		}
	}
	for i, s := range b.Baseline {
		if !text(s.Meter, MaxName) || !s.Measure.Carried() || !unixTime(s.At) ||
			len(s.Body) == 0 || len(s.Body) > MaxStatement {
			return bad("statement %d: needs a meter, a measure, a time and 1 to %d bytes", i, MaxStatement)
		}
	}
	return nil
}

// End is the end of the series' last half-hour.
func (s Series) End() time.Time { return s.First.Add(time.Duration(len(s.Values)) * energy.Period) }

func (s Series) validate() error {
	switch {
	case !text(s.Meter, MaxName):
		return fmt.Errorf("meter must be text of 1 to %d bytes", MaxName)
	case !s.Measure.Carried():
		return errors.New("not a measure that the relay takes")
	case !unixTime(s.First) || s.First.Unix()%periodSeconds != 0 || s.First.Nanosecond() != 0:
		return fmt.Errorf("first half-hour starts at %v: not a half-hour of UTC", s.First)
	case len(s.Values) == 0 || len(s.Values) > MaxSeriesValues:
		return fmt.Errorf("%d half-hours: 1 to %d are allowed", len(s.Values), MaxSeriesValues)
	case !unixTime(s.End()):
		return errors.New("ends after the last time that a batch can carry")
	case !register(s.Opening) || !register(s.Closing):
		return fmt.Errorf("registers %d and %d: 0 to 2^62, or -1 when not known", s.Opening, s.Closing)
	}
	for i, v := range s.Values {
		switch {
		case !v.Quality.Valid():
			return fmt.Errorf("half-hour %d: unknown quality %d", i, v.Quality)
		case v.Energy < 0 || v.Energy > MaxEnergy:
			return fmt.Errorf("half-hour %d: energy %d is out of range", i, v.Energy)
		case v.Quality == energy.Missing && v.Energy != 0:
			return fmt.Errorf("half-hour %d: missing, but has an energy", i)
		}
	}
	return nil
}

func register(v int64) bool { return v >= -1 && v <= MaxRegister }

func unixTime(t time.Time) bool { s := t.Unix(); return s >= 0 && s < maxUnix }

func text(s string, most int) bool {
	return len(s) > 0 && len(s) <= most && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

func clip(s string) string { return s[:min(len(s), 40)] }

func bad(format string, a ...any) error { return fmt.Errorf("batch: "+format, a...) }
