package signin

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"net/url"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
)

// PasskeyConfig says how a website uses passkeys (WebAuthn).
type PasskeyConfig struct {
	URL      *url.URL      // of the website: its passkeys are good there alone
	Name     string        // how passkeys call it
	Patience time.Duration // how long a browser waits for the person
	// Alone: a passkey is both steps at once. The browser finds it by itself
	// (nothing is typed), and it asks for the person's finger or PIN. Else it is
	// the second step, after a password.
	Alone  bool
	Logger *slog.Logger
}

// Passkeys makes and checks the passkeys of a website. Its methods may be called
// at the same time from many goroutines. A nil one is of an address that cannot
// have passkeys: it begins nothing, and refuses whatever it is shown.
type Passkeys struct {
	w   *webauthn.WebAuthn
	log *slog.Logger
}

// NewPasskeys fails where an address cannot have passkeys, such as one that is
// no name.
func NewPasskeys(c PasskeyConfig) (*Passkeys, error) {
	patience := webauthn.TimeoutConfig{Enforce: true, Timeout: c.Patience, TimeoutUVD: c.Patience}
	which := protocol.AuthenticatorSelection{UserVerification: protocol.VerificationPreferred, ResidentKey: protocol.ResidentKeyRequirementDiscouraged}
	if c.Alone {
		which = protocol.AuthenticatorSelection{UserVerification: protocol.VerificationRequired,
			ResidentKey: protocol.ResidentKeyRequirementRequired, RequireResidentKey: protocol.ResidentKeyRequired()}
	}
	w, err := webauthn.New(&webauthn.Config{
		RPID: c.URL.Hostname(), RPDisplayName: c.Name, RPOrigins: []string{c.URL.Scheme + "://" + c.URL.Host},
		AttestationPreference: protocol.PreferNoAttestation, AuthenticatorSelection: which,
		Timeouts: webauthn.TimeoutsConfig{Login: patience, Registration: patience},
	})
	if err != nil {
		return nil, err
	}
	return &Passkeys{w, c.Logger}, nil
}

// Passkey is a passkey as an account keeps it. Nothing in it is secret.
type Passkey struct {
	Account string
	ID      string // base64url
	Record  string // JSON; another after each use
}

// Holder is an account as its passkeys know it.
type Holder struct {
	ID          string   // the passkey keeps it, and says it
	Name, Title string   // how the browser calls the account, and the person
	Records     []string // of the passkeys that it has
}

// Ceremony is one exchange with a passkey: Options go to the browser, State is
// kept until its answer comes, and is good once: whoever keeps it sees to that.
type Ceremony struct {
	Options string // JSON; "": there is nothing to ask for
	State   []byte // JSON
}

// Make begins to make a passkey for an account, which need not be there yet.
func (p *Passkeys) Make(h Holder) (Ceremony, error) {
	u, err := h.user()
	if p == nil || err != nil {
		return Ceremony{}, err
	}
	o, state, err := p.w.BeginRegistration(u, webauthn.WithExclusions(webauthn.Credentials(u.keys).CredentialDescriptors()))
	if err != nil {
		return Ceremony{}, err
	}
	return ceremony(o.Response, state)
}

// Made takes the browser's answer to Make. Not ok: it is not good.
func (p *Passkeys) Made(h Holder, state []byte, answer string) (k Passkey, ok bool, err error) {
	session, ok := p.session(state)
	if !ok {
		return k, false, nil
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes([]byte(answer))
	if err != nil {
		return k, p.refuse("making", err), nil
	}
	c, err := p.w.CreateCredential(user{Holder: h}, session, parsed)
	if err != nil {
		return k, p.refuse("making", err), nil
	}
	k, err = passkey(h.ID, c)
	return k, err == nil, err
}

// Ask asks for one of an account's passkeys.
func (p *Passkeys) Ask(h Holder) (Ceremony, error) {
	u, err := h.user()
	if p == nil || len(h.Records) == 0 || err != nil {
		return Ceremony{}, err
	}
	o, state, err := p.w.BeginLogin(u)
	if err != nil {
		return Ceremony{}, err
	}
	return ceremony(o.Response, state)
}

// Shown takes the browser's answer to Ask, of the same account. Not ok: it is
// not good.
func (p *Passkeys) Shown(h Holder, state []byte, answer string) (k Passkey, ok bool, err error) {
	u, err := h.user()
	if err != nil {
		return k, false, err
	}
	return p.shown(state, answer, func(session webauthn.SessionData, parsed *protocol.ParsedCredentialAssertionData) (webauthn.User, *webauthn.Credential, error) {
		c, err := p.w.ValidateLogin(u, session, parsed)
		return u, c, err
	})
}

// AskAny asks for any passkey that a browser has for the website, with the
// person verified.
func (p *Passkeys) AskAny() (Ceremony, error) {
	if p == nil {
		return Ceremony{}, nil
	}
	o, state, err := p.w.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return Ceremony{}, err
	}
	return ceremony(o.Response, state)
}

