package uplink

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/uplink/batch"
	"github.com/perseus-edge/perseus-edge/uplink/grant"
)

const (
	metaStatements = "uplink-statements"
	statementsMost = 64  // taken from the outbox at a time
	heldMost       = 256 // held back for want of a grant
)

// statements are what the next batch does with the pending statements of
// baseline. The outbox gives them up in their order only, and a statement is
// bound by the grants like anything else; so those that no grant covers are
// put aside in the outbox's Meta, where they wait for one.
type statements struct {
	carry []batch.Statement // covered
	taken int               // how many of the pending ones are carried or put aside
}

func (c *Client) statements(live []grant.Grant, now time.Time) (statements, error) {
	pending, err := c.out.PendingStatements(statementsMost)
	if err != nil {
		return statements{}, fmt.Errorf("reading the pending statements: %w", err)
	}
	aside, err := c.aside()
	if err != nil {
		return statements{}, err
	}
	st, kept := statements{taken: len(pending)}, slices.Clone(aside)
	for i, s := range append(aside, pending...) {
		if len(s.Body) == 0 || len(s.Body) > batch.MaxStatement || !s.Measure.Valid() {
			c.log.Warn("a statement of baseline cannot be sent", "meter", s.Meter, "at", s.At, "bytes", len(s.Body))
			continue
		}
		if allows(live, now, s.Key, s.At) {
			w := batch.Statement{Meter: s.Meter, Measure: s.Measure, At: s.At.UTC(), Body: s.Body}
			if !slices.ContainsFunc(st.carry, w.Equal) {
				st.carry = append(st.carry, w)
			}
		} else if i >= len(aside) && !slices.ContainsFunc(kept, same(s)) {
			kept = append(kept, s)
		}
	}
	if len(kept) > len(aside) {
		err = c.setAside(kept)
	}
	return st, err
}

// dropDelivered drops from those put aside what an acknowledged batch carried.
func (c *Client) dropDelivered(b *batch.Signed) error {
	if len(b.Baseline) == 0 {
		return nil
	}
	aside, err := c.aside()
	if err != nil {
		return err
	}
	kept := slices.DeleteFunc(slices.Clone(aside), func(s energy.KeyedStatement) bool {
		return slices.ContainsFunc(b.Baseline, batch.Statement{Meter: s.Meter, Measure: s.Measure, At: s.At, Body: s.Body}.Equal)
	})
	if len(kept) == len(aside) {
		return nil
	}
	return c.setAside(kept)
}

func same(a energy.KeyedStatement) func(energy.KeyedStatement) bool {
	return func(b energy.KeyedStatement) bool {
		return a.Key == b.Key && a.At.Equal(b.At) && bytes.Equal(a.Body, b.Body)
	}
}

func (c *Client) aside() (s []energy.KeyedStatement, err error) {
	b, err := c.out.Meta(metaStatements)
	if err != nil {
		return nil, fmt.Errorf("reading the statements put aside: %w", err)
	}
	if b != nil {
		if err := json.Unmarshal(b, &s); err != nil {
			c.log.Warn("the statements put aside are lost", "err", err)
			return nil, nil
		}
	}
	return s, nil
}

func (c *Client) setAside(s []energy.KeyedStatement) error {
	if n := len(s) - heldMost; n > 0 {
		c.log.Warn("too many statements without a grant: the oldest are dropped", "dropped", n)
		s = s[n:]
	}
	b, err := json.Marshal(s)
	if err == nil {
		err = c.out.SetMeta(metaStatements, b)
	}
	if err != nil {
		return fmt.Errorf("putting statements aside: %w", err)
	}
	return nil
}
