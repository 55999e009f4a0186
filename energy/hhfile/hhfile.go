// Package hhfile reads half-hourly files as suppliers, data collectors and
// councils send them, and turns them into energy.HalfHours: bytes in,
// half-hours out, nothing invented.
package hhfile

import (
	"fmt"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// Label says which instant of its half-hour a time in a file names.
type Label uint8

// The labels.
const (
	Auto  Label = 0 // find out from the file; an error where it does not tell
	Start Label = 1 // 00:00 is the half-hour from 00:00 to 00:30
	End   Label = 2 // 00:30 is the half-hour from 00:00 to 00:30; 00:00 or 24:00 is the last of the day before
)

// String gives the name used in commands and reports: "auto", "start" or "end".
func (l Label) String() string {
	switch l {
	case Auto:
		return "auto"
	case Start:
		return "start"
	case End:
		return "end"
	}
	return fmt.Sprintf("label(%d)", uint8(l))
}

// Options say what a file does not say itself.
type Options struct {
	Label    Label
	Location *time.Location // of civil times and settlement days; nil: Europe/London
	Now      time.Time      // half-hours that end after it are refused, and TakenAt; zero: no such check, and TakenAt is one second after the half-hour
}

// File is what a file holds.
type File struct {
	Layout   string // which layout it turned out to have
	Label    Label  // how its times were understood: Start or End
	Series   []Series
	Problems []Problem
}

// Series is the half-hours of one register.
type Series struct {
	ID        string // MPAN, or the meter's or point's identifier where there is no MPAN
	Measure   energy.Measure
	HalfHours []energy.HalfHour // sorted, unique; what the file does not know is absent
}

// Problem is something in a file that a person should know of.
type Problem struct {
	Line int // from 1; 0: the whole file
	What string
}

// String gives the problem in one line, as it is shown to a person.
func (p Problem) String() string {
	if p.Line == 0 {
		return p.What
	}
	return fmt.Sprintf("line %d: %s", p.Line, p.What)
}
