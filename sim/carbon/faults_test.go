package carbon_test

import (
	"testing"

	"github.com/perseus-edge/perseus-edge/sim/carbon"
)

func TestFaultsFlag(t *testing.T) {
	var f carbon.Faults
	if err := f.Set("error=5%,array=20%"); err != nil || f.Error != 0.05 || f.Array != 0.2 || f.String() != "array=20%,error=5%" {
		t.Errorf("%+v, %v, %s", f, err, f.String())
	}
	for _, bad := range []string{"", "error", "error=x", "error=101%", "fire=1%"} {
		if err := f.Set(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}
