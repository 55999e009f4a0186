package agent

import (
	"iter"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/store"
)

// Ledger is what is kept of the readings and beside them, for those who look
// into it: *store.Store has it.
type Ledger interface {
	HalfHours
	Bounds(k energy.Key) (first, last time.Time, n int, err error)
	// Statements gives every statement of baseline that is kept, of one register
	// or (nil) of all, in the order in which they were made.
	Statements(k *energy.Key) iter.Seq2[energy.KeyedStatement, error]
	// Findings gives what the validation found about instants in [from, to).
	Findings(from, to time.Time) iter.Seq2[energy.KeyedFinding, error]
	// Corrections gives the replaced versions of half-hours that start in
	// [from, to), by start and then in the order in which they were replaced.
	Corrections(k energy.Key, from, to time.Time) ([]store.Correction, error)
}

// Ledger is what the agent keeps. It can be read while the agent works.
func (a *Agent) Ledger() Ledger { return a.opt.Store }
