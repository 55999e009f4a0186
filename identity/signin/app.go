package signin

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"
)

// Codes of authenticator apps (RFC 6238): six digits, 30 seconds, SHA-1, as
// all apps have them. One step to each side is taken, for clocks that are off.
const (
	appPeriod = 30 // seconds
	appSkew   = 1  // steps
)

// App is the secret that an authenticator app shares with us, as a person sees
// it while setting it up.
type App struct {
	Secret string // base32
	URL    string // otpauth://.., what its QR code holds
}

// AppOf shows a secret; where it is "", a new one. issuer and account are how
// the app will call it.
func AppOf(issuer, account, secret string) (App, error) {
	b, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(secret)
	if err != nil {
		return App{}, err
	}
	key, err := totp.Generate(totp.GenerateOpts{Issuer: issuer, AccountName: account, Secret: b, Rand: rand.Reader})
	if err != nil {
		return App{}, err
	}
	return App{key.Secret(), key.URL()}, nil
}

// AppStep gives the time step for which a code is good, later than after; 0
// where it is for none. Who keeps the last step that was used takes each code
// once. All candidates are compared, always.
func AppStep(secret, code string, now time.Time, after int64) (step int64) {
	code = strings.Map(func(r rune) rune {
		if r == ' ' || r == '-' {
			return -1
		}
		return r
	}, code)
	at := now.Unix() / appPeriod
	for t := at - appSkew; t <= at+appSkew; t++ {
		want, err := hotp.GenerateCodeCustom(secret, uint64(t), hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
		if err == nil && subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 && t > after {
			step = t
		}
	}
	return step
}
