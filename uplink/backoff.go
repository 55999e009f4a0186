package uplink

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

const (
	firstPause = 2 * time.Second
	maxPause   = 5 * time.Minute
	keyPause   = 30 * time.Second // at most, where the gateway's own key cannot be used: the token may be back, and no server is troubled
)

// Jitter gives a duration in [0, n); nil: at random.
type Jitter func(n time.Duration) time.Duration

// around gives a pause between half of d and the whole, so that a fleet of
// gateways does not come back in step, and the part of it that must not be cut
// short since the server asked for it.
func (j Jitter) around(d time.Duration, err error) (pause, firm time.Duration) {
	if j == nil {
		j = rand.N[time.Duration]
	}
	pause = d/2 + j(d/2)
	var r *refusal
	if errors.As(err, &r) && r.after > 0 {
		firm = r.after
		pause = max(pause, firm+j(firm/8+time.Second))
	}
	return pause, firm
}

// backoff is how long to wait after failures in a row: twice as long each
// time, up to maxPause.
type backoff struct {
	failures int
	jitter   Jitter
}

func (b *backoff) reset() { b.failures = 0 }

// next gives the pause after one more failure, and the firm part of it.
func (b *backoff) next(err error) (pause, firm time.Duration) {
	d := min(firstPause<<min(b.failures, 16), maxPause)
	if words, _ := keyTrouble(err); words != "" {
		d = min(d, keyPause)
	}
	b.failures++
	return b.jitter.around(d, err)
}

// rest waits for the pause to pass; a wake ends it early, though not before
// firm has passed. It reports whether ctx is still going.
func rest(ctx context.Context, pause, firm time.Duration, wake <-chan struct{}) bool {
	if firm > 0 {
		if !rest(ctx, firm, 0, nil) {
			return false
		}
		pause -= firm
	}
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-wake:
	case <-t.C:
	}
	return ctx.Err() == nil
}
