package uplink

import (
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// Outbox is what the uplink needs of a store. Every method that changes
// something is durable when it returns. It is used by one uplink at a time,
// but from several goroutines.
type Outbox interface {
	// Pending gives the half-hours of a register in [from, to) by Start that
	// are neither acknowledged nor in a sealed batch, oldest first, at most max.
	Pending(k energy.Key, from, to time.Time, max int) ([]energy.HalfHour, error)
	// PendingKeys gives the registers that have pending half-hours.
	PendingKeys() ([]energy.Key, error)
	// Chain is the sequence and the hash of the last batch sealed, or of the
	// relay's head that was adopted since; 0 and zeros at first.
	Chain() (sequence uint64, hash [32]byte, err error)
	// Seal keeps a batch before it is sent for the first time. Its half-hours
	// (spans) and the oldest pending statements, so many, are no longer
	// pending. The sequence must be that of Chain plus one. A half-hour in a
	// span that was committed or changed since Pending last gave that stretch
	// is not in the body: it stays pending.
	Seal(sequence uint64, hash [32]byte, body []byte, spans []energy.Span, statements int) error
	// Oldest gives the oldest sealed batch that is not acknowledged; 0, nil,
	// nil when there is none.
	Oldest() (sequence uint64, body []byte, err error)
	// Acknowledge settles every sealed batch up to sequence: its half-hours
	// are delivered and its body is dropped.
	Acknowledge(sequence uint64) error
	// Unseal forgets every sealed batch that is not acknowledged: what was in
	// them is pending again, and Chain is what it was before them.
	Unseal() error
	// Adopt continues the relay's chain from its head. It needs that nothing
	// is sealed.
	Adopt(sequence uint64, hash [32]byte) error
	// Reopen makes the acknowledged half-hours in the spans pending again: the
	// relay has deleted or lost them. Sending one twice does no harm.
	Reopen(spans []energy.Span) error
	// PendingStatements gives the baseline statements that are not in a sealed
	// batch, oldest first, at most max.
	PendingStatements(max int) ([]energy.KeyedStatement, error)
	// Meta and SetMeta keep small named values; nil where there is none.
	Meta(name string) ([]byte, error)
	SetMeta(name string, v []byte) error
}
