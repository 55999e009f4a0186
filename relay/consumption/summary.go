package consumption

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"strconv"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/provenance"
	"github.com/perseus-edge/perseus-edge/relay/ingest"
)

// Summary is what a record of provenance says of the half-hours served.
type Summary struct {
	Path         string // of the request, within the API
	Measure      string // as the API names it: "import" or "export"
	Type         string // "electricity" or "gas"
	Outcode      string
	Expected     int       // half-hours in the window asked for
	Present      int       // of these, how many are served
	MissingData  string    // term of the scheme's missing-data vocabulary
	OriginMethod string    // term of the scheme's origin-method vocabulary; "" where no half-hour is served
	Derived      string    // term of its origin-method-derived vocabulary; "" where the method is Exact
	Batches      []Batches // whose values are served, in the order of the half-hours
	SHA256       string    // of the half-hours served, in hexadecimal; see tally.list
	Qualities    []provenance.QualityRun
	Statements   []ingest.MonthStatement // the gateway's own, opened for what is served and no more
}

// Batches is a run of batch sequence numbers, both ends included.
type Batches struct{ First, Last uint64 }

// tally counts what goes into a Summary while half-hours pass by.
type tally struct {
	present int
	last    time.Time // start of the last one
	worst   energy.Quality
	derived string // how the derived ones were derived, where all were in the same way; else Other; "" where none was
	runs    []provenance.QualityRun
	batches []Batches
	values  hash.Hash // of the listing; nil before the first half-hour
	line    []byte
}

func (t *tally) add(r ingest.Reading) {
	if t.present == 0 {
		t.worst = r.Quality
	}
	t.present++
	t.last = r.Start
	t.worst = energy.Worst(t.worst, r.Quality)
	h := energy.HalfHour{Quality: r.Quality, Evidence: energy.Evidence{Rule: r.Rule}}
	switch _, derived := h.Origin(); {
	case derived == "" || derived == t.derived:
	case t.derived == "":
		t.derived = derived
	default:
		t.derived = energy.DerivedOther
	}
	if n := len(t.runs); n > 0 && t.runs[n-1].Quality == r.Quality && t.runs[n-1].Rule == r.Rule {
		t.runs[n-1].N++
	} else {
		t.runs = append(t.runs, provenance.QualityRun{N: 1, Quality: r.Quality, Rule: r.Rule})
	}
	t.list(r)
	if n := len(t.batches); n > 0 {
		if last := &t.batches[n-1]; last.First <= r.Batch && r.Batch <= last.Last {
			return
		} else if r.Batch == last.Last+1 {
			last.Last++
			return
		}
	}
	t.batches = append(t.batches, Batches{r.Batch, r.Batch})
}

// list adds a half-hour to the canonical listing, which has one line for each
// half-hour served, in order:
//
//	from,takenAt,energy,cumulative\n
//
// The times are as served. The amounts are whole numbers in base units: watt
// hours as served (WHR), litres for gas, which is served in cubic metres with
// three decimals (MTQ). cumulative is empty where none is served. All of it can
// be made from the answer alone; quality cannot, as the scheme's API has none
// for a half-hour.
func (t *tally) list(r ingest.Reading) {
	if t.values == nil {
		t.values = sha256.New()
	}
	b := append(t.line[:0], stamp(r.Start)...)
	b = append(append(b, ','), stamp(r.TakenAt)...)
	b = strconv.AppendInt(append(b, ','), r.Energy, 10)
	if b = append(b, ','); r.Cumulative >= 0 {
		b = strconv.AppendInt(b, r.Cumulative, 10)
	}
	t.line = append(b, '\n')
	t.values.Write(t.line) // never fails (hash.Hash)
}

// hash is the SHA-256 of the listing, in hexadecimal.
func (t *tally) hash() string {
	if t.values == nil {
		t.values = sha256.New()
	}
	return hex.EncodeToString(t.values.Sum(nil))
}

// assure fills in the scheme's assurance terms of a window.
//
// Missing data: Complete when there is a value for every half-hour expected;
// Substituted when there is, but some were put in by rule. Origin method: Exact
// when every value is what a meter counted in its half-hour, Derived when one
// is an estimate, a substitute or made from other meters (energy.Origin).
func (s *Summary) assure(t *tally) {
	s.MissingData = energy.MissingData(s.Expected, t.present, t.worst)
	if t.present == 0 {
		return // no half-hours, no method
	}
	s.OriginMethod, s.Derived = energy.OriginExact, t.derived
	if s.Derived != "" {
		s.OriginMethod = energy.OriginDerived
	}
}
