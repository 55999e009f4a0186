package uplink

import (
	"errors"
	"fmt"
	"strings"

	"github.com/perseus-edge/perseus-edge/identity/keystore"
)

// notSigned is how crypto/tls begins what a key said that could not sign; the
// error itself it does not keep.
const notSigned = "tls: failed to sign handshake: "

// keyTrouble gives what is wrong where an error means that one of the gateway's
// own keys cannot be used, a token that is pulled out, say; else "".
func keyTrouble(err error) (words string, which kind) {
	if _, why, ok := strings.Cut(err.Error(), notSigned); ok {
		return why, clientKind
	}
	if u := new(keystore.Unusable); errors.As(err, &u) {
		return u.Error(), signingKind
	}
	return "", ""
}

// keyTroubleLocked says why a key cannot be used; "" while it can.
func (c *Client) keyTroubleLocked(k kind) string {
	for _, f := range c.state.failures {
		if why, which := keyTrouble(f.err); why != "" && which == k {
			return fmt.Sprintf("Nothing can be sent: %s. Readings are kept here, and sent when that is mended: it is tried again by itself, last at %s.", why, minute(f.at))
		}
	}
	return ""
}

// tidyTokens destroys the keys whose token was not there when they were given up.
func (c *Client) tidyTokens() {
	if left, err := keystore.Tidy(c.folder.keys, c.folder.home); err != nil {
		c.log.Info("keys that nobody needs any more are still in a token", "keys", left, "err", err)
	}
}
