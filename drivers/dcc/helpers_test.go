package dcc

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
)

// now is when these tests happen.
var now = utc("2024-04-10 12:10")

func utc(s string) time.Time {
	t, err := time.Parse("2006-01-02 15:04", s)
	if err != nil {
		panic(err)
	}
	return t
}

// clock is a clock that tests move.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// recorder keeps what was delivered, as the agent does: in memory until Settle.
type recorder struct {
	t         *testing.T
	meta      map[string][]byte
	pending   []heard
	stored    []heard
	settles   int
	refuse    func() error // of Settle
	refuseSet error        // of SetMeta
}

// heard is one reading that was delivered.
type heard struct {
	device int
	drivers.Reading
}

func newRecorder(t *testing.T) *recorder { return &recorder{t: t, meta: map[string][]byte{}} }

func (r *recorder) deliver(device int, readings []drivers.Reading) {
	if len(readings) == 0 {
		r.t.Error("nothing was delivered")
	}
	for i := range readings {
		r.pending = append(r.pending, heard{device, readings[i]})
		readings[i] = drivers.Reading{Point: -1} // nothing may be kept of it
	}
}

func (r *recorder) Settle() error {
	r.settles++
	if r.refuse != nil {
		if err := r.refuse(); err != nil {
			return err
		}
	}
	r.stored = append(r.stored, r.pending...)
	r.pending = nil
	return nil
}

// die loses what was not stored.
func (r *recorder) die() { r.pending = nil }

func (r *recorder) Meta(name string) ([]byte, error) { return r.meta[name], nil }

func (r *recorder) SetMeta(name string, v []byte) error {
	if r.refuseSet != nil {
		return r.refuseSet
	}
	r.meta[name] = slices.Clone(v)
	return nil
}

// take gives what was stored since it was asked last, and forgets it.
func (r *recorder) take() (good []heard, errs []error) {
	for _, h := range r.stored {
		if h.Err != nil {
			errs = append(errs, h.Err)
		} else {
			good = append(good, h)
		}
	}
	r.stored = nil
	return good, errs
}

// latest is the newest version of each half-hour of a point, by its end.
func latest(all []heard, device, point int) map[time.Time]int64 {
	out := map[time.Time]int64{}
	for _, h := range all {
		if h.device == device && h.Point == point && h.Interval == energy.Period && h.Err == nil {
			out[h.Sample.At] = h.Sample.Value
		}
	}
	return out
}

func sum(m map[time.Time]int64) (total int64) {
	for _, v := range m {
		total += v
	}
	return total
}

var quiet = record.Logger(nil)

var errFull = errors.New("the disk is full")

func kindOf(err error) drivers.Kind {
	var e *drivers.Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return ""
}
