package simulation

import (
	"errors"
	"sync"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/store"
)

// disk is the store as one life of the agent sees it. It can cut the power
// before, within or after any call that writes.
type disk struct {
	*store.Store
	path string
	plan death
	full *episodes                              // no room on the disk
	kept func(r store.Round, sure, folded bool) // folded: the store's file itself has all that was committed
	told *history

	mu      sync.Mutex
	dead    bool
	prunes  int
	died    chan struct{}
	left    *files    // what its files hold when the power has gone; nil: it was stopped in order
	lost    error     // why they could not be read
	where   string    // the call at which it died
	refused time.Time // when there was last no room
}

// death is how a life of the agent ends.
type death struct {
	at    time.Time
	kind  int    // one of the below
	call  string // at a call of this kind, or any one where none comes for a while
	skip  int64  // of them from at on that still go well
	noise chance
}

const (
	stopped    = iota // asked to stop: it commits what it has
	killed            // between two calls, with all that was in memory
	cutBefore         // the power goes before a call has done anything
	cutAfter          // the power goes when a call has done everything, but has not returned
	cutWithin         // the power goes within a call: any part of what it wrote is on the disk
	waysToStop = iota
)

// patience is how long a death waits for a call of its kind.
const patience = 12 * time.Hour

// fatalCalls are the calls at which the power is cut, by how often.
var fatalCalls = []string{"commit", "commit", "commit", "commit", "seal", "acknowledge", "meta", "unseal", "reopen", "prune"}

var errDead = errors.New("simulation: the power is cut")

// write lets one call that writes through, or not. What single says: the call
// is one transaction, so that its file may be torn.
func (d *disk) write(name string, single bool, do func() error) (err error, sure bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	defer func() { d.told.say("%s: %v", name, err) }()
	if d.dead {
		return errDead, true
	}
	now := time.Now()
	if _, full := d.full.at(now); full {
		d.refused = now
		return store.ErrFull, true
	}
	if d.plan.kind < cutBefore || now.Before(d.plan.at) || d.plan.call != name && now.Before(d.plan.at.Add(patience)) {
		return do(), true
	}
	if d.plan.skip > 0 {
		d.plan.skip--
		return do(), true
	}
	d.where = name
	defer d.die()
	switch {
	case d.plan.kind == cutBefore:
		return errDead, true
	case d.plan.kind == cutAfter || !single:
		_ = do()
		return errDead, false
	}
	before, err := filesAt(d.path)
	if err != nil {
		return err, true
	}
	_ = do()
	after, err := filesAt(d.path)
	if err != nil {
		return err, false
	}
	d.left = tearBoth(before, after, d.plan.noise)
	return errDead, false
}

// die ends it: whatever is done to the files later, by closing them, was not done.
func (d *disk) die() {
	if d.dead {
		return
	}
	d.dead = true
	if d.left == nil {
		d.left, d.lost = filesAt(d.path)
	}
	close(d.died)
}

// kill ends it between two calls.
func (d *disk) kill() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.die()
}

// gone reports whether the power is off.
func (d *disk) gone() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.dead
}

// Commit and the others below are the calls that write.
func (d *disk) Commit(r store.Round) error {
	before := d.Store.Written().Checkpoints
	err, sure := d.write("commit", true, func() error { return d.Store.Commit(r) })
	if err == nil || !sure {
		d.kept(r, err == nil, d.Store.Written().Checkpoints == before)
	}
	return err
}

func (d *disk) Seal(sequence uint64, hash [32]byte, body []byte, spans []energy.Span, statements int) error {
	err, _ := d.write("seal", true, func() error { return d.Store.Seal(sequence, hash, body, spans, statements) })
	return err
}

func (d *disk) Acknowledge(sequence uint64) error {
	err, _ := d.write("acknowledge", true, func() error { return d.Store.Acknowledge(sequence) })
	return err
}

func (d *disk) Unseal() error {
	err, _ := d.write("unseal", true, d.Store.Unseal)
	return err
}

func (d *disk) Adopt(sequence uint64, hash [32]byte) error {
	err, _ := d.write("adopt", true, func() error { return d.Store.Adopt(sequence, hash) })
	return err
}

func (d *disk) Reopen(spans []energy.Span) error {
	err, _ := d.write("reopen", true, func() error { return d.Store.Reopen(spans) })
	return err
}

func (d *disk) SetMeta(name string, v []byte) error {
	err, _ := d.write("meta", true, func() error { return d.Store.SetMeta(name, v) })
	return err
}

// Pending takes its time now and then, so that rounds are stored between what
// it gives and the Seal of it.
func (d *disk) Pending(k energy.Key, from, to time.Time, max int) ([]energy.HalfHour, error) {
	hh, err := d.Store.Pending(k, from, to, max)
	if n := time.Now().Unix() / 60; d.plan.noise.n(n, 4) == 0 {
		time.Sleep(time.Duration(d.plan.noise.n(n, int64(3*time.Second))))
	}
	return hh, err
}

// Prune looks through the whole file. Once a day is enough for what it is
// tested for here; the agent asks each hour.
func (d *disk) Prune(now time.Time) error {
	if d.prunes++; d.prunes%24 != 1 {
		return nil
	}
	err, _ := d.write("prune", false, func() error { return d.Store.Prune(now) })
	return err
}
