package permission_test

import (
	"context"
	"database/sql"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/relay/database"
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

// However many requests of one client come at once, one of them at a time counts
// them in the database: the places among its writers stay free for others.
func TestCountingHoldsUpNobody(t *testing.T) {
	databases(t, func(t *testing.T, open func(*testing.T) *database.DB) {
		w := newWorld(t, open(t), func(c *permission.Config) { c.GrantsRate = permission.Rate{PerSecond: 0.5, Burst: 6} })
		tok := w.bank.flow(perseus.LicenseCombined(), code1)
		w.gate.poll(t, "", "") // its row is there
		held, ended, over := make(chan struct{}), make(chan struct{}), make(chan error, 1)
		go func() {
			over <- w.db.Write(context.Background(), func(tx *sql.Tx) error {
				_, err := tx.Exec(`UPDATE limits SET full_at = full_at WHERE name LIKE 'grants by %'`)
				close(held)
				<-ended
				return err
			})
		}()
		<-held
		const flood = 40
		answers := make(chan answer, flood)
		for range flood {
			go func() { answers <- w.gate.poll(t, "", "") }()
		}
		for w.svc.Uncounted() < flood-1 {
			runtime.Gosched()
		}
		if w.db.Dialect == database.PostgreSQL { // SQLite has one writer, which is held
			through := make(chan answer, 1)
			go func() { through <- w.bank.refresh(tok.refresh) }()
			select {
			case a := <-through:
				if a.Status != http.StatusOK {
					t.Errorf("%d %s", a.Status, a.Body)
				}
			case <-time.After(30 * time.Second):
				t.Error("a gateway that asks too often keeps out another client")
			}
		}
		close(ended)
		must(t, <-over)
		good := 0
		for range flood {
			switch a := <-answers; a.Status {
			case http.StatusOK:
				good++
			case http.StatusTooManyRequests:
			default:
				t.Errorf("%d %s", a.Status, a.Body)
			}
		}
		if good != 5 {
			t.Errorf("%d were let through, want the 5 that were left of 6", good)
		}
	})
}
