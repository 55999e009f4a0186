package clock

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// The kernel's words (include/uapi/linux/timex.h, include/linux/timex.h).
const (
	staUnsync  = 0x0040           // no time service keeps the clock
	phaseLimit = 16 * time.Second // the greatest error that it admits: nobody keeps the clock. Set when the clock is set, and at boot
)

// SystemMono is the time since boot, time asleep included (CLOCK_BOOTTIME).
func SystemMono() func() time.Duration {
	start := time.Now()
	now := func() instant { t := time.Now(); return instant{t.Sub(start), t.UnixNano()} }
	return newBoottime(now, kernelBoottime).mono
}

// kernelBoottime fails on kernels before 2.6.39.
func kernelBoottime() (time.Duration, bool) {
	var ts unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts)
	return time.Duration(ts.Nano()), err == nil
}

// System is what this machine knows about its clock.
func System() func() Sync { return systemAt("/", runtime.GOARCH, adjtimex) }

// kernelClock is the kernel's opinion of its clock.
type kernelClock struct {
	unsync   bool
	maxError time.Duration
}

// adjtimex asks the kernel, which changes nothing when no mode is set.
func adjtimex() (kernelClock, error) {
	var t unix.Timex
	if _, err := unix.Adjtimex(&t); err != nil {
		return kernelClock{}, err
	}
	return kernelClock{t.Status&staUnsync != 0, time.Duration(t.Maxerror) * time.Microsecond}, nil
}

// systemAt is System of a file tree. What cannot change while the machine runs
// is read once.
func systemAt(root, arch string, ask func() (kernelClock, error)) func() Sync {
	at := func(path string) string { return filepath.Join(root, path) }
	exists := func(path string) bool { _, err := os.Stat(at(path)); return err == nil }
	word := func(path string) string {
		b, err := os.ReadFile(at(path))
		if err != nil {
			return ""
		}
		return strings.TrimSpace(string(b))
	}
	// A machine with a BIOS or UEFI describes itself there; in containers the
	// device tree is hidden, so that its absence says nothing.
	board := boardArch(arch) && !exists("sys/class/dmi/id")
	boot := word("proc/sys/kernel/random/boot_id")
	battery := ""
	clocks, _ := filepath.Glob(at("sys/class/rtc/rtc*"))
	for _, c := range clocks {
		// The one that set the clock at boot.
		if rtc := filepath.Join("sys/class/rtc", filepath.Base(c)); word(rtc+"/hctosys") == "1" {
			battery = rtc
		}
	}
	rtc := every(rtcEvery, func() time.Time {
		// It counts in UTC; one that lost its battery shows 1970 or 2000.
		if battery == "" {
			return time.Time{}
		}
		sec, err := strconv.ParseInt(word(battery+"/since_epoch"), 10, 64)
		if err != nil {
			return time.Time{}
		}
		return time.Unix(sec, 0).UTC()
	})
	return func() Sync {
		s := Sync{Board: board, Boot: boot}
		k, err := ask()
		switch {
		case err != nil:
			// systemd-timesyncd leaves this file once it has set the clock.
			s.Synchronised = exists("run/systemd/timesync/synchronized")
			s.Note = "the system does not let this program ask whether a time service keeps the clock: " + err.Error()
		case !k.unsync:
			s.Synchronised, s.Doubt = true, k.maxError
		case k.maxError < phaseLimit && exists("run/chrony"):
			// chrony without rtcsync says how good the clock is but leaves the
			// flag set, lest the kernel write the battery clock (node_exporter #1850).
			s.Synchronised, s.Doubt = true, k.maxError
		}
		s.RTC = rtc()
		return s
	}
}

// rtcEvery is how often the battery clock is asked: it hangs on a slow bus
// that others need too.
const rtcEvery = 10 * time.Minute

// every asks a clock now and then, and counts on in between. It is safe for
// use by several goroutines.
func every(often time.Duration, ask func() time.Time) func() time.Time {
	var mu sync.Mutex
	var asked, showed time.Time
	return func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		if asked.IsZero() || time.Since(asked) >= often {
			asked, showed = time.Now(), ask()
		}
		if showed.IsZero() {
			return showed
		}
		return showed.Add(time.Since(asked))
	}
}

func boardArch(arch string) bool {
	switch arch {
	case "arm", "arm64", "riscv64", "mips", "mipsle", "mips64", "mips64le":
		return true
	}
	return false
}
