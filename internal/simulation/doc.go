// Package simulation lives through years of a whole site within minutes: the
// real agent with its buses, accumulators, recorder, clock and uplink, on the
// real store, under the virtual clock of testing/synctest. Meters, wires, disk,
// power, clock, network, relay and the people around them are simulated, and
// each fails in its own way.
//
// What happens is a function of one seed, down to the order in which rounds are
// committed: see history.go, whose hash a run prints. Every component draws from
// a stream of its own and by the time at which something happens, never by who
// asked first. The pauses of the uplink, which are at random elsewhere, are drawn
// from the seed, too; and who shares something with others acts at an instant of
// its own (chance.lag), since those who wake at one instant go in any order. Only
// keys and signatures differ, and nothing depends on them.
//
// Seeds that are even have a board without a battery clock, which boots in the
// past and learns the time from a server, if one can be reached; with the odd
// ones the clock is right, and the oracle is exact to the millisecond. Runs
// shorter than a year begin before a change to or from summer time, or at new
// year, by the seed.
//
// The simulator keeps its own integer registers, which the agent never sees
// but through faulty samples. After each simulated day the oracle reads the
// store and the relay and holds them against that truth: see oracle.go for the
// laws, one by one.
//
// Lives end in any call that writes to the store, with any sectors of its two
// files written, and now and then the checkpoint is spoilt or gone (torn.go).
//
// Beside the meters on wires there are one that shows only a power (power.go),
// two that others read (feed.go: late, out of order, again, estimated first,
// corrected afterwards, nonsense in between), and a clerk who imports half-hourly
// files into gaps and over readings, of registers and of feeds, while a meter is
// silent, around its exchange, or weeks later (files.go). Three meters have check
// meters: a virtual one, one on the wire, one of the feed that comes late
// (checks.go); others show what flows beside their registers (beside.go). Each has
// an oracle of its own beside it, which knows what was said and shares no code
// with what it judges.
//
// Not simulated: brokers and web APIs (a feed is played at the driver's
// interface; drivers/dcc and drivers/mqtt have tests of their own), meters that
// give both totals and half-hours, damaged pages of the store (its own tests do
// that), a relay that loses what it has. Not judged: what files tell of a gap
// that shares a half-hour with one in which a meter was exchanged.
//
// Run it with
//
//	make simulate SEEDS=8 YEARS=1
//
// and repeat what failed with the command that the failure prints. Add -stop N
// to break off N days after the beginning, and -trace m12/gas -from
// 2001-01-26T22:00 -to 2001-01-27T04:00 to see what a register's meter answered
// and what was made of it, or -history FILE for all that was committed and sent:
// none of these changes what happens.
package simulation
