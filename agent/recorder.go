package agent

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/clock"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/validate"
	"github.com/perseus-edge/perseus-edge/store"
)

// recorder is the one that writes: it collects what the buses settled into one
// round and commits it with the states of the accumulators that settled it, so
// that the two can never disagree.
type recorder struct {
	agent   *Agent
	most    int           // maxWaiting; tests take less
	telling atomic.Bool   // the uplink will be told of something new
	resting atomic.Bool   // memory for unkept half-hours has run out: registers rest
	settled chan struct{} // something was settled: commit soon
	fatal   chan error    // the store is of no more use in this process

	commit    sync.Mutex // one commit at a time; guards the rest
	round     store.Round
	arena     []byte  // the states of the round at hand lie in it
	news      touched // what the round at hand brings
	gaps      touched // of registers, that were spread or told a part of since
	early     earlies
	past      *past
	exchanges *exchanges
	checks    map[string][]string // meters by the one that checks them
	checkedTo int                 // so many half-hours of the round were held against what they check
	closings  map[energy.Key]bool // registers whose states go with the next round
	judged    int64               // the settlement day up to which days were judged; see daily.go

	mu      sync.Mutex // guards what the status reads
	health  CommitHealth
	waiting int
}

// CommitHealth is how writing to the store goes.
type CommitHealth struct {
	Commits  uint64        `json:"commits"`
	Failures uint64        `json:"failures"`
	Last     time.Time     `json:"last,omitzero"`  // last success
	Error    string        `json:"error,omitzero"` // why the last one failed; empty after a success
	Since    time.Time     `json:"failingSince,omitzero"`
	Waiting  int           `json:"waiting"` // half-hours in memory that are not in the store yet
	Resting  bool          `json:"resting"` // memory is full: meters are read for display only, until the store can be written
	Took     time.Duration `json:"-"`
}

// The pace of commits.
const (
	// settleDelay gathers the half-hours of meters that are polled shortly
	// after one another into one commit: a commit costs an SD card 20 KiB.
	settleDelay = 2 * time.Second
	// maxWaiting bounds the half-hours in memory while the store cannot be
	// written: 3 MiB; two weeks of ten meters.
	maxWaiting = 20_000
	// pruneFirst is how soon after the start old readings are removed and it is
	// looked whether a day is over, so that a gateway that starts anew again and
	// again comes to it, too; from then on each Options.Hourly.
	pruneFirst = 5 * time.Minute
)

func newRecorder(a *Agent) *recorder {
	return &recorder{
		agent: a, most: maxWaiting, settled: make(chan struct{}, 1), fatal: make(chan error, 1),
		past: newPast(a.opt.Store), exchanges: a.readExchanges(), early: a.readEarlies(), checks: checksOf(a.opt.Config), closings: map[energy.Key]bool{}, news: touched{}, gaps: touched{},
	}
}

// wake asks for a commit soon. It never blocks.
func (r *recorder) wake() {
	select {
	case r.settled <- struct{}{}:
	default:
	}
}

// run commits until ctx ends. The last commit is the caller's, once the buses
// have stopped.
func (r *recorder) run(ctx context.Context) {
	flush := time.NewTicker(r.agent.opt.Flush)
	defer flush.Stop()
	prune := time.NewTicker(min(pruneFirst, r.agent.opt.Hourly))
	defer prune.Stop()
	soon := time.NewTimer(0)
	<-soon.C
	armed := false
	derived := r.deriveAll()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.settled:
			// While commits fail, the regular beat is often enough.
			if !armed && !r.failing() {
				soon.Reset(min(settleDelay, r.agent.opt.Flush))
				armed = true
			}
			continue
		case <-soon.C:
			armed = false
		case <-flush.C:
		case <-prune.C:
			prune.Reset(r.agent.opt.Hourly)
			r.prune()
			r.daily()
			continue
		}
		if !derived && !r.failing() {
			derived = r.deriveAll()
		}
		r.flush()
	}
}

func (r *recorder) failing() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.health.Error != ""
}

func (r *recorder) prune() {
	if !r.agent.opt.Clock.Trusted() {
		return // a wrong clock must not tell what is old
	}
	if err := r.agent.opt.Store.Prune(r.agent.opt.Wall()); err != nil {
		r.agent.log.Warn("old readings cannot be removed", "error", err)
		if errors.Is(err, store.ErrDamaged) {
			r.giveUp(err)
		}
	}
}

