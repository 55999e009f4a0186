package ca

import "crypto"

const (
	KeyFile       = keyFile
	RequestFile   = requestFile
	RootFile      = rootFile
	RootCRLFile   = rootCRLFile
	MaxNameLength = maxNameLength
)

var (
	Titles    = titles
	NewSerial = newSerial
)

func (a *Authority) Key() crypto.Signer { return a.key }
