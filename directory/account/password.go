package account

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
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
	saltSize     = 16
	passwordSize = 32 // of the hash, bytes

	// PasswordLeast is how many characters a password must have, and
	// PasswordMost how many bytes it may.
	PasswordLeast = 12
	PasswordMost  = 1024
)

// normal makes the same password of what different keyboards make of it.
func normal(password string) []byte { return norm.NFKC.Bytes([]byte(password)) }

// checkPassword refuses passwords that a guesser tries first. A second factor
// stands behind it, so there are no rules about kinds of characters.
func checkPassword(password, email, name string) error {
	low := strings.ToLower(password)
	switch n := utf8.RuneCountInString(password); {
	case !utf8.ValidString(password) || len(password) > PasswordMost:
		return invalid("password: at most %d bytes of text", PasswordMost)
	case n < PasswordLeast:
		return invalid("password: use at least %d characters. Three or four unrelated words are good", PasswordLeast)
	}
	distinct := map[rune]bool{}
	for _, r := range low {
		distinct[r] = true
	}
	rest := low
	local, _, _ := strings.Cut(email, "@")
	for _, w := range append(append([]string{email, local}, strings.Fields(strings.ToLower(name))...), "perseus", "directory", "password", "passwort", "letmein", "welcome", "qwertyuiop", "qwerty",
		"abcdefghijklmnopqrstuvwxyz", "abcdefgh", "01234567890", "1234567890", "123456", "0987654321", "iloveyou", "administrator", "admin", "secret", "changeme") {
		if len(w) > 3 {
			rest = strings.ReplaceAll(rest, w, "")
		}
	}
	if len(distinct) < 5 || utf8.RuneCountInString(rest) < 6 {
		return invalid("password: this one would be among the first that a guesser tries. Three or four unrelated words are good")
	}
	return nil
}

// hashPassword gives the PHC string of a password:
// $argon2id$v=19$m=65536,t=3,p=4$salt$hash.
func (s *Service) hashPassword(ctx context.Context, password string) (string, error) {
	salt := make([]byte, saltSize)
	rand.Read(salt) // never fails (crypto/rand)
	key, err := s.derive(ctx, password, salt, s.Cost, passwordSize)
	if err != nil {
		return "", err
	}
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, s.Cost.Memory, s.Cost.Time, s.Cost.Threads, b64(salt), b64(key)), nil
}

// derive waits until a place is free: each takes Cost.Memory.
func (s *Service) derive(ctx context.Context, password string, salt []byte, c Cost, size int) ([]byte, error) {
	select {
	case s.hashing <- struct{}{}:
		defer func() { <-s.hashing }()
		return argon2.IDKey(normal(password), salt, c.Time, c.Memory, c.Threads, uint32(size)), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// isPassword says whether a password is the one of a PHC string, and whether
// that string should be made anew since the cost has changed.
func (s *Service) isPassword(ctx context.Context, phc, password string) (ok, stale bool, err error) {
	c, salt, want, err := parsePHC(phc)
	if err != nil {
		return false, false, err
	}
	if len(password) > PasswordMost {
		password = "" // not worth the work, and nobody's password
	}
	got, err := s.derive(ctx, password, salt, c, len(want))
	if err != nil {
		return false, false, err
	}
	return subtle.ConstantTimeCompare(got, want) == 1, c != s.Cost, nil
}

func parsePHC(phc string) (c Cost, salt, key []byte, err error) {
	bad := errors.New("account: a stored password is not of the form that this program writes")
	f := strings.Split(phc, "$")
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
