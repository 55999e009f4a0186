package account

import (
	"context"
	"strings"
	"unicode/utf8"

	"github.com/perseus-edge/perseus-edge/identity/signin"
)

// hasher is signin.Passwords: a test sees what is asked of it.
type hasher interface {
	Hash(ctx context.Context, password string) (string, error)
	Check(ctx context.Context, stored, password string) (bool, error)
	Stale(stored string) bool
}

// checkPassword refuses passwords that a guesser tries first.
func checkPassword(password, email, name string) error {
	switch n := utf8.RuneCountInString(password); {
	case !utf8.ValidString(password) || len(password) > signin.PasswordMost:
		return invalid("password: at most %d bytes of text", signin.PasswordMost)
	case n < signin.PasswordLeast:
		return invalid("password: use at least %d characters. Three or four unrelated words are good", signin.PasswordLeast)
	}
	local, _, _ := strings.Cut(email, "@")
	if signin.Weak(password, append([]string{email, local, "directory"}, strings.Fields(name)...)...) {
		return invalid("password: this one would be among the first that a guesser tries. Three or four unrelated words are good")
	}
	return nil
}
