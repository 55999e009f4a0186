// Package integration holds the tests of the whole: the real programs as
// separate processes, against peers that nobody here wrote (a pymodbus server,
// the scheme's Python packages), killed, starved of disk and cut off at random
// moments. It has no code of its own.
package integration
