package clock

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
)

// Trees as they are found on machines, and what they say.
func TestSystem(t *testing.T) {
	const dmi, hctosys, epochFile = "sys/class/dmi/id/sys_vendor", "sys/class/rtc/rtc0/hctosys", "sys/class/rtc/rtc0/since_epoch"
	kept := kernelClock{false, 12 * time.Millisecond}
	free := kernelClock{true, phaseLimit}
	for _, c := range []struct {
		name  string
		arch  string
		files map[string]string
		kern  kernelClock
		err   error
		want  Sync
		note  string
	}{
		{name: "a Raspberry Pi before NTP", arch: "arm64", kern: free, want: Sync{Board: true}},
		{name: "a Raspberry Pi after NTP", arch: "arm", kern: kept, want: Sync{Board: true, Synchronised: true, Doubt: 12 * time.Millisecond}},
		{name: "other boards", arch: "riscv64", kern: free, want: Sync{Board: true}},
		{name: "routers", arch: "mipsle", kern: free, want: Sync{Board: true}},
		{name: "a PC", arch: "amd64", files: map[string]string{dmi: "LENOVO\n"}, kern: free, want: Sync{}},
		{name: "a container on a PC", arch: "amd64", kern: free, want: Sync{}},
		{name: "an ARM server", arch: "arm64", files: map[string]string{dmi: "Amazon EC2\n"}, kern: free, want: Sync{}},
		{name: "a Pi with a DS3231", arch: "arm64", files: map[string]string{hctosys: "1\n", epochFile: "1795348800\n"}, kern: free,
			want: Sync{Board: true, RTC: day(noon)}},
		{name: "a battery clock that set nothing", arch: "arm64", files: map[string]string{hctosys: "0\n", epochFile: "1795348800\n"}, kern: free, want: Sync{Board: true}},
		{name: "the second battery clock", arch: "arm64", files: map[string]string{hctosys: "0\n", epochFile: "1\n", "sys/class/rtc/rtc1/hctosys": "1", "sys/class/rtc/rtc1/since_epoch": "1795348800"},
			kern: free, want: Sync{Board: true, RTC: day(noon)}},
		{name: "a battery clock that cannot be read", arch: "arm64", files: map[string]string{hctosys: "1\n", epochFile: ""}, kern: free, want: Sync{Board: true}},
		{name: "chrony without rtcsync", arch: "arm64", files: map[string]string{"run/chrony/chronyd.sock": ""}, kern: kernelClock{true, phaseLimit - time.Microsecond},
			want: Sync{Board: true, Synchronised: true, Doubt: phaseLimit - time.Microsecond}},
		{name: "chrony that has no source", arch: "arm64", files: map[string]string{"run/chrony/chronyd.sock": ""}, kern: free, want: Sync{Board: true}},
		{name: "ntpd at its start, which sets a small error and the flag", arch: "arm64", kern: kernelClock{true, 16 * time.Microsecond}, want: Sync{Board: true}},
		{name: "a sandbox, before NTP", arch: "arm64", err: syscall.EPERM, want: Sync{Board: true}, note: "operation not permitted"},
		{name: "a sandbox, after systemd-timesyncd", arch: "arm64", files: map[string]string{"run/systemd/timesync/synchronized": ""}, err: syscall.EPERM,
			want: Sync{Board: true, Synchronised: true}, note: "operation not permitted"},
		{name: "the file says nothing where the kernel does", arch: "arm64", files: map[string]string{"run/systemd/timesync/synchronized": ""}, kern: free, want: Sync{Board: true}},
		{name: "the boot's name", arch: "amd64", files: map[string]string{"proc/sys/kernel/random/boot_id": "70d740c2\n"}, kern: free, want: Sync{Boot: "70d740c2"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir()
			for path, text := range c.files {
				full := filepath.Join(root, path)
				if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o755), os.WriteFile(full, []byte(text), 0o644)); err != nil {
					t.Fatal(err)
				}
			}
			got := systemAt(root, c.arch, func() (kernelClock, error) { return c.kern, c.err })()
			if !strings.Contains(got.Note, c.note) || (c.note == "") != (got.Note == "") {
				t.Errorf("note %q", got.Note)
			}
			got.Note = ""
			got.RTC = got.RTC.Truncate(time.Minute) // it counts on
			if got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
		})
	}
}

// The battery clock is asked each ten minutes, and counts on in between.
func TestBatteryClockIsSeldomAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		rtc := every(rtcEvery, func() time.Time {
			asked++
			return day(noon).Add(time.Duration(asked) * time.Hour)
		})
		for _, c := range []struct {
			wait time.Duration
			want time.Duration
		}{{0, h}, {time.Second, h + time.Second}, {rtcEvery - time.Second - ns, h + rtcEvery - ns}, {ns, 2 * h}, {ns, 2*h + ns}} {
			time.Sleep(c.wait)
			if got := rtc().Sub(day(noon)); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		}
		if asked != 2 {
			t.Errorf("asked %d times", asked)
		}
		none := every(rtcEvery, func() time.Time { return time.Time{} })
		if none(); !none().IsZero() {
			t.Error("a battery clock that is not there shows a time")
		}
	})
}

// This machine's kernel answers, or says why it does not.
func TestAdjtimex(t *testing.T) {
	var timex unix.Timex
	_, want := unix.Adjtimex(&timex)
	k, err := adjtimex()
	if !errors.Is(err, want) || err == nil && (k.unsync != (timex.Status&0x40 != 0) || k.maxError < 0 || k.maxError > time.Hour) {
		t.Errorf("%+v %v, want %+v %v", k, err, timex, want)
	}
}

// The system's monotonic clock counts from boot, not from the process's start.
func TestSystemMonoCountsFromBoot(t *testing.T) {
	b, err := os.ReadFile("/proc/uptime")
	if err != nil {
		t.Skip("no /proc/uptime here: ", err)
	}
	var up float64
	if _, err := fmt.Sscan(string(b), &up); err != nil {
		t.Fatal(err)
	}
	var k kept
	c := New(Options{Policy: Always, Logger: record.Logger(t)})
	if err := json.Unmarshal(c.Kept(), &k); err != nil {
		t.Fatal(err)
	}
	for _, got := range []time.Duration{SystemMono()(), k.Mono} {
		if off := got.Seconds() - up; off < -1 || off > 60 {
			t.Errorf("%s since boot, the kernel says %.1f s", got, up)
		}
	}
}
