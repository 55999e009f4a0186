package uplink

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/perseus-edge/perseus-edge/uplink/batch"
)

const (
	sendTime  = 2 * time.Minute  // for a batch to go and its answer to come
	siteTime  = time.Minute      //
	idleTime  = 15 * time.Minute // without a Notify: a grant may have begun meanwhile
	countTime = time.Minute      // between counts of what is pending, which reads all of it, while there is much to send
)

var (
	errWithdrawn = errors.New("a grant ended while the batch was on its way")
	errRefused   = errors.New("the relay knows of no permission for what the gateway's grants cover")
)

// outcome is what a step came to.
type outcome int

const (
	idle      outcome = iota // there is nothing to send
	moved                    // something changed here; it remains to be seen whether the relay takes it
	delivered                // the relay has stored a batch
)

// flight is a batch on its way.
type flight struct {
	batch  *batch.Signed
	cancel context.CancelCauseFunc
}

// sendLoop sends until ctx ends.
func (c *Client) sendLoop(ctx context.Context) {
	b := backoff{jitter: c.jitter}
	var counted time.Time
	for ctx.Err() == nil {
		did, err := c.step(ctx)
		pause, firm := time.Duration(idleTime), time.Duration(0)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			c.failed("send", err)
			pause, firm = b.next(err)
		case did != moved:
			b.reset()
			c.succeeded("send")
		}
		busy := did != idle && err == nil
		if !busy || time.Since(counted) > countTime {
			c.notePending()
			counted = time.Now()
		}
		if busy {
			continue
		}
		if !rest(ctx, pause, firm, c.wake) {
			return
		}
	}
}

// step does the next thing: register the site, seal a batch, or send one.
func (c *Client) step(ctx context.Context) (outcome, error) {
	if err := c.register(ctx); err != nil {
		return idle, err
	}
	sequence, raw, err := c.out.Oldest()
	if err != nil {
		return idle, fmt.Errorf("reading the sealed batch: %w", err)
	}
	if raw == nil {
		return c.sealNext()
	}
	b, err := batch.Decode(raw)
	if err == nil && (b.Sequence != sequence || b.Gateway != c.folder.Gateway) {
		err = fmt.Errorf("it is number %d of %s", b.Sequence, b.Gateway)
	}
	if err != nil {
		return idle, errors.Join(fmt.Errorf("the sealed batch %d is not one of this gateway, it is made anew: %w", sequence, err), c.out.Unseal())
	}
	fctx, ok := c.takeOff(ctx, b)
	if !ok {
		c.log.Info("a grant ended: the sealed batch is made anew", "sequence", sequence)
		return moved, c.out.Unseal()
	}
	a, err := do(fctx, c.http, http.MethodPost, c.relay+"/gateway/v1/batches",
		http.Header{"Content-Type": {batch.MediaType}, "Accept": {"application/json"}}, raw, maxAnswer)
	cause := context.Cause(fctx)
	c.land()
	switch {
	case err != nil && errors.Is(cause, errWithdrawn):
		return moved, c.out.Unseal()
	case err != nil:
		return idle, err
	}
	c.noteClock(a.header)
	return c.judge(b, a)
}

// takeOff checks a batch against the grants a last time and notes that it is on
// its way, in one step: a withdrawal that comes later cancels the request.
func (c *Client) takeOff(ctx context.Context, b *batch.Signed) (context.Context, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !permitted(c.held.set.Grants, c.instantLocked(), b) {
		return nil, false
	}
	tctx, stop := context.WithTimeout(ctx, sendTime)
	fctx, cancel := context.WithCancelCause(tctx)
	c.inFlight = &flight{b, func(err error) { cancel(err); stop() }}
	return fctx, true
}

func (c *Client) land() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inFlight.cancel(nil)
	c.inFlight = nil
}

