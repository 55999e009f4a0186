// Package grant is the relay's signed word to a gateway: which meters,
// measures and times a live permission covers. The gateway holds grants and
// obeys them by itself (law 4); the relay issues them. Both ends share this
// package.
package grant

import (
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// WithdrawnHeader is the header of a question for grants in which a gateway
// names, with commas between, the grants that the relay has given as live though
// the gateway has seen them withdrawn: the relay was put back to a backup.
const WithdrawnHeader = "Perseus-Withdrawn"

// Grant is one permission as a gateway needs to know it.
type Grant struct {
	ID      string    `json:"id"`               // unguessable, stable over the life of the permission
	Gateway string    `json:"gateway"`          // the gateway's URL
	License string    `json:"license"`          // the scheme's licence URL
	Client  string    `json:"client"`           // application URL of who receives
	Name    string    `json:"client_name"`      // its member's name, as people know it
	Parts   string    `json:"client_parts"`     // what the client is in it: "cap" (sees half-hours), "fsp" (sees monthly emissions only) or "cap fsp"
	Covers  []Cover   `json:"covers"`           // never empty in a live grant
	From    time.Time `json:"from"`             // earliest half-hour that may leave (dataAvailableFrom), inclusive
	Granted time.Time `json:"granted"`          //
	Expires time.Time `json:"expires"`          // no half-hour leaves at or after this instant
	Revoked time.Time `json:"revoked,omitzero"` // set once withdrawn; nothing leaves from then on
}

// Cover is one register that a grant covers.
type Cover struct {
	Meter   string         `json:"meter"`
	Measure energy.Measure `json:"measure"`
}

// Live reports whether the grant allows anything to leave at the instant now.
func (g Grant) Live(now time.Time) bool {
	return g.Revoked.IsZero() && now.Before(g.Expires) && !now.Before(g.Granted)
}

// Allows reports whether, at the instant now, the half-hour of the register
// key that starts at start may leave the gateway under this grant.
func (g Grant) Allows(now time.Time, key energy.Key, start time.Time) bool {
	if !g.Live(now) || start.Before(g.From) || !start.Before(g.Expires) {
		return false
	}
	for _, c := range g.Covers {
		if c.Meter == key.Meter && c.Measure == key.Measure {
			return true
		}
	}
	return false
}
