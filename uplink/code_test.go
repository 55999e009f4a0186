package uplink

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/identity"
)

// says has the relay's next set of grants say what it makes of a code.
func (r *memRelay) says(code string, retired bool) {
	r.mu.Lock()
	r.code, r.retired = identity.CodeVersion(code), retired
	gs := r.set.Grants
	r.mu.Unlock()
	r.grant(gs...)
}

// A gateway whose code was retired says so, over a restart too; a new code is
// told the relay at once, and nothing is said of the old one any more.
func TestCodeRetired(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, 1)
		c := r.start()
		pass(time.Minute)
		first := c.Code()
		if s := c.Status(); s.CodeRetired || s.CodeNotTold || !strings.Contains(r.relay.siteText(), first) {
			t.Errorf("told: %+v", s)
		}
		r.relay.says(first, false)
		pass(time.Second)
		if c.Status().CodeRetired {
			t.Error("retired, though the relay says that it stands")
		}
		r.relay.says(first, true)
		pass(time.Second) // a long poll waits
		if !c.Status().CodeRetired {
			t.Error("not retired")
		}
		r.end()
		c = r.start()
		defer r.end()
		if s := c.Status(); !s.CodeRetired || s.CodeNotTold || c.Code() != first {
			t.Errorf("after a restart: %+v", s)
		}
		second, err := c.NewCode(t.Context())
		if err != nil || second == first || c.Code() != second || !strings.Contains(r.relay.siteText(), second) {
			t.Fatalf("%s after %s: %v; the relay has %s", second, first, err, r.relay.siteText())
		}
		if s := c.Status(); s.CodeRetired || s.CodeNotTold || s.Code != second {
			t.Errorf("with a new code: %+v", s)
		}
		if kept, _ := r.out.Meta(metaCode); string(kept) != second {
			t.Errorf("kept: %s", kept)
		}
		r.relay.says(second, false)
		pass(time.Minute)
		if s := c.Status(); s.CodeRetired || s.Code != second {
			t.Errorf("later: %+v", s)
		}
	})
}

// Where the relay cannot be reached the new code is made and kept, the error
// says what that means, and the relay hears of it as soon as it can, after a
// restart too.
func TestNewCodeOffline(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, 1)
		var down atomic.Bool
		r.wire.h = http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			if down.Load() {
				refuse(w, 503, "temporarily_unavailable", nil)
				return
			}
			r.relay.ServeHTTP(w, q)
		})
		c := r.start()
		pass(time.Minute)
		first := c.Code()
		down.Store(true)
		second, err := c.NewCode(t.Context())
		var not *CodeNotTold
		if !errors.As(err, &not) || not.Why == "" || second == "" || second == first || !strings.Contains(err.Error(), "the one before still stands there") {
			t.Fatalf("%q after %q: %v", second, first, err)
		}
		if s := c.Status(); !s.CodeNotTold || s.Code != second || !strings.Contains(r.relay.siteText(), first) {
			t.Errorf("%+v, the relay has %s", s, r.relay.siteText())
		}
		r.end()
		c = r.start()
		defer r.end()
		pass(time.Minute)
		if s := c.Status(); !s.CodeNotTold || s.Code != second {
			t.Errorf("after a restart: %+v", s)
		}
		down.Store(false)
		pass(time.Hour)
		if s := c.Status(); s.CodeNotTold || !strings.Contains(r.relay.siteText(), second) {
			t.Errorf("back: %+v, the relay has %s", s, r.relay.siteText())
		}
	})
}

// A code that cannot be kept is not told: after the next start the one before
// would come back.
func TestNewCodeNotKept(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, 1)
		c := r.start()
		defer r.end()
		pass(time.Minute)
		first := c.Code()
		r.out.mu.Lock()
		r.out.dead = true
		r.out.mu.Unlock()
		if code, err := c.NewCode(t.Context()); err == nil || code != "" {
			t.Errorf("%q, %v", code, err)
		}
		if c.Code() != first || !strings.Contains(r.relay.siteText(), first) {
			t.Errorf("%s, %s", c.Code(), r.relay.siteText())
		}
	})
}

// A description of the site that is on its way when a new code is made does not
// come after the new one: the old code would stand again.
func TestNewCodeComesLast(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, 1)
		var slow atomic.Bool
		slow.Store(true)
		var mu sync.Mutex
		var told []string // sites, in the order in which they came
		r.wire.h = http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			if q.Method != http.MethodPut {
				r.relay.ServeHTTP(w, q)
				return
			}
			if slow.Swap(false) {
				pass(30 * time.Second)
			}
			mu.Lock()
			defer mu.Unlock()
			r.relay.ServeHTTP(w, q)
			told = append(told, r.relay.siteText())
		})
		c := r.start()
		defer r.end()
		pass(5 * time.Second) // the first registration is on its way, a slow one
		code, err := c.NewCode(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		mu.Lock()
		defer mu.Unlock()
		for i, s := range told {
			if last := i == len(told)-1; strings.Contains(s, code) != last {
				t.Errorf("%d of %d: the relay was told %s; the new code is %s", i+1, len(told), s, code)
			}
		}
	})
}

// A relay that was put back to a backup takes the code of then for the
// gateway's: it is told the present one again, which ends that.
func TestRelayWithAnEarlierCode(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, 1)
		c := r.start()
		defer r.end()
		pass(time.Minute)
		r.relay.wipe() // what it was told is gone
		r.relay.says("7K2M-9QXA-04TB", false)
		pass(time.Minute)
		if !strings.Contains(r.relay.siteText(), c.Code()) {
			t.Errorf("the relay has %q", r.relay.siteText())
		}
		r.relay.says("7K2M-9QXA-04TB", true) // of another code, whatever it says
		pass(time.Minute)
		if c.Status().CodeRetired {
			t.Error("retired by what is said of another code")
		}
	})
}
