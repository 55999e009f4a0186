package integration

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/identity"
)

// Three processes of perseus-central on one PostgreSQL, hammered over mutual
// TLS: a request and a code are used once, whichever process gets them; what is
// withdrawn at one is over at the others at once; one that is killed loses
// nothing that was acknowledged; limits are those of all together.
func TestThreeProcessesOnOneDatabase(t *testing.T) {
	w := newCluster(t, 46)
	t.Run("requests and codes are used once", w.testOnce)
	t.Run("a withdrawal at one stops the others", w.testWithdrawal)
	t.Run("kill -9", w.testKill)
	t.Run("limits", w.testLimits)
}

// race runs f for so many at the same time, by turns over the processes, and
// counts their answers.
func (w *cluster) race(t *testing.T, n int, f func(m int) (answer, error)) map[int]int {
	t.Helper()
	var wg sync.WaitGroup
	var mu sync.Mutex
	got := map[int]int{}
	begin := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-begin
			a, err := f(i % machines)
			mu.Lock()
			defer mu.Unlock()
			if got[a.status]++; err != nil {
				t.Error(err)
			}
		})
	}
	close(begin)
	wg.Wait()
	return got
}

func (w *cluster) testOnce(t *testing.T) {
	for round := range 6 {
		uri, verifier, _, err := w.push(round % machines)
		if err != nil {
			t.Fatal(err)
		}
		f, err := w.offer((round+1)%machines, uri, w.codes[0])
		if err != nil {
			t.Fatal(err)
		}
		codes := make(chan string, 9)
		if got := w.race(t, 9, func(m int) (answer, error) { // one address has ten tries at codes at once
			a, err := w.page(m, "/authorize", f)
			if c := codeOf(a); c != "" {
				codes <- c
			}
			return a, err
		}); got[http.StatusSeeOther] != 1 || got[http.StatusBadRequest] != 8 {
			t.Fatalf("round %d: one press of the button at three processes: %v", round, got)
		}
		code := <-codes
		tokens := make(chan string, 24)
		if got := w.race(t, 24, func(m int) (answer, error) {
			_, refresh, a, err := w.redeem(m, code, verifier)
			if refresh != "" {
				tokens <- refresh
			}
			return a, err
		}); got[http.StatusOK] != 1 || got[http.StatusBadRequest] != 23 {
			t.Fatalf("round %d: one code at three processes: %v", round, got)
		}
		refresh := <-tokens
		for m := range machines { // it was shown again: what it gave has ended, everywhere
			if a, err := w.refresh(m, refresh); err != nil || a.status != http.StatusBadRequest {
				t.Errorf("process %d refreshes what a replay ended: %d, %v", m, a.status, err)
			}
		}
	}
}

func (w *cluster) testWithdrawal(t *testing.T) {
	for round := range 5 {
		access, refresh, err := w.flow([4]int{round % machines, (round + 1) % machines, (round + 2) % machines, round % machines}, w.codes[1+round])
		if err != nil {
			t.Fatal(err)
		}
		var over atomic.Bool // set when the withdrawal is acknowledged
		var wg sync.WaitGroup
		var before, after atomic.Int64
		stop := make(chan struct{})
		for i := range 12 {
			c := w.clients[i%machines]
			wg.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					late := over.Load() // when this request begins
					a, err := c.withToken(t, access)
					switch {
					case err != nil:
						t.Error(err)
					case late && a.status != http.StatusUnauthorized:
						t.Errorf("process %d answers %d after the withdrawal: %s", i%machines, a.status, a.body)
					case late:
						after.Add(1)
					case a.status == http.StatusOK:
						before.Add(1)
					case a.status != http.StatusUnauthorized:
						t.Errorf("%d: %s", a.status, a.body)
					}
				}
			})
		}
		until(t, 30*time.Second, "it is hammered", w.processes[:], func() error {
			if before.Load() < 100 {
				return fmt.Errorf("%d answers", before.Load())
			}
			return nil
		})
		a, err := w.post(round%machines, "/oauth/revoke", url.Values{"token": {refresh}})
		if err != nil || a.status != http.StatusOK {
			t.Errorf("revoke: %d, %v", a.status, err)
		}
		over.Store(true)
		until(t, 30*time.Second, "it is hammered on", w.processes[:], func() error {
			if after.Load() < 100 {
				return fmt.Errorf("%d answers", after.Load())
			}
			return nil
		})
		close(stop)
		wg.Wait()
	}
}

func (c *client) withToken(t *testing.T, access string) (answer, error) {
	return ask(t.Context(), c.programs, http.MethodGet, c.resource+"/datasources", access, nil)
}

// acknowledged is what a process has said is done.
type acknowledged struct {
	mu      sync.Mutex
	live    []string // refresh tokens that were given
	revoked []string // and those whose revocation was answered with 200
	pushed  []string // request_uris that were given and not used
}

