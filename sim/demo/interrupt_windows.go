package demo

import "os"

// interrupt ends a program at once: Windows has no polite signal for a console
// program without a console of its own.
func interrupt(p *os.Process) error { return p.Kill() }
