package identity

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
)

// codeAlphabet is Crockford's base 32: no I, L, O or U, so that a code is safe
// to read over a telephone.
const codeAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// NewCode makes a one-time code of 60 random bits in three groups, such as
// "7K2M-9QXA-04TB". ParseCode forgives case, spaces and the letters that look
// like digits.
func NewCode() string {
	var b [12]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	var s strings.Builder
	for i, c := range b {
		if i > 0 && i%4 == 0 {
			s.WriteByte('-')
		}
		s.WriteByte(codeAlphabet[c&31])
	}
	return s.String()
}

// ParseCode brings a code, as a person typed it, into the form of NewCode.
func ParseCode(s string) (string, error) {
	s = strings.NewReplacer("-", "", " ", "", "I", "1", "L", "1", "O", "0").Replace(strings.ToUpper(s))
	if len(s) != 12 || strings.Trim(s, codeAlphabet) != "" {
		return "", errors.New("a code has 12 letters and digits in three groups, such as 7K2M-9QXA-04TB")
	}
	return s[:4] + "-" + s[4:8] + "-" + s[8:], nil
}

// CodeVersion names a code, in the form of NewCode, without giving it away: it
// is made of the hash that a relay keeps of it (ingest.CodeVersion).
func CodeVersion(code string) string {
	stored := sha256.Sum256([]byte(code))
	h := sha256.Sum256(stored[:])
	return base64.RawURLEncoding.EncodeToString(h[:15])
}
