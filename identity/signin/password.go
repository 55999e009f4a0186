// Package signin is what every account of ours rests on, whosever it is:
// passwords that are costly to guess, the codes of authenticator apps, and
// passkeys. It stores nothing and knows of no page.
package signin

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"
)

// Cost is what one guess at a password costs (Argon2id).
type Cost struct {
	Memory  uint32 // KiB
	Time    uint32 // passes
	Threads uint8
}

// DefaultCost is the second recommended option of RFC 9106: 64 MiB, 3 passes.
var DefaultCost = Cost{Memory: 64 << 10, Time: 3, Threads: 4}

const (
	saltSize = 16 // bytes
	hashSize = 32

	// PasswordLeast is how many characters a password must have, and
	// PasswordMost how many bytes it may.
	PasswordLeast = 12
	PasswordMost  = 1024
)

// Passwords hashes and checks passwords. Its methods may be called at the same
// time from many goroutines: no more are worked on at once than two for each
// processor, since each takes Cost.Memory.
type Passwords struct {
	cost  Cost
	slots chan struct{}
	decoy string
}

// NewPasswords makes new hashes at a cost; DefaultCost where it is zero.
func NewPasswords(c Cost) *Passwords {
	if c == (Cost{}) {
		c = DefaultCost
	}
	return &Passwords{c, make(chan struct{}, 2*runtime.GOMAXPROCS(0)), phc(c, random(saltSize), random(hashSize))}
}

// Hash gives the PHC string of a password:
// $argon2id$v=19$m=65536,t=3,p=4$salt$hash.
func (p *Passwords) Hash(ctx context.Context, password string) (string, error) {
	salt := random(saltSize)
	key, err := p.derive(ctx, password, salt, p.cost, hashSize)
	return phc(p.cost, salt, key), err
}

// Check says whether a password is the one of a PHC string. Where there is none
// (""), it takes as long, and it is not.
func (p *Passwords) Check(ctx context.Context, stored, password string) (bool, error) {
	known := stored != ""
	if !known {
		stored = p.decoy
	}
	c, salt, want, err := parsePHC(stored)
	if err != nil {
		return false, err
	}
	if len(password) > PasswordMost {
		password = "" // not worth the work, and nobody's password
	}
	got, err := p.derive(ctx, password, salt, c, len(want))
	return subtle.ConstantTimeCompare(got, want) == 1 && known, err
}

// Stale says whether a stored PHC string was made at another cost than the
// present one: who knows the password should have it hashed anew.
func (p *Passwords) Stale(stored string) bool {
	c, _, _, err := parsePHC(stored)
	return err != nil || c != p.cost
}

func (p *Passwords) derive(ctx context.Context, password string, salt []byte, c Cost, size int) ([]byte, error) {
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
		// Different keyboards make the same letters in different ways.
		return argon2.IDKey(norm.NFKC.Bytes([]byte(password)), salt, c.Time, c.Memory, c.Threads, uint32(size)), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Weak says whether a password is too short or too long, or among those that a
// guesser tries first. own are words that stand near it, such as the name of
// the account. A second step stands behind it, so there are no rules about
// kinds of characters.
func Weak(password string, own ...string) bool {
	if n := utf8.RuneCountInString(password); !utf8.ValidString(password) || len(password) > PasswordMost || n < PasswordLeast {
		return true
	}
	rest, distinct := strings.ToLower(password), map[rune]bool{}
	for _, r := range rest {
		distinct[r] = true
	}
	for _, w := range append(own, "perseus", "password", "passwort", "letmein", "welcome", "qwertyuiop", "qwerty", "abcdefghijklmnopqrstuvwxyz", "abcdefgh",
		"01234567890", "1234567890", "123456", "0987654321", "iloveyou", "administrator", "admin", "secret", "changeme") {
		if len(w) > 3 {
			rest = strings.ReplaceAll(rest, strings.ToLower(w), "")
		}
	}
	return len(distinct) < 5 || utf8.RuneCountInString(rest) < 6
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails (crypto/rand)
	return b
}

func phc(c Cost, salt, key []byte) string {
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, c.Memory, c.Time, c.Threads, b64(salt), b64(key))
}

func parsePHC(s string) (c Cost, salt, key []byte, err error) {
	bad := errors.New("signin: a stored password is not of the form that this program writes")
	f := strings.Split(s, "$")
	if len(f) != 6 || f[0] != "" || f[1] != "argon2id" || f[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return c, nil, nil, bad
	}
	if _, err := fmt.Sscanf(f[3], "m=%d,t=%d,p=%d", &c.Memory, &c.Time, &c.Threads); err != nil || f[3] != fmt.Sprintf("m=%d,t=%d,p=%d", c.Memory, c.Time, c.Threads) {
		return c, nil, nil, bad
	}
	salt, err1 := base64.RawStdEncoding.DecodeString(f[4])
	key, err2 := base64.RawStdEncoding.DecodeString(f[5])
	if err1 != nil || err2 != nil || len(salt) < 8 || len(key) < 16 || c.Time < 1 || c.Time > 100 || c.Threads < 1 || c.Memory > 4<<20 {
		return c, nil, nil, bad
	}
	return c, salt, key, nil
}
