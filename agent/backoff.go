package agent

import "time"

// The steps of a wait after failures: 2 s more each time, up to 5 minutes for
// a device that does not answer, up to 30 s for a whole wire (nobody else
// waits for it, and its return should be noticed soon).
const (
	backoffStep = 2 * time.Second
	deviceLimit = 5 * time.Minute
	wireLimit   = 30 * time.Second
)

// backoff is how long to wait after so many failures in a row.
func backoff(failures int, limit time.Duration) time.Duration {
	if failures <= 0 {
		return 0
	}
	if failures > int(limit/backoffStep) {
		return limit
	}
	return time.Duration(failures) * backoffStep
}
