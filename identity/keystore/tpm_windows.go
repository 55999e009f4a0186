package keystore

import (
	"crypto"
	"errors"
)

var errNoTPM = errors.New("keys in the TPM are for Linux: on Windows they are files that the service's account alone can read")

func tryTPM(string) error { return errNoTPM }

func makeTPM(string, string) (crypto.Signer, error) { return nil, errNoTPM }

func readTPM(string, string, []byte) (crypto.Signer, error) { return nil, errNoTPM }