// testKill has six clients at work on three processes, and kills one of them
// while they are: what any of the three has acknowledged holds at the two that
// are left, and at a new one in the place of the third.
func (w *cluster) testKill(t *testing.T) {
	var done acknowledged
	var wg sync.WaitGroup
	killed := make(chan struct{})
	var once sync.Once
	var failed atomic.Int64
	for i := range 6 {
		wg.Go(func() {
			for n := range 6 {
				at := [4]int{(i + n) % machines, (i + n + 1) % machines, (i + n + 2) % machines, (i + n) % machines}
				if uri, _, _, err := w.push(at[0]); err == nil && uri != "" {
					done.add(&done.pushed, uri)
				}
				_, refresh, err := w.flow(at, w.codes[10+6*i+n])
				if err != nil { // what stands before the processes notices, and leaves the one out that is gone
					failed.Add(1)
					<-killed
					at = [4]int{1 + n%2, 2 - n%2, 1, 2}
					_, refresh, err = w.flow(at, w.codes[10+6*i+n])
				}
				if err != nil {
					t.Errorf("at the two that are left: %v", err)
					continue
				}
				// Its revocation counts, or its being in force, and while it is asked for neither.
				if n%2 == 1 {
					if a, err := w.post(at[1], "/oauth/revoke", url.Values{"token": {refresh}}); err == nil && a.status == http.StatusOK {
						done.add(&done.revoked, refresh)
					}
				} else if done.add(&done.live, refresh) == 10 {
					once.Do(func() { w.processes[0].kill(); close(killed) })
				}
			}
		})
	}
	wg.Wait()
	select {
	case <-killed:
	default:
		t.Fatalf("no process was killed: %d live, %d failed", len(done.live), failed.Load())
	}
	t.Logf("acknowledged: %d tokens, %d revocations, %d requests; %d flows failed", len(done.live), len(done.revoked), len(done.pushed), failed.Load())
	if len(done.live) != 18 || len(done.pushed) < 20 || len(done.revoked) < 6 || failed.Load() == 0 {
		t.Errorf("too little went on: %d, %d, %d", len(done.live), len(done.pushed), len(done.revoked))
	}
	w.serve(0)
	for m := range machines {
		for _, token := range done.live {
			if a, err := w.refresh(m, token); err != nil || a.status != http.StatusOK {
				t.Errorf("process %d: a token that was acknowledged: %d %s, %v", m, a.status, a.body, err)
			}
		}
		for _, token := range done.revoked {
			if a, err := w.refresh(m, token); err != nil || a.status != http.StatusBadRequest {
				t.Errorf("process %d: a token whose revocation was acknowledged: %d, %v", m, a.status, err)
			}
		}
		for _, uri := range done.pushed {
			if a, err := w.page(m, "/authorize?"+url.Values{"client_id": {w.clients[m].id}, "request_uri": {uri}}.Encode(), nil); err != nil || a.status != http.StatusOK {
				t.Errorf("process %d: a request that was acknowledged: %d, %v", m, a.status, err)
			}
		}
	}
}

func (a *acknowledged) add(to *[]string, what string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	*to = append(*to, what)
	return len(*to)
}

// testLimits guesses at codes from one address, and pushes requests as one
// client, at all three: what gets through is what one process alone would let.
func (w *cluster) testLimits(t *testing.T) {
	began := time.Now()
	var through atomic.Int64
	got := w.race(t, 60, func(m int) (answer, error) {
		a, err := w.page(m, "/permissions", url.Values{"code": {identity.NewCode()}})
		if a.status == http.StatusUnprocessableEntity {
			through.Add(1)
		}
		return a, err
	})
	// One is given back in 20 s. Some are owed to the process that was killed in the midst of one.
	if most := 10 + int64(time.Since(began)/(20*time.Second)) + 1; through.Load() > most || through.Load() == 0 || got[http.StatusTooManyRequests] == 0 {
		t.Errorf("guesses at codes: %v, at most %d may get through", got, most)
	}
	began = time.Now()
	var pushed atomic.Int64
	waits := make(chan string, 1<<12)
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			for pushed.Load() < 2000 {
				_, _, a, err := w.push(i % machines)
				if err != nil {
					t.Error(err)
					return
				}
				if a.status == http.StatusTooManyRequests {
					waits <- a.header.Get("Retry-After")
					return
				}
				pushed.Add(1)
			}
		})
	}
	wg.Wait()
	close(waits)
	most := 1000 + int64(20*time.Since(began).Seconds()) + 20
	t.Logf("%d pushed requests got through in %v", pushed.Load(), time.Since(began).Round(time.Second))
	if pushed.Load() > most || len(waits) != 12 {
		t.Errorf("%d pushed requests got through, at most %d may; %d were refused", pushed.Load(), most, len(waits))
	}
	if all := slices.Collect(func(yield func(string) bool) {
		for s := range waits {
			if !yield(s) {
				return
			}
		}
	}); slices.ContainsFunc(all, func(s string) bool { return strings.Trim(s, "0123456789") != "" || s == "" }) {
		t.Errorf("Retry-After: %q", all)
	}
}
