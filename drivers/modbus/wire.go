package modbus

import (
	"bytes"
	"context"
	"errors"
	"os"
	"time"

	wire "github.com/simonvetter/modbus"
)

// link carries bytes: a serial port, or a socket to a converter.
type link interface {
	// readUntil gives what has come, at least one byte; it fails with
	// os.ErrDeadlineExceeded when nothing came by then, and with anything else
	// when the link is broken. It looks at least once.
	readUntil(p []byte, deadline time.Time) (int, error)
	write(p []byte) error
	close() error
}

// line puts one question at a time on a link whose frames carry nothing but
// a unit, a function, a length and a checksum, and keeps the silences that
// such a wire needs. It outlives its link: a late answer may come to the next.
type line struct {
	link    link
	char    time.Duration // one character on the wire
	gap     time.Duration // silence that goes before each question
	timeout time.Duration // for an answer to begin
	quiet   time.Duration // silence by which a quarantine ends

	last    time.Time // when the wire was last in use
	until   time.Time // quarantined till then at least
	strange bool      // something came that was not an answer to what was asked
	unheard bool      // the last question had no answer at all

	counts *counts
}

const tick = time.Millisecond // shortest look at a link

// listen reads and throws away until the wire has been silent until then. It
// reports whether anything came.
func (l *line) listen(ctx context.Context, until time.Time) (heard bool, err error) {
	var p [maxFrame]byte
	for looked := false; ; looked = true {
		now := time.Now()
		if looked && !now.Before(until) {
			return heard, nil
		}
		step := now.Add(max(tick, min(until.Sub(now), 100*time.Millisecond)))
		n, err := l.link.readUntil(p[:], step)
		switch {
		case n > 0:
			l.last, heard, l.strange = time.Now(), true, true
			l.counts.threw(n)
			return heard, nil
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return heard, err
		case ctx.Err() != nil:
			return heard, ctx.Err()
		}
	}
}

// settle waits until the wire may be used: silent for the gap, or in
// quarantine for as long as something late could come. Whatever comes starts a
// quarantine; one that does not end in time is an error, since a wire with two
// masters never falls silent.
func (l *line) settle(ctx context.Context) (heard bool, err error) {
	began := time.Now()
	quarantined := l.until.After(began)
	limit := began.Add(time.Second + 4*l.quiet + max(0, l.until.Sub(began)))
	for {
		until := l.last.Add(l.gap)
		if l.until.After(until) {
			until = l.until
		}
		now, err := l.listen(ctx, until)
		if quarantined && (err != nil || !now) {
			l.counts.quarantined(time.Since(began))
		}
		switch {
		case err != nil || !now:
			return heard, err
		case time.Now().After(limit):
			l.counts.quarantined(time.Since(began))
			return true, errNoisy
		}
		heard, quarantined = true, true
		l.quarantine()
	}
}

func (l *line) quarantine() { l.until = time.Now().Add(l.quiet) }

// exchange puts a question on the wire and gives the frame that answers it,
// its checksum unchecked. It is for a settled wire. Any error but that of the
// link leaves the wire in quarantine.
func (l *line) exchange(question []byte, length int) ([]byte, error) {
	if err := l.link.write(question); err != nil {
		return nil, err
	}
	sent := time.Now().Add(time.Duration(len(question)) * l.char)
	l.last, l.unheard = sent, false
	l.counts.asked(len(question))
	frame, err := l.answer(question, sent.Add(l.timeout+time.Duration(length)*l.char))
	if err != nil {
		l.unheard = errors.Is(err, wire.ErrRequestTimedOut)
		if isStrange(err) {
			l.strange = true
			l.counts.threw(0)
		}
		l.quarantine()
	}
	return frame, err
}

func (l *line) answer(question []byte, deadline time.Time) ([]byte, error) {
	got := make([]byte, 0, maxFrame+len(question))
	echo := false
	for {
		n, err := l.link.readUntil(got[len(got):cap(got)], deadline)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded) && len(got) == 0:
			return nil, wire.ErrRequestTimedOut
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil, errCut
		case err != nil:
			return nil, err
		}
		got, l.last = got[:len(got)+n], time.Now()
		l.counts.received(n)
		if !echo && bytes.HasPrefix(question, got[:min(len(got), len(question))]) {
			// Some adapters hear themselves. No answer begins with its question.
			if len(got) < len(question) {
				continue
			}
			got, echo = got[len(question):], true
		}
		if len(got) == 0 {
			continue
		}
		length, err := answerLength(question, got)
		switch {
		case err != nil:
			return nil, err
		case length > 0 && len(got) > length:
			return nil, errTooMuch
		case length == len(got) && length > 0:
			return got, nil
		case len(got) == cap(got):
			return nil, errTooMuch
		}
	}
}
