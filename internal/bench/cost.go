package main

import (
	"fmt"
	"runtime"
	"syscall"
	"time"
)

// cost is what a number of samples cost.
type cost struct {
	samples   int
	cpu       time.Duration
	mallocs   uint64
	steady    uint64 // of them within half-hours
	settled   uint64 // and of those that keep and send half-hours
	looked    uint64 // and of looking through the file each hour
	halfHours int    // of one register
	bytes     uint64 // handed to the disk
	worstHour int    // fsyncs
}

func (c cost) allocs() float64 { return float64(c.steady) / float64(c.samples) }

func (c cost) perHalfHour() float64 { return float64(c.settled) / float64(c.halfHours) }

// bytesPerDay scales to one meter and day.
func (c cost) bytesPerDay() float64 {
	return float64(c.bytes) / float64(c.samples) * float64(24*time.Hour/sitePoll)
}

func perSecond(c cost) string {
	n := float64(c.samples) / c.cpu.Seconds()
	if n >= 1e6 {
		return fmt.Sprintf("%.1f M", n/1e6)
	}
	return fmt.Sprintf("%.1f k", n/1e3)
}

func kib(n float64) string {
	if n >= 1<<20 {
		return fmt.Sprintf("%.1f MiB", n/(1<<20))
	}
	return fmt.Sprintf("%.0f KiB", n/(1<<10))
}

// measure fills in the CPU time and the allocations that f takes.
func (c *cost) measure(f func() error) error {
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	from, err := ownCPU()
	if err != nil {
		return err
	}
	if err := f(); err != nil {
		return err
	}
	to, err := ownCPU()
	runtime.ReadMemStats(&after)
	c.cpu, c.mallocs = to-from, after.Mallocs-before.Mallocs
	c.steady = c.mallocs - c.settled - c.looked
	return err
}

func ownCPU() (time.Duration, error) {
	var u syscall.Rusage
	err := syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), err
}
