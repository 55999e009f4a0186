// Package configs carries the data files that the programs need at hand, so
// that a program is one file. Each of them can be replaced by a file of the
// operator's.
package configs

import "embed"

// Factors holds the emission factors: factors/*.yaml.
//
//go:embed factors/*.yaml
var Factors embed.FS

// PermissionTexts holds our own words for what a business agrees to, one file
// for each licence: permission/*.txt. The sandbox's registry publishes them, and
// the relay shows them where no registry gives others.
//
//go:embed permission/*.txt
var PermissionTexts embed.FS
