package store

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/perseus-edge/perseus-edge/energy"
)

// model is what the store should do, in maps.
type model struct {
	half     map[at]energy.HalfHour
	out      map[at]uint64 // 0 or missing: pending; else the batch
	acked    uint64
	chain    uint64
	offered  map[at]energy.HalfHour   // as Pending gave it last, in the attempt under way
	kept     map[at][]energy.HalfHour // the versions that do not stand
	versions int                      // how many
}

type at struct {
	k     energy.Key
	start int
}

// TestAgainstModel drives the store at random (commits, corrections, imports,
// sending, acknowledging, unsealing, restarts) and checks after each step that
// every half-hour is exactly where it should be: pending, or in one batch.
func TestAgainstModel(t *testing.T) {
	dir := fastDir(t)
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		path := filepath.Join(dir, "agent.db"+string(rune('a'+n%26))+time.Duration(n).String())
		s, _, err := Open(path, options())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { s.Close() }()
		keys := []energy.Key{main_, gasKey, {Meter: "b", Measure: energy.Export}}
		m := &model{half: map[at]energy.HalfHour{}, out: map[at]uint64{}, offered: map[at]energy.HalfHour{}, kept: map[at][]energy.HalfHour{}}
		ok := func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"commit": func(t *rapid.T) {
				var r Round
				for range rapid.IntRange(1, 8).Draw(t, "half-hours") {
					a := at{rapid.SampledFrom(keys).Draw(t, "key"), rapid.IntRange(-60, 60).Draw(t, "start")}
					h := energy.HalfHour{
						Start: day0.Add(time.Duration(a.start) * energy.Period), Energy: int64(rapid.IntRange(0, 2).Draw(t, "energy")), Cumulative: -1,
						TakenAt: day0.AddDate(0, 0, 3), Quality: energy.Quality(rapid.IntRange(0, 4).Draw(t, "quality")),
					}
					h.Evidence.Rule = rapid.SampledFrom([]energy.Rule{energy.RuleBracketed, energy.RuleImported, energy.RuleDifference}).Draw(t, "rule")
					h.Evidence.Last.Value = int64(rapid.IntRange(0, 1).Draw(t, "carried"))
					h.Flags = energy.Flags(rapid.SampledFrom([]uint32{0, 0, 1, 2, 1 << 19}).Draw(t, "flags"))
					k := KeyedHalfHour{Key: a.k, HalfHour: h, Void: rapid.IntRange(0, 9).Draw(t, "void") == 0}
					r.HalfHours = append(r.HalfHours, k)
					old, there := m.half[a]
					h = k.offered()
					if there {
						next, what := successor(k, &old)
						m.half[a] = next // a noted one stays where it is on its way out
						if what == beside && !slices.ContainsFunc(m.kept[a], func(x energy.HalfHour) bool { return sameValue(&h, &x) }) {
							m.kept[a] = append(m.kept[a], h)
							m.versions++
						}
						if what != replaced {
							continue
						}
						h = next
						m.kept[a] = append(m.kept[a], old)
						m.versions++
					}
					m.half[a] = h
					delete(m.out, a)
				}
				ok(s.Commit(r))
			},
			"ask": func(t *rapid.T) {
				k := rapid.SampledFrom(keys).Draw(t, "key")
				most := rapid.SampledFrom([]int{3, 1000}).Draw(t, "most")
				got, err := s.Pending(k, time.Time{}, forever, most)
				ok(err)
				want := m.pending(k)
				if len(got) != min(most, len(want)) {
					t.Fatalf("%d pending of %s, want %d of %d", len(got), k, most, len(want))
				}
				for a := range m.offered {
					if a.k == k && (len(got) == 0 || a.start <= int(got[len(got)-1].Start.Sub(day0)/energy.Period)) {
						delete(m.offered, a)
					}
				}
				for i, h := range got {
					if h != m.half[want[i]] {
						t.Fatalf("pending %+v, want %+v", h, m.half[want[i]])
					}
					m.offered[want[i]] = h
				}
			},
			"seal": func(t *rapid.T) {
				// The batch is what was offered, as it was offered; its spans are
				// single half-hours, or one span over all of a register's.
				var spans []energy.Span
				wide := rapid.Bool().Draw(t, "wide")
				for _, k := range keys {
					var starts []int
					for a := range m.offered {
						if a.k == k {
							starts = append(starts, a.start)
						}
					}
					slices.Sort(starts)
					if wide && len(starts) > 0 {
						spans = append(spans, span(k, starts[0], starts[len(starts)-1]+1))
						continue
					}
					for _, st := range starts {
						spans = append(spans, span(k, st, st+1))
					}
				}
				m.chain++
				ok(s.Seal(m.chain, hash(byte(m.chain)), []byte("b"), spans, 0))
				for a, h := range m.offered {
					now := m.half[a]
					now.Evidence, h.Evidence = energy.Evidence{Rule: now.Evidence.Rule}, energy.Evidence{Rule: h.Evidence.Rule}
					if m.out[a] == 0 && now == h {
						m.out[a] = m.chain
					}
				}
				clear(m.offered)
			},
			"acknowledge": func(t *rapid.T) {
				upTo := rapid.Uint64Range(0, m.chain).Draw(t, "up to")
				ok(s.Acknowledge(upTo))
				m.acked = max(m.acked, upTo)
			},
			"unseal": func(t *rapid.T) {
				ok(s.Unseal())
				for a, seq := range m.out {
					if seq > m.acked {
						delete(m.out, a)
					}
				}
				m.chain = m.acked
			},
			"restart": func(t *rapid.T) {
				ok(s.Close())
				clear(m.offered) // a sender does not outlive its store
				var report Report
				s, report, err = Open(path, options())
				ok(err)
				if report != (Report{}) {
					t.Fatalf("%+v", report)
				}
			},
			"": func(t *rapid.T) { m.check(t, s, keys) },
		})
	})
}

