//go:build !unix

package main

import "os"

// hangUps: there is no such signal here; POST /api/v1/reload does the same.
func hangUps() (c <-chan os.Signal, done func()) { return nil, func() {} }
