package simulation

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"sync"
	"time"

	"github.com/perseus-edge/perseus-edge/store"
	"github.com/perseus-edge/perseus-edge/uplink/batch"
)

// history is all that came of a run, in the order in which it came: what the
// store was given, round by round, and what the relay took. Two runs of one
// seed have the same one, up to its hash. What no seed can give is left out of
// it: keys, and what is made of them (signatures, and the hashes that chain
// batches).
type history struct {
	mu  sync.Mutex
	sum hash.Hash
	to  io.Writer // also written there, to look for where two differ; nil: nowhere
	buf bytes.Buffer
}

func newHistory(to io.Writer) *history { return &history{sum: sha256.New(), to: to} }

// say adds a line.
func (h *history) say(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.buf.Reset()
	h.buf.WriteString(time.Now().UTC().Format("2006-01-02T15:04:05.000000000 "))
	fmt.Fprintf(&h.buf, format+"\n", args...)
	h.sum.Write(h.buf.Bytes())
	if h.to != nil {
		_, _ = h.to.Write(h.buf.Bytes())
	}
}

// digest is the hash of what was said so far.
func (h *history) digest() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return hex.EncodeToString(h.sum.Sum(nil))
}

// round adds what the store was given, and whether it took it.
func (h *history) round(r *store.Round, sure, folded bool) {
	h.say("commit, sure %v, folded %v", sure, folded)
	for i := range r.HalfHours {
		k := &r.HalfHours[i]
		h.say("%s %s void %v flags %s %+v", k.Key, k.HalfHour.Start.Format(time.RFC3339), k.Void, k.Flags, k.HalfHour)
	}
	for _, s := range r.Samples {
		h.say("%s sample %+v", s.Key, s.Sample)
	}
	for _, s := range r.States {
		h.say("%s state %x", s.Key, s.State)
	}
	for _, s := range r.Statements {
		h.say("%s statement %s", s.Key, s.Body)
	}
	for _, f := range r.Findings {
		h.say("%s finding %s", f.Key, f.Body)
	}
}

// batch adds what the relay took.
func (h *history) batch(b *batch.Signed) {
	h.say("batch %d made %s under %v", b.Sequence, b.Made, b.Grants)
	for _, s := range b.Series {
		h.say("%s %s %s %d %d %v", s.Meter, s.Measure, s.First, s.Opening, s.Closing, s.Values)
	}
	for _, s := range b.Baseline {
		h.say("%s %s stated %s: %s", s.Meter, s.Measure, s.At, s.Body)
	}
}
