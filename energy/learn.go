package energy

// Learn takes what the device says of a Learnt register: where it wraps to 0
// (base units; 0: never) and what one count is. It holds from the next sample
// on; what was counted stays. A modulus that is not above all that the register
// has shown is another register's and not taken.
func (a *Accumulator) Learn(modulus, step int64) {
	if !a.reg.Learnt || modulus < 0 {
		return
	}
	shown := int64(-1)
	if a.open {
		shown = max(a.base.value, a.before.value)
		if a.undo {
			shown = max(shown, a.prev.base.value, a.prev.before.value)
		}
		if a.stall.on {
			shown = max(shown, a.stall.from.before.value)
		}
	}
	if a.held.n > 0 { // mutate: where nothing is held it shows 0, which no modulus is at
		shown = max(shown, a.held.first.value, a.held.last.value)
	}
	if modulus == 0 || modulus > shown {
		a.reg.Modulus, a.longest = modulus, 0
		a.longest = a.reg.longest()
	}
	a.reg.Step = step
}
