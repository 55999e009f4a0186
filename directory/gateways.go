package directory

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/perseus-edge/perseus-edge/identity"
)

// CodeLife is how long an enrolment code can be used.
const CodeLife = 7 * 24 * time.Hour

// Gateway is a device at a site that a member runs.
type Gateway struct {
	ID          string    // short, in URLs; empty when added: one is made
	Member      string    // id of the member that runs it; empty: that of the application
	Application string    // id of the member's application it belongs to, may be empty
	Name        string    // at most 200 characters
	Site        string    // what the member calls the site; not public
	Created     time.Time // set by the directory
	Enrolled    time.Time // last enrolment; zero: never
}

// AddGateway adds a gateway and returns its one-time enrolment code, which the
// directory keeps only as a hash.
func (s *Service) AddGateway(ctx context.Context, g Gateway) (Gateway, string, error) {
	if g.ID == "" {
		g.ID = newID()
	}
	if err := errors.Join(checkID(g.ID), checkText("name", g.Name, 200), checkText("site", g.Site, 200)); err != nil {
		return Gateway{}, "", err
	}
	g.Created, g.Enrolled = s.Now().UTC().Truncate(time.Second), time.Time{}
	var code string
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		if g.Application != "" {
			a, err := application(ctx, tx, g.Application)
			if err != nil {
				return err
			}
			if g.Member == "" {
				g.Member = a.Member
			}
			if g.Member != a.Member {
				return invalid("application %s belongs to another member", a.ID)
			}
		}
		if _, err := member(ctx, tx, g.Member); err != nil {
			return err
		}
		r, err := tx.ExecContext(ctx, `INSERT INTO directory_gateways (id, member, application, name, site, created_at)
			VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (id) DO NOTHING`,
			g.ID, g.Member, null(g.Application), g.Name, g.Site, g.Created.Unix())
		if err := one(r, err, ErrExists, "gateway", g.ID); err != nil {
			return err
		}
		code, err = s.newCode(ctx, tx, g.ID)
		return err
	})
	if err != nil {
		return Gateway{}, "", err
	}
	return g, code, nil
}

// NewCode gives a gateway a fresh enrolment code: after a failed enrolment, a
// replaced device or a revoked certificate. Its earlier codes end.
func (s *Service) NewCode(ctx context.Context, gateway string) (string, error) {
	var code string
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		if _, err := s.gateway(ctx, tx, gateway); err != nil {
			return err
		}
		var err error
		code, err = s.newCode(ctx, tx, gateway)
		return err
	})
	return code, err
}

func (s *Service) newCode(ctx context.Context, q querier, gateway string) (string, error) {
	if _, err := q.ExecContext(ctx, `DELETE FROM directory_codes WHERE gateway = $1`, gateway); err != nil {
		return "", err
	}
	code := identity.NewCode()
	_, err := q.ExecContext(ctx, `INSERT INTO directory_codes (hash, gateway, expires_at) VALUES ($1, $2, $3)`,
		hash(code), gateway, s.Now().Add(CodeLife).Unix())
	return code, err
}

// Gateway finds a gateway by its id.
func (s *Service) Gateway(ctx context.Context, id string) (Gateway, error) {
	return s.gateway(ctx, s.DB, id)
}

// Gateways lists a member's gateways.
func (s *Service) Gateways(ctx context.Context, member string) ([]Gateway, error) {
	ids, err := texts(ctx, s.DB, `SELECT id FROM directory_gateways WHERE member = $1 ORDER BY id`, member)
	if err != nil {
		return nil, err
	}
	out := make([]Gateway, len(ids))
	for i, id := range ids {
		if out[i], err = s.Gateway(ctx, id); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (s *Service) gateway(ctx context.Context, q querier, id string) (Gateway, error) {
	g := Gateway{ID: id}
	var created int64
	var enrolled sql.NullInt64
	err := q.QueryRowContext(ctx, `SELECT member, COALESCE(application, ''), name, site, created_at, enrolled_at
		FROM directory_gateways WHERE id = $1`, id).Scan(&g.Member, &g.Application, &g.Name, &g.Site, &created, &enrolled)
	if err != nil {
		return Gateway{}, missing(err, "gateway", id)
	}
	g.Created = time.Unix(created, 0).UTC()
	if enrolled.Valid {
		g.Enrolled = time.Unix(enrolled.Int64, 0).UTC()
	}
	return g, nil
}

// Enrolment is what a gateway gets for its code.
type Enrolment struct {
	Gateway, Member Named
	Client, Signing Certificate
}

// Named is a thing with its URL and its name.
type Named struct{ URL, Name string }

// Enroll exchanges a one-time code and two requests (PEM) for a client and a
// signing certificate of the code's gateway. The code is used up only if both
// certificates are issued and recorded. ErrCode: unknown, used or expired.
// ErrInvalid: a request is not acceptable, which leaves the code untouched.
func (s *Service) Enroll(ctx context.Context, code string, clientCSR, signingCSR []byte) (Enrolment, error) {
	code, err := identity.ParseCode(code)
	if err != nil {
		return Enrolment{}, ErrCode
	}
	clientKey, err := requestKey(clientCSR)
	if err != nil {
		return Enrolment{}, fmt.Errorf("client_csr: %w", err)
	}
	signingKey, err := requestKey(signingCSR)
	if err != nil {
		return Enrolment{}, fmt.Errorf("signing_csr: %w", err)
	}
	if clientKey.Equal(signingKey) {
		return Enrolment{}, invalid("client_csr and signing_csr must have different keys")
	}
	var e Enrolment
	err = s.inTx(ctx, func(tx *sql.Tx) error {
		now := s.Now().Unix()
		var id string
		// One statement finds the code and uses it up: of any number of
		// requests at once, one gets the row.
		err := tx.QueryRowContext(ctx, `UPDATE directory_codes SET used_at = $1
			WHERE hash = $2 AND used_at IS NULL AND expires_at > $1 RETURNING gateway`, now, hash(code)).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			return ErrCode
		} else if err != nil {
			return err
		}
		g, err := s.gateway(ctx, tx, id)
		if err != nil {
			return err
		}
		m, err := member(ctx, tx, g.Member)
		if err != nil {
			return err
		}
		who := holder{member: m.ID, application: g.Application, gateway: g.ID}
		sub := subject{URL: s.GatewayURL(g.ID), Member: s.MemberURL(m.ID), Organisation: m.LegalName}
		if e.Client, err = s.issueMember(ctx, tx, Client, who, sub, clientKey); err != nil {
			return err
		}
		if e.Signing, err = s.issueMember(ctx, tx, Signing, who, sub, signingKey); err != nil {
			return err
		}
		e.Gateway, e.Member = Named{sub.URL, g.Name}, Named{sub.Member, m.LegalName}
		_, err = tx.ExecContext(ctx, `UPDATE directory_gateways SET enrolled_at = $1 WHERE id = $2`, now, id)
		return err
	})
	if err != nil {
		return Enrolment{}, err
	}
	return e, nil
}

// hash is how codes and tokens are stored: both are random and long enough
// that a plain hash cannot be turned back.
func hash(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}
