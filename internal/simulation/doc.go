// Package simulation lives through years of a whole site within minutes: the
// real agent with its buses, accumulators, recorder and uplink, on the real
// store, under the virtual clock of testing/synctest. Meters, wires, disk,
// power, clock, network and relay are simulated, and each fails in its own way.
//
// What happens is a function of one seed. Every component draws from a stream
// of its own and by the time at which something happens, never by who asked
// first, so that a run can be repeated from its seed.
//
// The simulator keeps its own integer registers, which the agent never sees
// but through faulty samples. After each simulated day the oracle reads the
// store and the relay and holds them against that truth: see oracle.go for the
// laws, one by one.
//
// Run it with
//
//	make simulate SEEDS=8 YEARS=1
//
// and repeat what failed with the command that the failure prints.
package simulation
