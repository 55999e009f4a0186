package uplink

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/uplink/grant"
)

// A permission that was withdrawn stays withdrawn: who agrees anew gets another
// one, with another identifier. So the gateway keeps the identifiers of those
// that it has seen withdrawn, and takes no later word for it that one of them
// is in force again: not of a relay that was put back to a backup of before the
// withdrawal, nor of an old set that somebody plays again. It tells the relay
// of such ones, which then ends them at its side too (grants.go there).
const (
	metaEnded = "uplink-withdrawn"
	mostEnded = 4096               // kept; those that would end first give way
	keepEnded = 3 * 24 * time.Hour // beyond the end that a grant had: no clock is so wrong
	mostTold  = 64                 // in one request
)

// ended is a withdrawal that the gateway has seen.
type ended struct {
	At      time.Time `json:"at"`      // of the withdrawal
	Expires time.Time `json:"expires"` // when the grant would have ended by itself
}

// loadEnded takes up the withdrawals of earlier runs.
func (c *Client) loadEnded() {
	b, err := c.out.Meta(metaEnded)
	if err == nil && b != nil {
		err = json.Unmarshal(b, &c.ended)
	}
	if err != nil {
		c.log.Warn("which permissions were withdrawn before is not known any more", "err", err)
	}
}

// endLocked notes the withdrawals of a set and ends in it what has ended
// before. It gives what is to be kept, nil where nothing is new.
func (c *Client) endLocked(grants []grant.Grant) (keep []byte, err error) {
	next, undone := maps.Clone(c.ended), []string(nil)
	if next == nil {
		next = map[string]ended{}
	}
	for i := range grants {
		g := &grants[i]
		e, known := next[g.ID]
		switch {
		case !g.Revoked.IsZero() && !known:
			next[g.ID] = ended{g.Revoked, g.Expires}
		case known && g.Revoked.IsZero():
			g.Revoked, undone = e.At, append(undone, g.ID)
			if g.Expires.After(e.Expires) {
				next[g.ID] = ended{e.At, g.Expires}
			}
		}
	}
	if len(undone) > 0 && !slices.Equal(undone, c.undone) {
		c.log.Warn("the relay says that permissions are in force which were withdrawn: nothing is sent under them", "grants", strings.Join(undone, ", "))
	}
	c.undone = undone
	now := c.instantLocked()
	maps.DeleteFunc(next, func(_ string, e ended) bool { return now.After(e.Expires.Add(keepEnded)) })
	for len(next) > mostEnded {
		first := slices.MinFunc(slices.Collect(maps.Keys(next)), func(a, b string) int { return next[a].Expires.Compare(next[b].Expires) })
		delete(next, first)
	}
	if maps.Equal(next, c.ended) {
		return nil, nil
	}
	c.ended = next
	return json.Marshal(next)
}

// tellEnded names, in a question for grants, what the relay takes for permitted
// and was withdrawn.
func (c *Client) tellEnded(h http.Header) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := min(len(c.undone), mostTold); n > 0 {
		h.Set(grant.WithdrawnHeader, strings.Join(c.undone[:n], ","))
	}
}
