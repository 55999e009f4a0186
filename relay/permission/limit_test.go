package permission_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/relay/permission"
)

// Messages and gateways' questions for grants are bounded for each client, over
// all services together; another client is not held up by it.
func TestMessagesAndGrantsAreLimited(t *testing.T) {
	cluster(t, 3, func(t *testing.T, ws []*world) {
		message := func(w *world, a *app) answer {
			r, err := http.NewRequest("POST", w.server+"/messages", strings.NewReader(bodyOf("nobody's token")))
			must(t, err)
			r.Header.Set("Content-Type", "application/json")
			return do(t, a.http, r)
		}
		for name, c := range map[string]struct {
			ask, other func(w *world) answer
			good       int
		}{
			"messages": {func(w *world) answer { return message(w, w.bank) }, func(w *world) answer { return message(w, w.stranger) }, http.StatusNoContent},
			"grants": {func(w *world) answer { return w.gate.poll(t, "", "") },
				func(w *world) answer { return w.app(gateway2, "Perseus Relay Ltd").poll(t, "", "") }, http.StatusOK},
		} {
			through := 0
			var last answer
			for i := range 12 {
				if last = c.ask(ws[i%3]); last.Status == c.good {
					through++
				}
			}
			wait, err := strconv.Atoi(last.Header.Get("Retry-After"))
			if through != 6 || last.Status != http.StatusTooManyRequests || err != nil || wait < 1 || wait > 2 || last.str("error") != "temporarily_unavailable" {
				t.Errorf("%s: %d of 12 at once; then %d, Retry-After %q", name, through, last.Status, last.Header.Get("Retry-After"))
			}
			if got := c.other(ws[0]).Status; got != c.good {
				t.Errorf("%s: another client: %d", name, got)
			}
		}
		for _, w := range ws {
			w.advance(2 * time.Second)
		}
		if a, b := message(ws[1], ws[1].bank).Status, ws[2].gate.poll(t, "", "").Status; a != http.StatusNoContent || b != http.StatusOK {
			t.Errorf("after the wait: %d, %d", a, b)
		}
	}, func(c *permission.Config) {
		c.MessageRate, c.GrantsRate = permission.Rate{PerSecond: 0.5, Burst: 6}, permission.Rate{PerSecond: 0.5, Burst: 6}
	})
}
