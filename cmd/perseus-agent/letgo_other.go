//go:build !linux

package main

// letGoOfProgram does nothing: only Linux is told which pages are not needed.
func letGoOfProgram() {}