// ShownAny takes the browser's answer to AskAny. find gives the account of an
// id that the passkey says; the zero Holder where there is none. Not ok: the
// answer is not good.
func (p *Passkeys) ShownAny(state []byte, answer string, find func(id string) (Holder, error)) (k Passkey, ok bool, err error) {
	var fault error // of ours, and not of the answer
	k, ok, err = p.shown(state, answer, func(session webauthn.SessionData, parsed *protocol.ParsedCredentialAssertionData) (webauthn.User, *webauthn.Credential, error) {
		return p.w.ValidatePasskeyLogin(func(_, id []byte) (webauthn.User, error) {
			h, err := find(string(id))
			if err == nil && h.ID == "" {
				return nil, errors.New("there is no such account")
			}
			var u user
			if err == nil {
				u, err = h.user()
			}
			fault = err
			return u, err
		}, session, parsed)
	})
	if fault != nil {
		return Passkey{}, false, fault
	}
	return k, ok, err
}

// shown is what all answers of passkeys that there are have in common.
func (p *Passkeys) shown(state []byte, answer string, validate func(webauthn.SessionData, *protocol.ParsedCredentialAssertionData) (webauthn.User, *webauthn.Credential, error)) (k Passkey, ok bool, err error) {
	session, ok := p.session(state)
	if !ok {
		return k, false, nil
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes([]byte(answer))
	if err != nil {
		return k, p.refuse("showing", err), nil
	}
	u, c, err := validate(session, parsed)
	if err != nil {
		return k, p.refuse("showing", err), nil
	}
	if c.Authenticator.CloneWarning {
		p.log.Warn("passkey refused: its counter went back, as that of a copy would", "account", string(u.WebAuthnID()))
		return k, false, nil
	}
	k, err = passkey(string(u.WebAuthnID()), c)
	return k, err == nil, err
}

// session reads the state of a ceremony. Not ok: it is none.
func (p *Passkeys) session(state []byte) (s webauthn.SessionData, ok bool) {
	return s, p != nil && json.Unmarshal(state, &s) == nil
}

// refuse logs why a passkey's answer is refused, which is of use to the operator
// alone, and says that it is not good.
func (p *Passkeys) refuse(at string, err error) (ok bool) {
	var pe *protocol.Error
	if errors.As(err, &pe) {
		p.log.Info("passkey refused", "at", at, "why", pe.Details, "more", pe.DevInfo)
	}
	return false
}

func ceremony(options any, state *webauthn.SessionData) (Ceremony, error) {
	o, err1 := json.Marshal(options)
	s, err2 := json.Marshal(state)
	return Ceremony{string(o), s}, errors.Join(err1, err2)
}

func passkey(account string, c *webauthn.Credential) (Passkey, error) {
	b, err := json.Marshal(c)
	return Passkey{account, base64.RawURLEncoding.EncodeToString(c.ID), string(b)}, err
}

// user is a holder as the WebAuthn library sees one.
type user struct {
	Holder
	keys []webauthn.Credential
}

func (h Holder) user() (user, error) {
	u := user{h, make([]webauthn.Credential, len(h.Records))}
	for i, r := range h.Records {
		if err := json.Unmarshal([]byte(r), &u.keys[i]); err != nil {
			return user{}, errors.New("signin: the record of a passkey is not of the form that this program writes")
		}
	}
	return u, nil
}

func (u user) WebAuthnID() []byte                         { return []byte(u.ID) }
func (u user) WebAuthnName() string                       { return u.Name }
func (u user) WebAuthnDisplayName() string                { return u.Title }
func (u user) WebAuthnCredentials() []webauthn.Credential { return u.keys }
