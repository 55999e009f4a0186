// Package newkey makes private keys, in one place, so that the tests can see
// each that was made and look for it in the logs.
package newkey

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
)

// Seen is told of every key that Make makes, where a test set it. In a program
// it is nil: internal/house lets only internal/secrets/record set it.
var Seen func(*ecdsa.PrivateKey)

// Make makes a key on a curve.
func Make(curve elliptic.Curve) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err == nil && Seen != nil {
		Seen(key)
	}
	return key, err
}
