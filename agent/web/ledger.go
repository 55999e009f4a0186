package web

import (
	"encoding/json"
	"errors"
	"iter"
	"slices"
	"time"

	"github.com/perseus-edge/perseus-edge/agent"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/store"
)

// Record is a statement of baseline as the API gives it: its canonical JSON,
// byte for byte, and the hash that the next statement of its register carries.
// One that is damaged in the store has neither, and says so.
type Record struct {
	SHA256 string          `json:"sha256,omitempty"`
	Record json.RawMessage `json:"record"`
	Error  string          `json:"error,omitempty"`
}

// Statements gives the statements of the registers that a query names; its
// times do not count, since a chain with holes proves nothing.
func Statements(l agent.Ledger, q agent.Query) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		var of *energy.Key
		if q.Meter != "" && q.Measure != 0 {
			of = &energy.Key{Meter: q.Meter, Measure: q.Measure}
		}
		for s, err := range l.Statements(of) {
			r := Record{Error: "it is damaged in the store and cannot be read"}
			switch {
			case err != nil && !errors.Is(err, store.ErrDamaged):
				yield(Record{}, err)
				return
			case err == nil && (q.Meter != "" && q.Meter != s.Meter || q.Measure != 0 && q.Measure != s.Measure):
				continue
			case err == nil:
				r = Record{SHA256: energy.StatementHash(s.Body), Record: s.Body}
			}
			if !yield(r, nil) {
				return
			}
		}
	}
}

// line is the record as one line of JSON. json.Marshal would write <, > and &
// in another way, and so change what was hashed.
func (r Record) line() ([]byte, error) {
	if r.Error != "" || !json.Valid(r.Record) {
		return json.Marshal(Record{Error: r.Error})
	}
	b := append([]byte(`{"sha256":"`), r.SHA256...)
	b = append(append(b, `","record":`...), r.Record...)
	return append(b, '}'), nil
}

// Version is a half-hour with the versions of it that were replaced.
type Version struct {
	agent.Reading
	Replaced []Replaced `json:"replaced,omitempty"` // oldest first
}

// Replaced is a version of a half-hour that a later one replaced.
type Replaced struct {
	ReplacedAt time.Time `json:"replacedAt"`
	agent.Reading
}

// History gives the stored half-hours with their replaced versions, register by
// register, oldest first. A half-hour of which only replaced versions are left
// is given as missing.
func History(l agent.Ledger, q agent.Query, period time.Duration) iter.Seq2[Version, error] {
	return func(yield func(Version, error) bool) {
		keys, err := l.Keys()
		if err != nil {
			yield(Version{}, err)
			return
		}
		slices.SortFunc(keys, byName)
		for _, k := range keys {
			if q.Meter != "" && q.Meter != k.Meter || q.Measure != 0 && q.Measure != k.Measure {
				continue
			}
			old, err := l.Corrections(k, q.From, q.To)
			if err != nil {
				yield(Version{}, err)
				return
			}
			emit := func(x agent.Reading) bool {
				v := Version{Reading: x}
				v.Replaced, old = takeReplaced(k, old, x.From, period)
				return yield(v, nil)
			}
			gone := func(before time.Time) bool { // half-hours of which nothing but old versions is left
				for len(old) > 0 && old[0].Old.Start.Before(before) {
					if !emit(agent.ReadingOf(k, energy.HalfHour{Start: old[0].Old.Start, Cumulative: -1}, period)) {
						return false
					}
				}
				return true
			}
			one := q
			one.Meter, one.Measure = k.Meter, k.Measure
			for x, err := range agent.Readings(l, one, period) {
				if err != nil {
					yield(Version{}, err)
					return
				}
				if !gone(x.From) || !emit(x) {
					return
				}
			}
			if !gone(q.To) {
				return
			}
		}
	}
}

// takeReplaced takes the versions of one half-hour off the front.
func takeReplaced(k energy.Key, old []store.Correction, start time.Time, period time.Duration) (of []Replaced, rest []store.Correction) {
	for len(old) > 0 && old[0].Old.Start.Equal(start) {
		of, old = append(of, Replaced{old[0].Replaced, agent.ReadingOf(k, old[0].Old, period)}), old[1:]
	}
	return of, old
}

func byName(a, b energy.Key) int {
	switch {
	case a.Meter < b.Meter:
		return -1
	case a.Meter > b.Meter:
		return 1
	}
	return int(a.Measure) - int(b.Measure)
}
