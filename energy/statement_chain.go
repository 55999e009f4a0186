package energy

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// StatementHash is the SHA-256 of a statement's canonical JSON in hex, as the
// next statement of the same register carries it in "previous".
func StatementHash(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

// BrokenLink is the first place at which a chain of statements does not hold.
type BrokenLink struct {
	Index  int // of the statement, from 0, in what was given
	Key    Key // its register; empty where it cannot be read
	Reason string
}

// Error names the statement, counted from 1, and says what is wrong with it.
func (b *BrokenLink) Error() string {
	of := ""
	if b.Key.Meter != "" {
		of = " (" + b.Key.String() + ")"
	}
	return fmt.Sprintf("statement %d%s: %s", b.Index+1, of, b.Reason)
}

// VerifyChain reports whether statements are whole: each is in its canonical
// form, and each names the hash of the one before it of the same register. They
// are given in the order in which they were made; those of several registers
// may be mixed. The first of a register may follow on one that is not given
// (a gateway keeps the older ones no longer than the half-hours they are of):
// what is proved is that from there to the last one nothing was changed, left
// out or put in. The error is a *BrokenLink, the first one.
func VerifyChain(raw [][]byte) error {
	last := map[Key]string{}
	for i, body := range raw {
		s, err := ParseStatement(body)
		if err != nil {
			return &BrokenLink{Index: i, Reason: err.Error()}
		}
		k := Key{s.Meter, s.Measure}
		if want, ok := last[k]; ok && s.Previous != want {
			return &BrokenLink{i, k, brokenWhy(s.Previous, want)}
		}
		last[k] = StatementHash(body)
	}
	return nil
}

func brokenWhy(says, want string) string {
	if says == "" {
		return "it follows on nothing, where it should on " + want + ": the chain was begun anew here"
	}
	return "it follows on " + says + ", where it should on " + want + ": a statement in between is missing, or one was changed"
}