// flush commits what there is. After a failure the half-hours and statements
// stay in memory and go with the next round.
func (r *recorder) flush() error {
	r.commit.Lock()
	defer r.commit.Unlock()
	r.takeExchanges()
	r.collect()
	if len(r.round.States)+len(r.round.HalfHours)+len(r.round.Statements)+len(r.round.Findings) == 0 {
		return nil
	}
	start := time.Now()
	r.early.keep(r.agent)
	err := r.agent.opt.Store.Commit(r.round)
	r.book(err, time.Since(start))
	if err != nil {
		r.rest(len(r.round.HalfHours))
		if errors.Is(err, store.ErrDamaged) {
			r.giveUp(err)
		}
		return err
	}
	news := len(r.round.HalfHours)+len(r.round.Statements) > 0
	r.kept()
	r.early.done(r.agent)
	if news {
		r.tell()
	}
	if r.agent.opt.Stored != nil {
		r.agent.opt.Stored()
	}
	return nil
}

// tell lets the uplink know that there is something new, once what belongs
// together has gathered: the meters of a site settle a half-hour within a
// minute of one another, and a batch of each would cost ten times the data.
func (r *recorder) tell() {
	if !r.telling.CompareAndSwap(false, true) {
		return
	}
	time.AfterFunc(r.agent.opt.Gather, func() {
		r.telling.Store(false)
		r.agent.uplinkNotify()
	})
}

// collect takes what the buses settled since the last time, together with the
// states of the same instant, has it judged, and derives from it.
func (r *recorder) collect() {
	// The same memory each minute: a round without half-hours allocates nothing.
	r.arena, r.round.States, r.round.Samples = r.arena[:0], r.round.States[:0], r.round.Samples[:0]
	clear(r.news)
	news := r.news
	var late []store.KeyedSample
	for _, b := range r.agent.buses {
		b.mu.Lock()
		r.judge(b, news)
		r.round.Statements = append(r.round.Statements, b.said...)
		r.round.Findings = append(r.round.Findings, b.findings...)
		late = append(late, b.late...)
		b.pending, b.said, b.findings, b.late = nil, nil, nil, nil // seldom needed: not worth keeping their memory
		for _, m := range b.meters {
			for i := range m.registers {
				r.collectRegister(&m.registers[i])
			}
		}
		b.mu.Unlock()
	}
	r.rederive(late, news)
	r.respread(news)
	r.judgeNews(news)
	r.derive(news)
	r.derive(r.checked())
	if len(r.closings) > 0 { // as in no minute but the first: sorting allocates
		for _, k := range slices.SortedFunc(maps.Keys(r.closings), compareKeys) {
			r.round.States = append(r.round.States, store.KeyedState{Key: k})
		}
	}
}

// judge has the validation look at what a bus settled, and takes it into the
// round. The bus's lock is held.
func (r *recorder) judge(b *bus, news touched) {
	period := r.agent.opt.Config.Period
	adrift := r.agent.opt.Clock.Status().Class != clock.Fine // long without a time service
	var given map[int]energy.HalfHour                        // what a feed gave before in the place of what it gives now: V10
	for i := range b.pending {
		h := &b.pending[i]
		if was, ok := r.past.at(h.Key, h.HalfHour.Start); ok && h.Evidence.Rule == energy.RuleInterval {
			if given == nil {
				given = map[int]energy.HalfHour{}
			}
			given[i] = was
		}
		if m, ok := r.agent.opt.Config.Meter(h.Meter); adrift && ok && !m.Off.Has(11) {
			h.Flags = h.Flags.With(11)
		}
		h.Void = h.Void && r.voids(h)
		r.noteGap(h)
		news.add(h.Key, h.HalfHour.Start, h.HalfHour.Start.Add(period))
		r.past.settle(*h) // first, so that import and export of a meter see each other
	}
	for i := range b.pending {
		h := &b.pending[i]
		if reg := b.register(h.Key); reg != nil {
			past := validate.Past(r.past.of(h.Meter))
			if was, ok := given[i]; ok {
				past = instead{past, h.Measure, was}
			}
			b.found(reg, reg.check.HalfHour(&h.HalfHour, past, b.words[:0]))
			r.past.settle(*h)
		}
	}
	r.round.HalfHours = append(r.round.HalfHours, b.pending...)
}

func (b *bus) register(k energy.Key) *register {
	for _, m := range b.meters {
		if m.cfg.ID == k.Meter {
			return m.register(k.Measure)
		}
	}
	return nil
}

func (r *recorder) collectRegister(reg *register) {
	reg.sent = reg.seq
	if reg.seq == reg.kept {
		return
	}
	from := len(r.arena)
	r.arena = reg.appendKept(r.arena)
	r.round.States = append(r.round.States, store.KeyedState{Key: reg.key, State: r.arena[from:len(r.arena):len(r.arena)]})
	if !reg.last.At.IsZero() && !reg.provisional {
		r.round.Samples = append(r.round.Samples, store.KeyedSample{Key: reg.key, Sample: reg.last})
	}
}

// closing lets go of the state of a register that is read no more, with the
// statement that closes it.
func (r *recorder) closing(k energy.Key, s energy.KeyedStatement) {
	r.closings[k] = true
	r.round.Statements = append(r.round.Statements, s)
}
