//go:build !linux

package clock

import "time"

// SystemMono is the time since the program started.
func SystemMono() func() time.Duration {
	start := time.Now()
	return func() time.Duration { return time.Since(start) }
}

// System knows nothing here: Windows and macOS run on machines with a battery
// clock, which are believed as they are.
func System() func() Sync { return func() Sync { return Sync{} } }
