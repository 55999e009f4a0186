package account

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/perseus-edge/perseus-edge/identity/signin"
)

// Offer is a form in which a person sets up a way to sign in: a passkey, or a
// password with an authenticator app. Sealed goes through the form and holds
// the rest.
type Offer struct {
	ID       string // of the account, which need not be there yet
	Number   string
	Site     *Site // of an account that is to be made: what it will hold
	App      string
	Until    int64           // unix seconds
	Passkey  json.RawMessage // the state of its ceremony
	Sealed   string          `json:"-"`
	Options  string          `json:"-"` // for the browser; "" where there are no passkeys
	AppOffer signin.App      `json:"-"`
}

// Offer begins a new account that will hold a site. Nothing is stored.
func (s *Service) Offer(x Site) (Offer, error) {
	return s.offer(Offer{ID: newSecret(), Number: newNumber(), Site: &x}, nil)
}

// OfferMore begins a further way to sign in, of an account that there is.
func (s *Service) OfferMore(ctx context.Context, a Account) (Offer, error) {
	keys, err := s.Passkeys(ctx, a.ID)
	if err != nil {
		return Offer{}, err
	}
	return s.offer(Offer{ID: a.ID, Number: a.Number}, keys)
}

func (s *Service) offer(o Offer, keys []Passkey) (_ Offer, err error) {
	// Who mistyped something need not set the app up again.
	if o.AppOffer, err = signin.AppOf(s.Name, Grouped(o.Number), o.App); err != nil {
		return o, err
	}
	o.App = o.AppOffer.Secret
	if o.Until == 0 { // one that is made again keeps its end: it must not outlive the code that was shown for it
		o.Until = s.Now().Add(formLife).Unix()
	}
	c, err := s.keys.Make(holder(o.ID, o.Number, keys))
	if err != nil {
		return o, err
	}
	o.Options, o.Passkey = c.Options, c.State
	b, err := json.Marshal(o)
	o.Sealed = s.sealText(b, "offer")
	return o, err
}

// Open opens an offer that came back with its form. ErrStale.
func (s *Service) Open(sealed string) (o Offer, err error) {
	if s.openText(sealed, "offer", &o) != nil || s.Now().Unix() >= o.Until {
		return Offer{}, ErrStale
	}
	return o, nil
}

// Way is what a person shows of the way that was offered: a passkey's answer,
// or a password and a code of the app.
type Way struct{ Answer, Password, Code string }

// ready checks a way before anything is written, and gives what writes it.
func (s *Service) ready(ctx context.Context, o Offer, w Way) (write func(*sql.Tx) error, err error) {
	if w.Answer != "" {
		k, ok, err := s.keys.Made(holder(o.ID, o.Number, nil), o.Passkey, w.Answer)
		if err == nil && !ok {
			err = ErrWrong
		}
		return func(tx *sql.Tx) error { return insertPasskey(ctx, tx, k, s.Now()) }, err
	}
	if signin.Weak(w.Password, o.Number, Grouped(o.Number)) {
		return nil, ErrWeak
	}
	step := signin.AppStep(o.App, w.Code, s.Now(), 0)
	if step == 0 {
		return nil, ErrWrong
	}
	phc, err := s.passwords.Hash(ctx, w.Password)
	if err != nil {
		return nil, err
	}
	return func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE accounts SET password = $1, app = $2, app_step = $3 WHERE id = $4`, phc, s.seal([]byte(o.App), "app of "+o.ID), step, o.ID)
		return err
	}, nil
}

// Make makes the account of an offer, once. ErrWrong (the passkey or the code
// of the app), ErrWeak, ErrStale.
func (s *Service) Make(ctx context.Context, o Offer, w Way) error {
	if o.Site == nil {
		return ErrStale
	}
	write, err := s.ready(ctx, o, w)
	if err != nil {
		return err
	}
	now := s.Now().Unix()
	return taken(s.DB.Write(ctx, func(tx *sql.Tx) error {
		if err := s.once(ctx, tx, "offer "+o.ID); errors.Is(err, ErrWrong) {
			return ErrStale
		} else if err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO accounts (id, number, password, app, app_step, made, seen) VALUES ($1, $2, '', $3, 0, $4, $4)`, o.ID, o.Number, []byte{}, now)
		if err != nil {
			return err
		}
		if err := s.addSite(ctx, tx, o.ID, *o.Site); err != nil {
			return err
		}
		return write(tx)
	}))
}

// taken tells nobody that a passkey is another account's.
func taken(err error) error {
	if errors.Is(err, errTaken) {
		return ErrWrong
	}
	return err
}

// Add adds the way of an offer to the account, or puts a new password and app
// in the place of those before. Other browsers are signed out.
func (s *Service) Add(ctx context.Context, x Session, o Offer, w Way) error {
	if o.ID != x.ID || o.Site != nil {
		return ErrStale
	}
	write, err := s.ready(ctx, o, w)
	if err != nil {
		return err
	}
	return taken(s.DB.Write(ctx, func(tx *sql.Tx) error {
		if err := s.lock(ctx, tx, x.ID); err != nil {
			return err
		}
		if err := s.once(ctx, tx, "offer "+o.App); errors.Is(err, ErrWrong) {
			return ErrStale
		} else if err != nil {
			return err
		}
		if err := write(tx); err != nil {
			return err
		}
		return endOthers(ctx, tx, x)
	}))
}

// Remove removes a passkey; with "" the password and its app. ErrLast: no other
// way would be left. ErrNotFound.
func (s *Service) Remove(ctx context.Context, x Session, passkey string) error {
	return s.DB.Write(ctx, func(tx *sql.Tx) error {
		if err := s.lock(ctx, tx, x.ID); err != nil {
			return err
		}
		var res sql.Result
		var err error
		if passkey == "" {
			res, err = tx.ExecContext(ctx, `UPDATE accounts SET password = '', app = $1, app_step = 0 WHERE id = $2 AND password <> ''`, []byte{}, x.ID)
		} else {
			res, err = tx.ExecContext(ctx, `DELETE FROM account_passkeys WHERE id = $1 AND account = $2`, passkey, x.ID)
		}
		if err := some(res, err, ErrNotFound); err != nil {
			return err
		}
		var left int
		err = tx.QueryRowContext(ctx, `SELECT (SELECT COUNT(*) FROM account_passkeys WHERE account = $1) + (SELECT COUNT(*) FROM accounts WHERE id = $1 AND password <> '')`, x.ID).Scan(&left)
		if err == nil && left == 0 {
			err = ErrLast
		}
		if err != nil {
			return err
		}
		return endOthers(ctx, tx, x)
	})
}

// The limits on signing in, over all processes. Those of an account are for its
// password; a passkey cannot be guessed.
var (
	// An office behind one address may mistype now and then.
	perAddress = Allowance{"sign-in from ", 20 * time.Second, 30}
	// Of one number, known or not, from everywhere: 10 and then 96 a day, each of
	// which needs the password and one of three codes of a million.
	perNumber = Allowance{"sign-in to ", 15 * time.Minute, 10}
)

// Again is the same offer with a new challenge.
func (s *Service) Again(ctx context.Context, o Offer) (Offer, error) {
	var keys []Passkey
	if o.Site == nil {
		var err error
		if keys, err = s.Passkeys(ctx, o.ID); err != nil {
			return Offer{}, err
		}
	}
	return s.offer(Offer{ID: o.ID, Number: o.Number, Site: o.Site, App: o.App, Until: o.Until}, keys)
}
