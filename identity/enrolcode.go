package identity

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// An enrolment code is read from one screen and typed into another, often by
// way of a telephone and a piece of paper. So it has no two characters that
// look alike (of 5 S, 8 B, 2 Z, 6 G it has the digit, of 0 O, 1 I L, U V none),
// and M without N, which are one by telephone. Its last character is a check,
// for what else is misheard: with 23 characters, a prime number, the weights of
// ISBN-10 find every single wrong character and every two that changed places.
const (
	enrolAlphabet = "23456789ACDEFHJKMPRTWXY"
	enrolLength   = 12 // 11 at random (49.7 bits) and the check
)

// ExampleEnrolCode is one that could have been given out, for help texts.
const ExampleEnrolCode = "7K2M-9KXA-34TE"

// enrolForgiven are characters that no code has and that can only be meant for
// one that it has.
var enrolForgiven = strings.NewReplacer("-", "", " ", "", "\t", "", "\u00a0", "", "–", "", "S", "5", "B", "8", "Z", "2", "G", "6", "N", "M")

// ErrMistyped is the cause when a code cannot be one that was given out: a
// character is wrong, missing or too many.
var ErrMistyped = errors.New("mistyped")

// NewEnrolCode makes a one-time enrolment code, such as "7K2M-9KXA-34TE".
func NewEnrolCode() string {
	for {
		var random [32]byte
		rand.Read(random[:]) // never fails (crypto/rand)
		if code, ok := enrolCodeOf(random[:]); ok {
			return code
		}
	}
}

// enrolCodeOf makes a code of random bytes. A byte gives a character where it is
// below the largest multiple of 23, else it is passed over: so each character is
// as likely as any other. Of 32 bytes too few are left once in 10^15 times.
func enrolCodeOf(random []byte) (code string, ok bool) {
	const fair = 256 / len(enrolAlphabet) * len(enrolAlphabet)
	var digits []int
	for _, c := range random {
		if int(c) < fair && len(digits) < enrolLength-1 {
			digits = append(digits, int(c)%len(enrolAlphabet))
		}
	}
	if len(digits) < enrolLength-1 {
		return "", false
	}
	var b strings.Builder
	for i, d := range append(digits, enrolCheck(digits)) {
		if i > 0 && i%4 == 0 {
			b.WriteByte('-')
		}
		b.WriteByte(enrolAlphabet[d])
	}
	return b.String(), true
}

// enrolCheck is the value that brings the sum of all values, each by its place
// from 1, to a multiple of 23. The last place is 12; its inverse is 2.
func enrolCheck(digits []int) int {
	sum := 0
	for i, d := range digits {
		sum += (i + 1) * d
	}
	const inverse = 2 // 12 x 2 = 24 = 1 (mod 23)
	p := len(enrolAlphabet)
	return (p - sum%p) * inverse % p
}

// ParseEnrolCode brings an enrolment code, as a person typed it, into the form
// of NewEnrolCode: case, spaces and hyphens do not matter, nor do letters that
// look like one of its characters. ErrMistyped, with words for that person: it
// is not a code, whatever a directory knows.
func ParseEnrolCode(s string) (string, error) {
	s = enrolForgiven.Replace(strings.ToUpper(strings.TrimSpace(s)))
	digits := make([]int, 0, enrolLength)
	for _, r := range s {
		d := strings.IndexRune(enrolAlphabet, r)
		if d < 0 {
			return "", fmt.Errorf("the code is %w: no code has %q in it. It has the digits 2 to 9 and letters, such as "+ExampleEnrolCode, ErrMistyped, r)
		}
		if digits = append(digits, d); len(digits) > enrolLength {
			break
		}
	}
	switch n := len(digits); {
	case n == 0:
		return "", fmt.Errorf("the code is %w: there is none. It has 12 letters and digits in three groups, such as "+ExampleEnrolCode, ErrMistyped)
	case n < enrolLength:
		return "", fmt.Errorf("the code is %w: it has %d characters, not 12", ErrMistyped, n)
	case n > enrolLength:
		return "", fmt.Errorf("the code is %w: it has more than 12 characters", ErrMistyped)
	case enrolCheck(digits[:n-1]) != digits[n-1]:
		return "", fmt.Errorf("the code is %w: compare it with the original, one character is wrong or two changed places. The code itself is not used up", ErrMistyped)
	}
	return s[:4] + "-" + s[4:8] + "-" + s[8:], nil
}

// EnrolLink is what the QR code of an enrolment code holds: the directory and
// the code in one text, https://directory.example.org/enrol#7K2M-9KXA-34TE. A
// browser that opens it does not send what stands after #.
func EnrolLink(directory, code string) string {
	return strings.TrimRight(directory, "/") + enrolPath + "#" + code
}

const enrolPath = "/enrol"

// ParseEnrolLink takes apart what EnrolLink made; ok is false for any other
// text, which may be a code alone.
func ParseEnrolLink(s string) (directory, code string, ok bool) {
	at, code, found := strings.Cut(strings.TrimSpace(s), "#")
	u, err := url.Parse(at)
	if !found || err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" {
		return "", "", false
	}
	return strings.TrimRight(strings.TrimSuffix(at, enrolPath), "/"), code, true
}
