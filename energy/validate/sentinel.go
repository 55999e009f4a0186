package validate

import "github.com/perseus-edge/perseus-edge/energy"

// Values that DCC feeds give for a half-hour of which they know nothing: all
// ones of 32, 31 and 24 bits, and what is left of them after the scaling of
// some meters. Source: Energy Sparks, bad_values.rb, after n3rgy's support
// articles (feeds.md 2.4). Base units; the last one has a half Wh.
var (
	sentinelWh = [...]int64{
		4_294_967_295, 2_147_483_647, 8_590_017, 8_590_041, 34_364_271, 4_295_103, 4_295_084, 8_590_119, 8_590_063, 8_591_484,
		8_590_421, 38_655_370, 186_227_086, 186_227_087,
	}
	sentinelLitre = [...]int64{16_777_215}
)

// sentinel is V01 for the total of an interval that a source gave.
func (v *view) sentinel() {
	if !given(v.h) && v.h.Evidence.Rule != energy.RuleImportedEst {
		return
	}
	is := false
	for _, s := range sentinelWh {
		is = is || v.h.Energy == s
	}
	if v.c.key.Measure == energy.Gas {
		for _, s := range sentinelLitre {
			is = is || v.h.Energy == s
		}
	}
	if is {
		v.flag(Finding{
			Rule: 1, Severity: Error, Found: v.c.amount(v.h.Energy), Expected: "a value that meters give",
			Note: "DCC feeds give this number where they have no value: do not use it, and ask for the day again",
		})
	}
}
