package account

import (
	"testing"
	"time"
)

// A form that is sent again and again with a fault in it does not keep the offer
// alive for ever: whoever has seen a code once would else hold an account of its
// site in reserve, and make it when the code was long forgotten.
func TestOfferIsNotKeptAlive(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		_, o := w.offer(home)
		begun := w.clock
		for w.clock.Before(begun.Add(formLife - time.Minute)) {
			again, err := w.Again(t.Context(), o)
			must(t, err)
			if o, err = w.Open(again.Sealed); err != nil {
				t.Fatalf("after %v: %v", w.clock.Sub(begun), err)
			}
			w.clock = w.clock.Add(time.Minute)
		}
		again, err := w.Again(t.Context(), o)
		must(t, err)
		w.clock = begun.Add(formLife)
		if _, err = w.Open(again.Sealed); err == nil {
			t.Error("an offer that was made again lives on")
		}
		is(t, "an offer that has run out", err, ErrStale)
	})
}