// judge acts on the relay's answer to a batch.
func (c *Client) judge(b *batch.Signed, a *answer) (outcome, error) {
	refused := a.refused(c.now())
	switch {
	case a.status == http.StatusOK:
		var yes struct {
			Sequence   *uint64            `json:"sequence"`
			Statements bool               `json:"takes_statements"`
			Refused    []refusedStatement `json:"refused_statements"`
		}
		if err := json.Unmarshal(a.body, &yes); err != nil || yes.Sequence == nil {
			return idle, errors.New("the relay's answer cannot be read: it does not say what it has stored")
		}
		if *yes.Sequence < b.Sequence {
			return idle, fmt.Errorf("the relay says that it has stored batches up to %d, not yet %d", *yes.Sequence, b.Sequence)
		}
		// Only what it said yes to, whatever number it gives.
		if err := c.acknowledge(b); err != nil {
			return idle, err
		}
		c.months.wanted = yes.Statements
		return delivered, c.restate(yes.Refused)
	case a.status == http.StatusConflict && refused.code == "out_of_sequence":
		return c.conflict(b, a)
	case a.status == http.StatusForbidden && refused.code == "no_permission":
		poke(c.recall)
		return idle, errors.Join(fmt.Errorf("%w: %w", errRefused, refused), c.out.Unseal())
	case a.status == http.StatusForbidden && (refused.code == "invalid_certificate" || refused.code == "unknown_certificate") && c.signedBefore(b):
		// Its certificate was revoked, or the relay has lost it: as it is, the
		// batch would be refused for ever. It is signed anew, with the present one.
		c.log.Warn("the sealed batch is made anew with the present signing certificate", "sequence", b.Sequence, "problem", refused)
		return moved, c.out.Unseal()
	case a.status == http.StatusRequestEntityTooLarge:
		if !c.sendLess() {
			return idle, refused
		}
		return moved, c.out.Unseal()
	case a.status == http.StatusBadRequest:
		// The same bytes would be refused for ever. Another try may fare
		// better: the site is registered anew with its signing certificate.
		c.forgetRegistration()
		return idle, errors.Join(refused, c.out.Unseal())
	case a.status == http.StatusTooManyRequests || a.status >= 500:
		return idle, refused
	default:
		c.forgetRegistration()
		return idle, refused
	}
}

// signedBefore reports whether a batch was signed with an earlier certificate
// than the present one.
func (c *Client) signedBefore(b *batch.Signed) bool {
	p, err := c.folder.signer()
	return err == nil && !bytes.Equal(p.leaf().SerialNumber.Bytes(), b.Serial)
}

func (c *Client) acknowledge(b *batch.Signed) error {
	if err := c.dropDelivered(b); err != nil {
		c.log.Warn("statements may be sent twice", "err", err)
	}
	if err := c.settleMonths(b); err != nil {
		return err
	}
	if err := c.out.Acknowledge(b.Sequence); err != nil {
		return fmt.Errorf("noting that batch %d is delivered: %w", b.Sequence, err)
	}
	c.conflicts = 0
	c.noteAcknowledged(b.Sequence)
	return nil
}

// conflict takes up the relay's chain where it is not ours: an answer was lost
// before a batch was made anew, or one of the two stores was lost or replaced.
// What was sealed is pending again, and the relay knows the half-hours that it
// already has.
func (c *Client) conflict(b *batch.Signed, a *answer) (outcome, error) {
	var head struct {
		Sequence *uint64 `json:"sequence"`
		Hash     string  `json:"hash"`
	}
	if err := json.Unmarshal(a.body, &head); err != nil || head.Sequence == nil {
		return idle, errors.New("the relay says that the batch is out of sequence, but not where it stands")
	}
	var hash [32]byte
	if h, err := hex.DecodeString(head.Hash); err == nil && (len(h) == len(hash) || len(h) == 0 && *head.Sequence == 0) {
		copy(hash[:], h)
	} else {
		return idle, errors.New("the relay says that the batch is out of sequence, but its hash cannot be read")
	}
	if *head.Sequence == b.Sequence && hash == b.Hash() {
		return delivered, c.acknowledge(b)
	}
	if *head.Sequence == b.Sequence-1 && hash == b.Previous {
		return idle, errors.New("the relay refuses the very batch that it waits for")
	}
	if *head.Sequence+1 < b.Sequence {
		c.log.Error("the relay has lost batches that it had acknowledged: everything a permission covers is sent again",
			"relay", *head.Sequence, "here", b.Sequence-1)
		live, _ := c.live()
		if err := c.out.Reopen(covered(live)); err != nil {
			return idle, err
		}
	} else {
		c.log.Warn("taking up the relay's chain", "relay", *head.Sequence, "here", b.Sequence-1)
	}
	if err := c.out.Unseal(); err != nil {
		return idle, err
	}
	if err := c.out.Adopt(*head.Sequence, hash); err != nil {
		return idle, fmt.Errorf("taking up the relay's chain: %w", err)
	}
	if c.conflicts++; c.conflicts > 1 {
		return idle, fmt.Errorf("the relay's chain is at %d, not where it was before: are two gateways running with one identity?", *head.Sequence)
	}
	return moved, nil
}
