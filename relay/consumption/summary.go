package consumption

import (
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/relay/ingest"
)

// Summary is what a record of provenance says of the half-hours served.
type Summary struct {
	Path         string // of the request, within the API
	Measure      string // as the API names it: "import" or "export"
	Outcode      string
	Expected     int       // half-hours in the window asked for
	Present      int       // of these, how many are served
	MissingData  string    // term of the scheme's missing-data vocabulary
	OriginMethod string    // term of the scheme's origin-method vocabulary
	Batches      []Batches // whose values are served, in the order of the half-hours
}

// Batches is a run of batch sequence numbers, both ends included.
type Batches struct{ First, Last uint64 }

// tally counts what goes into a Summary while half-hours pass by.
type tally struct {
	present int
	worst   energy.Quality
	batches []Batches
	sum     int64 // wraps; only to see that two passes gave the same
}

func (t *tally) add(r ingest.Reading) {
	if t.present == 0 {
		t.worst = r.Quality
	}
	t.present++
	t.worst = energy.Worst(t.worst, r.Quality)
	t.sum += r.Energy ^ r.Start.Unix() ^ r.TakenAt.Unix()<<8
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

// assure names the scheme's assurance terms for a window of which present of
// expected half-hours are known, the worst of them of the given quality.
//
// Missing data: Complete when there is a value for every half-hour; Substituted
// when there is, but some were put in by rule. Origin method: Exact when every
// value follows from readings around its half-hour, Derived when an estimate is
// among them.
func assure(expected, present int, worst energy.Quality) (missingData, originMethod string) {
	switch {
	case present < expected || present == 0:
		missingData = "Missing"
	case worst <= energy.Substituted:
		missingData = "Substituted"
	default:
		missingData = "Complete"
	}
	originMethod = "Derived"
	if present > 0 && worst >= energy.Interpolated {
		originMethod = "Exact"
	}
	return missingData, originMethod
}
