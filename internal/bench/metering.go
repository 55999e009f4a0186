package main

import (
	"fmt"
	"time"
)

// The site of the metering measures: ten meters, one register each, polled
// every ten seconds at instants spread over the ten seconds, as the agent does.
const (
	siteMeters = 10
	sitePoll   = 10 * time.Second
	siteDays   = 3 // of which the first is not measured: the file is young

	// The agent's pace of commits (agent/recorder.go).
	commitEvery = time.Minute
	settleDelay = 2 * time.Second
	gather      = time.Minute
)

// metering measures what a sample costs on its way through energy and store,
// beside baselines that keep the same samples as JSON.
func metering() error {
	site := newSite()
	bare, err := site.throughEnergy()
	if err != nil {
		return err
	}
	full, err := site.throughStore(nil)
	if err != nil {
		return err
	}
	naive, err := site.asJSON(1)
	if err != nil {
		return err
	}
	batched, err := site.asJSON(int(commitEvery/sitePoll) * siteMeters)
	if err != nil {
		return err
	}
	puts, err := bareHalfHours()
	if err != nil {
		return err
	}
	const each, minute = "JSON in bbolt, a transaction each", "a transaction a minute"
	row("samples a second and core, through energy", perSecond(bare), "", "")
	row("  allocations a sample", fmt.Sprintf("%.4f", bare.allocs()), "0", "")
	row("  and through store, outbox included", perSecond(full), "", fmt.Sprintf("%s %s; %s %s", each, perSecond(naive), minute, perSecond(batched)))
	row("  allocations a sample, within the half-hour", fmt.Sprintf("%.4f", full.allocs()), "0", fmt.Sprintf("%s %.0f; %s %.0f", each, naive.allocs(), minute, batched.allocs()))
	row("  allocations a half-hour of a register, kept and sent", fmt.Sprintf("%.0f", full.perHalfHour()), "", fmt.Sprintf("bbolt alone, for the same puts %.0f", puts.perHalfHour()))
	row("bytes written per meter and day, 10 meters at 10 s", kib(full.bytesPerDay()), "", fmt.Sprintf("%s %s; %s %s", each, kib(naive.bytesPerDay()), minute, kib(batched.bytesPerDay())))
	row("fsyncs an hour, the worst hour of the day", fmt.Sprint(full.worstHour), fmt.Sprint(statedSyncs(siteMeters, sitePoll)), fmt.Sprintf("%s %d; %s %d", each, naive.worstHour, minute, batched.worstHour))
	switch {
	case full.worstHour > statedSyncs(siteMeters, sitePoll):
		return fmt.Errorf("%d fsyncs in an hour, more than the stated worst case of %d", full.worstHour, statedSyncs(siteMeters, sitePoll))
	case full.steady > uint64(full.samples/10_000): // a few are the runtime's own
		return fmt.Errorf("%d allocations within half-hours, where there should be none", full.steady)
	}
	return nil
}

// statedSyncs is the stated worst case of fsyncs in an hour with so many
// registers and so long a poll:
//
//	60 checkpoints, one a minute, of 1 fsync
//	2 half-hours x min(registers, poll/2s + 1) instants at which half-hours are settled, of 2 fsyncs
//	2 half-hours x min(instants, poll/1m + 1) batches, each sealed and acknowledged, of 2 x 3 fsyncs
//	10 more transactions (pruning, clock, the day's judgement, new permissions), of 3 fsyncs
//	4 where both files are made larger
//
// since the agent gathers for two seconds what the registers settle and for a
// minute what it sends, and every register settles its half-hour with the first
// poll after it. A transaction of bbolt takes two fsyncs, and one more where the
// checkpoint goes along with it. A meter that did not answer then settles later:
// each time that one comes back adds at most one more instant and one more batch.
func statedSyncs(registers int, poll time.Duration) int {
	instants := min(registers, int(poll/settleDelay)+1)
	batches := min(instants, int(poll/gather)+1)
	return 60 + 2*(2*instants+6*batches) + 10*3 + 4
}
