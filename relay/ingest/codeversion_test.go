package ingest

import (
	"testing"

	"github.com/perseus-edge/perseus-edge/identity"
)

// The gateway and the relay name a code alike: by that the gateway knows whether
// what the relay says is about the code that it shows.
func TestCodeVersionIsTheGateways(t *testing.T) {
	for range 20 {
		code := identity.NewCode()
		if here, there := CodeVersion(codeHash(code)), identity.CodeVersion(code); here != there {
			t.Errorf("%s here, %s there", here, there)
		}
	}
	if a, b := identity.CodeVersion("7K2M-9QXA-04TB"), identity.CodeVersion("7K2M-9QXA-04TC"); a == b {
		t.Errorf("two codes are %s", a)
	}
}
