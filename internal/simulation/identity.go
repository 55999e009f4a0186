package simulation

import (
	"crypto/ecdsa"
	"crypto/x509"
	"net/http"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/uplink/batch"
	"github.com/perseus-edge/perseus-edge/uplink/grant"
)

// Identity is who the gateway and the relay are.
type Identity struct {
	Gateway string              // the gateway's URL
	Dir     string              // the gateway's identity folder
	Roots   *x509.CertPool      // of signing certificates
	Key     *ecdsa.PrivateKey   // the relay's, that signs grants
	Chain   []*x509.Certificate // of it
	Client  *x509.Certificate   // the gateway's, of its connections
	Real    Receiver            // a real relay's receiving side; nil: one in memory
}

// Receiver is a relay's receiving side: what the gateway sends its site and
// its batches to.
type Receiver interface {
	http.Handler
	// Permit tells it which grants there are from now on.
	Permit(gs []grant.Grant) error
	// Values gives what it holds of a register, by Unix seconds.
	Values(k energy.Key, from, to time.Time) (map[int64]batch.Value, error)
}
