package simulation

import (
	"errors"
	"os"
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
	full *episodes // no room on the disk
	kept func(r store.Round, sure bool)

	mu      sync.Mutex
	dead    bool
	prunes  int
	died    chan struct{}
	torn    []byte    // what the file holds after a power cut within a call; nil: as it is
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
	before, err := os.ReadFile(d.path)
	if err != nil {
		return err, true
	}
	_ = do()
	after, err := os.ReadFile(d.path)
	if err != nil {
		return err, false
	}
	d.torn = tear(before, after, d.plan.noise)
	return errDead, false
}

func (d *disk) die() {
	if !d.dead {
		d.dead = true
		close(d.died)
	}
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

const (
	page   = 4096 // of bbolt
	sector = 512  // what a disk writes whole
)

// tear gives what a file can hold when the power goes within one transaction
// of bbolt. It writes the changed pages, waits until they are on the disk, and
// then one of the two meta pages. So either some sectors of the changed pages
// are there, in any order, and no meta page; or all of them and part of it.
func tear(before, after []byte, noise chance) []byte {
	out := append([]byte(nil), before...)
	if len(after) > len(out) { // the file grows before anything is written
		out = append(out, make([]byte, len(after)-len(out))...)
	}
	all := noise.n(0, 2) == 0
	for at := 2 * page; at+sector <= len(after); at += sector {
		if all || noise.n(int64(at), 2) == 0 {
			copy(out[at:at+sector], after[at:])
		}
	}
	if all {
		for meta := range 2 {
			n := noise.n(int64(meta)+1, 100) // a meta page is 80 bytes: cut anywhere in it, or not at all
			copy(out[meta*page:meta*page+int(n)], after[meta*page:])
		}
	}
	return out
}

// Commit and the others below are the calls that write.
func (d *disk) Commit(r store.Round) error {
	err, sure := d.write("commit", true, func() error { return d.Store.Commit(r) })
	if err == nil || !sure {
		d.kept(r, err == nil)
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
