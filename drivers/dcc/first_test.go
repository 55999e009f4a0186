package dcc

import (
	"net/http"
	"testing"
)

// The first history takes minutes: all is well from its first window on, not
// only when the last one was read.
func TestHealthDuringTheFirstHistory(t *testing.T) {
	feed := newFakeFeed(t, n3rgyData)
	feed.set(elecMeter, now.AddDate(-2, 0, 0), now.AddDate(0, 0, 9), constant("0.123"))
	x := newPullTest(t, feed, n3rgyConfig(mainMeter))
	var healthy []bool
	feed.every = func(http.ResponseWriter, *http.Request, []byte) bool {
		healthy = append(healthy, x.p.Health() == nil)
		return false
	}
	x.rounds(1)
	if len(healthy) < 3 || healthy[0] {
		t.Fatalf("healthy at each request: %v, want it only after the first", healthy)
	}
	for i, h := range healthy[1:] {
		if !h {
			t.Errorf("not healthy at request %d: %v", i+2, x.p.Health())
		}
	}
}
