// Package configs carries the data files that the programs need at hand, so
// that a program is one file. Each of them can be replaced by a file of the
// operator's.
package configs

import "embed"

// Factors holds the emission factors: factors/*.yaml.
//
//go:embed factors/*.yaml
var Factors embed.FS
