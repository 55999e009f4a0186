//go:build !unix

package simulation

import "time"

var begin = time.Now()

// cpu is about the time that this process has worked.
func cpu() time.Duration { return time.Since(begin) }
