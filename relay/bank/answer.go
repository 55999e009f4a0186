package bank

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/provenance"
	"github.com/perseus-edge/perseus-edge/relay/emissions"
)

// maxMonths bounds a request: ten years.
const maxMonths = 120

// window reads from and to. Both must be the first instant of a calendar month
// in UTC: anything finer is refused, not rounded, so that a bank notices that
// it asks for what it cannot have. A to that lies ahead, or is left out, means
// the end of last month.
func window(q url.Values, now time.Time) (from, to time.Time, err error) {
	var bad []string
	read := func(name string) (t time.Time) {
		switch v := q[name]; {
		case len(v) > 1:
			bad = append(bad, name+": give it once")
		case len(v) == 1:
			var err error
			if t, err = parseTime(v[0]); err != nil {
				bad = append(bad, name+": "+err.Error())
			} else if !t.Equal(emissions.MonthOf(t).Start()) {
				bad = append(bad, name+": must be the first day of a calendar month at 00:00:00Z, such as 2026-03-01T00:00:00Z")
			}
		}
		return t
	}
	from, to = read("from"), read("to")
	if from.IsZero() && len(q["from"]) == 0 {
		bad = append(bad, "from: is required, such as 2026-03-01T00:00:00Z")
	}
	last := emissions.MonthOf(now).Start()
	if len(q["to"]) == 0 || to.After(last) {
		to = last
	}
	if len(bad) == 0 {
		switch months := (to.Year()-from.Year())*12 + int(to.Month()) - int(from.Month()); {
		case months < 1:
			bad = append(bad, "from: no whole month lies between from and to that ended before now")
		case months > maxMonths:
			bad = append(bad, fmt.Sprintf("from: at most %d months at a time", maxMonths))
		}
	}
	if len(bad) > 0 {
		return from, to, errors.New(strings.Join(bad, "; "))
	}
	return from, to, nil
}

// never says that a window has no month and will have none. It names months
// only, and not what they lack: that would tell of their half-hours (law 5).
// History that a business adds later may complete a month after all, so it
// speaks of what is on its way.
func never(covered, from, to time.Time) string {
	first, last := emissions.MonthOf(from), emissions.MonthOf(to.Add(-1))
	what := fmt.Sprintf("No month from %s to %s is complete, and nothing is on its way that would complete one.", first, last)
	if first == last {
		what = fmt.Sprintf("The month %s is not complete, and nothing is on its way that would complete it.", first)
	}
	start := emissions.MonthOf(covered)
	if start.Start().Before(covered) {
		start = start.Next()
	}
	return what + fmt.Sprintf(" The first whole month that the permission covers is %s.", start)
}

// parseTime takes RFC 3339 in UTC with Z, and a bare date for its midnight.
func parseTime(s string) (time.Time, error) {
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		return t, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || !strings.HasSuffix(s, "Z") {
		return time.Time{}, errors.New("must be a time in UTC such as 2026-03-01T00:00:00Z")
	}
	return t.UTC(), nil
}

// entries is months as the scheme's API has them, and as they are signed.
func entries(months []emissions.Monthly) []provenance.Entry {
	out := make([]provenance.Entry, len(months))
	for i, m := range months {
		out[i] = provenance.Entry{
			Type: string(m.Kind), From: m.Month.Start(), To: m.Month.End(), TakenAt: m.Result.Computed.UTC().Truncate(time.Second),
			Emissions: provenance.Amount{Value: json.Number(m.Result.Mass.Kilograms()), UnitCode: "KGM"},
		}
	}
	return out
}

// report writes the answer: the months, in order, and their provenance.
func (s *Service) report(ctx context.Context, a Access, months []emissions.Monthly, from, to time.Time) ([]byte, error) {
	record, err := s.record(ctx, a, months, from, to)
	if err != nil {
		return nil, err
	}
	return json.Marshal(struct {
		Data       []provenance.Entry `json:"data"`
		Provenance json.RawMessage    `json:"provenance"`
	}{entries(months), record})
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func header(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
}

func fail(w http.ResponseWriter, status int, code, description string) {
	header(w)
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]string{"error": code, "error_description": description}) // an error here means that the client is gone
}
