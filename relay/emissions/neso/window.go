package neso

import (
	"slices"
	"time"
)

const period = 30 * time.Minute

// maxWindow is the longest time that one request asks for. The API documents
// 14 days for its national form and no limit for the regional one.
const maxWindow = 14 * 24 * time.Hour

// window is one request: it asks for [askFrom, askTo] and keeps the half-hours
// that start in [from, to).
type window struct{ from, to, askFrom, askTo time.Time }

// windows cuts [from, to) into requests. Each asks for one half-hour more on
// either side, since a time at exactly :00 or :30 stands for the half-hour
// before it in parts of the API. None crosses the end of a UTC year, where the
// API loses data: there it asks from the year's first minute or to its last,
// which lie within the outer half-hours under either reading of a time.
func windows(from, to time.Time) []window {
	from, to = from.UTC().Truncate(period), to.UTC()
	var out []window
	for from.Before(to) {
		year := time.Date(from.Year(), 1, 1, 0, 0, 0, 0, time.UTC)
		next := time.Date(from.Year()+1, 1, 1, 0, 0, 0, 0, time.UTC)
		end := earliest(to, next, from.Add(maxWindow-2*period))
		w := window{from: from, to: end, askFrom: from.Add(-period), askTo: end.Add(period)}
		if w.askFrom.Before(year) {
			w.askFrom = year.Add(time.Minute)
		}
		if !w.askTo.Before(next) {
			w.askTo = next.Add(-time.Minute)
		}
		out = append(out, w)
		from = end
	}
	return out
}

func earliest(t ...time.Time) time.Time {
	return slices.MinFunc(t, func(a, b time.Time) int { return a.Compare(b) })
}

// stamp is a time as the API writes and takes it: to the minute, with Z.
func stamp(t time.Time) string { return t.UTC().Format(layout) }

const layout = "2006-01-02T15:04Z"

func sorted(found map[int64]int64) []Period {
	out := make([]Period, 0, len(found))
	for at, g := range found {
		out = append(out, Period{time.Unix(at, 0).UTC(), g})
	}
	slices.SortFunc(out, func(a, b Period) int { return a.Start.Compare(b.Start) })
	return out
}