func (m *model) pending(k energy.Key) (all []at) {
	for a := range m.half {
		if a.k == k && m.out[a] == 0 {
			all = append(all, a)
		}
	}
	slices.SortFunc(all, func(a, b at) int { return a.start - b.start })
	return all
}

func (m *model) check(t *rapid.T, s *Store, keys []energy.Key) {
	seq, _, err := s.Chain()
	if err != nil || seq != m.chain {
		t.Fatalf("chain %d, want %d, %v", seq, m.chain, err)
	}
	oldest, _, err := s.Oldest()
	if want := m.acked + 1; err != nil || m.chain > m.acked && oldest != want || m.chain == m.acked && oldest != 0 {
		t.Fatalf("oldest %d, acknowledged %d of %d, %v", oldest, m.acked, m.chain, err)
	}
	versions := 0
	for _, k := range keys {
		n := 0
		for e, err := range s.entries(k, time.Time{}, forever) {
			if err != nil {
				t.Fatal(err)
			}
			a := at{k, int(e.Start.Sub(day0) / energy.Period)}
			if e.HalfHour != m.half[a] {
				t.Fatalf("%v is %+v, want %+v", a, e.HalfHour, m.half[a])
			}
			want := pending
			if seq := m.out[a]; seq > m.acked {
				want = sealed
			} else if seq > 0 {
				want = acked
			}
			if e.status != want {
				t.Fatalf("%v is %d, want %d", a, e.status, want)
			}
			n++
		}
		want := 0
		for a := range m.half {
			if a.k == k {
				want++
			}
		}
		if _, _, counted, err := s.Bounds(k); err != nil || n != want || counted != want {
			t.Fatalf("%s: %d read, %d counted, want %d, %v", k, n, counted, want, err)
		}
		fixes, err := s.Corrections(k, time.Time{}, forever)
		if err != nil {
			t.Fatal(err)
		}
		versions += len(fixes)
	}
	if versions != m.versions {
		t.Fatalf("%d corrections, want %d", versions, m.versions)
	}
}
